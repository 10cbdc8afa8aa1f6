"""Answers about the brain: estimate, forecast, comparison, machines, neuron."""

from __future__ import annotations

from rigwise.web.answers.base import Quantity, Same, Told


class BrainTerm(Quantity):
    """Of Brain: term."""

    region: str


class BrainTornado(Told):
    """Of Brain: tornado."""

    name: str
    low: float
    high: float
    at_low: float
    at_high: float
    swing: float


class BrainParameter(Quantity):
    """Of Brain: parameter."""

    says: str
    distribution: str
    checked: str
    note: str


class Brain(Same):
    """The brain's operations a second, memory and bandwidth."""

    draws: float
    include: list[str]
    left_out: list[str]
    flops: Quantity
    memory: Quantity
    bandwidth: Quantity
    terms: dict[str, BrainTerm]
    tornado: list[BrainTornado]
    parameters: dict[str, BrainParameter]
    cannot_say: list[str]


class ForecastCrossing(Told):
    """Of Forecast: crossing."""

    limits: list[str]
    year: Quantity
    none: float
    chance_by: dict[str, float]


class ForecastByLimit(Told):
    """Of Forecast: by limit."""

    limits: list[str]
    year: Quantity
    none: float


class ForecastFan(Quantity):
    """Of Forecast: fan."""

    year: float


class ForecastScenario(Told):
    """Of Forecast: scenario."""

    name: str
    year: float | None
    stated: float | None
    years_per_doubling: float
    source: str


class Forecast(Same):
    """When machines reach a target."""

    metric: str
    says: str
    until: float
    target: Quantity
    crossing: ForecastCrossing
    by_limit: list[ForecastByLimit]
    fan: list[ForecastFan]
    scenarios: list[ForecastScenario]
    cannot_say: list[str]


class ComparisonMethod(Quantity):
    """Of Comparison: method."""

    key: str
    name: str
    year: float
    published: list[float] | float | None
    reproduced: bool | None


class ComparisonOur(Quantity):
    """Of Comparison: our."""

    published: float | None


class Comparison(Same):
    """Published estimates beside this one."""

    methods: list[ComparisonMethod]
    ours: ComparisonOur


class FleetMachine(Told):
    """Of Fleet: machine."""

    device: str
    precision: str
    binds: str
    count: Quantity
    power: Quantity | None
    capital: Quantity | None
    warnings: list[str]


class FleetStanding(Told):
    """Of Fleet: standing."""

    name: str
    date: str
    what: str
    peak: float
    sustained: float
    share: float | None
    power: float | None
    source: str


class Fleet(Same):
    """How many devices would sustain it."""

    machines: list[FleetMachine]
    standing: list[FleetStanding]


class NeuronAnswer(Same):
    """One neuron at work: the FLOP of one evaluation by block, and what happens in time, a value a step."""

    cell: str
    seconds: float
    rate_hz: float
    steps_per_s: float
    flop_per_evaluation: float
    blocks: dict[str, float]
    walk: list[dict[str, str]]
    spikes_out: int
    series: dict[str, list[float]]

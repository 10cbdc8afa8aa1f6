"""Answers about GPUs and the machines around them: advise, chart, rig, rig-check."""

from __future__ import annotations

from typing import Literal

from rigwise.web.answers.base import Same, Told


class ChoicePrice(Told):
    """Of Choice: price."""

    usd: float
    date: str
    old: bool
    estimated: bool
    source: str


class Choice(Told):
    """One way to get GPUs."""

    what: str
    device: str
    count: float
    condition: str
    price_usd: float | None
    usd_per_hour: float
    throughput: float
    unit: str
    interval: tuple[float, float]
    time_s: float | None
    spelling: str
    memory_limit_gib: float
    watts: float | None
    cost_usd: dict[str, float]
    spend_usd: float
    usd_per_million: float
    price: ChoicePrice | None
    reasons: list[str]
    warnings: list[str]


class AdviceNeed(Told):
    """Of Advice: need."""

    model: str
    persona: str
    batch: float
    work: float | None
    unit: str
    goal: str
    years: float
    hours_per_week: float


class AdvicePathStep(Told):
    """Of Advice: path step."""

    question: str
    fact: str
    answer: str


class AdvicePath(Told):
    """Of Advice: path."""

    steps: list[AdvicePathStep]
    says: str


class AdviceBreakEven(Told):
    """Of Advice: break even."""

    buy: str
    rent: str
    rent_usd_per_hour: float
    use: float
    hours: float | None
    days: float | None
    rent_usd: float
    own_usd: float


class AdviceSearch(Told):
    """Of Advice: search."""

    devices: float
    machines: float
    candidates: float
    seconds: float


class Advice(Same):
    """Which GPUs to get."""

    need: AdviceNeed
    date: str
    choices: list[Choice]
    pareto: list[Choice]
    path: AdvicePath
    break_even: AdviceBreakEven | None
    refused: dict[str, str]
    search: AdviceSearch
    why_not: list[str] | None = None


class Bar(Told):
    """A card at a kind of work."""

    device: str
    name: str
    memory_bytes: float
    throughput: float
    relative: float
    price_usd: float | None
    condition: str
    relative_per_usd: float | None
    measured: bool


class Seat(Told):
    """Where a card sits in a machine; what is not known is not there. bytes_per_s: what its lanes carry one way."""

    name: str
    slot: float | None = None
    lanes: float | None = None
    gen: float | None = None
    bytes_per_s: float | None = None
    socket: float | None = None
    switch: str | None = None
    chipset: bool | None = None


class DrawingSocket(Told):
    """Of Drawing: socket."""

    name: str
    says: str


class DrawingNic(Seat):
    """Of Drawing: nic."""

    bits_per_s: float


class DrawingWay(Told):
    """Of Drawing: way."""

    way: str
    pairs: float
    bytes_per_s: float


class Drawing(Told):
    """What hangs on what in a machine."""

    machines: float
    sockets: list[DrawingSocket]
    ram_bytes: float
    ram_bytes_per_s: float | None
    disk_bytes_per_s: float | None
    modules: bool
    gpus: list[Seat]
    nics: list[DrawingNic]
    ways: list[DrawingWay]
    fabric: list[str]


class PartAlternative(Told):
    """Of Part: alternative."""

    name: str
    more_usd: float


class Part(Told):
    """One line of a list of parts."""

    kind: str
    name: str
    count: float
    price_usd: float | None
    condition: str
    watts: float | None
    reason: str
    alternatives: list[PartAlternative]
    source: str


class Finding(Told):
    """What is wrong with a machine, or worth knowing."""

    severity: Literal["error", "warning", "waste", "note"]
    rule: str
    says: str
    fix: str
    money_usd: float | None


class MachineTotal(Told):
    """Of Machine: total."""

    price_usd: float | None
    watts: float
    heat_btu_per_h: float
    noise_db: float | None
    usd_per_hour: float
    electricity_usd_3_years: float


class MachineProof(Told):
    """Of Machine: proof."""

    says: str


class Machine(Same):
    """A whole machine, or several, around GPUs."""

    nodes: float
    parts: list[Part]
    findings: list[Finding]
    passes: bool
    total: MachineTotal
    lanes: float | None
    pcie_gen: float | None
    step_s: float | None
    interval: tuple[float, float] | None
    proof: MachineProof | None
    drawing: Drawing


class ChartAnswer(Same):
    """Every card at a kind of work."""

    work: str
    chart: list[Bar]

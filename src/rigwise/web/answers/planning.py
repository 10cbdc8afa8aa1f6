"""Answers about layouts: plan, estimate, timeline, scale, export, split, and the names that can be said."""

from __future__ import annotations

from typing import Any, Literal

from rigwise.web.answers.base import Same, Told


class EstimateAnswer(Told):
    """One layout of a model on a cluster."""

    spelling: str
    layout: dict[str, Any]
    step_s: float
    interval: tuple[float, float]
    samples_per_s: float
    tokens_per_s_per_device: float | None
    mfu: float | None
    memory_gib: dict[str, float]
    fits: bool
    time_s: dict[str, float]
    energy_j: float | None
    cost_usd: float | None
    basis: str
    warnings: list[str]


class Subject(Same):
    """What an answer is about, with what was filled in."""

    model: str
    cluster: str
    resolved: str
    batch: float
    seq: float | None
    optimizer: str
    stack: str


class PlanSearch(Told):
    """Of PlanAnswer: search."""

    considered: float
    legal: float
    feasible: float
    seconds: float


class PlanAnswer(Subject):
    """The ranked layouts."""

    objective: str
    layouts: list[EstimateAnswer]
    pareto: list[EstimateAnswer]
    why: list[str]
    walked_step_s: float
    search: PlanSearch


class OneLayout(Subject, EstimateAnswer):
    """An estimate by itself; `error` and what follows where it does not fit."""

    error: str | None = None
    says: str | None = None
    rule: str | None = None
    nearest: str | None = None


class Stage(Told):
    """The passes of one stage of a pipeline, in seconds from the step's start."""

    stage: float
    kind: str
    micro: list[float]
    chunk: list[float]
    start: list[float]
    end: list[float]


class StagesRank(Told):
    """Of Stages: rank."""

    pp: float
    dp: float
    cp: float
    tp: float


class Stages(Subject):
    """A layout stage by stage: its pipeline in time and its memory."""

    spelling: str
    stages: list[Stage]
    ranks: StagesRank
    micros: float
    walked: float
    makespan_s: float
    pipeline_s: float
    bubble_share: float
    after_s: dict[str, float]
    walked_step_s: float
    memory_by_stage: list[dict[str, float]]
    memory_limit_gib: float


class NamesDevice(Told):
    """Of Names: device."""

    name: str
    says: str
    vendor: str
    year: float
    memory_bytes: float
    watts: float | None


class Names(Told):
    """The names that can be said."""

    version: str
    models: list[str]
    devices: list[NamesDevice]
    personas: dict[str, str]
    works: dict[str, str]
    precisions: list[str]
    optimizers: list[str]
    brain_inputs: list[str]
    kernels: dict[str, str]


class Product(Told):
    """One of the three products of a layer, by rank."""

    of: str
    left: list[tuple[float, float]]
    right: list[tuple[float, float]]
    result: list[tuple[float, float]]
    whole: tuple[float, float]
    combine: Literal["own", "add", "stack"]
    handed_on: list[float]
    ring_elements: float


class SplitSplitSecond(Told):
    """Of SplitAnswer: split second."""

    decimal: float
    binary: float


class SplitSplit(Told):
    """Of SplitAnswer: split."""

    kind: str
    products: list[Product]
    elements: float
    bytes: float
    ring_bytes: float
    seconds: SplitSplitSecond | None
    memory_bytes: dict[str, list[float]]


class SplitAnswer(Same):
    """A dense layer under every split."""

    batch: float
    inputs: float
    outputs: float
    ranks: float
    element_bytes: float
    splits: list[SplitSplit]
    refused: dict[str, str]
    break_even_batch: dict[str, float]
    least: str
    rate: float | None
    warnings: list[str]


class ExportAnswer(Same):
    """A layout in the words of another tool."""

    name: str
    text: str
    notes: list[str]


class ScalePoint(EstimateAnswer):
    """Of ScaleAnswer: the best layout of a way on a number of devices."""

    devices: float
    speedup: float


class ScaleAnswer(Subject):
    """Every number of devices: for each way of splitting the best layout, None where nothing fits."""

    devices: list[float]
    against: str
    curves: dict[str, list[ScalePoint | None]]
    turns: dict[str, str]
    warnings: list[str]

"""Answers with measured values: runs, this machine, and validation."""

from __future__ import annotations

from typing import Any, Literal

from rigwise.web.answers.base import Same, Told
from rigwise.web.answers.planning import EstimateAnswer


class Summary(Told):
    """Errors of a set of rows."""

    rows: float
    supported: float
    mean_error: float | None
    median_error: float | None
    max_error: float | None
    signed_error: float | None
    inside_interval: float | None


class ValidationRefusal(Told):
    """Of ValidationAnswer: refusal."""

    why: str
    rows: float


class ValidationPoint(Told):
    """Of ValidationAnswer: point."""

    id: list[str]
    metric: list[str]
    family: list[str]
    device: list[str]
    source: list[str]
    what: list[str]
    measured: list[float]
    predicted: list[float]
    low: list[float | None]
    high: list[float | None]
    flag: list[str]


class ValidationAnswer(Same):
    """Every measured row, predicted; points by column."""

    table: str
    rows: float
    supported: float
    headline: Summary
    by_source: dict[str, Summary]
    by_family: dict[str, Summary]
    by_device: dict[str, Summary]
    by_metric: dict[str, Summary]
    refusals: list[ValidationRefusal]
    points: ValidationPoint


class RunStep(Told):
    """What a run tells of a step."""

    step: float
    loss: float
    step_s: float
    samples_per_s: float
    tokens_per_s: float | None
    mfu: float | None
    memory: float


class RunReportComparison(Told):
    """Of RunReport: comparison."""

    part: str
    unit: Literal["s", "B"]
    predicted: float | None
    interval: tuple[float, float] | None
    measured: float


class RunReport(Same):
    """A run, predicted beside measured."""

    task: str
    batch: float
    steps: float
    losses: list[float]
    step_s: float
    samples_per_s: float
    tokens_per_s: float | None
    mfu: float | None
    time_s: dict[str, float]
    peak_memory_gib: float
    log: str
    checkpoint: str
    world: float
    device: str
    warnings: list[str]
    slowest_rank: float
    slowest_ratio: float
    predicted: EstimateAnswer | None
    why_not_predicted: str
    comparison: list[RunReportComparison]


class RunsTask(Told):
    """Of RunsAnswer: task."""

    name: str
    says: str


class RunsRun(Told):
    """Of RunsAnswer: run."""

    name: str
    when: str
    task: str
    layout: str
    batch: float
    steps: float
    step_s: float
    samples_per_s: float
    world: float
    device: str
    first_loss: float
    last_loss: float


class RunsAnswer(Same):
    """The packaged tasks, and what was run from this folder."""

    tasks: list[RunsTask]
    runs: list[RunsRun]


class MeasuredRow(Told):
    """One thing timed. value: the median, in the metric's unit. rate: FLOP/s, of what multiplies."""

    metric: str
    kind: str
    which: str
    sizes: dict[str, float]
    value: float
    spread: float | None
    times: float
    rate: float | None


class MeasuredLink(Told):
    """A collective between ranks: seconds that it takes at least, and bytes a second of a long one."""

    collective: str
    alpha: float
    bandwidth: float
    error: float
    worst: float


class MeasuredPass(Told):
    """A pass of a small network, forward and back: seconds measured, and predicted by what was measured without it."""

    what: str
    measured: float
    predicted: float


class MeasuredSetting(Told):
    """What was found at a number of ranks and threads."""

    session: float
    ranks: float
    threads: float
    spread: float
    others: float
    doubts: list[str]
    links: list[MeasuredLink]
    rows: list[MeasuredRow]
    passes: list[MeasuredPass]


class MeasureAnswer(Same):
    """This machine, measured."""

    settings: list[MeasuredSetting]


class JobTold(Told):
    """A job: how far it is, what it is at, what a run told of its steps, and the answer or the problem at its end."""

    id: str
    verb: str
    state: Literal["running", "done", "failed", "cancelled"]
    progress: tuple[int, int] | None
    stage: str
    problem: dict[str, Any] | None
    request: dict[str, Any] | None = None
    steps: list[RunStep] | None = None
    answer: RunReport | MeasureAnswer | ValidationAnswer | dict[str, Any] | None = None

"""RunResult: what a run came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rigwise.hardware.busy import others
from rigwise.layouts.layout import Layout
from rigwise.run.chosen import Value
from rigwise.run.job import PARTS, StepRecord
from rigwise.units import GIBI

_WARM_UP = 5  # steps at the start that timings leave out: first allocations, bucket rebuilding, lazy imports


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A finished run.

    losses: of every step from the first, those before a resume included, mean over ranks. step_s: median seconds after
    warm-up; samples_per_s: all ranks together. parts: median seconds a step, mean over ranks: compute, communication
    (exposed only), loader, optimizer, and other, which closes the sum to step_s. peak_memory: bytes on the largest
    rank; base_memory: what of it the process held before the model and its data came (0 on a GPU, where only tensors
    count). tokens_per_s and mfu: None where not known. slowest_rank: the one with the most work of its own, all but
    waiting for others; slowest_ratio: its time over the median rank's. threads: of a rank. settings: of the task
    function.
    evidence, of the steps after warm-up: cores that other programs kept busy meanwhile ("others"), and on the busiest
    rank page faults and involuntary switches of a step ("faults", "switches").
    """

    task: str
    layout: Layout
    batch: int
    steps: int
    losses: tuple[float, ...]
    step_s: float
    samples_per_s: float
    parts: Mapping[str, float]
    peak_memory: int
    base_memory: int
    checkpoint: Path
    log: Path
    output: Path
    world: int
    device: str
    versions: Mapping[str, str]
    warnings: tuple[str, ...]
    resumed_from: int = 0
    tokens_per_s: float | None = None
    mfu: float | None = None
    slowest_rank: int = 0
    slowest_ratio: float = 1.0
    settings: Mapping[str, Value] = field(default_factory=dict)
    threads: int = 1
    evidence: Mapping[str, float] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        """Whether it ran on GPUs, whose memory no library shares."""
        return self.base_memory == 0

    def to_dict(self) -> dict[str, Any]:
        """The result for JSON, in the fields of the outside contract."""
        return {
            "task": self.task,
            "layout": self.layout.to_dict(),
            "batch": self.batch,
            "steps": self.steps,
            "losses": list(self.losses),
            "step_s": self.step_s,
            "samples_per_s": self.samples_per_s,
            "time_s": dict(self.parts),
            "peak_memory_gib": self.peak_memory / GIBI,
            "base_memory_gib": self.base_memory / GIBI,
            "checkpoint": str(self.checkpoint),
            "log": str(self.log),
            "output": str(self.output),
            "world": self.world,
            "device": self.device,
            "versions": dict(self.versions),
            "warnings": list(self.warnings),
            "resumed_from": self.resumed_from,
            "tokens_per_s": self.tokens_per_s,
            "mfu": self.mfu,
            "slowest_rank": self.slowest_rank,
            "slowest_ratio": self.slowest_ratio,
            "settings": dict(self.settings),
            "threads": self.threads,
            "evidence": dict(self.evidence),
        }


def warm_up(steps: int) -> int:
    """How many of a run's steps come before those that timings are taken from.

    >>> warm_up(1), warm_up(6), warm_up(200)
    (0, 3, 5)
    """
    return min(_WARM_UP, steps // 2)


def warm(records: Sequence[StepRecord]) -> Sequence[StepRecord]:
    """The records that timings are taken from: without the first steps, but never none."""
    return records[warm_up(len(records)) :]


def median_parts(records: Sequence[StepRecord]) -> dict[str, float]:
    """Median seconds of each part and of the whole step ("step") after warm-up, on one rank."""
    kept = warm(records)
    middle = {part: median(record.parts.get(part, 0.0) for record in kept) for part in PARTS}
    return {**middle, "step": median(record.step_s for record in kept)}


def summary(ranks: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The timings and the memory of RunResult from every rank's median_parts, "peak" and "base" memory: mean parts that
    add up to the mean step, the memory of the rank that took most, and the rank that others wait for.

    >>> parts = {"loader": 1, "forward": 2, "backward": 3, "communication": 1, "optimizer": 1, "step": 9}
    >>> summary([{**parts, "peak": 70, "base": 20}, {**parts, "peak": 80, "base": 10}])["parts"]
    {'compute': 5.0, 'communication': 1.0, 'loader': 1.0, 'optimizer': 1.0, 'other': 1.0}
    """
    mean = {key: sum(rank[key] for rank in ranks) / len(ranks) for key in (*PARTS, "step")}
    parts = {"compute": mean["forward"] + mean["backward"]}
    parts |= {key: mean[key] for key in ("communication", "loader", "optimizer")}
    largest = max(ranks, key=lambda rank: rank["peak"])
    own = [rank["step"] - rank["communication"] for rank in ranks]
    return {
        "slowest_rank": own.index(max(own)),
        "slowest_ratio": max(own) / median(own) if median(own) > 0 else 1.0,
        "step_s": mean["step"],
        "parts": {**parts, "other": max(0.0, mean["step"] - sum(parts.values()))},
        "peak_memory": int(largest["peak"]),
        "base_memory": int(largest["base"]),
        "evidence": _evidence(ranks),
    }


def _evidence(ranks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """What the ranks used of the machine, together."""
    if not all("wall_s" in rank for rank in ranks):
        return {}
    own, wall = sum(rank["processor_s"] for rank in ranks), max(rank["wall_s"] for rank in ranks)
    machine = max(rank["machine_s"] for rank in ranks)
    return {
        "others": others(machine, own, wall),
        "faults": max(rank["faults"] for rank in ranks),
        "switches": max(rank["switches"] for rank in ranks),
    }

"""Predicted beside measured for one run on one machine, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rigwise.cost.record import Estimate

PARTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "compute": (("compute", "recompute"), ("compute",)),
    "exchange": (
        ("tensor_exchange", "context_exchange", "expert_exchange", "pipeline_exchange", "gradient_exchange", "bubble"),
        ("communication",),
    ),
    "optimizer": (("optimizer",), ("optimizer",)),
    "host, loader and rest": (("host", "offload", "allocator", "loader"), ("loader", "other")),
}
"""What a run can time apart: part -> (parts of the estimate, parts of the clock)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One part. predicted is None where nothing was predicted; interval: 80 %, only where it is known. unit: s or B."""

    part: str
    predicted: float | None
    measured: float
    interval: tuple[float, float] | None = None
    unit: Literal["s", "B"] = "s"

    def to_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return {
            "part": self.part,
            "unit": self.unit,
            "predicted": self.predicted,
            "interval": self.interval and list(self.interval),
            "measured": self.measured,
        }


def compare(
    predicted: Estimate | None, parts: Mapping[str, float], step_s: float, peak: float, base: float
) -> Iterator[Comparison]:
    """Rows of parts, of the whole step and of memory.

    parts: measured seconds of a step by part, as the runtime's clock names them. peak: bytes at the highest on the
    fullest rank; base: what of them the process held before any tensor was made, 0 where an allocator counts tensors.
    """
    for name, (ours, theirs) in PARTS.items():
        measured = sum(parts.get(part, 0.0) for part in theirs)
        seconds = None if predicted is None else sum(predicted.time.get(part, 0.0) for part in ours)
        yield Comparison(part=name, predicted=seconds, measured=measured)
    yield Comparison(
        part="whole step",
        predicted=predicted.step_s if predicted else None,
        measured=step_s,
        interval=predicted.interval if predicted else None,
    )
    whole = base > 0
    held = None if predicted is None else predicted.memory_total if whole else _tensors(predicted)
    name = "memory of the process" if whole else "memory of tensors"
    yield Comparison(part=name, predicted=held, measured=peak, unit="B")


def _tensors(e: Estimate) -> float:
    """What the framework's allocator sees: neither the context nor the buffers of the communication library."""
    return e.memory_total - e.memory.get("context", 0.0) - e.memory.get("buffers", 0.0)

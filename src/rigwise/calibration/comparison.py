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
    name = "memory above the libraries" if base > 0 else "memory of tensors"
    held = None if predicted is None else _above(predicted, buffers=base > 0)
    yield Comparison(part=name, predicted=held, measured=peak - base, unit="B")


def _above(e: Estimate, buffers: bool) -> float:
    """What comes on top of the context and the libraries, which a launcher's process has more of than a forked one;
    buffers: those of the communication library too, which an allocator of tensors does not see.
    """
    return e.memory_total - e.memory.get("context", 0.0) - (0.0 if buffers else e.memory.get("buffers", 0.0))

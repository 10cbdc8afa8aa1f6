"""Outcomes made by hand: a row with what matters, and what was predicted of it."""

from __future__ import annotations

from typing import Any

from rigwise.calibration.outcomes import Outcome
from rigwise.measurements.tables import Row


def outcome(name: str, measured: float, predicted: float | None, *, width: float = 1.1, **cells: Any) -> Outcome:
    """An outcome whose interval reaches from predicted/width to predicted*width; device: resolved as it is called."""
    facts = {"family": "llm", "model": "gpt", "metric": "step_s", "n_devices": 1, "device": "a100-sxm-80gb", **cells}
    row = Row(id=name, value=measured, **facts)
    if predicted is None:
        return Outcome(row=row, why="refused", reason="refused", device=row.device)
    low, high = predicted / width, predicted * width
    return Outcome(row=row, predicted=predicted, low=low, high=high, basis="made up", device=row.device)

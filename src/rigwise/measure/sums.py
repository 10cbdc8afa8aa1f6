"""The parts of a replayed step. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.measure.rows import Row

COMPUTE, COMMUNICATION, OPTIMIZER, LOADER = "own work", "exchange", "optimizer step", "loader"
PACE = "pace"  # of the machine, pace.py
_PARTS = {"compute": COMPUTE, "communication": COMMUNICATION, "optimizer": OPTIMIZER, "loader": LOADER}


def parts_of_step(rows: Sequence[Row], fixed: float) -> dict[str, float]:
    """Seconds of a replayed step by part. fixed: what the training loop takes once a step besides.

    >>> rows = [Row(kind="own work", value=7.5), Row(kind="loader", value=1.0), Row(kind="relu", value=2.0)]
    >>> parts_of_step(rows, 0.25)
    {'compute': 7.5, 'communication': 0.0, 'optimizer': 0.0, 'loader': 1.0, 'other': 0.25}
    """
    timed = {r.kind: r.value for r in rows if "often" not in r.sizes}
    return {**{part: timed.get(kind, 0.0) for part, kind in _PARTS.items()}, "other": fixed}


def operations_s(rows: Sequence[Row]) -> float:
    """Seconds of a step's operations, each as often as the step has it, and nothing besides.

    >>> operations_s([Row(kind="relu", value=2.0, sizes={"often": 3.0}), Row(kind="loader", value=1.0)])
    6.0
    """
    return sum(r.sizes["often"] * r.value for r in rows if "often" in r.sizes)

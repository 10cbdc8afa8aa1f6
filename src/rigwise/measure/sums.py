"""What the rows of a replay add up to. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.measure.rows import Row

PACE = "pace"  # of the machine, pace.py


def operations_s(rows: Sequence[Row]) -> float:
    """Seconds of a step's operations, each as often as the step has it, and nothing besides.

    >>> operations_s([Row(kind="relu", value=2.0, sizes={"often": 3.0}), Row(kind="pace", value=1.0)])
    6.0
    """
    return sum(r.sizes["often"] * r.value for r in rows if "often" in r.sizes)

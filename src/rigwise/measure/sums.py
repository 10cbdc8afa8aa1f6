"""The sum of a replay: a step from its operations. Knows no torch."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.measure.rows import Row

OPTIMIZER, LOADER, GRADIENTS = "optimizer step", "loader", "gradient bytes"
PACE = "pace"  # of the machine, pace.py
SENT, SENDS = "bytes sent", "exchanges"  # of tensor parallelism, a rank and step


def predicted(rows: Sequence[Row], extra: float, fixed: float) -> dict[str, float]:
    """Seconds of a step by part, and what it exchanges ("gradient bytes", "bytes sent", "exchanges").

    extra: seconds that the framework takes besides for each operation; fixed: once a step.

    >>> rows = [Row(kind="relu", value=2.0, sizes={"often": 3.0}), Row(kind="loader", value=1.0)]
    >>> predicted(rows, 0.5, 0.25)
    {'compute': 7.5, 'optimizer': 0.0, 'loader': 1.0, 'other': 0.25}
    """
    heard = [r for r in rows if "often" in r.sizes]
    apart = {r.kind: r.value for r in rows if "often" not in r.sizes}
    return {
        "compute": sum(r.sizes["often"] * (r.value + extra) for r in heard),
        "optimizer": apart.get(OPTIMIZER, 0.0),
        "loader": apart.get(LOADER, 0.0),
        "other": fixed,
        **{kind: apart[kind] for kind in (GRADIENTS, SENT, SENDS) if kind in apart},
    }

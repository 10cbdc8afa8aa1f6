"""The space of layouts of a cluster, as one broadcasting table.

Four dims: the first holds every combination of what decides a rank's share of the work (tp, cp, ep, micro, sp,
recompute, fused), the second what decides its stage (pp, vpp, schedule), the third where states lie (zero, offload),
the fourth how gradients travel (overlap, compress). dp is what the ranks leave. A law that reads only the first dim is
worked out once for all of the others.
Combinations that break a rule stand in the table and are masked; of what the axes hold nothing legal is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster
from rigwise.layouts.layout import COMPRESS, OFFLOAD, OVERLAP, PRECISIONS, RECOMPUTE, SCHEDULES, SEQUENCE, LayoutTable
from rigwise.layouts.stages import most_chunks
from rigwise.models.model import Model

_KEY = ("tp", "cp", "ep", "micro", "sp", "recompute", "fused")
_STAGE = ("pp", "vpp", "schedule")
_STATES = ("zero", "offload")
_TRAVEL = ("overlap", "compress")
_AT_ONCE = 2**17  # tokens a rank takes at once: beyond, products gain nothing and activations do not fit
_LONG = 8192  # tokens in a sample from which context parallelism is worth looking at
_PIECES = 4  # of a stage, tried whether or not they divide the layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """The values that each axis may take, words by name."""

    tp: Sequence[int]
    pp: Sequence[int]
    vpp: Sequence[int]
    cp: Sequence[int]
    ep: Sequence[int]
    micro: Sequence[int]
    dp: Sequence[int] | None = None  # None: whatever the ranks leave
    sp: Sequence[str] = ("off", "on")
    recompute: Sequence[str] = RECOMPUTE
    fused: Sequence[bool] = (True,)
    zero: Sequence[int] = (0, 1, 2, 3)
    overlap: Sequence[str] = ("dp+tp", "dp", "tp", "none")
    offload: Sequence[str] = ("none",)
    compress: Sequence[str] = ("none",)
    schedule: Sequence[str] = ("1f1b",)


def axes(
    model: Model, cluster: Cluster, batch: int, *, every: bool = False, offload: Sequence[str] = ("none",)
) -> Axes:
    """The axes worth searching for a model on a cluster.

    every: besides, offloading, gathered sequences that are kept (`sp=keep`), micro-batches of more than 131,072 tokens,
    and the options that cannot win.

    Degrees are the divisors of the number of devices, micro-batches those of the batch; a stage is interleaved in up to
    4 pieces or in a divisor of the layers; experts' degrees divide the experts. Left out even then, unless fixed:
    context parallelism under 8,192 tokens a sample or over more than 16 ranks, compressed gradients, other precisions.
    """
    degrees = divisors(cluster.devices)
    token = model.unit == "token"
    has_core = any(o.core for o, _ in model.operations())
    return Axes(
        tp=[t for t in degrees if t <= max(model.heads or cluster.node.fast_domain, 1)],
        pp=[p for p in degrees if p == 1 or p <= most_chunks(model)],
        vpp=[v for v in range(1, max(model.units, _PIECES) + 1) if v <= _PIECES or model.units % v == 0],
        cp=[c for c in degrees if token and model.tokens >= _LONG and c <= 16] or [1],
        ep=[e for e in degrees if model.experts and model.experts % e == 0] or [1],
        micro=[m for m in divisors(batch) if every or not token or m == 1 or m * model.tokens <= _AT_ONCE],
        sp=(SEQUENCE if every else ("off", "on")) if token else ("off",),
        recompute=RECOMPUTE if has_core else ("none", "full"),
        fused=(True, False) if every else (True,),
        overlap=OVERLAP if every else ("dp+tp", "dp"),
        offload=OFFLOAD if every else offload,
    )


def fixed(space: Axes, fix: Mapping[str, object]) -> Axes:
    """The same axes with some held at one value, as `--fix tp=8` asks."""
    unknown = set(fix) - set(Axes.__dataclass_fields__)
    if unknown:
        raise UsageError(f"cannot fix {sorted(unknown)}", rule=f"axes are {', '.join(Axes.__dataclass_fields__)}")
    values = {key: getattr(space, key) for key in Axes.__dataclass_fields__}
    return Axes(**{**values, **{key: [value] for key, value in fix.items()}})


def divisors(n: int) -> list[int]:
    """All whole divisors, ascending.

    >>> divisors(12)
    [1, 2, 3, 4, 6, 12]
    """
    small = [d for d in range(1, int(n**0.5) + 1) if n % d == 0]
    return small + [n // d for d in reversed(small) if d * d != n]


def space(model: Model, cluster: Cluster, on: Axes, precision: str) -> LayoutTable:
    """The table of every combination of the axes, shape (keys, stages, states, travel)."""
    coded = {key: _codes(key, getattr(on, key)) for key in (*_KEY, *_STAGE, *_STATES, *_TRAVEL)}
    keys = [
        row
        for row in product(*(coded[key] for key in _KEY))
        if (row[0] > 1 or row[4] == 0) and row[0] * row[1] <= cluster.devices
    ]
    stages = [
        (p, v, s)
        for p, v, s in product(coded["pp"], coded["vpp"], coded["schedule"])
        if v == 1 or (p > 1 and p * v <= most_chunks(model))
    ]
    states, travel = (list(product(*(coded[key] for key in names))) for names in (_STATES, _TRAVEL))
    columns = {
        **_columns(_KEY, keys, (-1, 1, 1, 1)),
        **_columns(_STAGE, stages, (1, -1, 1, 1)),
        **_columns(_STATES, states, (1, 1, -1, 1)),
        **_columns(_TRAVEL, travel, (1, 1, 1, -1)),
    }
    apart = columns["tp"] * columns["cp"] * columns["pp"]
    dp = np.maximum(cluster.devices // apart, 1)
    if on.dp is not None:  # twice the devices breaks the first rule, which is what masks a row
        dp = np.where(np.isin(dp, list(on.dp)), dp, 2 * cluster.devices)
    code = np.full((1, 1, 1, 1), PRECISIONS.index(precision))
    return LayoutTable(blocks=(), dp=dp, precision=code, **columns)


def _codes(key: str, values: Sequence[object]) -> list[int]:
    words = {
        "sp": SEQUENCE,
        "recompute": RECOMPUTE,
        "overlap": OVERLAP,
        "offload": OFFLOAD,
        "compress": COMPRESS,
        "schedule": SCHEDULES,
    }
    return [words[key].index(str(v)) if key in words else int(v) for v in values]  # type: ignore[call-overload]


def _columns(
    names: Sequence[str], rows: Sequence[Sequence[int]], shape: tuple[int, ...]
) -> dict[str, NDArray[np.int64]]:
    table = np.array(rows, dtype=np.int64).reshape(len(rows), len(names))
    return {name: table[:, i].reshape(shape) for i, name in enumerate(names)}

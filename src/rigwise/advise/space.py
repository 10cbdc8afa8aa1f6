"""The coarse table of layouts that every machine is judged by: what decides between machines, and little more.

Two dims. The first holds what decides the shapes of products (tensor parallel degree, samples of a micro-batch), the
second all else (ranks, stages, recomputation, sharding, offload), so that products are worked out once a shape. All
sizes of a machine stand in one table: a machine of 8 cards is judged with 1, 2, 4 and 8 of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rigwise.hardware.cluster import Cluster
from rigwise.layouts.layout import OFFLOAD, OVERLAP, PRECISIONS, RECOMPUTE, SEQUENCE, LayoutTable
from rigwise.layouts.rules import legal
from rigwise.models.model import Model
from rigwise.search.scale import part_of

_TOKENS = 2**15  # that a rank takes at once: beyond, products gain nothing
_IMAGES = (16, 64, 256)  # samples a rank takes at once
_MOST_TENSOR = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarse:
    """The table, and for each column of its second dim how many ranks it takes."""

    table: LayoutTable
    ranks: NDArray[np.int64]


def coarse(model: Model, batch: int, counts: Sequence[int], *, spill: bool = False) -> Coarse:
    """The layouts of `counts` devices. spill: with states in host memory, which is tried where nothing else fits."""
    keys = [(t, m) for t in _tensor(model, counts) for m in _micro(model, batch) if t == 1 or m * t <= _MOST_TENSOR]
    rest = list(_rest(model, counts, spill))
    tp, micro = (np.array(column, dtype=np.int64)[:, None] for column in zip(*keys, strict=True))
    ranks, pp, again, zero, offload = (np.array(column, dtype=np.int64)[None, :] for column in zip(*rest, strict=True))
    token = model.unit == "token"
    one = np.ones((1, 1), dtype=np.int64)
    sp = np.where(tp > 1, SEQUENCE.index("on" if token else "off"), 0)
    overlap = np.where(tp > 1, OVERLAP.index("dp+tp"), OVERLAP.index("dp"))
    dp = np.maximum(ranks // (tp * pp), 1)
    return Coarse(
        table=LayoutTable(
            dp=dp,
            tp=tp,
            pp=pp,
            vpp=one,
            cp=one,
            ep=one,
            micro=micro,
            zero=zero,
            sp=sp,
            recompute=again,
            overlap=overlap,
            offload=offload,
            compress=0 * one,
            fused=one,
            precision=PRECISIONS.index("bfloat16") * one,
            schedule=0 * one,
        ),
        ranks=ranks[0],
    )


def allowed(space: Coarse, model: Model, cluster: Cluster, batch: int, precision: str) -> NDArray[np.bool_]:
    """Which layouts break no rule, each on as many devices of the cluster as it takes ranks."""
    code = np.full((1, 1), PRECISIONS.index(precision))
    mask = np.zeros(space.table.shape, dtype=np.bool_)
    for count in np.unique(space.ranks):
        columns = np.flatnonzero(space.ranks == count)
        part = _columns(replace(space.table, precision=code), columns)
        mask[:, columns] = legal(part, model, part_of(cluster, int(count)), batch)
    return mask


def _columns(table: LayoutTable, which: NDArray[np.intp]) -> LayoutTable:
    """Some columns of a table of two dims."""
    wide = table.shape[1]
    cut = {
        key: value[:, which]
        for key in LayoutTable.__dataclass_fields__
        if key != "blocks" and (value := getattr(table, key)).shape[1] == wide
    }
    return replace(table, **cut)


def _tensor(model: Model, counts: Sequence[int]) -> list[int]:
    most = min(model.heads or 1, max(counts), _MOST_TENSOR) if model.unit == "token" else 1
    return [t for t in (1, 2, 4, 8) if t <= most]


def _micro(model: Model, batch: int) -> list[int]:
    """Samples of a micro-batch: powers of two for tokens, a few sizes for samples, all dividing the batch."""
    if model.unit != "token":
        fitting = [m for m in _IMAGES if m <= batch and batch % m == 0]
        return fitting or [batch]
    most = min(max(1, _TOKENS // model.tokens), 32)
    return [m for m in (1, 2, 4, 8, 16, 32) if m <= most and batch % m == 0]


def _rest(model: Model, counts: Sequence[int], spill: bool) -> list[tuple[int, int, int, int, int]]:
    core = any(o.core for o, _ in model.operations())
    again = [RECOMPUTE.index(word) for word in (("none", "selective", "full") if core else ("none", "full"))]
    spilt = [OFFLOAD.index(word) for word in (("optimizer", "all") if spill else ("none",))]
    rows = []
    for ranks, recompute, offload in product(counts, again, spilt):
        for zero in (0, 3) if ranks > 1 else (0,):
            rows.append((ranks, 1, recompute, zero, offload))
        if ranks > 1 and model.unit == "token" and ranks <= model.units:
            rows.append((ranks, min(ranks, 8), recompute, 0, offload))
    return rows

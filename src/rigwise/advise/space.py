"""The coarse table of layouts that every machine is judged by: what decides between machines, and little more.

Two dims. The first holds what decides the shapes of products (tensor parallel degree, samples of a micro-batch), the
second all else (ranks, stages and their chunks, recomputation, sharding, offload), so that products are worked out once
a shape. All sizes of a machine stand in one table: a machine of 8 cards is judged with 1, 2, 4 and 8 of them. Ranks
that share a sample or the experts change shapes too; each such number has a table of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import gcd

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
_INSIDE = 8  # stages, ranks of a sample, ranks of the experts: all within one machine
_LONG = 2**14  # tokens of a sample from which ranks may share it


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarse:
    """The table, and for each column of its second dim how many ranks it takes."""

    table: LayoutTable
    ranks: NDArray[np.int64]


def coarse(model: Model, batch: int, counts: Sequence[int], *, spill: bool = False) -> list[Coarse]:
    """The layouts of `counts` devices. spill: with states in host memory, which is tried where nothing else fits."""
    groups: dict[tuple[int, int], list[_Column]] = {}
    for cp, ep, column in _rest(model, counts, spill):
        groups.setdefault((cp, ep), []).append(column)
    return [_table(model, batch, cp, ep, columns) for (cp, ep), columns in groups.items()]


def _table(model: Model, batch: int, cp: int, ep: int, columns: Sequence[_Column]) -> Coarse:
    most = max(ranks for ranks, *_ in columns)
    tensor, micros = _tensor(model, most), _micro(model, batch, cp)
    keys = [(t, m) for t in tensor for m in micros if t == 1 or m * t <= _MOST_TENSOR]
    tp, micro = (np.array(column, dtype=np.int64)[:, None] for column in zip(*keys, strict=True))
    rest = (np.array(column, dtype=np.int64)[None, :] for column in zip(*columns, strict=True))
    ranks, pp, vpp, again, zero, offload = rest
    token = model.unit == "token"
    one = np.ones((1, 1), dtype=np.int64)
    sp = np.where(tp > 1, SEQUENCE.index("on" if token else "off"), 0)
    overlap = np.where(tp > 1, OVERLAP.index("dp+tp"), OVERLAP.index("dp"))
    return Coarse(
        table=LayoutTable(
            dp=np.maximum(ranks // (tp * pp * cp), 1),
            tp=tp,
            pp=pp,
            vpp=vpp if (vpp > 1).any() else one,
            cp=cp * one,
            ep=ep * one,
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
            shard=0 * one,
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
        if key != "blocks" and np.shape(value := getattr(table, key))[1:] == (wide,)
    }
    return replace(table, **cut)


def _tensor(model: Model, most: int) -> list[int]:
    most = min(model.heads or 1, most, _MOST_TENSOR) if model.unit == "token" else 1
    return [t for t in (1, 2, 4, 8) if t <= most]


def _micro(model: Model, batch: int, cp: int) -> list[int]:
    """Samples of a micro-batch: powers of two for tokens, a few sizes for samples, all dividing the batch."""
    if model.unit != "token":
        fitting = [m for m in _IMAGES if m <= batch and batch % m == 0]
        return fitting or [batch]
    most = min(max(1, cp * _TOKENS // model.tokens), 32)
    return [m for m in (1, 2, 4, 8, 16, 32) if m <= most and batch % m == 0]


_Column = tuple[int, int, int, int, int, int]  # ranks, pp, vpp, recompute, zero, offload


def _rest(model: Model, counts: Sequence[int], spill: bool) -> Iterator[tuple[int, int, _Column]]:
    """What is neither tp nor micro: cp, ep, and a column of all else."""
    core = any(o.core for o, _ in model.operations())
    again = [RECOMPUTE.index(word) for word in (("none", "selective", "full") if core else ("none", "full"))]
    spilt = [OFFLOAD.index(word) for word in (("optimizer", "all") if spill else ("none",))]
    for ranks, recompute, offload in product(counts, again, spilt):
        for pp, vpp, cp, ep, zero in _splits(model, ranks):
            if cp * ep > 1 and (spill or recompute == RECOMPUTE.index("selective")):
                continue  # what is between, and the last resort of what fits nowhere: their plain forms will do
            yield cp, ep, (ranks, pp, vpp, recompute, zero, offload)


def _splits(model: Model, ranks: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Stages, chunks of a stage, ranks a sample, ranks the experts are spread over, and the sharding, of `ranks`.

    What a model has no use for is not tried: experts where it has none, shared samples where they are short.
    """
    yield 1, 1, 1, 1, 0
    if ranks == 1:
        return
    yield 1, 1, 1, 1, 3
    if model.unit != "token":
        return
    inside = min(ranks, _INSIDE)
    if ranks <= model.units:
        yield inside, 1, 1, 1, 0
        if 2 * inside <= model.units:
            yield inside, 2, 1, 1, 0  # interleaved: half the bubble
    if ranks >= _INSIDE and model.experts and (spread := gcd(inside, model.experts)) > 1:
        yield 1, 1, 1, spread, 0
        yield 1, 1, 1, spread, 3
    if model.tokens >= _LONG:
        yield 1, 1, inside, 1, 3

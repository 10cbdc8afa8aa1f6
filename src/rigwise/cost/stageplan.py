"""Which blocks each pipeline stage holds, for every layout of a table at once.

Blocks that have the same operations are one kind and are costed once. Of the stages of a pipeline only those that
differ are kept, each with its earliest position: an earlier stage of the same content holds more micro-batches in
flight and so bounds the later ones. Letters: R different stages, J kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rigwise.layouts.layout import LayoutTable
from rigwise.layouts.stages import block_flops, most_chunks, on_stages, stages
from rigwise.models.model import Block, Model

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """counts[..., r, j]: repetitions of kind j on stage r; position[..., r]: its place, 0 first; whole[j]: in all;
    pieces[...]: into how many pieces as large as its largest a stage is cut, v where they are even.

    The leading dims are those of the table's pipeline axes and broadcast against its other axes.
    """

    kinds: tuple[Block, ...]
    counts: Floats
    position: Floats
    whole: Floats
    pieces: Floats

    def stages(self) -> Iterator[tuple[Floats, Floats]]:
        """Each different stage: its position and its counts, shapes (...) and (..., J)."""
        for r in range(self.position.shape[-1]):
            yield self.position[..., r], self.counts[..., r, :]


def stage_plan(model: Model, table: LayoutTable) -> StagePlan:
    """The plan of every (pp, vpp) of a table; a pipeline longer than the model, which no rule allows, is one stage."""
    pp, vpp = np.broadcast_arrays(table.pp, table.vpp)
    pairs, inverse = np.unique(np.stack([pp.ravel(), vpp.ravel()]), axis=1, return_inverse=True)
    plans = [_plan(model, int(p), int(v)) for p, v in pairs.T]
    most = max(len(position) for position, _, _ in plans)
    position = np.stack([_padded(p, most) for p, _, _ in plans])[inverse.ravel()]
    counts = np.stack([_padded(c, most) for _, c, _ in plans])[inverse.ravel()]
    pieces = np.array([v for _, _, v in plans])[inverse.ravel()]
    kinds, _ = _kinds(model)
    return StagePlan(
        kinds=kinds,
        counts=counts.reshape(*pp.shape, most, len(kinds)),
        position=position.reshape(*pp.shape, most),
        whole=_merged(model, np.array([[b.count for b in model.blocks]], dtype=np.float64))[0],
        pieces=pieces.reshape(pp.shape),
    )


@lru_cache(maxsize=4096)
def _plan(model: Model, pp: int, vpp: int) -> tuple[Floats, Floats, float]:
    if pp * vpp > max(most_chunks(model), 1):
        pp = vpp = 1
    chunks = stages(model, pp, vpp)
    held = _merged(model, on_stages(chunks, pp).astype(np.float64))
    rows, first = np.unique(held, axis=0, return_index=True)
    cost = np.array([block_flops(b) if b.role == "layer" else 0.0 for b in model.blocks])
    pieces = (on_stages(chunks, pp) @ cost).max() / (chunks @ cost).max() if vpp > 1 else 1.0
    return first.astype(np.float64), rows, float(pieces)


def _padded(rows: Floats, length: int) -> Floats:
    return np.concatenate([rows, np.repeat(rows[:1], length - len(rows), axis=0)])


@lru_cache(maxsize=64)
def _kinds(model: Model) -> tuple[tuple[Block, ...], tuple[int, ...]]:
    """The different blocks, and for each block of the model which of them it is."""
    kinds: list[Block] = []
    index: dict[tuple[object, ...], int] = {}
    owner = []
    for block in model.blocks:
        key = (block.operations, block.boundary, block.role)
        if key not in index:
            index[key] = len(kinds)
            kinds.append(block)
        owner.append(index[key])
    return tuple(kinds), tuple(owner)


def _merged(model: Model, counts: Floats) -> Floats:
    kinds, owner = _kinds(model)
    merged = np.zeros((counts.shape[0], len(kinds)))
    np.add.at(merged.T, np.array(owner), counts.T)
    return merged

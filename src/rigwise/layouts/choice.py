"""Per-block choice: data-parallel convolutions with model-parallel dense layers, and the like.

A block that is split by model inside a data-parallel layout is cut along its weights over the data ranks: every rank
gathers the whole batch's inputs and computes its part of the outputs for all of it (Krizhevsky, arXiv 1404.5997).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rigwise.layouts.layout import LayoutTable
from rigwise.models.model import Block, Model


def by_model(block: Block, table: LayoutTable) -> bool:
    """Whether the table's choice splits this block by model."""
    return dict(table.blocks).get(block.name, "data") != "data"


def portions(block: Block, table: LayoutTable) -> NDArray[np.int64] | int:
    """In how many portions a block that is split by model takes its inputs: as many as there are ranks, or one."""
    return table.dp if dict(table.blocks).get(block.name) in ("turns", "slices") else 1


def table_for(block: Block, table: LayoutTable) -> LayoutTable:
    """The table as a block sees it: split by model, its tensor ranks are all ranks and its batch is everybody's.

    >>> from rigwise.layouts.layout import Layout
    >>> table = LayoutTable.of([Layout(dp=4, micro=8, blocks=(("dense", "model"),))])
    >>> seen = table_for(Block(name="dense", operations=(), boundary=0), table)
    >>> seen.tp.item(), seen.micro.item(), seen.dp.item()
    (4, 32, 1)
    """
    if not by_model(block, table):
        return table
    return replace(table, tp=table.tp * table.dp, micro=table.micro * table.dp, dp=np.ones_like(table.dp), blocks=())


def can_be_split(model: Model) -> tuple[str, ...]:
    """Names of the blocks whose weights can be cut over the data ranks, in order: those with column-split products."""
    names = [b.name for b in model.blocks if any(o.kind == "linear" and o.split == "column" for o in b.operations)]
    return tuple(dict.fromkeys(names))

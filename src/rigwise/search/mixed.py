"""Mixed layouts: inside data parallelism, the last blocks split by model.

Dense layers hold most of a convolutional network's weights and little of its work, so the ranks divide them instead of
replicating them, and exchange activations instead of gradients (article 4; Krizhevsky, arXiv 1404.5997). Every suffix
of the blocks that can be split is tried: what follows a divided block costs no further gathering.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rigwise.layouts.choice import can_be_split
from rigwise.layouts.layout import LayoutTable
from rigwise.models.model import Model
from rigwise.search.space import Axes


def choices(model: Model) -> Iterator[tuple[tuple[str, str], ...]]:
    """Per-block choices worth trying; none for transformers, whose layers tensor parallelism divides."""
    if model.family in ("transformer", "encoder"):
        return
    names = can_be_split(model)
    for start in range(len(names)):
        for way in ("model", "slices"):  # turns send as much as slices, and load one link after the other
            yield tuple((name, way) for name in names[start:])


def mixed_axes(on: Axes) -> Axes:
    """Axes on which a per-block choice is run: data parallel only, nothing sharded, recomputed or packed."""
    plain = replace(on, tp=[1], pp=[1], vpp=[1], cp=[1], ep=[1], sp=["off"], zero=[0])
    return replace(plain, recompute=["none"], schedule=["1f1b"], offload=["none"], compress=["none"])


def with_choice(table: LayoutTable, choice: tuple[tuple[str, str], ...]) -> LayoutTable:
    """The same table with a per-block choice."""
    return replace(table, blocks=choice)

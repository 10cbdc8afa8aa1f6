"""What would make a layout fit that does not: the fewest keys changed, on the same ranks."""

from __future__ import annotations

from itertools import product

import numpy as np

from rigwise.cost.estimate import Question, evaluate
from rigwise.layouts.layout import RECOMPUTE, Layout, LayoutTable
from rigwise.layouts.rules import legal

_OFFLOAD = ("none", "optimizer", "activations+optimizer", "all")

_LAST_RESORT = 10  # offloading needs host memory and is slow: only where nothing else does


def remedy(question: Question, layout: Layout) -> Layout | None:
    """The legal layout that fits and differs least from one that does not; the fastest of several.

    Tried are more recomputation, sharding, sequence parallelism, smaller micro-batches and offloading, in every
    combination; the degrees stay. None where none of them fits.
    """
    choices = {
        "micro": [m for m in range(layout.micro, 0, -1) if layout.micro % m == 0],
        "recompute": RECOMPUTE[RECOMPUTE.index(layout.recompute) :],
        "zero": range(layout.zero, 4),
        "sp": dict.fromkeys((layout.sp, "on")),
        "offload": dict.fromkeys((layout.offload, *_OFFLOAD)),
    }
    tried = [layout.but(**dict(zip(choices, values, strict=True))) for values in product(*choices.values())]
    table = LayoutTable.of(tried)
    allowed = legal(table, question.model, question.cluster, question.batch)
    answer = evaluate(question, table)
    fits = np.flatnonzero(allowed & np.broadcast_to(answer.fits, table.shape))
    if not len(fits):
        return None
    seconds = np.broadcast_to(answer.seconds, table.shape)
    return tried[min(fits, key=lambda i: (_changes(layout, tried[i]), seconds[i]))]


def _changes(asked: Layout, found: Layout) -> int:
    old, new = asked.to_dict(), found.to_dict()
    changed = sum(1 for key in old if old[key] != new[key])
    return changed + (_LAST_RESORT if asked.offload != found.offload else 0)

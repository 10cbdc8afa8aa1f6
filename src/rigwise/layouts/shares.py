"""What part of an operation one rank holds: the split tags of models/operations.py read for a table of layouts.

Legend: t tensor degree, c context degree, e expert degree, sp 1 where sequence parallelism is on.

    split           batch   m      n     k     weights  stream  saved
    none            1       c      1     1     1        c       c
    column          1       c      t     1     t        c       c or c t (sp)
    row             1       c      1     t     t        c t     c t
    heads           t       c      1     1     t        c t     c t
    sequence        1       as stream  1 1     1        c or c t (sp)   likewise
    vocab           1       c      t     1     t        c t     c t, a product like column
    expert          1       c      1     1     1        c       c
    expert_column   e       c/e    t     1     e t      c t     c
    expert_row      e       c/e    1     t     e t      c t     c t

Each entry is the divisor of the whole operation's figure. Experts: a rank holds 1/e of them and receives the tokens of
e ranks for them, so the rows an expert works on grow by e and the work of a rank does not shrink with e.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rigwise.layouts.layout import SEQUENCE, LayoutTable
from rigwise.models.operations import Operation, Split

Floats = NDArray[np.float64]
_TENSOR: frozenset[Split] = frozenset({"column", "row", "heads", "vocab", "expert_column", "expert_row"})
_EXPERT: frozenset[Split] = frozenset({"expert_column", "expert_row"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Divisors of one operation's figures, each an array that broadcasts to the table."""

    batch: Floats
    m: Floats
    n: Floats
    k: Floats
    weights: Floats
    stream: Floats
    saved: Floats
    tensor: Floats  # plain tensor divisor of channels, for convolutions


def share(operation: Operation, table: LayoutTable) -> Share:
    """The divisors for one operation under every layout of the table.

    >>> from rigwise.layouts.layout import Layout
    >>> from rigwise.models.operations import linear
    >>> s = share(linear("up", m=8, n=64, k=16, split="column"), LayoutTable.of([Layout(tp=4)]))
    >>> s.n.item(), s.k.item(), s.weights.item(), s.saved.item()
    (4.0, 1.0, 4.0, 1.0)

    A column keeps its input cut where sequence parallelism is on (it gathers it again in the backward pass), and whole
    where it is off or `keep` (Korthikanti et al., arXiv 2205.05198, section 4.2.2). Experts keep the tokens that were
    sent to them whole: nobody gathers those again.
    """
    return _share(operation.split, operation.kind == "linear", table)


@lru_cache(maxsize=16)
def _share(split: Split, linear: bool, table: LayoutTable) -> Share:
    """The divisors of a split; a law asks for those of one table again and again."""
    t, c, e = (axis.astype(np.float64) for axis in (table.tp, table.cp, table.ep))
    one = np.ones(())
    tensor = t if split in _TENSOR else one
    along = np.where(table.sp > SEQUENCE.index("off"), t, 1.0)
    expert = e if split in _EXPERT else one
    column = split in ("column", "vocab", "expert_column")
    row = split in ("row", "expert_row")
    if split == "sequence":
        stream = saved = c * along
    elif split == "column" or (split == "vocab" and linear):
        stream, saved = c * one, c * np.where(table.sp == SEQUENCE.index("on"), t, 1.0)
    else:
        stream, saved = c * tensor, c * (one if split == "expert_column" else tensor)
    return Share(
        batch=t if split == "heads" else expert,
        m=stream if split == "sequence" else c / expert,
        n=t if column else one,
        k=t if row else one,
        weights=tensor * expert,
        stream=stream,
        saved=saved,
        tensor=tensor,
    )

"""What tensor-parallel ranks ADD while they train a block: read by the laws of cost, and held against what a run sends.

A column and its row are a pair: the row's results are added forward, the gradients of the column's input backward.
Columns that follow each other and read inputs of one shape read the same input, which is added once. A table cut along
its rows is added forward; logits cut along the vocabulary add three numbers a row for the loss (the largest score, the
sum of exponentials, the target's score) and, backward, the gradients of their input.

Sources: Megatron-LM (arXiv 1909.08053, section 3). Left out: cross-attention whose two inputs have one shape counts
as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rigwise.layouts.pieces import Pass
from rigwise.models.operations import Operation

_COLUMNS, _ROWS = ("column", "expert_column"), ("row", "expert_row")
_LOSS_NUMBERS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """One addition over the tensor ranks. elements: of one sample. repeated: done again where the forward pass is
    recomputed.
    """

    name: str
    of: Pass
    elements: float
    repeated: bool = False


def tensor_sums(operations: Iterable[Operation]) -> Iterator[Sum]:
    """The additions of a block's operations, forward and backward.

    >>> from rigwise.models.operations import linear
    >>> up = linear("up", m=1, n=64, k=16, split="column")
    >>> down = linear("down", m=1, n=16, k=64, split="row")
    >>> [(s.name, s.of, s.elements) for s in tensor_sums([up, down])]
    [('up', 'backward', 16.0), ('down', 'forward', 16.0)]
    """
    before: tuple[float, ...] | None = None
    for o in operations:
        if o.split in _ROWS:
            before = None
            yield Sum(name=o.name, of="forward", elements=float(o.writes), repeated=True)
        elif o.split in _COLUMNS:
            shape = (o.batch, o.m, o.k, o.reads)
            if shape != before and o.input_gradient:
                yield Sum(name=o.name, of="backward", elements=float(o.reads))
            before = shape
        elif o.split == "vocab" and o.kind == "embedding":
            yield Sum(name=o.name, of="forward", elements=float(o.writes))
        elif o.split == "vocab" and o.kind == "linear":
            yield Sum(name=f"{o.name} loss", of="forward", elements=_LOSS_NUMBERS * o.batch * o.m)
            yield Sum(name=o.name, of="backward", elements=float(o.reads))

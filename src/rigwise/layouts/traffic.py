"""What ranks that share out a block's weights exchange: read by the laws of cost, and held against what a run sends.

A column and its row are a pair: the row's results are added forward, the gradients of the column's input backward.
Columns that follow each other and read inputs of one shape read the same input, which is added once. A table cut along
its rows is added forward; logits cut along the vocabulary add three numbers a row for the loss (the largest score, the
sum of exponentials, the target's score) and, backward, the gradients of their input.

Where a block is split by model inside data parallelism, each rank comes with samples of its own and leaves with them.
A column's inputs are then gathered and their gradients added where they belong, a row's results the other way round:
each addition is a reduce-scatter and an all-gather, of as many bytes. What columns make that no row follows goes back
by an all-to-all. That is so whether the inputs come at once, in turns or in slices.

Sources: Megatron-LM (arXiv 1909.08053, section 3), Krizhevsky (arXiv 1404.5997, section 3). Left out: cross-attention
whose two inputs have one shape counts as one; where a block is split by model, what a last rank with more features
sends, and the averages of what stays whole in it, such as a row's bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rigwise.layouts.exchange import Collective
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One exchange of a block that is split by model inside data parallelism. elements: of the whole tensor, of one
    sample.
    """

    name: str
    of: Pass
    collective: Collective
    elements: float


def passages(operations: Iterable[Operation]) -> Iterator[Passage]:
    """The exchanges of a block's operations that is split by model, forward and backward.

    >>> from rigwise.models.operations import linear
    >>> up = linear("up", m=1, n=64, k=16, split="column")
    >>> down = linear("down", m=1, n=16, k=64, split="row")
    >>> [(p.name, p.of, p.collective) for p in passages([up, down])][:2]
    [('up', 'forward', 'all_gather'), ('up', 'backward', 'reduce_scatter')]
    >>> [p.collective for p in passages([up])]
    ['all_gather', 'reduce_scatter', 'all_to_all', 'all_to_all']
    """
    before: tuple[float, ...] | None = None
    made: list[Operation] = []
    for o in operations:
        if o.split in _ROWS:
            before, made = None, []
            yield Passage(name=o.name, of="forward", collective="reduce_scatter", elements=float(o.writes))
            yield Passage(name=o.name, of="backward", collective="all_gather", elements=float(o.writes))
        elif o.split in _COLUMNS:
            made.append(o)
            shape = (o.batch, o.m, o.k, o.reads)
            if shape != before:
                yield Passage(name=o.name, of="forward", collective="all_gather", elements=float(o.reads))
                if o.input_gradient:
                    yield Passage(name=o.name, of="backward", collective="reduce_scatter", elements=float(o.reads))
            before = shape
    for o in made:
        yield Passage(name=f"{o.name} outputs", of="forward", collective="all_to_all", elements=float(o.writes))
        yield Passage(name=f"{o.name} outputs", of="backward", collective="all_to_all", elements=float(o.writes))

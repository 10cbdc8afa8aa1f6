"""Which traced layers tensor parallelism cuts in pairs, where a model is a plain chain of them.

A layer cut along its outputs and the next one along its inputs are a pair, if what runs between them works on each
channel apart. The pairs that send least for what they cut are taken first, and no layer twice, as a run does
(run/parallel/choice.py). Tables that samples look up words in, and scores over as many words at the end, are cut along
the vocabulary. A trace has no wires: of a value that is used again later, a run may find that it cannot be cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rigwise.models.model import Block
from rigwise.models.operations import Operation, Split

_APART = (
    "relu relu_ tanh gelu silu sigmoid hardtanh hardswish elu leaky_relu dropout native_dropout avg_pool2d "
    "_adaptive_avg_pool2d max_pool2d_with_indices native_batch_norm _native_batch_norm_legit cudnn_batch_norm "
    "native_group_norm"
)
_TABLE_ROWS = 8  # for each rank, which are two or more, or a run leaves a table whole


@dataclass(frozen=True, slots=True)
class _Pair:
    column: int
    row: int
    sent: float
    cut: float  # weights


def tag_pairs(blocks: Sequence[Block], vocab: int | None) -> list[Block]:
    """The blocks with tags at what tensor parallelism cuts; those that have tags keep theirs."""
    flat = [o for block in blocks for o in block.operations]
    splits: list[Split] = [o.split for o in flat]
    taken: set[int] = set()
    for pair in sorted(_pairs(flat), key=lambda p: p.sent / p.cut):
        if taken & {pair.column, pair.row}:
            continue
        taken |= {pair.column, pair.row}
        splits[pair.column], splits[pair.row] = "column", "row"
        for place in range(pair.column + 1, pair.row):
            splits[place] = "heads"
    if vocab and vocab >= 2 * _TABLE_ROWS:
        _tag_words(flat, splits, vocab)
    left = iter(replace(o, split=split) for o, split in zip(flat, splits, strict=True))
    return [replace(block, operations=tuple(next(left) for _ in block.operations)) for block in blocks]


def _pairs(flat: Sequence[Operation]) -> list[_Pair]:
    """Layers that follow each other, of the first's outputs and the second's inputs as many."""
    found: list[_Pair] = []
    before: int | None = None
    last = -1
    for place, o in enumerate(flat):
        if _cuts(o):
            if before is not None and _fits(flat[before], o):
                first = flat[before]
                sent = float(o.writes) + (float(first.reads) if first.input_gradient else 0.0)
                found.append(_Pair(before, place, sent, float(first.parameters + o.parameters)))
            before = last = place
        elif o.split == "expert_column" and found and found[-1].row == last:
            found.pop()  # a router, which every rank needs whole
            before = None
        elif o.split != "none" or o.name.rpartition(".")[2] not in _APART.split():
            before = None
    return found


def _cuts(o: Operation) -> bool:
    """A layer with weights of its own that has no tag."""
    plain = o.kind == "linear" or (o.kind == "conv" and o.conv is not None and o.conv.groups == 1)
    return plain and o.split == "none" and bool(o.parameters)


def _fits(first: Operation, second: Operation) -> bool:
    if first.kind == "linear":
        return second.kind == "linear" and first.n == second.k
    assert first.conv is not None
    if second.kind == "conv":
        assert second.conv is not None
        return first.conv.k == second.conv.c
    return second.k % first.conv.k == 0 and second.m == 1  # flattened maps, channel by channel


def _tag_words(flat: Sequence[Operation], splits: list[Split], vocab: int) -> None:
    """The table that most is looked up in, and the last product where it scores as many words."""
    tables = [place for place, o in enumerate(flat) if o.kind == "embedding" and o.k == vocab]
    products = [place for place, o in enumerate(flat) if o.kind == "linear"]
    for place in tables[:1]:
        splits[place] = "vocab"
    if tables and products and flat[products[-1]].n == vocab:
        splits[products[-1]] = "vocab"

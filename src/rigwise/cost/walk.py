"""The backward pass walked operation by operation: what is alive at its fullest instant, on a device whose allocator
gives back at once what is freed (a CPU).

    alive(i) = activations of operations up to i + gradients of the weights after i + what operation i works on

Activations lie mostly early in a network and weights mostly late, so that neither the loss nor the end is the fullest.
Of a block that stands there several times the first and the last repetition bound the others, as both sums are linear
between them. Left out: recomputation, and pipelines, for which cost/memory.py counts its four instants.
Source: torch.autograd frees what a node has saved as soon as its backward has run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rigwise.cost.arrays import Floats
from rigwise.cost.rated import inside_cells
from rigwise.layouts.layout import LayoutTable
from rigwise.layouts.precision import Bytes
from rigwise.layouts.shares import share
from rigwise.models.model import Block
from rigwise.models.operations import Operation

_AT_ONCE = 2.0  # kernels of an operation whose outputs live at once: what one writes, and what the next makes of it
_GATES = 4  # of an LSTM
_OWN_WIDE, _STATES = 9, 6  # floats of an LSTM's workspace for each hidden number and step, and for each padded state
_LINE, _PAGE = 16, 256  # floats: rows are padded to full cache lines, and away from one page's distance
_FLOAT = 4.0  # bytes
Instant = tuple[Floats, Floats, Floats]  # bytes of gradients, activations, and what is worked on


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Of one repetition of a block, bytes: all it saves, all its gradients, and its own fullest instant."""

    saved: Floats
    gradients: Floats
    fullest: Instant


def walk(block: Block, table: LayoutTable, sizes: Bytes) -> Walk:
    """A block walked backward."""
    micro = table.micro.astype(np.float64)
    saved: list[Floats] = []
    grads: list[Floats] = []
    works: list[Floats] = []
    lstms = _lstms(block)
    within = inside_cells(block) if lstms else frozenset[str]()
    for o in block.operations:
        if o.name in within:
            continue
        part = share(o, table)
        cell = o.steps > 1 and _module(o) in lstms
        kept = o.saved * sizes.activation + o.saved_bytes + (workspace(o) / 2 if cell else 0.0)
        saved.append(micro * kept / part.saved)
        grads.append(np.asarray(sizes.held_gradient * o.parameters * o.trainable / part.weights))
        alive = o.writes / max(1.0, o.kernels / _AT_ONCE) + o.writes_backward / max(1.0, o.kernels_backward / _AT_ONCE)
        works.append(micro * alive / (_GATES if cell else 1) * sizes.activation / part.stream)
    zero = np.zeros(())
    all_saved, all_grads = sum(saved, start=zero), sum(grads, start=zero)
    best: Instant = (zero, all_saved, zero)
    after, upto = zero, all_saved
    for kept, grad, work in zip(reversed(saved), reversed(grads), reversed(works), strict=True):
        best = fuller(best, (after + grad, upto, work))
        after, upto = after + grad, upto - kept
    return Walk(saved=all_saved, gradients=all_grads, fullest=fuller(best, (after, upto, zero)))


def workspace(product: Operation) -> float:
    """Bytes a sample that an LSTM layer keeps for its backward pass on a CPU, told from one of its two products.

    Of each step the gates (4), both cell states and their gradients (4) and the output (1), each of the hidden width;
    and six states as wide as the wider of input and output, in padded rows. Source: oneDNN's workspace of a recurrent
    layer (set_workspace_sizes), within 1 % of what torch 2.13 allocates.
    """
    hidden = product.n / _GATES
    wide = max(hidden, product.k)
    padded = -(-wide // _LINE) * _LINE
    padded += _LINE if padded % _PAGE == 0 else 0
    return _FLOAT * (product.steps + 1) * (_OWN_WIDE * hidden + _STATES * padded)


def _module(o: Operation) -> str:
    return o.name.split("/")[0]


def _lstms(block: Block) -> frozenset[str]:
    """Modules that step in time and whose recurrent product makes four gates."""
    return frozenset(_module(o) for o in block.operations if o.steps > 1 and o.kind == "linear" and o.n == _GATES * o.k)


def fuller(one: Instant, other: Instant) -> Instant:
    """The fuller of two instants, layout by layout."""
    more = sum(other, start=np.zeros(())) > sum(one, start=np.zeros(()))
    return tuple(np.where(more, b, a) for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


def fullest(walks: Sequence[Walk], counts: Floats) -> Instant:
    """The fullest instant of a stage that holds `counts` (..., J) of the blocks, in their order in the model."""
    zero = np.zeros(())
    best: Instant = (zero, zero, zero)
    before = zero
    after = sum((counts[..., j] * one.gradients for j, one in enumerate(walks)), start=zero)
    for j, one in enumerate(walks):
        count = counts[..., j]
        after = after - count * one.gradients
        rest = np.maximum(count - 1, 0)
        grads, acts, works = (np.where(count > 0, part, 0.0) for part in one.fullest)
        best = fuller(best, (after + grads, before + rest * one.saved + acts, works))
        best = fuller(best, (after + rest * one.gradients + grads, before + acts, works))
        before = before + count * one.saved
    return best

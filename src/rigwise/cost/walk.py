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
from rigwise.layouts.layout import LayoutTable
from rigwise.layouts.precision import Bytes
from rigwise.layouts.shares import share
from rigwise.models.model import Block

_AT_ONCE = 2.0  # kernels of an operation whose outputs live at once: what one writes, and what the next makes of it
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
    for o in block.operations:
        part = share(o, table)
        saved.append(micro * (o.saved * sizes.activation + o.saved_bytes) / part.saved)
        grads.append(np.asarray(sizes.held_gradient * o.parameters * o.trainable / part.weights))
        alive = o.writes / max(1.0, o.kernels / _AT_ONCE) + o.writes_backward / max(1.0, o.kernels_backward / _AT_ONCE)
        works.append(micro * alive * sizes.activation / part.stream)
    zero = np.zeros(())
    all_saved, all_grads = sum(saved, start=zero), sum(grads, start=zero)
    best: Instant = (zero, all_saved, zero)
    after, upto = zero, all_saved
    for kept, grad, work in zip(reversed(saved), reversed(grads), reversed(works), strict=True):
        best = fuller(best, (after, upto, work))
        after, upto = after + grad, upto - kept
    return Walk(saved=all_saved, gradients=all_grads, fullest=fuller(best, (after, upto, zero)))


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

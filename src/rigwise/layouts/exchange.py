"""What ranks send each other when anything else than a dense layer is split: elements by collective, and by split.

B batch, S sequence, H hidden, V vocabulary, C K H W R a convolution's channels in and out, height, width and kernel;
n ranks. All laws broadcast. A Move is one collective in one pass; `sent` is what each rank sends with the pairwise or
ring algorithm, which no algorithm without help from the network undercuts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.layouts.pieces import Pass

Floats = NDArray[np.float64]
Collective = Literal["all_reduce", "all_gather", "reduce_scatter", "all_to_all", "broadcast", "reduce", "neighbours"]


def _floats(*values: ArrayLike) -> tuple[Floats, ...]:
    return tuple(np.asarray(value, dtype=np.float64) for value in values)


def all_gather(elements: ArrayLike, ranks: ArrayLike) -> Floats:
    """Elements each rank sends until all ranks have all `elements`: (n - 1)/n of them.

    >>> all_gather(1000, [1, 4]).tolist()
    [0.0, 750.0]
    """
    e, n = _floats(elements, ranks)
    return np.asarray(e * (n - 1) / n)


def reduce_scatter(elements: ArrayLike, ranks: ArrayLike) -> Floats:
    """Elements each rank sends until each has its piece of the sum of n tensors of `elements`: (n - 1)/n of them."""
    return all_gather(elements, ranks)


def all_reduce(elements: ArrayLike, ranks: ArrayLike) -> Floats:
    """Elements each rank sends until all have the sum of n tensors of `elements`: a reduce-scatter and an all-gather.

    >>> all_reduce(1000, 4).item()
    1500.0
    """
    return reduce_scatter(elements, ranks) + all_gather(elements, ranks)


def all_to_all(elements: ArrayLike, ranks: ArrayLike) -> Floats:
    """Elements each rank sends where it holds `elements`, an equal part of them for each rank: (n - 1)/n of them."""
    return all_gather(elements, ranks)


def broadcast(elements: ArrayLike, ranks: ArrayLike) -> Floats:
    """Elements each rank sends, on average, until all have what one had: (n - 1)/n, as each is sent on n - 1 times."""
    return all_gather(elements, ranks)


def reduce(elements: ArrayLike, ranks: ArrayLike) -> Floats:
    """Elements each rank sends, on average, until one has the sum of n tensors of `elements`."""
    return broadcast(elements, ranks)


def ring_all_gather(ranks: int) -> tuple[tuple[int, ...], ...]:
    """The block that each rank receives in each step of a ring all-gather, [n - 1 steps][n ranks].

    Rank r sends to r + 1 what it received last, first its own block, so that after n - 1 steps it has them all.

    >>> ring_all_gather(3)
    ((2, 0, 1), (1, 2, 0))
    """
    return tuple(tuple((rank - 1 - step) % ranks for rank in range(ranks)) for step in range(ranks - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One collective in one pass. elements: of the whole tensor that is exchanged (all_to_all: of what a rank holds).
    sent: elements that each rank sends.
    """

    of: Pass
    collective: Collective
    elements: Floats
    sent: Floats


LAWS: Mapping[str, Callable[[ArrayLike, ArrayLike], Floats]] = {
    "all_reduce": all_reduce,
    "all_gather": all_gather,
    "reduce_scatter": reduce_scatter,
    "all_to_all": all_to_all,
    "broadcast": broadcast,
    "reduce": reduce,
}


def _move(of: Pass, collective: Collective, elements: ArrayLike, ranks: ArrayLike) -> Move:
    return Move(of=of, collective=collective, elements=_floats(elements)[0], sent=LAWS[collective](elements, ranks))


def by_batch(parameters: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """Samples shared out: activations stay, the gradients of all parameters are added."""
    return (_move("gradient", "all_reduce", parameters, ranks),)


def by_tensor(batch: ArrayLike, seq: ArrayLike, hidden: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """A column-split layer and the row-split one after it: outputs add forward, input gradients add backward.

    What lies between the two stays where it is. Elements B S H each (arXiv 1909.08053, section 3).
    """
    b, s, h = _floats(batch, seq, hidden)
    return (_move("forward", "all_reduce", b * s * h, ranks), _move("backward", "all_reduce", b * s * h, ranks))


def by_sequence(batch: ArrayLike, seq: ArrayLike, hidden: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """The same pair of layers with the sequence cut around it: gathered before, summed and cut after, in each pass.

    As many elements as by_tensor, since a ring all-reduce is these two (arXiv 2205.05198, section 4.2.2). Left out: the
    gather of the kept input that the backward pass does again.

    >>> [sum(m.sent.item() for m in law(1, 1024, 512, 8)) for law in (by_sequence, by_tensor)]
    [1835008.0, 1835008.0]
    """
    b, s, h = _floats(batch, seq, hidden)
    both: tuple[Pass, Pass] = ("forward", "backward")
    kinds: tuple[Collective, Collective] = ("all_gather", "reduce_scatter")
    return tuple(_move(of, kind, b * s * h, ranks) for of in both for kind in kinds)


def by_context(batch: ArrayLike, seq: ArrayLike, kv_width: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """Attention over a cut sequence: keys and values pass round the ranks; backward again, and their gradients return.

    kv_width: key-value heads times head size. Elements 2 B S kv_width (arXiv 2310.01889).
    """
    b, s, w = _floats(batch, seq, kv_width)
    pair = 2 * b * s * w
    return (
        _move("forward", "all_gather", pair, ranks),
        _move("backward", "all_gather", pair, ranks),
        _move("backward", "reduce_scatter", pair, ranks),
    )


def embedding_by_vocabulary(batch: ArrayLike, seq: ArrayLike, hidden: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """A table cut along its rows: a rank looks up zeros for words it does not hold, and the results are ADDED."""
    b, s, h = _floats(batch, seq, hidden)
    return (_move("forward", "all_reduce", b * s * h, ranks),)


def embedding_by_width(batch: ArrayLike, seq: ArrayLike, hidden: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """A table cut along its columns: every rank looks up its part of each vector, and the parts are STACKED.

    Backward every rank takes its part of the gradient, which all have.
    """
    b, s, h = _floats(batch, seq, hidden)
    return (_move("forward", "all_gather", b * s * h, ranks),)


def logits_by_vocabulary(batch: ArrayLike, seq: ArrayLike, hidden: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """Logits and loss cut along the vocabulary: three numbers a token are reduced (the maximum, the sum of exponentials
    and the target's logit) instead of V being stacked; backward the input gradients are ADDED.
    """
    b, s, h = _floats(batch, seq, hidden)
    return (_move("forward", "all_reduce", 3 * b * s, ranks), _move("backward", "all_reduce", b * s * h, ranks))


def conv_by_outputs(batch: ArrayLike, inputs: ArrayLike, outputs: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """A convolution cut along its channels out: feature maps are STACKED, input gradients ADDED.

    inputs C H W and outputs K P Q: elements a sample. Nothing of it depends on the kernel.
    """
    b, i, o = _floats(batch, inputs, outputs)
    return (_move("forward", "all_gather", b * o, ranks), _move("backward", "all_reduce", b * i, ranks))


def conv_by_inputs(batch: ArrayLike, inputs: ArrayLike, outputs: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """A convolution cut along its channels in: feature maps are ADDED, input gradients STACKED."""
    b, i, o = _floats(batch, inputs, outputs)
    return (_move("forward", "all_reduce", b * o, ranks), _move("backward", "all_gather", b * i, ranks))


def conv_by_height(
    batch: ArrayLike,
    channels: ArrayLike,
    outputs: ArrayLike,
    width: ArrayLike,
    kernel: ArrayLike,
    weights: ArrayLike,
    ranks: ArrayLike,
) -> tuple[Move, ...]:
    """A convolution whose image is cut along its height: (R - 1)/2 border rows go to each of two neighbours.

    channels C, outputs K, width W, kernel R (odd), stride 1. Forward rows of the input, backward rows of the output's
    gradient; the kernels are held by all ranks and their gradients ADDED. sent is of a rank between two others.
    """
    b, c, k, w, r, n = _floats(batch, channels, outputs, width, kernel, ranks)
    sides = np.minimum(n - 1, 2)
    borders = [sides * b * planes * w * (r - 1) / 2 for planes in (c, k)]
    return (
        Move(of="forward", collective="neighbours", elements=borders[0], sent=borders[0]),
        Move(of="backward", collective="neighbours", elements=borders[1], sent=borders[1]),
        _move("gradient", "all_reduce", weights, ranks),
    )


def by_expert(tokens: ArrayLike, top_k: ArrayLike, hidden: ArrayLike, ranks: ArrayLike) -> tuple[Move, ...]:
    """Experts shared out: every token goes to top_k experts and comes back, and so do their gradients.

    tokens: of one rank, B S. Elements tokens top_k H, four times; that does not shrink with more ranks. Left out:
    uneven routing.
    """
    t, k, h = _floats(tokens, top_k, hidden)
    both: tuple[Pass, Pass] = ("forward", "backward")
    return tuple(_move(of, "all_to_all", t * k * h, ranks) for of in both for _ in range(2))


def heads_per_rank(heads: ArrayLike, kv_heads: ArrayLike, ranks: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Query heads and key-value heads that a rank holds, and how many ranks hold a copy of the same key-value head.

    Where key-value heads are fewer than the ranks, a rank holds one, and the gradients of its copies are ADDED.

    >>> [x.item() for x in heads_per_rank(32, 8, 16)]
    [2.0, 1.0, 2.0]
    """
    q, kv, n = _floats(heads, kv_heads, ranks)
    return q / n, np.maximum(kv / n, 1.0), np.maximum(n / kv, 1.0)

"""Which layers each pipeline stage holds.

p = pp stages, v = vpp chunks a stage (1: not interleaved); units are layers in the order in which a sample passes them.
Chunk c of the p*v chunks stands on stage c % p, as interleaved schedules (Megatron-LM) place them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError
from rigwise.models.model import Block, Model

Counts = NDArray[np.int64]
_ROUNDING = 1e-12  # of the sum of all costs: what adding floats in another order may change


def stages(model: Model, pp: int, vpp: int = 1) -> Counts:
    """Repetitions of each block in each chunk, shape [pp*vpp, len(model.blocks)]; with vpp 1 a chunk is a stage.

    Blocks of role "first" stand in the first chunk, of role "last" in the last. Layers of one cost are shared out
    evenly, the first chunks taking what is left over (Megatron-LM). Layers that differ are cut, in order, so that the
    largest chunk has the fewest FLOP that any cut reaches, first and last blocks counted with the chunk they stand in.
    Where chunks outnumber the layers by the embedding and the head, those get chunks of their own (Megatron-LM counts
    them as layers then). UsageError: more chunks than that.

    >>> from rigwise.models.operations import linear
    >>> dense = Block(name="layer", operations=(linear("dense", m=1, n=8, k=8),), boundary=8, count=10)
    >>> stages(Model(name="toy", family="mlp", blocks=(dense,)), pp=4).ravel().tolist()
    [3, 3, 2, 2]
    """
    chunks = pp * vpp
    _enough(model, pp, vpp)
    owners = np.repeat(np.arange(len(model.blocks)), [b.count if b.role == "layer" else 0 for b in model.blocks])
    cost = np.array([block_flops(b) for b in model.blocks])
    if chunks > model.units:
        sizes = _with_ends(model, chunks)
    elif _uniform(cost[owners]):
        sizes = even_sizes(len(owners), chunks)
    else:
        sizes = _balanced_sizes(model, cost, owners, chunks)
    held = np.zeros((chunks, len(model.blocks)), dtype=np.int64)
    np.add.at(held, (np.repeat(np.arange(chunks), sizes), owners), 1)
    for index, block in enumerate(model.blocks):
        if block.role != "layer":
            held[0 if block.role == "first" else -1, index] = block.count
    return held


def on_stages(chunks: Counts, pp: int) -> Counts:
    """Repetitions of each block on each stage, shape [pp, blocks], from those in each chunk [pp*vpp, blocks].

    >>> on_stages(np.array([[2], [2], [1], [1]]), pp=2).ravel().tolist()
    [3, 3]
    """
    held: Counts = chunks.reshape(-1, pp, chunks.shape[1]).sum(axis=0)
    return held


def block_flops(block: Block) -> float:
    """FLOP of one repetition of a block, forward and backward, one sample: what stages are balanced by."""
    return block.flops + block.flops_backward


def even_sizes(units: int, parts: int) -> Counts:
    """`units` in `parts` runs as equal as can be, the first ones longer.

    >>> even_sizes(10, 4).tolist()
    [3, 3, 2, 2]
    """
    return units // parts + (np.arange(parts) < units % parts).astype(np.int64)


def balanced_sizes(cost: NDArray[np.float64], parts: int, first: float = 0.0, last: float = 0.0) -> Counts:
    """Lengths of `parts` contiguous runs, none empty, whose largest sum of `cost` is as small as any cut makes it.

    cost [units]; first and last are added to the first and last run. Among the cuts that reach the least maximum, each
    run is brought close to an even share of what is left. Left out: what the runs send to each other.

    >>> balanced_sizes(np.array([9.0, 1, 1, 1, 9]), 3).tolist()
    [1, 3, 1]
    """
    sums = np.concatenate([[0.0], np.cumsum(cost) + first])
    sums[-1] += last
    total: list[float] = sums.tolist()
    bound = _least_maximum(total, parts) + _ROUNDING * total[-1]
    starts = _earliest_starts(total, parts, bound)
    cuts = [0]
    for left in range(parts - 1, 0, -1):
        begin = cuts[-1]
        highest = min(len(cost) - left, bisect_right(total, total[begin] + bound) - 1)
        aim = total[begin] + (total[-1] - total[begin]) / (left + 1)
        near = bisect_left(total, aim)
        near -= near > 0 and aim - total[near - 1] < total[near] - aim
        cuts.append(min(max(near, starts[left], begin + 1), highest))
    return np.diff([*cuts, len(cost)]).astype(np.int64)


def _least_maximum(total: list[float], parts: int) -> float:
    """The smallest largest run of any cut in `parts` runs: bisection that ends on a sum which a cut reaches."""
    low = max(total[-1] / parts, max(b - a for a, b in pairwise(total)))
    high = total[-1]
    if _largest_run(total, parts, low) is not None:
        return low
    while high - low > 4 * _ROUNDING * total[-1]:
        reached = _largest_run(total, parts, (low + high) / 2)
        if reached is None:
            low = (low + high) / 2
        else:
            high = reached
    return high


def _largest_run(total: list[float], parts: int, bound: float) -> float | None:
    """The largest run when each takes all it can within `bound`; None where `parts` runs do not reach the end."""
    begin, largest = 0, 0.0
    for _ in range(parts):
        end = bisect_right(total, total[begin] + bound + _ROUNDING * total[-1]) - 1
        largest = max(largest, total[end] - total[begin])
        begin = end
    return largest if begin == len(total) - 1 else None


def _earliest_starts(total: list[float], parts: int, bound: float) -> list[int]:
    """For k = 0..parts the earliest unit from which k runs within `bound` reach the end."""
    starts = [len(total) - 1]
    for _ in range(parts):
        starts.append(bisect_left(total, total[starts[-1]] - bound))
    return starts


def _balanced_sizes(model: Model, cost: NDArray[np.float64], owners: Counts, chunks: int) -> Counts:
    ends = {
        role: sum(c * b.count for c, b in zip(cost, model.blocks, strict=True) if b.role == role)
        for role in ("first", "last")
    }
    return balanced_sizes(cost[owners], chunks, ends["first"], ends["last"])


def most_chunks(model: Model) -> int:
    """The longest pipeline: a layer a chunk, and chunks of their own for what stands before and after the layers, where
    that is more than the loss.

    >>> most_chunks(Model(name="toy", family="mlp", blocks=(Block(name="a", operations=(), boundary=1, count=3),)))
    3
    """
    roles = {block.role for block in model.blocks if any(o.parameters or o.kind != "stream" for o in block.operations)}
    return model.units + ("first" in roles) + ("last" in roles)


def _with_ends(model: Model, chunks: int) -> Counts:
    """A layer a chunk; the last chunk holds none of them, and where two are over, neither does the first."""
    sizes = np.ones(chunks, dtype=np.int64)
    sizes[-1] = 0
    if chunks == model.units + 2:
        sizes[0] = 0
    return sizes


def _enough(model: Model, pp: int, vpp: int) -> None:
    if pp < 1 or vpp < 1:
        raise UsageError(f"pp {pp}, vpp {vpp}", rule="a pipeline has at least one stage of one chunk")
    if pp * vpp > most_chunks(model):
        chunks = f"pp {pp}" if vpp == 1 else f"pp {pp} x vpp {vpp} = {pp * vpp} chunks"
        fits = f"pp {min(pp, model.units)}" + (f" x vpp {max(1, model.units // pp)}" if vpp > 1 else "")
        raise UsageError(
            f"{chunks}, and {model.name} has {model.units} layers",
            rule="every chunk of a pipeline holds a layer",
            nearest=fits,
        )


def _uniform(cost: NDArray[np.float64]) -> bool:
    return bool(np.ptp(cost) <= 1e-9 * np.max(cost))

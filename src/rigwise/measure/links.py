"""What ranks exchange: each collective over sizes, and the two figures of a link fitted to it; and how long ranks that
work between exchanges wait for each other.

    seconds = alpha + volume / bandwidth

alpha: seconds before the first byte; volume: the bytes that the busiest rank sends (of m bytes over n ranks:
2(n-1)/n m of an all-reduce, (n-1)/n m of the others, m from one to the next).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import fmean, median

import torch
import torch.distributed as dist

from rigwise.measure.others import Others
from rigwise.measure.rows import Row, row
from rigwise.measure.sums import MEETING

_SIZES = tuple(2**power for power in range(10, 25, 2))  # bytes of the whole message
_REPEATS = 9
_LONG_S = 0.08  # a message that takes longer is repeated less
_FLOAT = 4
_WORKED_S = (4e-4, 4e-3, 3e-2)  # of work before a meeting
_MEETINGS_S, _MOST_MEETINGS = 0.4, 100  # for each of them, and at most so many


def measure_links(device: torch.device, others: Others) -> Iterator[Row]:
    """Every collective over all sizes."""
    world, rank = others.world, dist.get_rank()
    for size in _SIZES:
        count = size // _FLOAT // world * world
        whole = torch.ones(count, device=device)
        piece = torch.ones(count // world, device=device)
        other = torch.ones(count, device=device)
        works: dict[str, Callable[[], object]] = {
            "all_reduce": partial(dist.all_reduce, whole, op=dist.ReduceOp.AVG),
            "all_gather": partial(dist.all_gather_single, whole, piece),
            "reduce_scatter": partial(dist.reduce_scatter_single, piece, whole),
            "all_to_all": partial(dist.all_to_all_single, other, whole),
            "send": partial(_around, whole, other, rank, world),
        }
        for name, work in works.items():
            yield row(name, _times(work, others), bytes=float(count * _FLOAT), ranks=float(world))
    if device.type == "cpu":
        yield from _meetings(others)


def _meetings(others: Others) -> Iterator[Row]:
    """Seconds of a short all-reduce right after work of each rank's own, by the seconds of that work: the mean, since
    a step has many. Equal work takes ranks of one machine unequal times, and the sooner one waits.
    """
    matrix, short = torch.ones(192, 192), torch.ones(_SIZES[0] // _FLOAT)
    each = median(_times(partial(torch.mm, matrix, matrix), others))
    for seconds in _WORKED_S:
        calls = max(1, round(others.sum(seconds / each) / others.world))
        took = []
        others.meet()
        for _ in range(min(_MOST_MEETINGS, int(_MEETINGS_S / seconds))):
            for _ in range(calls):
                torch.mm(matrix, matrix)
            start = time.perf_counter()
            dist.all_reduce(short)
            took.append(time.perf_counter() - start)
        yield row(MEETING, [fmean(took)], work=seconds, ranks=float(others.world))


def _around(out: torch.Tensor, into: torch.Tensor, rank: int, world: int) -> None:
    """Each rank to the next: a message each way at once."""
    asked = [
        dist.P2POp(dist.isend, out, (rank + 1) % world),
        dist.P2POp(dist.irecv, into, (rank - 1) % world),
    ]
    for request in dist.batch_isend_irecv(asked):
        request.wait()


def _times(work: Callable[[], object], others: Others) -> Sequence[float]:
    work()
    found: list[float] = []
    while len(found) < _REPEATS:
        others.meet()
        start = time.perf_counter()
        work()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
        if others.all(len(found) > 2 and median(found) > _LONG_S):
            break
    return found

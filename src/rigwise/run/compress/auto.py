"""compress=auto: the quickest of plain, bf16 and 8-bit on the link that is there.

Before the first step every way sends a bucket of the usual size over the ranks' own link, codec included. The rule
takes the slowest rank's figures, so that all ranks choose alike. Codecs compute on the processor that trains: their
time is added to the compute time in full, as if every core were busy. 1-bit and PowerSGD lose more than rounding and
are never chosen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist

from rigwise.run.compress.codecs import codec
from rigwise.run.compress.two_phase import TwoPhase

CANDIDATES = ("bf16", "8bit")
_NUMBERS = 1 << 19  # of a try: 2 MiB, beyond any burst that a link passes free
_TRIES = 3  # the first one connects the ranks and compiles
_BACKWARD = 2 / 3  # of the compute: two of the three products that a weight takes part in
_GAIN = 0.95  # of the plain step: a choice must be clearly better, as tries are few


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Seconds a gradient number: of the whole exchange, and of this process's own work in it."""

    exchange: float
    work: float


def choose(compute_s: float, numbers: int, tried: Mapping[str, Tried]) -> str:
    """The way with the shortest step for so many gradient numbers beside so many seconds of compute.

    The backward pass, two thirds of the compute, hides the exchange as far as it is long.

    >>> link = {"none": Tried(exchange=35e-9, work=0), "8bit": Tried(exchange=9e-9, work=0.5e-9)}
    >>> choose(0.05, 4_000_000, link), choose(0.5, 4_000_000, link)
    ('8bit', 'none')
    """

    def step(tried: Tried) -> float:
        return compute_s + tried.work * numbers + max(0.0, tried.exchange * numbers - _BACKWARD * compute_s)

    steps = {way: step(figures) for way, figures in tried.items()}
    best = min(steps, key=lambda way: steps[way])
    return best if steps[best] < _GAIN * steps["none"] else "none"


def try_link(group: dist.ProcessGroup, device: torch.device, compute_s: float) -> tuple[float, dict[str, Tried]]:
    """Compute seconds and the figures of every way, each the slowest rank's. All ranks of the group call it."""
    numbers = torch.ones(_NUMBERS, device=device)
    ways: dict[str, Callable[[], object]] = {"none": lambda: dist.all_reduce(numbers, group=group)}
    for name in CANDIDATES:
        exchange = TwoPhase(codec(name, device), group, {}).exchange
        ways[name] = lambda exchange=exchange: exchange(numbers)  # type: ignore[misc]
    figures = [figure for way in ways.values() for figure in _timed(way, device)]
    slowest = torch.tensor([compute_s, *figures], dtype=torch.float64, device=device)
    dist.all_reduce(slowest, op=dist.ReduceOp.MAX, group=group)
    shared, *rest = slowest.tolist()
    pairs = zip(rest[::2], rest[1::2], strict=True)
    plain_work = rest[1]
    tried = {
        name: Tried(exchange=whole / _NUMBERS, work=max(0.0, work - plain_work) / _NUMBERS)
        for name, (whole, work) in zip(ways, pairs, strict=True)
    }
    return shared, tried


def _timed(way: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Shortest wall seconds of a try after the first, and shortest seconds that this thread worked in it."""
    took = []
    for _ in range(_TRIES):
        begin, worked = time.perf_counter(), time.thread_time()
        way()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took.append((time.perf_counter() - begin, time.thread_time() - worked))
    return min(wall for wall, _ in took[1:]), min(work for _, work in took[1:])

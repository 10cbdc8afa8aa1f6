"""A moment's measurement of the CPU: what one core multiplies and copies while the others do the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

_SIDE = 768  # of the matrices: long enough for full speed, 0.9 GFLOP a product
_COPY = 2**26  # bytes of each copy: beyond any core's cache
_BUDGET = 0.12  # seconds for each of the two measurements


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """flops: float32 FLOP/s of one core in a product of 768 x 768 matrices. bandwidth: bytes/s that one core reads and
    writes in copies of 64 MiB while `cores` of them copy."""

    flops: float
    bandwidth: float
    cores: int


def probe(cores: int) -> Probe:
    """Measures for about 0.3 s. Processor time is counted, not the clock's, so that other programs disturb less."""
    return Probe(flops=_flops(), bandwidth=_bandwidth(min(cores, 8)), cores=cores)


def _flops() -> float:
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((_SIDE, _SIDE), dtype=np.float32) for _ in range(2))
    return _best(lambda: float(np.matmul(left, right)[0, 0]), 2.0 * _SIDE**3, time.process_time)


def _bandwidth(threads: int) -> float:
    """Bytes/s of one of `threads` copying at once: a copy reads and writes, so it moves twice its size."""

    def copy(_: int) -> float:
        source, target = np.ones(_COPY, dtype=np.uint8), np.zeros(_COPY, dtype=np.uint8)
        return _best(lambda: np.copyto(target, source), 2.0 * _COPY, time.thread_time)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(copy, range(threads))) / threads


def _best(work: Callable[[], object], amount: float, clock: Callable[[], float]) -> float:
    """The best rate of several runs within the budget, the first left out (it warms caches and threads)."""
    work()
    end, best = time.perf_counter() + _BUDGET, 0.0
    while time.perf_counter() < end or best == 0.0:
        start = clock()
        work()
        spent = clock() - start
        best = max(best, amount / spent) if spent > 0 else best
    return best

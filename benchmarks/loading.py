"""Loading beside computing: how long 100 batches take when loading one takes 30 ms and computing on it 40 ms.

One after the other that is 100 x 70 ms = 7 s; with the next batch loaded while this one is computed it is 30 ms and
100 x 40 ms, 4.03 s. Timed are waits of those lengths, and real work of about those lengths (sorting, matrix products),
which needs a core for each. torch's own DataLoader with one worker is timed beside it.

    python benchmarks/loading.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rigwise.run.feeding.ahead import Ahead, Wanted
from rigwise.run.feeding.feed import Feed

BATCHES, SAMPLES = 100, 8
LOAD_S, COMPUTE_S = 0.030, 0.040


class Slow(Dataset[Any]):
    """Samples that take a while."""

    def __init__(self, act: Callable[[float], None]) -> None:
        self.act = act

    def __len__(self) -> int:
        return BATCHES * SAMPLES

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        self.act(LOAD_S / SAMPLES)
        return torch.full((3, 64, 64), float(row)), torch.tensor(row)


def settled(act: Callable[[], Any]) -> float:
    """Seconds of one call once it is warm: the first ones bring pages and clocks up."""
    took = []
    for _ in range(200):
        before = time.perf_counter()
        act()
        took.append(time.perf_counter() - before)
    return statistics.median(took[100:])


def sorting() -> Callable[[float], None]:
    """Work that a loader does, of so many seconds on this machine."""
    numbers = np.random.default_rng(0).standard_normal(20_000)
    each = settled(lambda: np.sort(numbers))

    def work(seconds: float) -> None:
        for _ in range(max(1, round(seconds / each))):
            np.sort(numbers)

    return work


def multiplying() -> Callable[[float], None]:
    """Work that a step does, of so many seconds on this machine."""
    matrix = torch.randn(384, 384)
    each = settled(lambda: matrix @ matrix)

    def work(seconds: float) -> None:
        for _ in range(max(1, round(seconds / each))):
            matrix @ matrix

    return work


def ours(data: Slow, loaders: int) -> Iterator[Any]:
    """The batches as a run takes them; the first one is taken before the clock starts in none of them."""
    wanted = Wanted(batch=SAMPLES, share=slice(0, SAMPLES), start=0, loaders=loaders)
    return Ahead(Feed(data, 0, 0), wanted, torch.device("cpu"), lambda error: {})


def peers(data: Slow) -> Iterator[Any]:
    """The same by torch's DataLoader."""
    return iter(DataLoader(data, batch_size=SAMPLES, num_workers=1))


def timed(batches: Callable[[], Iterator[Any]], compute: Callable[[float], None]) -> tuple[float, float]:
    """Seconds of 100 batches from the opening on, and of them those that were waited for data after the first."""
    start, stall = time.perf_counter(), 0.0
    taken = batches()
    for number in range(BATCHES):
        before = time.perf_counter()
        next(taken)
        stall += (time.perf_counter() - before) if number else 0.0
        compute(COMPUTE_S)
    whole = time.perf_counter() - start
    if isinstance(taken, Ahead):
        taken.close()
    return whole, stall


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    kinds = {"waiting": (time.sleep, time.sleep), "working": (sorting(), multiplying())}
    print(f"{BATCHES} batches, load {LOAD_S * 1e3:.0f} ms, compute {COMPUTE_S * 1e3:.0f} ms")
    for kind, (load, compute) in kinds.items():
        ways: dict[str, Callable[[], Iterator[Any]]] = {
            "one after the other": partial(ours, Slow(load), 0),
            "loaded beside": partial(ours, Slow(load), 1),
            "torch DataLoader, 1 worker": partial(peers, Slow(load)),
        }
        for name, batches in ways.items():
            whole, stall = timed(batches, compute)
            print(f"{kind:8} {name:28} {whole:6.3f} s, waited for data {stall:6.3f} s")


if __name__ == "__main__":
    main()

"""Bandwidth of memory, and what optimizers take: what no network tells apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median

import torch
from torch import nn

from rigwise.measure.others import Others
from rigwise.measure.pace import Pace, paced
from rigwise.measure.probes import made
from rigwise.measure.rows import Row, row

_BYTES = 4.0  # of a float32
_REPEATS, _LEAST_S = 5, 2e-4  # a time is of as many calls as take this long
_STREAMS = (2**13, 2**16, 2**18, 2**20, 2**22, 2**24)  # elements: 32 KiB to 64 MiB
_BETWEEN = 2**23  # elements copied between an optimizer's steps, more than a core's share of the last cache holds
_TRAINED = {"input": (8, 1, 30, 30), "layers": ("conv 8 5 p2", "tanh", "avgpool 2", "flatten", "dense 12")}
_STEPS = 3
_TENSORS = ((2**6, 16), (2**11, 16), (2**14, 12), (2**16, 8), (2**18, 4), (2**20, 2))  # elements, how many
OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-3),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3),
}


def measure_memory(device: torch.device, others: Others) -> Iterator[Row]:
    """Copies into a new tensor, into an old one, and sums in place, in the caches and beyond; bytes read and written
    a second."""
    for size in _STREAMS:
        source, target = torch.ones(size, device=device), torch.zeros(size, device=device)
        works: dict[str, tuple[Callable[[], object], float]] = {
            "new": (source.clone, 2.0),
            "old": (partial(target.copy_, source), 2.0),
            "in place": (partial(target.add_, source), 3.0),
        }
        for which, (work, moves) in works.items():
            others.meet()
            times = timed(work, device)
            rates = [moves * _BYTES * size / seconds for seconds in times]
            found = row("copy", rates, which, bytes=_BYTES * size)
            yield Row(
                kind=found.kind,
                which=found.which,
                sizes=found.sizes,
                value=found.value,
                spread=found.spread,
                times=found.times,
                metric="copy_bytes_per_s",
            )


def measure_pace(device: torch.device, others: Others) -> Iterator[Row]:
    """The pace of this moment."""
    others.meet()
    yield from paced(Pace(device).samples())


def measure_optimizers(device: torch.device, others: Others) -> Iterator[Row]:
    """Seconds that an optimizer takes for one tensor, by its elements, and for a step besides ("optimizer call").

    A forward and a backward pass and traffic beyond the caches come before each step, as in training: a step right
    after a step finds its code and its tensors in the caches, and takes half as long.
    """
    between, also = (torch.ones(_BETWEEN, device=device) for _ in range(2))
    network = made(_TRAINED, device)

    def disturb() -> None:
        between.copy_(also)
        network.step()

    for name, make in OPTIMIZERS.items():
        alone = fixed = 0.0
        for size, count in ((_TENSORS[0][0], 1), *_TENSORS):
            parameters = [nn.Parameter(torch.zeros(size, device=device)) for _ in range(count)]
            optimizer = make(parameters)
            others.meet()
            times = _steps(optimizer, parameters, disturb, device)
            if count == 1:
                alone = median(times)
                continue
            if size == _TENSORS[0][0]:  # of one tensor and of many as small: each one's share, and the rest
                fixed = max(0.0, alone - max(0.0, median(times) - alone) / (count - 1))
                yield row("optimizer call", [max(fixed, 1e-9)], name, n=1.0)
            yield row(
                "optimizer", [max(seconds - fixed, seconds / 10) / count for seconds in times], name, n=float(size)
            )


def _steps(
    optimizer: torch.optim.Optimizer,
    parameters: list[nn.Parameter],
    disturb: Callable[[], object],
    device: torch.device,
) -> list[float]:
    found = []
    for _ in range(_STEPS + 1):
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, 1e-3)
        disturb()
        start = time.perf_counter()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _wait(device)
        found.append(time.perf_counter() - start)
    return found[1:]


def timed(work: Callable[[], object], device: torch.device, repeats: int = _REPEATS) -> list[float]:
    """Seconds of a call, several times, each over as many calls as the clock can tell; the first ones do not count."""
    work()
    start = time.perf_counter()
    work()
    _wait(device)
    calls = max(1, int(_LEAST_S / max(time.perf_counter() - start, 1e-7)))
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        _wait(device)
        found.append((time.perf_counter() - start) / calls)
    return found


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()

"""What a process takes beyond its tensors: the allocator's holes, and what libraries keep for themselves.

Small networks are trained for a few steps, each in a process of its own, as a run is; the highest that it came to (the
kernel's high-water mark) is told beside the bytes that its tensors held at once (the allocator's own record of a step).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from rigwise.convolution.blocks import blocked
from rigwise.hardware.detect import cores
from rigwise.measure.listen import Listener
from rigwise.measure.probes import Probe, deep, made
from rigwise.measure.rows import Row
from rigwise.measure.sums import HEAP
from rigwise.run import memory

_STEPS = 5
_CPU = torch.device("cpu")


def measure_heap(seconds: float) -> Iterator[Row]:
    """A row a network: bytes beyond weights and states; sizes: the bytes of them that were tensors ("moving"), and of
    the greatest convolution in blocks ("blocks", convolution/blocks.py).

    Nothing on a system whose kernel keeps no such mark.
    """
    if not sys.platform.startswith("linux") or memory.marked() == 0:
        return
    made({"input": [1, 1], "layers": ["dense 1"]}, _CPU)  # what torch reads for it is read before the forks
    networks, at_once = deep(seconds), cores()
    for first in range(0, len(networks), at_once):
        forks = [_fork(words) for words in networks[first : first + at_once]]  # bytes, not seconds: they may disturb
        for told in [_told(*fork) for fork in forks]:
            if told is None:
                return
            held, moving, blocks = told
            sizes = {"moving": float(moving), "blocks": float(blocks)}
            yield Row(kind=HEAP, value=float(max(held, 1)), metric="peak_memory", sizes=sizes)


def _fork(words: Mapping[str, Any]) -> tuple[int, int]:
    """A fork of this process that trains a network: its number, and where it tells what it took.

    Each network has a process of its own: one after the other in the same would fill the holes of those before.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reader)
            os.write(writer, json.dumps(_taken(words)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    return child, reader


def _told(child: int, reader: int) -> tuple[float, ...] | None:
    """What a fork took beyond weights and states, what of it was tensors, and blocks; None where it failed."""
    with os.fdopen(reader, "rb") as told:
        text = told.read()
    os.waitpid(child, 0)
    return tuple(json.loads(text)) if text else None


def _taken(words: Mapping[str, Any]) -> tuple[float, ...]:
    memory.give_back()  # as a rank does before its model comes
    before = _own()
    probe = made(words, _CPU)
    optimizer = torch.optim.SGD(probe.model.parameters(), lr=1e-3, momentum=0.9)
    for _ in range(_STEPS):
        _step(probe, optimizer)
    whole = memory.marked() - memory.libraries(_CPU) - before
    held = 2 * sum(parameter.nbytes for parameter in probe.model.parameters()) + probe.x.nbytes
    return whole - held, _moving(probe, optimizer), _blocks(probe)


def _blocks(probe: Probe) -> float:
    listener = Listener(_CPU)
    with listener:
        probe.loss()
    heard = listener.seconds()
    return max((float(blocked(**dict(what.sizes))) for what in heard if what.kind == "conv"), default=0.0)


def _own() -> int:
    return memory.resident(_CPU) - memory.libraries(_CPU)


def _step(probe: Probe, optimizer: torch.optim.Optimizer) -> None:
    probe.loss().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _moving(probe: Probe, optimizer: torch.optim.Optimizer) -> int:
    """The most bytes at once that a step takes and gives back."""
    with profile(profile_memory=True, activities=[ProfilerActivity.CPU]) as seen:
        _step(probe, optimizer)
    kineto = seen.profiler
    assert kineto is not None
    assert kineto.kineto_results is not None
    events = [e for e in kineto.kineto_results.events() if e.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most

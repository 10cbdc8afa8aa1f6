"""What a process takes beyond its tensors: the allocator's holes, and what libraries keep for themselves.

Small networks are trained for a few steps; the highest that the process came to (the kernel's high-water mark, set back
before each) is told beside the bytes that its tensors held at once (the allocator's own record of a step).
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from rigwise.measure.probes import Probe, listed, made
from rigwise.measure.rows import Row
from rigwise.run import memory

_STEPS = 4
_EVERY = 7  # so manieth of the small networks is enough
_MARK = Path("/proc/self/clear_refs")
_CPU = torch.device("cpu")
HEAP = "heap"


def measure_heap(seconds: float) -> Iterator[Row]:
    """A row a network: bytes beyond weights and states; sizes: the bytes of them that were tensors ("moving").

    seconds: that the small networks have; of few only the short ones. Nothing on a system whose kernel keeps
    no such mark, or may not be asked to set it back.
    """
    if not sys.platform.startswith("linux"):
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    for number, words in enumerate(listed(thorough=False, seconds=seconds)):
        if number % _EVERY:
            continue
        if trim:
            gc.collect()
            trim(0)
        before = _own()
        probe = made(words, _CPU)
        optimizer = torch.optim.SGD(probe.model.parameters(), lr=1e-3, momentum=0.9)
        try:
            _MARK.write_text("5")
        except OSError:
            return
        for _ in range(_STEPS):
            _step(probe, optimizer)
        whole = memory.marked() - memory.libraries(_CPU) - before
        held = 2 * sum(parameter.nbytes for parameter in probe.model.parameters()) + probe.x.nbytes
        moving = _moving(probe, optimizer)
        yield Row(kind=HEAP, value=float(max(whole - held, 1)), metric="peak_memory", sizes={"moving": float(moving)})


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

"""Listening to a step: every aten operation timed where it happens, with the caches as the step leaves them.

The same operation in a loop of its own runs on warm caches and misses what a step costs: on networks whose tensors fit
into the last cache by a fifth to a third.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rigwise.measure.reading import Seen, seen
from rigwise.units import MILLI


class Listener(TorchDispatchMode):
    """seconds: of each different operation, each time that it ran; on a GPU between events in its stream."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._cuda = device.type == "cuda"
        self._marks: list[tuple[Seen, Any, Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run an operation between two marks; a collective goes unheard, it is waited for elsewhere."""
        kwargs = kwargs or {}
        if func.namespace == "c10d":
            return func(*args, **kwargs)
        start = self._mark()
        out = func(*args, **kwargs)
        end = self._mark()
        what = seen(func, args, kwargs, out)
        if what is not None:
            self._marks.append((what, start, end))
        return out

    def _mark(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self) -> dict[Seen, list[float]]:
        """What was heard so far; waits for a GPU."""
        if self._cuda:
            torch.cuda.synchronize()
        found: dict[Seen, list[float]] = defaultdict(list)
        for what, start, end in self._marks:
            found[what].append(start.elapsed_time(end) * MILLI if self._cuda else end - start)
        return dict(found)

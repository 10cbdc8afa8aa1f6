"""Replay: a task rehearsed for a few steps on its own tensors, and what each of its operations takes.

Every other step runs with a listener (listen.py), which times every operation where it happens; the steps between run
with nobody listening and give whole passes. The sum of the operations is told beside the passes: what is left is the
framework between operations, and what ranks wait for each other. Ranks of a layout step together, and exchange
gradients and activations as in training.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from rigwise.layouts.layout import Layout
from rigwise.measure.job import MeasureJob
from rigwise.measure.listen import Listener
from rigwise.measure.others import Others
from rigwise.measure.pace import Pace
from rigwise.measure.reading import Seen
from rigwise.measure.rows import Row, row
from rigwise.measure.sums import COMMUNICATION, COMPUTE, LOADER, OPTIMIZER, PACE
from rigwise.models.trace import call
from rigwise.run.clock import Clock
from rigwise.run.feeding.feed import Feed, cut, place
from rigwise.run.limits import read_layout
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.parallel import parallelize
from rigwise.run.task import Task, load_task

_WARM, _LEAST, _MOST = 2, 2, 60  # steps that do not count; pairs of a whole step and one that is listened to
_OWN = ("forward", "backward")  # laps of a step that are a rank's own work


@dataclass(slots=True)
class _Heard:
    """What came of the steps so far, seconds."""

    compute: list[float] = field(default_factory=list)
    communication: list[float] = field(default_factory=list)
    stepping: list[float] = field(default_factory=list)
    loading: list[float] = field(default_factory=list)
    operations: dict[Seen, list[float]] = field(default_factory=lambda: defaultdict(list))
    often: dict[Seen, int] = field(default_factory=dict)

    def rows(self) -> Iterator[Row]:
        """One for each different operation, with how often a step has it ("often"), and one for each part."""
        for what, times in self.operations.items():
            yield row(what.kind, times, what.which, **dict(what.sizes), often=float(self.often.get(what, 0)))
        parts = {
            COMPUTE: self.compute,
            COMMUNICATION: self.communication,
            OPTIMIZER: self.stepping,
            LOADER: self.loading,
        }
        for part, times in parts.items():
            yield row(part, times)


def replay(job: MeasureJob, device: torch.device, others: Others, progress: Callable[[float], None]) -> Iterator[Row]:
    """Rows: of each different operation, of each part of a step, and of the machine's pace before and after."""
    torch.manual_seed(0)
    task = load_task(job.task)
    task.model.to(device).train()
    feed = Feed(task.data, 0, 0)
    whole = feed.own_batch or task.batch
    layout = read_layout(job.layout)[0] if job.layout else Layout(dp=job.world, precision="float32")
    share = job.batch or whole // layout.dp
    dealt = feed.deal(batch=whole, share=slice(0, share), start=0)
    clock = Clock(device)
    step, parameters = _ready(task, layout, feed, whole, share, device, clock)
    optimizer = task.optimizer(parameters)
    pace, heard = Pace(device), _Heard()
    before = pace.samples()

    def once(listener: Listener | None) -> None:
        others.meet()
        clock.start()
        inputs, targets = place(next(dealt), device)
        clock.lap("loader")
        if listener is None:
            step(cut(inputs, 0, share), cut(targets, 0, share))
        else:
            with listener:
                step(cut(inputs, 0, share), cut(targets, 0, share))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        clock.lap("optimizer")

    for _ in range(_WARM):
        once(None)
    start, pairs = time.perf_counter(), 0
    while pairs < _LEAST or others.all(pairs < _MOST and time.perf_counter() - start < job.seconds):
        listener = Listener(device)
        once(listener)
        found = listener.seconds()
        heard.often = {what: len(times) for what, times in found.items()}
        for what, times in found.items():
            heard.operations[what] += times
        once(None)
        _, laps = clock.laps.seconds()
        heard.compute.append(sum(laps.get(part, 0.0) for part in _OWN))
        heard.communication.append(laps.get("communication", 0.0))
        heard.stepping.append(laps["optimizer"])
        heard.loading.append(laps["loader"])
        pairs += 1
        progress(pairs / _LEAST)
    yield from heard.rows()
    yield row(PACE, [*before, *pace.samples()])


def _ready(
    task: Task, layout: Layout, feed: Feed, whole: int, share: int, device: torch.device, clock: Clock
) -> tuple[Callable[[Any, Any], object], list[nn.Parameter]]:
    """A step's forward and backward pass as a rank does it, its exchange included, and the parameters that it holds."""

    def alone(inputs: Any, targets: Any) -> None:
        value = task.loss(call(task.model, inputs), targets)
        clock.lap("forward")
        value.backward()
        clock.lap("backward")

    if layout.ranks == 1:
        return alone, list(task.model.parameters())
    first, targets = place(next(feed.deal(batch=whole, share=slice(0, share), start=0)), device)
    mesh = Mesh.join(layout.but(micro=share), device)
    made = parallelize(task.model, mesh.layout, mesh, inputs=first, targets=targets, loss=task.loss, clock=clock)
    return (lambda inputs, targets: made.step(inputs, targets, task.loss)), list(made.parameters())

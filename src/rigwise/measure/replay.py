"""Replay: a few steps of a task with every operation timed where it happens, on the task's own tensors.

The ranks of a layout step together and exchange what they exchange in training; a collective is not heard, as most of
it is waiting. What a step takes in all is told by a rehearsal of the training loop (api/replaying.py).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from rigwise.layouts.layout import Layout
from rigwise.measure.job import MeasureJob
from rigwise.measure.listen import Listener
from rigwise.measure.others import Others
from rigwise.measure.reading import Seen
from rigwise.measure.rows import Row, row
from rigwise.models.trace import call
from rigwise.run.feeding.feed import Feed, cut, place
from rigwise.run.limits import read_layout
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.parallel import parallelize
from rigwise.run.task import Task, load_task

_WARM, _LEAST, _MOST = 1, 3, 12  # steps


def replay(job: MeasureJob, device: torch.device, others: Others, progress: Callable[[float], None]) -> Iterator[Row]:
    """Rows: of each different operation, with how often a step has it ("often")."""
    torch.manual_seed(0)
    task = load_task(job.task)
    task.model.to(device).train()
    feed = Feed(task.data, 0, 0)
    whole = feed.own_batch or task.batch
    layout = read_layout(job.layout)[0] if job.layout else Layout(dp=job.world, precision="float32")
    share = job.batch or whole // layout.dp
    dealt = feed.deal(batch=whole, share=slice(0, share), start=0)
    step, parameters = _ready(task, layout, feed, whole, share, device)
    optimizer = task.optimizer(parameters)
    heard: dict[Seen, list[float]] = defaultdict(list)
    often: dict[Seen, int] = {}
    start, steps = time.perf_counter(), 0
    while steps < _WARM + _LEAST or others.all(steps < _WARM + _MOST and time.perf_counter() - start < job.seconds):
        others.meet()
        inputs, targets = place(next(dealt), device)
        listener = Listener(device)
        with listener:
            step(cut(inputs, 0, share), cut(targets, 0, share))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if steps >= _WARM:
            found = listener.seconds()
            often = {what: len(times) for what, times in found.items()}
            for what, times in found.items():
                heard[what] += times
        steps += 1
        progress(steps / (_WARM + _LEAST))
    for what, times in heard.items():
        yield row(what.kind, times, what.which, **dict(what.sizes), often=float(often.get(what, 0)))


def _ready(
    task: Task, layout: Layout, feed: Feed, whole: int, share: int, device: torch.device
) -> tuple[Callable[[Any, Any], object], list[nn.Parameter]]:
    """A step's forward and backward pass as a rank does it, its exchange included, and the parameters that it holds."""

    def alone(inputs: Any, targets: Any) -> None:
        task.loss(call(task.model, inputs), targets).backward()

    if layout.ranks == 1:
        return alone, list(task.model.parameters())
    first, targets = place(next(feed.deal(batch=whole, share=slice(0, share), start=0)), device)
    mesh = Mesh.join(layout.but(micro=share), device)
    made = parallelize(task.model, mesh.layout, mesh, inputs=first, targets=targets, loss=task.loss)
    return (lambda inputs, targets: made.step(inputs, targets, task.loss)), list(made.parameters())

"""Replay: each different operation of a task timed on the task's own tensors, and their sum as the prediction.

A few steps of the task run with a listener (listen.py); every operation is timed where it happens. What a step adds
besides (the framework between operations) is measured apart, on the small networks. With tensor parallelism the ranks
run their pieces of it together; what they exchange is counted, not timed.
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
from rigwise.measure.pace import Pace
from rigwise.measure.reading import Seen
from rigwise.measure.rows import Row, row
from rigwise.measure.sums import GRADIENTS, LOADER, OPTIMIZER, PACE, SENDS, SENT
from rigwise.models.trace import call
from rigwise.run.feeding.feed import Feed, cut, place
from rigwise.run.limits import read_layout
from rigwise.run.parallel.exchanges import counting
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.parallel import parallelize
from rigwise.run.task import Task, load_task

_WARM, _LEAST, _MOST = 2, 3, 12  # steps


def replay(job: MeasureJob, device: torch.device, others: Others, progress: Callable[[float], None]) -> Iterator[Row]:
    """Rows: of each different operation, with how often a step has it ("often"); of the optimizer and the loader."""
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
    count: dict[Seen, int] = {}
    stepping: list[float] = []
    loading: list[float] = []
    pace, paces = Pace(device), list[float]()
    start, steps = time.perf_counter(), 0
    while steps < _WARM + _LEAST or others.all(steps < _WARM + _MOST and time.perf_counter() - start < job.seconds):
        others.meet()
        paces.append(pace.sample())
        begin = time.perf_counter()
        inputs, targets = place(next(dealt), device)
        loading.append(time.perf_counter() - begin)
        listener = Listener(device)
        with listener, counting() as sent:
            step(cut(inputs, 0, share), cut(targets, 0, share))
        begin = time.perf_counter()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        stepping.append(time.perf_counter() - begin)
        found = listener.seconds()
        if steps >= _WARM:
            count = {what: len(times) for what, times in found.items()}
            for what, times in found.items():
                heard[what] += times
        steps += 1
        progress(steps / (_WARM + _LEAST))
    for what, times in heard.items():
        yield row(what.kind, times, what.which, **dict(what.sizes), often=float(count.get(what, 0)))
    yield row(OPTIMIZER, stepping[_WARM:])
    yield row(LOADER, loading[_WARM:])
    yield row(PACE, paces)
    held = [parameter for parameter in parameters if parameter.requires_grad]
    yield row(GRADIENTS, [float(sum(parameter.nbytes for parameter in held)) if layout.dp > 1 else 0.0])
    yield row(SENT, [sum(one.bytes for one in sent)])
    yield row(SENDS, [float(len(sent))])


def _ready(
    task: Task, layout: Layout, feed: Feed, whole: int, share: int, device: torch.device
) -> tuple[Callable[[Any, Any], object], list[nn.Parameter]]:
    """A step's forward and backward pass as a rank does it, and the parameters that it holds."""

    def alone(inputs: Any, targets: Any) -> None:
        task.loss(call(task.model, inputs), targets).backward()

    if layout.tp == 1:
        return alone, list(task.model.parameters())
    first, targets = place(next(feed.deal(batch=whole, share=slice(0, share), start=0)), device)
    mesh = Mesh.join(layout.but(micro=share), device)
    made = parallelize(task.model, mesh.layout, mesh, inputs=first, targets=targets, loss=task.loss)
    return (lambda inputs, targets: made.step(inputs, targets, task.loss)), list(made.parameters())

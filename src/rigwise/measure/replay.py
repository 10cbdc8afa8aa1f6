"""Replay: each different operation of a task timed on the task's own tensors, and their sum as the prediction.

A few steps of the task run with a listener (listen.py); every operation is timed where it happens. What a step adds
besides (the framework between operations) is measured apart, on the small networks.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import torch

from rigwise.measure.job import MeasureJob
from rigwise.measure.listen import Listener
from rigwise.measure.others import Others
from rigwise.measure.reading import Seen
from rigwise.measure.rows import Row, row
from rigwise.measure.sums import GRADIENTS, LOADER, OPTIMIZER
from rigwise.models.trace import call
from rigwise.run.feeding.feed import Feed, cut, place
from rigwise.run.task import Task, load_task

_WARM, _LEAST, _MOST = 2, 3, 12  # steps


def replay(job: MeasureJob, device: torch.device, others: Others, progress: Callable[[float], None]) -> Iterator[Row]:
    """Rows: of each different operation, with how often a step has it ("often"); of the optimizer and the loader."""
    torch.manual_seed(0)
    task = load_task(job.task)
    task.model.to(device).train()
    feed = Feed(task.data, 0, 0)
    whole = feed.own_batch or task.batch
    share = job.batch or whole // job.world
    dealt = feed.deal(batch=whole, share=slice(0, share), start=0)
    optimizer = task.optimizer(task.model.parameters())
    heard: dict[Seen, list[float]] = defaultdict(list)
    count: dict[Seen, int] = {}
    stepping: list[float] = []
    loading: list[float] = []
    start, steps = time.perf_counter(), 0
    while steps < _WARM + _LEAST or others.all(steps < _WARM + _MOST and time.perf_counter() - start < job.seconds):
        others.meet()
        begin = time.perf_counter()
        inputs, targets = place(next(dealt), device)
        loading.append(time.perf_counter() - begin)
        listener = Listener(device)
        with listener:
            _pass(task, cut(inputs, 0, share), cut(targets, 0, share))
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
    yield row(GRADIENTS, [float(sum(p.nbytes for p in task.model.parameters() if p.requires_grad))])


def _pass(task: Task, inputs: Any, targets: Any) -> None:
    task.loss(call(task.model, inputs), targets).backward()

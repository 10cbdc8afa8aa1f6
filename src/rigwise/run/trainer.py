"""The training loop of one rank."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.run import checkpoint, memory
from rigwise.run.asking import asking
from rigwise.run.clock import Clock, Laps
from rigwise.run.feed import Batch, place
from rigwise.run.job import StepRecord
from rigwise.run.log import Log
from rigwise.run.parallel.parallel import Parallel
from rigwise.run.parallel.whole import gathered
from rigwise.run.ranks import Mean, Ranks
from rigwise.run.reporter import Reporter
from rigwise.run.seeds import TRAINING, reseed
from rigwise.run.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What training takes besides the model. own: what a checkpoint must agree with (task, batch, seed)."""

    layout: Layout
    batch: int
    steps: int
    seed: int
    output: Path
    checkpoint_every: int
    own: Mapping[str, Any]


@dataclass(slots=True)
class _Pending:
    """A step whose loss is still on its way: it is logged while the next one computes."""

    step: int
    loss: Mean
    laps: Laps


class Trainer:
    """Steps, one after the other; rank 0 logs, reports and saves."""

    def __init__(self, task: Task, parallel: Parallel, ranks: Ranks, setting: Setting, clock: Clock) -> None:
        self.task = task
        self.parallel = parallel
        self.ranks = ranks
        self.setting = setting
        self.clock = clock
        with asking("optimizer"):
            self.optimizer = task.optimizer(parallel.parameters())
        self.records: list[StepRecord] = []
        self._pending: _Pending | None = None

    def train(self, feed: Iterator[Batch], start: int, log: Log | None, reporter: Reporter) -> Path:
        """Train from step `start` to the last; the path of the last checkpoint."""
        every = self.setting.checkpoint_every
        path = self.setting.output
        for step in range(start + 1, self.setting.steps + 1):
            self.clock.start()
            with asking("data"):
                inputs, targets = place(next(feed), self.ranks.device)
            self.clock.lap("loader")
            reseed(TRAINING, self.setting.seed, step, self.parallel.mesh.coordinate("dp"))
            with asking("model or loss"):
                loss = self.parallel.step(inputs, targets, self.task.loss)
            with asking("optimizer"):
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            self.clock.lap("optimizer")
            self._settle(log, reporter)
            self._pending = _Pending(step, self.ranks.mean(loss), self.clock.laps)
            self.clock.lap("")
            last = step == self.setting.steps
            if last or (every and step % every == 0):
                self._settle(log, reporter)
                path = self._save(step)
        return path

    def _settle(self, log: Log | None, reporter: Reporter) -> None:
        """The record of the step whose loss was on its way."""
        if self._pending is None:
            return
        step, loss = self._pending.step, self._pending.loss.get()
        seconds, parts = self._pending.laps.seconds()
        self._pending = None
        if not math.isfinite(loss):
            raise UsageError(
                f"the loss is {loss} at step {step}",
                rule="training stops when the loss is no finite number",
                nearest="a smaller learning rate, or precision=float32",
            )
        record = StepRecord(
            step=step,
            loss=loss,
            step_s=seconds,
            samples_per_s=self.setting.batch / seconds,
            memory=memory.peak(self.ranks.device),
            parts=parts,
        )
        self.records.append(record)
        if log:
            log.write(record.to_dict())
            reporter.step(record.to_dict())

    def _save(self, step: int) -> Path:
        """Rank 0 writes; the others wait, so that none runs into the exchange while one is busy with a disk."""
        path = self.setting.output
        model, optimizer = gathered(self.parallel, self.optimizer)
        if self.ranks.rank == 0:
            state = {"model": model, "optimizer": optimizer, **self.setting.own}
            path = checkpoint.save(self.setting.output, step, state)
        self.ranks.barrier()
        return path

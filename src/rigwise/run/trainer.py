"""The training loop of one rank."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.run import memory
from rigwise.run.asking import asking
from rigwise.run.clock import Clock, Laps
from rigwise.run.feeding.ahead import Ahead
from rigwise.run.job import StepRecord
from rigwise.run.keeping.contents import Contents, Stateful
from rigwise.run.keeping.keeper import Keeper
from rigwise.run.log import Log
from rigwise.run.parallel.parallel import Parallel
from rigwise.run.ranks import Meeting, Ranks
from rigwise.run.reporter import Reporter
from rigwise.run.seeds import TRAINING, reseed
from rigwise.run.stopping import Stop
from rigwise.run.stragglers import Alarm
from rigwise.run.task import Task
from rigwise.run.tracing import Tracer
from rigwise.run.usage import Spending


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What training takes besides the model. own: what a checkpoint must agree with (task, batch, seed). ideal_s: as
    Job has it.
    """

    layout: Layout
    batch: int
    steps: int
    seed: int
    output: Path
    checkpoint_every: int
    own: Mapping[str, Any]
    ideal_s: float | None = None


@dataclass(slots=True)
class _Pending:
    """A step whose loss is still on its way: it is logged while the next one computes."""

    step: int
    meeting: Meeting
    laps: Laps
    sent: int | None


class Trainer:
    """Steps, one after the other; rank 0 logs and reports, all ranks save."""

    def __init__(
        self,
        task: Task,
        parallel: Parallel,
        ranks: Ranks,
        setting: Setting,
        clock: Clock,
        parts: Mapping[str, Stateful] | None = None,
    ) -> None:
        """parts: what else has a state to go on from, by name."""
        self.task = task
        self.parallel = parallel
        self.ranks = ranks
        self.setting = setting
        self.clock = clock
        with asking("optimizer"):
            self.optimizer = task.optimizer(parallel.parameters())
        parallel.offload(self.optimizer)
        self.contents = Contents(
            held=parallel.held(), names=parallel.names, optimizer=self.optimizer, parts=parts or {}, rank=ranks.rank
        )
        self.keeper = Keeper(setting.output, ranks, self.contents, setting.own)
        self.records: list[StepRecord] = []
        self.step = 0
        self._pending: _Pending | None = None
        self._own_s = self._step_s = 0.0
        self._alarm = Alarm(ranks)

    def train(
        self,
        feed: Ahead,
        start: int,
        log: Log | None,
        reporter: Reporter,
        stop: Stop,
        tracer: Tracer,
        spending: Spending,
    ) -> Path:
        """Train from step `start` to the last, or to where the ranks agree to stop; the path of the last checkpoint."""
        every, steps = self.setting.checkpoint_every, self.setting.steps
        for self.step in range(start + 1, steps + 1):
            loss = self._step(self.step, feed, tracer)
            leave = self._settle(log, reporter)
            meeting = self.ranks.meet(loss, own_s=self._own_s, step_s=self._step_s, stop=stop.asked)
            self._pending = _Pending(self.step, meeting, self.clock.laps, self.parallel.take_sent())
            self.clock.lap("")
            due = bool(every) and self.step % every == 0
            if due or leave or self.step == steps:
                leave = self._settle(log, reporter) or leave or self.step == steps
                self.keeper.save(self.step, {"position": feed.position}, wait=leave)
            self.keeper.check()
            tracer.step()
            spending.step()
            if leave:
                break
        return self.keeper.finish()

    def _step(self, step: int, feed: Ahead, tracer: Tracer) -> torch.Tensor:
        """One step of this rank; the mean loss of its share."""
        self.clock.start()
        with tracer.part("loader"):
            inputs, targets = next(feed)
        self.clock.lap("loader")
        reseed(TRAINING, self.setting.seed, step, self.parallel.mesh.coordinate("dp"))
        with asking("model or loss"):
            loss = self.parallel.step(inputs, targets, self.task.loss)
        with asking("optimizer"), tracer.part("optimizer"):
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        self.clock.lap("optimizer")
        return loss

    def _settle(self, log: Log | None, reporter: Reporter) -> bool:
        """The record of the step whose loss was on its way; do the ranks want to stop?"""
        if self._pending is None:
            return False
        step, met, sent = self._pending.step, self._pending.meeting.get(), self._pending.sent
        seconds, parts = self._pending.laps.seconds()
        self._pending = None
        self._own_s, self._step_s = seconds - parts.get("communication", 0.0), seconds
        alarm = self._alarm.look(met)
        if not math.isfinite(met.loss):
            raise UsageError(
                f"the loss is {met.loss} at step {step}",
                rule="training stops when the loss is no finite number",
                nearest="a smaller learning rate, or precision=float32",
            )
        rank, ratio = met.slowest or (None, None)
        record = StepRecord(
            step=step,
            loss=met.loss,
            step_s=seconds,
            samples_per_s=self.setting.batch / seconds,
            memory=memory.peak(self.ranks.device),
            sent=sent,
            parts=parts,
            tokens_per_s=self.setting.batch * self.task.tokens / seconds if self.task.tokens else None,
            mfu=self.setting.ideal_s / seconds if self.setting.ideal_s else None,
            slowest_rank=rank,
            slowest_ratio=ratio,
            alarm=alarm,
        )
        self.records.append(record)
        if log:
            log.write(record.to_dict())
            reporter.step(record.to_dict())
            if alarm:
                reporter.send("warning", says=f"step {step}: {alarm}")
        return met.stop

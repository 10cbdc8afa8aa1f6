"""The training loop of one rank."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.models.trace import call
from rigwise.run import checkpoint, memory
from rigwise.run.asking import asking
from rigwise.run.clock import Clock, Laps
from rigwise.run.compress.exchange import Exchange
from rigwise.run.compress.two_phase import ring_bytes
from rigwise.run.feed import Batch, cut, place
from rigwise.run.job import StepRecord
from rigwise.run.log import Log
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
    sent: int


class Trainer:
    """Steps, one after the other; rank 0 logs, reports and saves.

    wrapped: what is called in a step, the task's own model or that under DDP. exchange: what averages gradients instead
    of DDP.
    """

    def __init__(
        self,
        task: Task,
        wrapped: nn.Module,
        ranks: Ranks,
        setting: Setting,
        clock: Clock,
        exchange: Exchange | None = None,
    ) -> None:
        self.task = task
        self.wrapped = wrapped
        self.ranks = ranks
        self.setting = setting
        self.clock = clock
        self.exchange = exchange
        gradients = sum(p.nbytes for p in task.model.parameters() if p.requires_grad)
        self._plain_bytes = ring_bytes(gradients, ranks.world)
        with asking("optimizer"):
            self.optimizer = task.optimizer(task.model.parameters())
        self.records: list[StepRecord] = []
        self._pending: _Pending | None = None
        self._dtype = {"bfloat16": torch.bfloat16}.get(setting.layout.precision)

    def train(self, feed: Iterator[Batch], start: int, log: Log | None, reporter: Reporter) -> Path:
        """Train from step `start` to the last; the path of the last checkpoint."""
        every = self.setting.checkpoint_every
        path = self.setting.output
        for step in range(start + 1, self.setting.steps + 1):
            self.clock.start()
            with asking("data"):
                inputs, targets = place(next(feed), self.ranks.device)
            self.clock.lap("loader")
            reseed(TRAINING, self.setting.seed, step, self.ranks.rank)
            with asking("model or loss"):
                loss = self._gradients(inputs, targets)
            with asking("optimizer"):
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
            self.clock.lap("optimizer")
            self._settle(log, reporter)
            self._pending = _Pending(step, self.ranks.mean(loss), self.clock.laps, self._sent())
            self.clock.lap("")
            last = step == self.setting.steps
            if last or (every and step % every == 0):
                self._settle(log, reporter)
                path = self._save(step)
        return path

    def _gradients(self, inputs: Any, targets: Any) -> torch.Tensor:
        """Forward and backward over the rank's micro-batches; the ranks exchange in the last one. The mean loss."""
        share, micro = self.setting.batch // self.setting.layout.dp, self.setting.layout.micro
        total = torch.zeros((), device=self.ranks.device)
        for begin in range(0, share, micro):
            last = begin + micro == share
            shared = isinstance(self.wrapped, DistributedDataParallel)
            quiet = self.wrapped.no_sync() if shared and not last else nullcontext()  # type: ignore[operator]
            with quiet:
                with torch.autocast(self.ranks.device.type, dtype=self._dtype, enabled=self._dtype is not None):
                    output = call(self.wrapped, cut(inputs, begin, begin + micro))
                    loss = self.task.loss(output, cut(targets, begin, begin + micro)) * (micro / share)
                self.clock.lap("forward")
                loss.backward()
                self.clock.lap("communication" if shared and last else "backward")
            total = total + loss.detach()
        return total

    def _sent(self) -> int:
        """Bytes of gradients that this rank sent in the step."""
        return self.exchange.take_sent() if self.exchange else self._plain_bytes

    def _settle(self, log: Log | None, reporter: Reporter) -> None:
        """The record of the step whose loss was on its way."""
        if self._pending is None:
            return
        step, loss, sent = self._pending.step, self._pending.loss.get(), self._pending.sent
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
            sent=sent,
            parts=parts,
        )
        self.records.append(record)
        if log:
            log.write(record.to_dict())
            reporter.step(record.to_dict())

    def _save(self, step: int) -> Path:
        """Rank 0 writes; the others wait, so that none runs into the exchange while one is busy with a disk."""
        path = self.setting.output
        kept = {"exchange": self.ranks.gather(self.exchange.state_dict())} if self.exchange else {}
        if self.ranks.rank == 0:
            state = {
                "model": self.task.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                **kept,
                **self.setting.own,
            }
            path = checkpoint.save(self.setting.output, step, state)
        self.ranks.barrier()
        return path

"""What the ranks of a run reported, and the result that comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigwise.errors import LaunchError
from rigwise.files import replace_text
from rigwise.hardware.detect import cores
from rigwise.layouts.layout import Layout
from rigwise.run.board import Board
from rigwise.run.job import Job, StepRecord
from rigwise.run.launch import ALONE, Place
from rigwise.run.log import NAME, losses
from rigwise.run.output import CHECKPOINTS, RESULT
from rigwise.run.result import RunResult

OnStep = Callable[[StepRecord], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be trained. job: makes it, on rank 0, for a rendezvous. The rest is as run takes it."""

    task: str
    job: Callable[[str], Job]
    on_step: OnStep | None = None
    on_stop: Callable[[], None] | None = None
    tensorboard: bool = False
    place: Place = ALONE


class Heard:
    """What the ranks reported."""

    def __init__(self, on_step: OnStep | None, folder: Path, board: Board | None) -> None:
        self.on_step = on_step
        self.board = board
        self.folder = folder
        self.losses: list[float] = []
        self.start: Mapping[str, Any] = {}
        self.summary: Mapping[str, Any] = {}
        self.warnings: list[str] = []

    def __call__(self, report: Mapping[str, Any]) -> None:
        """Take one report."""
        kind = report["kind"]
        if kind == "step":
            record = StepRecord(**report["record"])
            self.losses.append(record.loss)
            if self.board:
                self.board.write(record)
            if self.on_step:
                self.on_step(record)
        elif kind == "start":
            self.start = report
        elif kind == "summary":
            self.summary = report
        elif kind == "warning":
            self.warnings.append(report["says"])

    def result(self, task: str, job: Job) -> RunResult:
        """The result, which is also written to the output folder."""
        before = self.start["resumed_from"]
        log = self.folder / NAME
        step_s = self.summary["step_s"]
        result = RunResult(
            task=task,
            layout=Layout.from_dict(self.start["layout"]),
            batch=self.start["batch"],
            steps=self.summary["stopped"],
            losses=(*losses(log, before), *self.losses),
            step_s=step_s,
            samples_per_s=self.start["batch"] / step_s,
            parts=self.summary["parts"],
            peak_memory=self.summary["peak_memory"],
            base_memory=self.summary["base_memory"],
            checkpoint=self.folder / CHECKPOINTS / self.summary["checkpoint"],
            log=log,
            output=self.folder,
            world=job.world,
            device=self.start["device"],
            versions=self.start["versions"],
            warnings=(*self.warnings, *_crowded(job)),
            resumed_from=before,
            tokens_per_s=self.start["batch"] * self.start["tokens"] / step_s if self.start["tokens"] else None,
            mfu=job.ideal_s / step_s if job.ideal_s else None,
            slowest_rank=self.summary["slowest_rank"],
            slowest_ratio=self.summary["slowest_ratio"],
            settings=job.settings,
            threads=job.threads,
            evidence=self.summary.get("evidence", {}),
        )
        try:
            replace_text(self.folder / RESULT, json.dumps(result.to_dict(), indent=1) + "\n")
        except OSError as error:
            raise LaunchError(f"cannot write {self.folder / RESULT}: {error.strerror}") from error
        return result


def _crowded(job: Job) -> list[str]:
    usable = cores()
    if job.world <= usable or job.device == "cuda":
        return []
    return [f"{job.world} ranks share {usable} core{'s' * (usable > 1)}: they take turns, so timings say little"]

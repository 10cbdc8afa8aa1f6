"""run: train a task on this machine as a layout says. Knows no torch; the ranks do."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from rigwise.errors import LaunchError, UsageError
from rigwise.files import replace_text
from rigwise.hardware.detect import cores
from rigwise.layouts.layout import Layout
from rigwise.run.board import Board, require_tensorboard
from rigwise.run.job import Job, StepRecord
from rigwise.run.launch import launch
from rigwise.run.limits import check_layout, read_layout
from rigwise.run.log import NAME, losses
from rigwise.run.result import RunResult
from rigwise.run.task import locate, packaged

RUNS, PRINTS, RESULT, CHECKPOINTS = "rigwise-runs", "ranks", "result.json", "checkpoints"
OnStep = Callable[[StepRecord], None]


def run(
    task: str,
    layout: Layout | str,
    *,
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    output: Path | str | None = None,
    resume: bool = False,
    device: str = "auto",
    on_step: OnStep | None = None,
    checkpoint_every: int | None = None,
    loaders: int | None = None,
    trace: bool = False,
    tensorboard: bool = False,
    ideal_s: float | None = None,
    on_stop: Callable[[], None] | None = None,
) -> RunResult:
    """Train a task and return what it came to.

    task: a packaged name or `file.py:function`. layout: a Layout, taken as it is, or its spelling, where what is not
    said is float32 and one micro-batch a step. steps: counted from the very first, also when resuming. batch: global,
    in samples; None takes the task's. output: folder for log, checkpoints and what the ranks print; None makes one in
    ./rigwise-runs. resume: go on from the last checkpoint in output. device: "auto" takes GPUs where there are any.
    on_step: called in this process with each StepRecord, soon after the step. checkpoint_every: steps; None writes
    only the last. loaders: processes that load data beside a rank; None decides by how long the first batch takes.
    trace: write trace.json, what a few steps of every rank consist of. tensorboard: write the log as TensorBoard reads
    it, too. ideal_s: seconds that a step's useful FLOP take at the devices' peak, for MFU.

    On the first Ctrl-C (or SIGTERM) on_stop is called, the step is finished and saved, and KeyboardInterrupt says how
    to go on; on the second, all ranks are ended first. Raises UsageError (task, layout, sizes, a loss that is not
    finite), NotFoundError (task), InfeasibleError (memory), LaunchError (a rank died, disk full, torch missing).
    """
    spec, name = _spelt(task)
    said, whole = read_layout(layout)
    check_layout(said)
    folder = str(_folder(name, output, resume))
    with tempfile.TemporaryDirectory(prefix="rigwise-") as private:
        job = Job(
            task=spec,
            layout=said,
            whole=whole,
            steps=steps,
            batch=batch,
            seed=seed,
            output=folder,
            resume=resume,
            device=device,
            checkpoint_every=checkpoint_every or 0,
            rendezvous=f"file://{private}/ranks",
            threads=_threads(said.ranks),
            loaders=loaders,
            ideal_s=ideal_s,
            trace=trace,
        )
        result = _trained(task, job, on_step, on_stop, tensorboard)
    if result.steps < steps:
        raise KeyboardInterrupt(_goes_on(result, job))
    return result


def _trained(
    task: str, job: Job, on_step: OnStep | None, on_stop: Callable[[], None] | None, tensorboard: bool
) -> RunResult:
    if tensorboard:
        require_tensorboard()
    folder = Path(job.output)
    held = _prepare(folder)
    try:
        with ExitStack() as stack:
            board = stack.enter_context(Board(folder)) if tensorboard else None
            heard = _Heard(on_step, folder, board)
            launch(job, folder / PRINTS, heard, on_stop)
        return heard.result(task, job)
    finally:
        os.close(held)


def _goes_on(result: RunResult, job: Job) -> str:
    """Where a run that was stopped has been saved, and the command that goes on with it."""
    words = ["rigwise", "run", result.task, "--layout", str(result.layout), "--batch", str(result.batch)]
    words += ["--seed", str(job.seed), "--steps", str(job.steps), "--output", str(result.output), "--resume"]
    words += ["--device", job.device] if job.device != "auto" else []
    return f"stopped after step {result.steps}, saved in {result.checkpoint}; go on with: {shlex.join(words)}"


def _spelt(task: str) -> tuple[str, str]:
    path, function = locate(task)
    return (task, task) if task in packaged() else (f"{path}:{function}", path.stem)


def _threads(ranks: int) -> int:
    """Threads of a rank: what OMP_NUM_THREADS says, else its share of the cores that a plan for `this` counts."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(said)) if said.isdigit() else max(1, cores() // ranks)


def _folder(name: str, output: Path | str | None, resume: bool) -> Path:
    """The output folder. One that holds another run is refused, and so is resuming from one that holds none."""
    if output is None:
        if resume:
            raise UsageError("resume without an output folder", rule="a run is resumed from its output folder")
        return _fresh((Path(RUNS) / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}").absolute())
    folder = Path(output).expanduser().absolute()
    begun = any((folder / CHECKPOINTS).glob("step-*"))
    if begun and not resume:
        raise UsageError(
            f"{folder} holds another run's checkpoints",
            rule="a run never writes over another",
            nearest="resume, or another output folder",
        )
    if resume and not begun:
        raise UsageError(
            f"no checkpoint to resume from in {folder / CHECKPOINTS}",
            rule="a run is resumed from its output folder",
            nearest="the same without resume",
        )
    return folder


def _prepare(folder: Path) -> int:
    """Make the output folder and see that it can be written; what holds it for this run, to be closed."""
    try:
        (folder / PRINTS).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            held = _alone(folder)
        for old in (folder / PRINTS).glob("rank-*.txt"):
            old.unlink()
        return held
    except OSError as error:
        raise UsageError(
            f"cannot write to output folder {folder}: {error.strerror}", rule="output is a folder that can be written"
        ) from error


def _alone(folder: Path) -> int:
    """A lock on the folder, which the kernel gives free however this process ends."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise UsageError(
            f"another run is at work in {folder}",
            rule="a run never writes over another",
            nearest="another output folder",
        ) from None
    except OSError:
        pass  # a file system without locks
    return held


def _fresh(folder: Path) -> Path:
    names = chain([folder], (folder.with_name(f"{folder.name}-{number}") for number in count(2)))
    return next(path for path in names if not path.exists())


class _Heard:
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

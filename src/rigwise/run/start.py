"""run: train a task on this machine as a layout says. Knows no torch; the ranks do."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

from rigwise.errors import UsageError
from rigwise.hardware.detect import cores
from rigwise.layouts.layout import Layout
from rigwise.layouts.runnable import check_layout
from rigwise.run.board import Board, require_tensorboard
from rigwise.run.chosen import Value
from rigwise.run.hearing import Asked, Heard, OnStep
from rigwise.run.job import Job
from rigwise.run.launch import ALONE, Place, launch
from rigwise.run.limits import read_layout
from rigwise.run.output import PRINTS, Resume, choose, prepare
from rigwise.run.result import RunResult
from rigwise.run.seats import Seat, once_a_host, seat
from rigwise.run.task import locate, packaged

PATIENCE_S = 30.0  # of ranks that another launcher started, which nobody watches from outside


def run(
    task: str,
    layout: Layout | str,
    *,
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    output: Path | str | None = None,
    resume: Resume = False,
    device: str = "auto",
    on_step: OnStep | None = None,
    checkpoint_every: int | None = None,
    loaders: int | None = None,
    trace: bool = False,
    tensorboard: bool = False,
    ideal_s: float | None = None,
    patience_s: float | None = None,
    backend: str = "auto",
    settings: Mapping[str, Value] = MappingProxyType({}),
    place: Place = ALONE,
    shrink: bool = False,
    on_stop: Callable[[], None] | None = None,
) -> RunResult:
    """Train a task and return what it came to.

    task: a packaged name or `file.py:function`. layout: a Layout, taken as it is, or its spelling, where what is not
    said is float32 and one micro-batch a step. steps: counted from the very first, also when resuming. batch: global,
    in samples; None takes the task's. output: folder for log, checkpoints and what the ranks print; None makes one in
    ./rigwise-runs. resume: go on from the last checkpoint in output; "auto": where there is one. device: "auto" takes
    GPUs where there are any. on_step: called in this process with each StepRecord, soon after the step.
    checkpoint_every: steps; None writes only the last. loaders: processes that load data beside a rank; None decides by
    how long the first batch takes. trace: write trace.json, what a few steps of every rank consist of. tensorboard:
    write the log as TensorBoard reads it, too. ideal_s: seconds that a step's useful FLOP take at the devices' peak,
    for MFU. patience_s: how long a rank waits for the others before it takes them for lost. backend: "mpi" sends over
    the MPI whose mpirun started this process. settings: keywords of the task function. place: of a run beside others.

    A rank that a launcher started (seats.py) joins the others; all return the result, or raise ToldElsewhere where
    another says why. shrink: with fewer ranks than the layout has, dp is as much smaller.

    On the first Ctrl-C (or SIGTERM) on_stop is called, the step is finished and saved, and KeyboardInterrupt says how
    to go on; on the second, all ranks are ended first. Raises UsageError (task, layout, sizes, a loss that is not
    finite), NotFoundError (task), InfeasibleError (memory), LaunchError (a rank died, disk full, torch missing).
    """
    here = seat()
    with once_a_host(here):
        said, whole = _placed(layout, here, shrink, backend)
    (spec, name), waits_s = _spelt(task), patience_s or (PATIENCE_S if here else None)
    threads = place.threads or _threads(here.near if here else said.ranks)

    def job(rendezvous: str) -> Job:
        folder, begun = choose(name, output, resume)
        return Job(
            task=spec, layout=said, whole=whole, steps=steps, batch=batch, seed=seed, output=str(folder), resume=begun,
            device=device, checkpoint_every=checkpoint_every or 0, rendezvous=rendezvous, threads=threads,
            loaders=loaders, ideal_s=ideal_s, trace=trace, patience_s=waits_s, backend=backend, settings=dict(settings),
        )  # fmt: skip

    asked = Asked(task=task, job=job, on_step=on_step, on_stop=on_stop, tensorboard=tensorboard, place=place)
    return _whole(_done(here, asked), seed, steps, device, settings)


def _done(here: Seat | None, asked: Asked) -> RunResult:
    """As one rank of several, or with ranks of our own."""
    if asked.tensorboard:
        require_tensorboard()
    if here:
        from rigwise.run.joined import join

        return join(here, asked)
    with tempfile.TemporaryDirectory(prefix="rigwise-") as private:
        job = asked.job(f"file://{private}/ranks")
        return _trained(asked.task, job, asked.on_step, asked.on_stop, asked.tensorboard, asked.place)


def _placed(layout: Layout | str, here: Seat | None, shrink: bool, backend: str) -> tuple[Layout, bool]:
    """The layout, for as many ranks as a launcher has started, and whether it says nothing of micro-batches."""
    said, whole = read_layout(layout)
    said = seated(said, here, shrink) if here else said
    check_layout(said)
    if backend == "mpi":
        from rigwise.run.mpi.library import start

        start()
    return said, whole


def seated(layout: Layout, here: Seat, shrink: bool) -> Layout:
    """The layout for as many ranks as there are. shrink: dp may be smaller than the layout says.

    >>> str(seated(Layout(dp=4, tp=2), Seat(launcher="torchrun", rank=0, world=6, local=0, near=6), True).dp)
    '3'
    """
    inner = layout.ranks // layout.dp
    if layout.ranks == here.world:
        return layout
    if shrink and here.world < layout.ranks and here.world % inner == 0:
        return layout.but(dp=here.world // inner)
    raise UsageError(
        f"layout {layout} has {layout.ranks} ranks, {here.launcher} started {here.world}",
        rule="every rank that is started has a place in the layout",
        nearest=f"dp={here.world // inner} in it" if here.world % inner == 0 else f"{layout.ranks} ranks",
    )


def _trained(
    task: str, job: Job, on_step: OnStep | None, on_stop: Callable[[], None] | None, tensorboard: bool, place: Place
) -> RunResult:
    folder = Path(job.output)
    held = prepare(folder)
    try:
        with ExitStack() as stack:
            board = stack.enter_context(Board(folder)) if tensorboard else None
            heard = Heard(on_step, folder, board)
            launch(job, folder / PRINTS, heard, on_stop, place)
        return heard.result(task, job)
    finally:
        os.close(held)


def _whole(result: RunResult, seed: int, steps: int, device: str, settings: Mapping[str, Value]) -> RunResult:
    """The result of a run that was not stopped."""
    if result.steps < steps:
        raise KeyboardInterrupt(_goes_on(result, seed, steps, device, settings))
    return result


def _goes_on(result: RunResult, seed: int, steps: int, device: str, settings: Mapping[str, Value]) -> str:
    """Where a run that was stopped has been saved, and the command that goes on with it."""
    words = ["rigwise", "run", result.task, "--layout", str(result.layout), "--batch", str(result.batch)]
    words += ["--seed", str(seed), "--steps", str(steps), "--output", str(result.output), "--resume"]
    words += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    words += ["--device", device] if device != "auto" else []
    return f"stopped after step {result.steps}, saved in {result.checkpoint}; go on with: {shlex.join(words)}"


def _spelt(task: str) -> tuple[str, str]:
    path, function = locate(task)
    return (task, task) if task in packaged() else (f"{path}:{function}", path.stem)


def _threads(ranks: int) -> int:
    """Threads of a rank: what OMP_NUM_THREADS says, else its share of the cores that a plan for `this` counts."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(said)) if said.isdigit() else max(1, cores() // ranks)

"""`rigwise run TASK`: train on this machine as a layout says, and set predicted beside measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter
from rich.console import Console
from rich.text import Text

from rigwise import api, units
from rigwise.cli.options import Look
from rigwise.cli.progress import bar
from rigwise.cli.tables import Column, facts, table
from rigwise.errors import EXIT_INTERRUPTED, UsageError

if TYPE_CHECKING:
    from rigwise.api import RunReport
    from rigwise.cost.record import Estimate
    from rigwise.run.job import StepRecord
    from rigwise.run.result import RunResult

_FIRST_SPEAKS_S = 2.0
_LINES = 10  # lines of progress where nobody watches a bar


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """What a run writes besides its log."""

    trace: Annotated[bool, Parameter(negative="")] = False
    """Write trace.json: what a few steps of every rank consist of, for ui.perfetto.dev."""
    tensorboard: Annotated[bool, Parameter(negative="")] = False
    """Write the log as TensorBoard reads it, too."""


@Parameter(name="*", group=Group("Several machines", sort_key=20))
@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """Ranks on several machines, or under another launcher."""

    resume_if_any: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Go on from the checkpoint in the output folder where there is one; for runs that are started again."""
    shrink: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """With fewer ranks than the layout has, go on with a smaller dp."""
    patience: float | None = None
    """Seconds that a rank waits for the others before it takes them for lost; 30 where ranks are joined."""
    backend: Literal["auto", "mpi"] = "auto"
    """mpi sends over the MPI whose mpirun started the ranks; auto is gloo or NCCL."""
    nnodes: str | None = None
    """Hosts, or fewest:most; the same command is started on each."""
    rendezvous: str | None = None
    """HOST:PORT where the hosts find each other; the first host's address and a port that is free there."""
    restarts: int | None = None
    """Times in a row that ranks are started again without a new checkpoint in between; 5 by default."""


def run(
    task: str,
    /,
    *,
    layout: str = "",
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    output: Path | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    checkpoint_every: int | None = None,
    loaders: int | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    watching: Watching = Watching(),
    several: Several = Several(),
    look: Look = Look(),
) -> int:
    """Train a task on this machine as a layout says; predicted beside measured.

    Parameters
    ----------
    task
        A packaged task (digits, characters, mlp, experts) or file.py:function that returns rigwise.Task.
    layout
        How to split it: dp=2; one rank by default.
    steps
        Optimizer steps, those before a resume included.
    batch
        Samples of one step, all ranks together; the task's own by default.
    seed
        Of the weights and of the order of the samples.
    output
        Folder for log.jsonl and the checkpoint; a new one under rigwise-runs by default.
    resume
        Go on from the checkpoint in the output folder.
    device
        auto takes the GPUs where there are any.
    checkpoint_every
        Steps between checkpoints, from which --resume goes on; only after the last step by default.
    loaders
        Processes beside each rank that load ahead; 0 loads between the steps; by the first batch's time by default.
    set_
        A keyword argument of the task's function: lr=0.1. May be given several times.
    """
    from rigwise.run.chosen import read

    options: dict[str, Any] = {
        "steps": steps, "batch": batch, "seed": seed, "output": output, "device": device,
        "resume": resume or ("auto" if several.resume_if_any else False), "checkpoint_every": checkpoint_every,
        "loaders": loaders, "patience_s": several.patience,
    }  # fmt: skip
    if several.nnodes or several.rendezvous:
        return _on_hosts(task, layout, options, tuple(set_ or ()), several, watching, look)
    options |= {"trace": watching.trace, "tensorboard": watching.tensorboard, "shrink": several.shrink}
    options |= {"backend": several.backend, "settings": read(set_ or ())}
    return _here(task, layout, options, look)


def _on_hosts(
    task: str,
    layout: str,
    options: dict[str, Any],
    settings: tuple[str, ...],
    several: Several,
    watching: Watching,
    look: Look,
) -> int:
    if not (several.nnodes and several.rendezvous):
        raise UsageError("--nnodes and --rendezvous belong together", nearest="--nnodes 2 --rendezvous HOST:29400")
    if several.backend == "mpi":
        raise UsageError(
            "--backend mpi beside --nnodes",
            rule="over MPI, ranks are started by mpirun, on all hosts",
            nearest="mpirun -n RANKS --hosts A,B rigwise run ... --backend mpi, without --nnodes",
        )
    flags = {"json": look.json, "quiet": look.quiet, "no-color": look.no_color, "debug": look.debug}
    flags |= {"trace": watching.trace, "tensorboard": watching.tensorboard}
    words = [f"--{flag}" for flag, wanted in flags.items() if wanted]
    words += [word for one in settings for word in ("--set", one)]
    return api.run_hosts(
        task,
        layout,
        nnodes=several.nnodes,
        rendezvous=several.rendezvous,
        restarts=several.restarts,
        words=tuple(words),
        say=lambda words: look.note(Text(words)),
        **options,
    )


def _here(task: str, layout: str, options: dict[str, Any], look: Look) -> int:
    """All ranks of this machine, or the one that a launcher started; the exit code."""
    from rigwise.run.failures import LOST_CODE, ToldElsewhere

    first = api.speaks()
    try:
        with stepping(look, options["steps"]) if first else nullcontext() as on_step:
            on_stop = (lambda: _stopping(look)) if first else None
            report = api.run(task, layout, on_step=on_step, on_stop=on_stop, **options)
    except ToldElsewhere as told:
        if told.says:
            look.note(Text(told.says))
        return told.exit_code if told.exit_code == LOST_CODE else _after_the_first(told.exit_code)
    except KeyboardInterrupt:
        if first:
            raise
        return _after_the_first(EXIT_INTERRUPTED)
    if first:
        look.answer(report.to_dict, lambda screen: draw_run(screen, report, look.chatty))
    return 0


def _after_the_first(code: int) -> int:
    """The exit code, a little later: mpirun and others end all ranks when one leaves so, and the first has to speak."""
    time.sleep(_FIRST_SPEAKS_S)
    return code


@contextmanager
def stepping(look: Look, steps: int) -> Iterator[Callable[[StepRecord], None]]:
    """Progress of a run on stderr: a bar on a terminal, ten lines elsewhere, nothing where quiet was asked for."""
    screen = look.progress
    if not look.chatty:
        yield lambda record: None
        return
    if not screen.is_terminal:
        yield lambda record: _line(screen, record, steps)
        return
    with bar(look) as progress:
        ranks = progress.add_task("starting the ranks", total=steps)

        def draw(record: StepRecord) -> None:
            progress.update(ranks, completed=record.step, description=_says(record))
            if record.alarm:
                progress.console.print(_alarmed(record), markup=False, soft_wrap=True)

        yield draw


def _alarmed(record: StepRecord) -> str:
    return f"alarm at step {record.step}: {record.alarm}"


def _stopping(look: Look) -> None:
    if look.chatty:
        look.progress.print("finishing the step and saving; Ctrl-C again ends at once")


def _says(record: StepRecord) -> str:
    return f"loss {record.loss:.4f}, {speed(record)}"


def speed(record: StepRecord | RunResult) -> str:
    """Samples and tokens a second, and what part of the devices' peak that is."""
    words = [f"{record.samples_per_s:,.0f} samples/s"]
    if record.tokens_per_s:
        words.append(f"{record.tokens_per_s:,.0f} tokens/s")
    if record.mfu:
        words.append(f"MFU {record.mfu:.1%}")
    return ", ".join(words)


def waits(result: RunResult) -> str:
    """What a step waits for: data, the exchange as far as computing does not hide it, and the slowest rank."""
    data, exchange = (units.show_seconds(result.parts[part]) for part in ("loader", "communication"))
    words = f"data {data}, exchange that is not hidden {exchange}"
    if result.world > 1:
        words += f"; slowest is rank {result.slowest_rank}, {result.slowest_ratio:.2f} x the median"
    return words


def _line(screen: Console, record: StepRecord, steps: int) -> None:
    if record.step == 1 or record.step == steps or record.step % max(1, steps // _LINES) == 0:
        screen.print(f"step {record.step} of {steps}: {_says(record)}", soft_wrap=True)
    if record.alarm:
        screen.print(_alarmed(record), markup=False, soft_wrap=True)


def draw_run(screen: Console, report: RunReport, chatty: bool) -> None:
    """What was measured, beside what was predicted."""
    result = report.result
    first, last = result.losses[0], result.losses[-1]
    ranks = f"{result.world} rank{'s' * (result.world > 1)}"
    screen.print(
        facts(
            [
                ("task", f"{result.task}, {result.layout}, batch {result.batch:,}, {ranks}"),
                ("loss", f"{first:.4f} at step 1, {last:.4f} at step {result.steps:,}"),
                ("speed", speed(result)),
                ("waits a step", waits(result)),
                ("memory", f"{units.show_bytes(result.peak_memory)} on the fullest rank"),
                ("log", str(result.log) if chatty else ""),
                ("checkpoint", str(result.checkpoint) if chatty else ""),
            ]
        )
    )
    screen.print()
    screen.print(comparison(screen, report))
    if report.predicted:
        screen.print(verdict(report.predicted, result.step_s))
    for cause in report.diagnosis:
        lost = units.show_seconds(cause.lost)
        screen.print(f"slow: {cause.part}, {cause.cause} ({lost} a step): {cause.evidence}; {cause.fix}", markup=False)
    if energy := _energy(report):
        screen.print(energy, markup=False)
    if report.why_not:
        screen.print(f"not predicted: {report.why_not}", markup=False)
    if chatty:
        for warning in (*result.warnings, *([report.not_kept] if report.not_kept else [])):
            screen.print(f"note: {warning}", markup=False)
        if report.session is not None:
            screen.print(f"session {report.session} of `rigwise history`", markup=False)


def _energy(report: RunReport) -> str:
    """Joules of a step, measured beside predicted, or why they were not counted."""
    foreseen = report.predicted.energy_j if report.predicted else None
    beside = f", predicted {'unknown' if foreseen is None else units.show_joules(foreseen)}"
    if report.joules is not None:
        return f"energy of a step: {units.show_joules(report.joules)}{beside}"
    return f"energy not measured ({'; '.join(report.uncounted)}){beside}" if report.uncounted else ""


def verdict(predicted: Estimate, step_s: float) -> str:
    """Where the measured step lies against the predicted interval."""
    low, high = predicted.interval
    where = "inside" if low <= step_s <= high else "below" if step_s < low else "above"
    return f"the measured step is {where} the predicted 80 % interval ({predicted.basis})"


def comparison(screen: Console, report: RunReport) -> object:
    """Predicted beside measured, part by part."""
    columns = (
        Column(head="a step", right=False),
        Column(head="predicted"),
        Column(head="80 % interval", drop=2),
        Column(head="measured"),
        Column(head="predicted / measured", drop=1),
    )
    rows = []
    for row in report.rows:
        show = units.show_bytes if row.unit == "B" else units.show_seconds
        low, high = row.interval or (None, None)
        rows.append(
            (
                row.part,
                "unknown" if row.predicted is None else show(row.predicted),
                "" if low is None or high is None else f"{show(low)} to {show(high)}",
                show(row.measured),
                f"{row.predicted / row.measured:.2f}" if row.predicted and row.measured else "",
            )
        )
    return table(screen, columns, rows)

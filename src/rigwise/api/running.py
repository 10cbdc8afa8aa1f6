"""The verb of doing: a task trained on this machine, predicted beside measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rigwise.api.measuring import pace_now
from rigwise.api.names import HERE, load_cluster
from rigwise.api.question import ask
from rigwise.errors import LaunchError, RigwiseError, check_whole

if TYPE_CHECKING:
    from rigwise.calibration.comparison import Comparison
    from rigwise.calibration.diagnosis import Cause
    from rigwise.cost.record import Estimate
    from rigwise.hardware.sensors import Counted
    from rigwise.layouts.layout import Layout
    from rigwise.models.model import Model
    from rigwise.run.chosen import Value
    from rigwise.run.job import StepRecord
    from rigwise.run.output import Resume
    from rigwise.run.result import RunResult
    from rigwise.run.seats import Seat
    from rigwise.run.settings import Told

_ELSEWHERE = "what other machines do is not known here: `rigwise estimate` takes a cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """A run beside its prediction. predicted: made before the run; None where it could not be made, and why_not says
    why. rows: predicted and measured, part by part. joules: of a step, by the machine's counters; None where there are
    none, and uncounted says why. session: its number in the history; not_kept: why it is not there, or that a file was
    kept aside. diagnosis: likely causes, where the step took over 20 % longer than the low end of its interval.
    """

    result: RunResult
    predicted: Estimate | None
    why_not: str
    rows: tuple[Comparison, ...]
    joules: float | None = None
    uncounted: tuple[str, ...] = ()
    session: int | None = None
    diagnosis: tuple[Cause, ...] = ()
    not_kept: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            **self.result.to_dict(),
            "predicted": self.predicted and self.predicted.to_dict(),
            "why_not_predicted": self.why_not,
            "comparison": [row.to_dict() for row in self.rows],
            "measured_energy_j": self.joules,
            "energy_not_counted": list(self.uncounted),
            "session": self.session,
            "not_kept": self.not_kept,
            "diagnosis": [cause.to_dict() for cause in self.diagnosis],
        }


def run(
    task: str,
    layout: str | Layout = "",
    *,
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    resume: Resume = False,
    device: str = "auto",
    checkpoint_every: int | None = None,
    loaders: int | None = None,
    trace: bool = False,
    tensorboard: bool = False,
    patience_s: float | None = None,
    backend: str = "auto",
    settings: Mapping[str, Value] = MappingProxyType({}),
    shrink: bool = False,
    on_step: Callable[[StepRecord], None] | None = None,
    on_stop: Callable[[], None] | None = None,
    predicted: Estimate | None = None,
    history: str | Path | None = None,
) -> RunReport:
    """Train a task on this machine as a layout says, and set predicted beside measured.

    The arguments are those of run/start.py. predicted: an estimate that is there already; otherwise one is made before
    the run. history: a file in place of the user's own, "off" for none; by default what RIGWISE_HISTORY says. Raises
    UsageError (task, layout, sizes), NotFoundError (task), InfeasibleError (memory) and LaunchError (a rank died, torch
    missing; ToldElsewhere on a rank that a launcher started and that has nothing of its own to tell).
    """
    here = _begun()
    from rigwise.hardware.sensors import Counted
    from rigwise.hardware.watch import Watch
    from rigwise.run.seats import once_a_host
    from rigwise.run.start import run as train

    with once_a_host(here):
        layout = layout or (f"dp={here.world}" if here else layout)
        check_whole(steps=steps, batch=batch, checkpoint_every=checkpoint_every)
        check_whole(0, loaders=loaders)
        _refuse(task, layout, backend)
    if here and (here.guarded or here.rank or not here.one_host):
        why_not = _ELSEWHERE
    else:
        predicted, why_not = (predicted, "") if predicted else _foretold(task, layout, batch, device, settings)
    ideal_s = predicted.mfu * predicted.step_s if predicted and predicted.mfu else None
    with Watch() as watch, Counted() as counted:
        result = train(
            task, layout, steps=steps, batch=batch, seed=seed, output=output, resume=resume, device=device,
            checkpoint_every=checkpoint_every, loaders=loaders, trace=trace, tensorboard=tensorboard, ideal_s=ideal_s,
            patience_s=patience_s, backend=backend, settings=settings, shrink=shrink, on_step=on_step, on_stop=on_stop,
        )  # fmt: skip
    # one run is one line of the history, which rank 0 writes
    return _reported(result, predicted, why_not, counted, "off" if here and here.rank else history, watch.says)


def _refuse(task: str, layout: str | Layout, backend: str) -> None:
    """What cannot run is said before the first rank takes its time to predict."""
    from rigwise.layouts.layout import Layout
    from rigwise.layouts.runnable import check_layout
    from rigwise.run.task import locate

    locate(task)
    check_layout(Layout.parse(layout) if isinstance(layout, str) else layout)
    if backend == "mpi":
        from rigwise.run.mpi.library import start

        start()


def _begun() -> Seat | None:
    """This process's place among ranks that a launcher started; where there is none, the server of ranks is begun: it
    reads torch, which this process need not, and meanwhile what a prediction is made with is read here.
    """
    from rigwise.run.seats import seat
    from rigwise.run.server_process import begin

    here = seat()
    if here is None:
        begin()
    return here


def _reported(
    result: RunResult,
    predicted: Estimate | None,
    why_not: str,
    counted: Counted,
    history: str | Path | None,
    throttled: tuple[str, ...],
) -> RunReport:
    """The run beside its prediction, and in the history."""
    from rigwise.api.recording import record
    from rigwise.calibration.comparison import compare

    rows = compare(predicted, result.parts, result.step_s, result.peak_memory, result.base_memory)
    joules = counted.a_step(result.step_s)
    session, causes, not_kept = record(result, predicted, joules=joules, history=history, throttled=throttled)
    return RunReport(
        result=result,
        predicted=predicted,
        why_not=why_not,
        rows=tuple(rows),
        joules=joules,
        uncounted=counted.missing,
        session=session,
        diagnosis=tuple(causes),
        not_kept=not_kept,
    )


def _foretold(
    task: str, layout: str | Layout, batch: int | None, device: str, settings: Mapping[str, Value]
) -> tuple[Estimate | None, str]:
    """The estimate of a run before it is made, or why there is none."""
    import rigwise.cost.estimate
    import rigwise.hardware.probe  # noqa: F401
    from rigwise.run.answers import answered
    from rigwise.run.settings import settled

    try:
        what, model = answered(f"{__name__}:_told", task, dict(settings))
    except LaunchError as error:
        return None, str(error)
    if what is None:
        return None, f"{task} could not be asked for its batch and its optimizer"
    said = settled(layout, batch or what.batch)  # a batch that does not divide is refused before a rank starts
    if isinstance(model, str):
        return None, model
    try:
        where = load_cluster(f"{HERE}:{said.ranks}", probe=True)
        if device == "cpu" and where.device.kind != "cpu":
            return None, "the run took the CPU of a machine whose GPUs were planned for"
        asked = ask(model, where, layout=said, batch=batch, task=what)
        if known := asked.question.here:
            known = known.at(pace_now(known.ranks, known.threads))
        return replace(asked, question=replace(asked.question, here=known)).foretold(said), ""
    except RigwiseError as error:
        return None, str(error)


def _told(task: str, settings: Mapping[str, Value]) -> tuple[Told | None, Model | str]:
    """What a task says of itself, and its model or why it is not known."""
    from rigwise.models.trace import trace_file
    from rigwise.run.settings import told
    from rigwise.run.task import locate, packaged

    what, (path, function) = told(task, settings), locate(task)
    try:
        model = trace_file(path, function, settings=settings)
    except RigwiseError as error:
        return what, str(error)
    return what, replace(model, name=task) if task in packaged() else model


def speaks() -> bool:
    """Does this process tell what comes of a run? All do but the ranks beside the first that a launcher started."""
    from rigwise.run.seats import seat

    here = seat()
    return here is None or here.rank == 0

"""`like`: measured runs of one's own, told in a line or standing in a table, that correct a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from math import exp, log
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rigwise.api.names import HERE, load_cluster, load_model
from rigwise.errors import InfeasibleError, RigwiseError, UsageError

if TYPE_CHECKING:
    from rigwise.cost.estimate import Question
    from rigwise.cost.likeness import Known, Run
    from rigwise.cost.record import Estimate
    from rigwise.hardware.cluster import Cluster
    from rigwise.layouts.layout import Layout
    from rigwise.measurements.runs import ToldRun
    from rigwise.measurements.tables import Row
    from rigwise.models.model import Model
    from rigwise.search.plan import Plan

_WHOLE = ("batch", "seq", "micro", "rank")
_OWN = (*_WHOLE, "precision", "optimizer", "adapt")
_SAME = ("data", "workers", "pinned", "disk")  # a run of one's own is fed as the question is
LOCAL = "local"  # the family of rows that the history of a machine writes
SPELT = "layout "  # before the spelling of their layout, among their notes
Told = str | Path | Sequence[str | Path]


class Asked(Protocol):
    """What answers a run's own question; api/question.py makes it."""

    @property
    def question(self) -> Question:
        """What is asked."""

    def estimate(self, layout: str | Layout) -> Estimate:
        """One layout."""

    def plan(self, *, top: int, objective: str, fix: Sequence[str] | None, full: bool) -> Plan:
        """Every layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The question that runs are like. spec, said: its model and settings as they were asked, which hold for a run
    where it says nothing else. layout: the one that is asked about, None where all are. precision: of its products.
    ask: who asks."""

    question: Question
    spec: str | Model
    said: Mapping[str, Any]
    layout: str | Layout | None
    precision: str
    ask: Callable[..., Asked]


def known_of(told: Told, reference: Reference) -> Known:
    """What measured runs say of a question.

    told: one run or several, each a line ("8xh100, llama-8b, 3.9 s") or the path of a measured table. Raises UsageError
    and NotFoundError for what cannot be read.
    """
    from rigwise.cost.efficiencies import efficiencies
    from rigwise.cost.interval import doubts
    from rigwise.cost.likeness import known

    question = reference.question
    runs: list[Run] = []
    left_out: list[str] = []
    for one in [told] if isinstance(told, str | Path) else told:
        if isinstance(one, Path) or one.strip().lower().endswith(".csv"):
            taken, refused = _table(one, reference)
            runs += taken
            left_out += refused
        else:
            runs.append(_run(one, reference))
    eff = efficiencies(question.cluster.device, question.stack)
    found = known(runs, doubts(question.model, question.cluster, eff, reference.precision))
    return replace(found, warnings=(*found.warnings, *left_out))


def _table(path: str | Path, reference: Reference) -> tuple[list[Run], list[str]]:
    """The runs of a table beside their predictions, and which rows are left out; rows of this machine's history name
    models and devices as the command line does."""
    from collections import Counter

    from rigwise.calibration.like import not_taken, runs_of
    from rigwise.measurements.tables import read_table

    rows = read_table(path)
    runs, refused = runs_of([row for row in rows if row.family != LOCAL], reference.question.stack)
    for row in rows:
        if row.family == LOCAL:
            try:
                runs.append(_own(row, reference))
            except RigwiseError as why:
                refused += Counter([why.says])
    return runs, not_taken(path, len(rows), refused, runs)


def _own(row: Row, reference: Reference) -> Run:
    """A run of the history beside its prediction. Raises UsageError for a row that is no step."""
    if row.metric != "step_s" or not row.value or not row.global_batch:
        raise UsageError("no time or rate of a training step", rule="a step has seconds and a batch")
    here = load_cluster(f"{HERE}:{row.n_devices or 1}")
    ours = row.device in (here.device.name, here.device.full_name)
    cluster = here if ours else load_cluster(f"{row.n_devices or 1}x{row.device}")
    settings = {key: value for key, value in reference.said.items() if value is not None and key in _SAME}
    asked = reference.ask(
        row.model, cluster, **settings, batch=row.global_batch, precision=row.precision, stack=reference.question.stack
    )
    spelt = next((note.removeprefix(SPELT) for note in row.remarks if note.startswith(SPELT)), "")
    e = asked.estimate(spelt or f"dp={row.dp or 1},tp={row.tp or 1},pp={row.pp or 1},micro={row.micro_batch or 1}")
    return _beside(e, asked.question, row.value, row.id, str(e.layout), f"{row.id} took ")


def _run(text: str, reference: Reference) -> Run:
    """One told run beside its prediction."""
    from rigwise.layouts.layout import Layout
    from rigwise.measurements.runs import told_run

    run = told_run(text, frozenset({*_OWN, *(f.name for f in fields(Layout))}))
    asked = _asked(run, reference)
    q = asked.question
    layout, how = _layout(run, asked, reference)
    predicted = asked.estimate(layout)
    seconds = run.figure.seconds(
        batch=q.batch,
        tokens=q.model.tokens if q.model.unit == "token" else 1,
        devices=q.cluster.devices,
        flops=(q.model.flops + q.model.flops_backward) * q.batch,
        peak=q.cluster.device.peak.get(predicted.layout.precision),
    )
    return _beside(predicted, q, seconds, run.text, f"{predicted.layout}{how}", f"{run.figure.text} is ", bool(how))


def _beside(e: Estimate, q: Question, seconds: float, told: str, layout: str, said: str, assumed: bool = False) -> Run:
    """A run of so many seconds a step beside its prediction. Raises UsageError where it cannot be."""
    from rigwise.calibration.like import with_assumed
    from rigwise.cost.bound import check_possible
    from rigwise.cost.efficiencies import efficiencies
    from rigwise.cost.interval import doubts
    from rigwise.cost.likeness import Run

    check_possible(seconds, q.model, q.cluster, q.batch, e.layout.precision, repr(told))
    error = log(seconds / e.step_s)
    unknown = doubts(q.model, q.cluster, efficiencies(q.cluster.device, q.stack), e.layout.precision)
    return Run(
        error=error,
        doubts=with_assumed(unknown, ("recompute",) if assumed else ()),
        says=f"{q.model.name} on {q.cluster.name}, {layout}, batch {q.batch}: {said}{seconds:.4g} s a step, "
        f"predicted {e.step_s:.4g} s: x{exp(error):.3g}",
    )


def _asked(run: ToldRun, reference: Reference) -> Asked:
    """The question that a run answers: the asked one's settings where the run does not say."""
    where, name = _names(run)
    settings = {key: value for key, value in reference.said.items() if value is not None and key in (*_OWN, *_SAME)}
    settings |= {key: _value(run, key) for key in _OWN if key in run.settings}
    if name is not None and "seq" not in run.settings and load_model(name).unit != "token":
        settings.pop("seq", None)
    if name is None and not isinstance(reference.spec, str) and {"seq", "adapt", "rank"} & set(run.settings):
        raise UsageError(f"{run.text!r} changes a model that is made already", rule="name the run's model")
    cluster = where or reference.question.cluster
    return reference.ask(name or reference.spec, cluster, **settings, stack=reference.question.stack)


def _hardware(cluster: Cluster) -> Cluster:
    """A cluster whatever it is called."""
    return replace(cluster, name="", resolved="")


def _names(run: ToldRun) -> tuple[Cluster | None, str | None]:
    """The cluster and the model among a run's names, in any order."""
    clusters: dict[str, Cluster] = {}
    refused: dict[str, RigwiseError] = {}
    for name in run.names:
        try:
            clusters[name] = load_cluster(name)
        except RigwiseError as why:
            refused[name] = why
    if len(clusters) > 1:
        raise UsageError(f"{' and '.join(map(repr, clusters))} are two clusters in {run.text!r}", rule="one of each")
    if len(refused) > 1:
        raise _neither(run, refused)
    return next(iter(clusters.values()), None), next(iter(refused), None)


def _neither(run: ToldRun, refused: Mapping[str, RigwiseError]) -> RigwiseError:
    """Of two names that are no cluster: why the one is not that is no model either."""
    for name, why in refused.items():
        try:
            load_model(name)
        except RigwiseError:
            return type(why)(f"{why.says}, for a cluster in {run.text!r}", rule=why.rule, nearest=why.nearest)
    return UsageError(f"{' and '.join(map(repr, refused))} are two models in {run.text!r}", rule="one of each")


def _value(run: ToldRun, key: str) -> Any:
    text = run.settings[key]
    if key not in _WHOLE:
        return text
    if not text.isdigit():
        raise UsageError(f"{key}={text!r} in {run.text!r}", rule=f"{key} is a whole number")
    return int(text)


def _layout(run: ToldRun, asked: Asked, reference: Reference) -> tuple[str | Layout, str]:
    """The layout of a run, and in words where it had to be assumed."""
    from rigwise.layouts.layout import DEGREES, Layout

    mine, theirs, layout = asked.question, reference.question, reference.layout
    same = mine.model == theirs.model and _hardware(mine.cluster) == _hardware(theirs.cluster)
    words = {f.name for f in fields(Layout)} & set(run.settings)
    spelling = ",".join(f"{key}={run.settings[key]}" for key in run.settings if key in words)
    degrees = words & set(DEGREES)
    if degrees and Layout.parse(spelling).ranks == mine.cluster.devices:
        return spelling, ""
    if layout is not None and same and not degrees:
        return Layout.parse(",".join(filter(None, (_without(str(layout), words), spelling)))), ""
    try:
        best = asked.plan(top=1, objective="time", fix=spelling.split(",") if spelling else None, full=False).best
    except InfeasibleError as why:
        raise UsageError(
            f"the layout of {run.text!r} is not told, and none can be taken for it: {why.says}",
            rule="where a run does not say its layout, that of the best plan is taken",
            nearest="say it: dp=8,zero=3 or what was run",
        ) from None
    return best.layout, " (the best plan's, assumed)"


def _without(spelling: str, keys: Set[str]) -> str:
    words = [word.strip() for word in spelling.split(",") if word.strip()]
    return ",".join(word for word in words if word.partition("=")[0].strip() not in keys)

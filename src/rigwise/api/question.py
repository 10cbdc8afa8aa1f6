"""A question with everything filled in, which the verbs of planning answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from rigwise.api.calibrating import profile_here
from rigwise.api.names import HERE, load_cluster, load_model
from rigwise.errors import InfeasibleError, UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.cost.datakinds import Loading
    from rigwise.cost.estimate import Question
    from rigwise.cost.record import Estimate
    from rigwise.hardware.cluster import Cluster
    from rigwise.layouts.layout import Layout
    from rigwise.models.model import Model
    from rigwise.run.settings import Told
    from rigwise.search.plan import Plan
    from rigwise.search.scale import Scaling


class Settings(TypedDict, total=False):
    """What a question may say besides model and cluster. What it does not say is filled in: for a task as the task
    does, else as layouts/defaults.py says.

    batch: samples a step, all devices together. seq: tokens in a sample. micro: samples of a micro-batch. precision:
    type of the matrix products. optimizer: a name of models/optimizers.toml. stack: the software, modern, eager or
    another of cost/data/efficiencies.toml. adapt, rank: see load_model. usd_per_hour: rent of a device; None takes
    its launch price over 3 years. data: what is loaded, a kind of cost/data/datakinds.csv; "synthetic" by default: no
    step waits for it. workers: loading processes of a device, its share of the host's cores by default. pinned: whether
    batches lie in page-locked memory, True by default. disk: what a node reads at, in bytes/s or as "550 MB/s"; "ram"
    for a set that is cached, which is the default where it fits. like: measured runs that correct the answer, each a
    line such as "8xh100, llama-8b, 3.9 s" or the path of a measured table; see api/like.py.
    """

    batch: int | None
    seq: int | None
    micro: int | None
    precision: str | None
    optimizer: str | None
    adapt: str | None
    rank: int | None
    stack: str | None
    usd_per_hour: float | None
    data: str | None
    workers: int | None
    pinned: bool | None
    disk: str | float | None
    like: str | Path | Sequence[str | Path] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with everything filled in. model, cluster: the records. fix: axes that only one value can have.
    whole: where nothing else is said, a rank takes its share of the batch in one micro-batch, as a run of images does.
    """

    question: Question
    precision: str
    micro: int | None
    fix: Mapping[str, Any]
    whole: bool = False

    @property
    def model(self) -> Model:
        """What is trained."""
        return self.question.model

    @property
    def cluster(self) -> Cluster:
        """What it is trained on."""
        return self.question.cluster

    def subject(self) -> dict[str, Any]:
        """What an answer is about, for JSON."""
        q = self.question
        return {
            "model": self.model.name,
            "cluster": self.cluster.name,
            "resolved": self.cluster.resolved,
            "batch": q.batch,
            "seq": self.model.tokens if self.model.unit == "token" else None,
            "optimizer": q.optimizer,
            "stack": q.stack,
            **({"like": asdict(q.known)} if q.known else {}),
            "data": q.loading.data if q.loading else "synthetic",
        }

    def estimate(self, layout: str | Layout) -> Estimate:
        """One layout; see the verb of the same name."""
        from rigwise.cost.estimate import estimate as answer
        from rigwise.layouts.layout import Layout, said_keys
        from rigwise.layouts.rules import check

        if isinstance(layout, str):
            micro = {"micro": self.micro} if self.micro else {}
            whole = self.whole and not micro and "micro" not in said_keys(layout)
            layout = Layout.parse(layout, precision=self.precision, **micro)
            if whole:
                layout = layout.but(micro=max(1, self.question.batch // layout.dp))
        check(layout, self.model, self.cluster, self.question.batch)
        return answer(self.question, layout)

    def foretold(self, layout: str | Layout) -> Estimate:
        """The estimate of one layout; where it does not fit, the smallest change that fits is among its warnings."""
        found = self.estimate(layout)
        short = self.shortage(found)
        return replace(found, warnings=(*found.warnings, str(short))) if short else found

    def shortage(self, found: Estimate) -> InfeasibleError | None:
        """Which memory is short in an estimate and the smallest change that lifts it; None where it fits."""
        if found.fits:
            return None
        from rigwise.search.remedies import remedy
        from rigwise.units import show_bytes

        part, most = max(found.memory.items(), key=lambda row: row[1])
        better = remedy(self.question, found.layout)
        return InfeasibleError(
            f"{found.layout} needs {show_bytes(found.memory_total)} on the fullest device, which has "
            f"{show_bytes(found.memory_limit)}; most of it is {part}, {show_bytes(most)}",
            rule="weights, gradients, optimizer state, activations and buffers fit in the memory of every device",
            nearest=str(better) if better else "another split of the ranks: `rigwise plan` ranks those that fit",
        )

    def plan(self, *, top: int, objective: str, fix: Mapping[str, Any] | Sequence[str] | None, full: bool) -> Plan:
        """Every layout; see the verb of the same name."""
        from rigwise.search.plan import plan as search

        check_whole(top=top)
        held = {**self.fix, **({"micro": self.micro} if self.micro else {}), **_held(fix)}
        kind = str(held.pop("precision", self.precision))
        return search(self.question, precision=kind, objective=objective, top=top, fix=held, every=full)

    def scale(self, devices: Sequence[int] | None) -> Scaling:
        """Every number of devices; see the verb of the same name."""
        from rigwise.search.scale import scale as search

        held = {"micro": self.micro} if self.micro else {}
        return search(self.question, devices, precision=self.precision, fix={**self.fix, **held})


def ask(
    model: str | Model,
    cluster: str | Cluster,
    *,
    layout: str | Layout | None = None,
    task: Told | None = None,
    **settings: Unpack[Settings],
) -> Asked:
    """The question that estimate, plan and scale answer; layout: the one that it will be asked about, where it is one.
    task: what the task says whose model it is; None asks it.

    Raises NotFoundError for names, UsageError for sizes.
    """
    from rigwise.cost.estimate import Question
    from rigwise.cost.money import Rates
    from rigwise.layouts.defaults import default_batch, default_precision
    from rigwise.layouts.layout import Layout
    from rigwise.run.settings import RUNNABLE, told

    said: dict[str, Any] = {key: value for key, value in settings.items() if value is not None}
    _check(said)
    where, what = load_cluster(cluster), _model_of(model, said)
    if task is None and isinstance(model, str):
        task = told(model)
    kind = said.get("precision") or ("float32" if task else default_precision(where))
    batch = said.get("batch") or (task.batch if task else default_batch(what, where))
    question = Question(
        model=what,
        cluster=where,
        batch=batch,
        optimizer=said.get("optimizer") or (task.optimizer if task else "adamw"),
        stack=said.get("stack") or ("eager" if task else "modern"),
        rates=Rates(hourly=settings.get("usd_per_hour"), price=where.device.price),
        loading=_loading(said, what, where),
        here=profile_here(where),
    )
    if like := said.get("like"):
        from rigwise.api.like import Reference, known_of

        spelt = layout.precision if isinstance(layout, Layout) else Layout.parse(layout or "", precision=kind).precision
        reference = Reference(question=question, spec=model, said=said, layout=layout, precision=spelt, ask=ask)
        question = replace(question, known=known_of(like, reference))
    return Asked(
        question=question,
        precision=Layout.parse(f"precision={kind}").precision,
        micro=settings.get("micro"),
        fix=RUNNABLE if task and where.name == HERE else {},
        whole=task is not None or what.unit != "token",
    )


def _loading(said: Mapping[str, Any], model: Model, cluster: Cluster) -> Loading | None:
    """How the samples come, checked against the model; None for synthetic data."""
    from rigwise.cost.datakinds import Loading, supply
    from rigwise.units import parse

    data, how = said.get("data", "synthetic"), {key: said[key] for key in ("workers", "pinned", "disk") if key in said}
    if data == "synthetic":
        if how:
            key = next(iter(how))
            raise UsageError(f"{key} of synthetic data", rule="it is on the devices", nearest="say the data: tensors")
        return None
    if isinstance(disk := how.get("disk"), str):
        how["disk"] = inf if disk.strip().lower() == "ram" else parse(disk, "B/s")
    if "disk" in how and not how["disk"] > 0:
        raise UsageError(f"disk={said['disk']}", rule="a disk reads more than nothing", nearest='"550 MB/s", or ram')
    loading = Loading(data=data, **how)
    supply(loading, model, cluster)
    return loading


def _held(fix: Mapping[str, Any] | Sequence[str] | None) -> dict[str, Any]:
    """Axes held at one value, from {"tp": 8} or ["tp=8"]."""
    from rigwise.layouts.layout import Layout, said_keys

    if not fix:
        return {}
    words = [f"{key}={value}" for key, value in fix.items()] if isinstance(fix, Mapping) else list(fix)
    spelling = ",".join(words).lower()
    said = Layout.parse(spelling)
    return {key: getattr(said, key) for key in said_keys(spelling)}


def _model_of(model: str | Model, said: Mapping[str, Any]) -> Model:
    return load_model(model, **{key: said[key] for key in ("seq", "adapt", "rank") if key in said})


def _check(said: Mapping[str, Any]) -> None:
    """Refuse sizes that cannot be."""
    check_whole(batch=said.get("batch"), seq=said.get("seq"), micro=said.get("micro"))
    check_whole(least=0, workers=said.get("workers"))
    rent = said.get("usd_per_hour", 0.0)
    if not 0 <= rent < inf:
        raise UsageError(f"usd_per_hour={rent:g}", rule="a rent is 0 dollars an hour or more, and finite")

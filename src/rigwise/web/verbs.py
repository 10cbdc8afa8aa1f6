"""The verbs that HTTP offers: the class of each request, and the function that answers it as --json does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rigwise import api
from rigwise.errors import RigwiseError
from rigwise.report.payload import SCHEMA_VERSION, plain
from rigwise.web import convolving, drawings, measuring, requests, running
from rigwise.web.answers import buying, laboratory, measured, planning, thinking
from rigwise.web.answers.base import Told
from rigwise.web.names import cluster_name, image_name, model_name, task_name, told_run
from rigwise.web.problems import known
from rigwise.web.spelling import same

Said = dict[str, Any]
FIRST = {"model": "llama-3-8b", "cluster": "8xh100-sxm-80gb"}
"""What the page asks first; web/src/rooms/plan/question.ts says the same."""


class Progress(Protocol):
    """What hears how far an answer is; step: what a run tells of a step; stage: what it is at."""

    def __call__(self, done: int, total: int, step: Mapping[str, Any] | None = None, stage: str = "") -> None:
        """Hear it."""


Answer = Callable[[Said, Progress], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """name: its path under /api. request: what it takes. gives: what it answers with. answer: how. long: only as a job.

    fresh: the next answer may be another one, so none is kept. doing: it makes the machine work, so one at a time.
    """

    name: str
    request: type[requests.Request]
    gives: type[Told]
    answer: Answer
    long: bool = False
    fresh: bool = False
    doing: bool = False

    @property
    def says(self) -> str:
        """What it does, for OpenAPI."""
        return (self.request.__doc__ or "").split("\n")[0]


def payload(verb: Verb, request: requests.Request, folder: Path | None, progress: Progress) -> dict[str, Any]:
    """The whole answer: its schema, what the verb says, and the command and the Python that say the same.

    folder: where files may be read. Raises the errors of the Python API.
    """
    said = request.said()
    shown = dict(said)
    if "model" in said:
        said["model"] = model_name(said["model"], folder)
    if "cluster" in said:
        said["cluster"] = cluster_name(said["cluster"], folder)
    if "like" in said:
        said["like"] = [told_run(text) for text in said["like"]]
    if "task" in said:
        said["task"] = task_name(said["task"])
    if "image" in said:
        said["image"] = image_name(said["image"])
    if shown.pop("picture", None):
        shown["image"] = "PICTURE.png"
    found = verb.answer(said, progress)
    return {"schema_version": SCHEMA_VERSION, **plain(found), "same": same(verb.name, shown)}


def dumped(verb: Verb, request: requests.Request, folder: Path | None) -> bytes:
    """The whole answer as JSON in a line. Raises one of our errors, whatever happened."""
    try:
        found = payload(verb, request, folder, _unheard)
    except RigwiseError:
        raise
    except Exception as error:
        raise known(error) from error
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _unheard(done: int, total: int, step: Mapping[str, Any] | None = None, stage: str = "") -> None:
    """Progress of an answer that is given at once."""


def _plan(said: Said, _: Progress) -> Mapping[str, Any]:
    how = {"top": 10, "objective": "time", "fix": None, "full": False}
    how |= {key: said.pop(key) for key in how if key in said}
    asked = api.ask(**said)
    return {**asked.subject(), **asked.plan(**how).to_dict()}  # type: ignore[arg-type]


def _estimate(said: Said, _: Progress) -> Mapping[str, Any]:
    explain, layout = said.pop("explain", False), said.pop("layout")
    asked = api.ask(layout=layout, **said)
    found = asked.estimate(layout)
    why = asked.shortage(found)
    work = {"explanation": api.explained(asked, layout).to_dict()} if explain else {}
    return {**asked.subject(), **found.to_dict(), **work, **(why.to_dict() if why else {})}


def _timeline(said: Said, _: Progress) -> Mapping[str, Any]:
    layout = said.pop("layout")
    asked = api.ask(layout=layout, **said)
    return {**asked.subject(), **drawings.stages(asked.question, asked.estimate(layout).layout)}


def _export(said: Said, _: Progress) -> Mapping[str, Any]:
    return api.export(said.pop("model"), said.pop("cluster"), said.pop("layout"), **said).to_dict()


def _scale(said: Said, _: Progress) -> Mapping[str, Any]:
    devices = said.pop("devices", None)
    asked = api.ask(**said)
    return {**asked.subject(), **asked.scale(sorted(set(devices)) if devices else None).to_dict()}


def _advise(said: Said, _: Progress) -> Mapping[str, Any]:
    against = said.pop("why_not", None)
    found = api.advise(said.pop("model", None), **said)
    money = {"name": said.get("currency") or "USD", "per_usd": said.get("per_usd", 1.0)}
    more = {"why_not": api.why_not(found, against)} if against else {}
    return {**found.to_dict(), **more, "currency": money}


def _chart(said: Said, _: Progress) -> Mapping[str, Any]:
    return {"work": said["work"], "chart": [row.to_dict() for row in api.chart(said["work"])]}


def _rig(said: Said, _: Progress) -> Mapping[str, Any]:
    found = api.rig(said.pop("gpus"), **said)
    return {**found.to_dict(), "drawing": drawings.topology(found)}


def _rig_check(said: Said, _: Progress) -> Mapping[str, Any]:
    found = api.check_rig(said.pop("parts_list") + "\n", **said)
    return {**found.to_dict(), "drawing": drawings.topology(found)}


def _machines(said: Said, _: Progress) -> Mapping[str, Any]:
    return api.brain_machines(said.pop("devices", ()), **said).to_dict()


def _validation(_: Said, progress: Progress) -> Mapping[str, Any]:
    found = api.validate(progress=progress)
    return {**found.to_dict(), "points": drawings.points(found)}


def _neuron(said: Said, _: Progress) -> Mapping[str, Any]:
    return api.brain_neuron(said.pop("cell", "purkinje"), **said).to_dict()


def _conv_layer(said: Said, _: Progress) -> Mapping[str, Any]:
    return api.conv_layer(said.pop("model"), said.pop("layer"), **said).to_dict()


def _of(ask: Callable[..., Any]) -> Answer:
    """An answer that takes what was said by name."""
    return lambda said, _: ask(**said).to_dict()


def _with(ask: Callable[[Said], Mapping[str, Any]]) -> Answer:
    """An answer that takes what was said as it is, and has no progress."""
    return lambda said, _: ask(said)


_QUICK: Mapping[str, tuple[type[requests.Request], type[Told], Answer]] = {
    "plan": (requests.Plan, planning.PlanAnswer, _plan),
    "estimate": (requests.Estimate, planning.OneLayout, _estimate),
    "timeline": (requests.Timeline, planning.Stages, _timeline),
    "export": (requests.Export, planning.ExportAnswer, _export),
    "scale": (requests.Scale, planning.ScaleAnswer, _scale),
    "split": (requests.Split, planning.SplitAnswer, _of(api.split)),
    "advise": (requests.Advise, buying.Advice, _advise),
    "chart": (requests.Chart, buying.ChartAnswer, _chart),
    "rig": (requests.Rig, buying.Machine, _rig),
    "rig-check": (requests.RigCheck, buying.Machine, _rig_check),
    "brain-estimate": (requests.BrainEstimate, thinking.Brain, _of(api.brain_estimate)),
    "brain-compare": (requests.BrainCompare, thinking.Comparison, _of(api.brain_compare)),
    "brain-machines": (requests.BrainMachines, thinking.Fleet, _machines),
    "brain-forecast": (requests.BrainForecast, thinking.Forecast, _of(api.brain_forecast)),
    "brain-neuron": (requests.BrainNeuron, thinking.NeuronAnswer, _neuron),
    "conv-features": (requests.ConvFeatures, laboratory.Features, _with(convolving.features)),
    "conv-spectrum": (requests.ConvSpectrum, laboratory.Spectrum, _with(convolving.spectrum)),
    "conv-pixel": (requests.ConvPixel, laboratory.Pixel, _with(convolving.pixel)),
    "conv-layers": (requests.ConvLayers, laboratory.ConvLayersAnswer, _with(convolving.layers)),
    "conv-layer": (requests.ConvLayer, laboratory.ConvLayerAnswer, _conv_layer),
    "conv-map": (requests.ConvMap, laboratory.WinMap, _of(api.conv_map)),
}
"""The verbs that answer at once, and always the same."""
_OTHERS = (
    Verb(
        name="runs",
        request=requests.Runs,
        gives=measured.RunsAnswer,
        answer=_with(lambda _: running.runs()),
        fresh=True,
    ),
    Verb(
        name="run",
        request=requests.Run,
        gives=measured.RunReport,
        answer=running.run,
        long=True,
        fresh=True,
        doing=True,
    ),
    Verb(
        name="measure",
        request=requests.Measure,
        gives=measured.MeasureAnswer,
        answer=measuring.measure,
        long=True,
        fresh=True,
        doing=True,
    ),
    Verb(
        name="validation",
        request=requests.Validation,
        gives=measured.ValidationAnswer,
        answer=_validation,
        long=True,
    ),
)
_ALL = (
    *(Verb(name=n, request=asked, gives=gives, answer=how) for n, (asked, gives, how) in _QUICK.items()),
    *_OTHERS,
)
VERBS: Mapping[str, Verb] = {verb.name: verb for verb in _ALL}

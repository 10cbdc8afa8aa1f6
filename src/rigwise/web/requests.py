"""What may be asked over HTTP: the arguments of the Python verbs, checked and bounded. OpenAPI shows these classes.

Amounts are as in Python; texts and lists have an end, and what reads a path is not there. A whole number may be written
690.0, which JSON Schema counts as an integer.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from rigwise.errors import MOST


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


MOST_PICTURE = 220_000  # characters of base64, so that a body with it stays below what a body may have
MOST_STEPS = 20_000
Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=1, le=MOST)]
Count = Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=0, le=MOST)]
Seed = Annotated[int, BeforeValidator(_whole), Field(strict=True, ge=0, le=2**31 - 1)]
Amount = Annotated[float, Field(strict=True, ge=0, le=1e40, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[list[Word], Field(max_length=64)]
Sets = Annotated[list[Word], Field(max_length=64)]


class Request(BaseModel):
    """The base: nothing that is not known, nothing that is guessed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def said(self) -> dict[str, Any]:
        """What was said, without what was left open or is the default anyway."""
        return self.model_dump(exclude_none=True, exclude_defaults=True)


class Training(Request):
    """What is trained with; see `Settings` of the Python API."""

    batch: Whole | None = None
    seq: Whole | None = None
    micro: Whole | None = None
    precision: Word | None = None
    optimizer: Word | None = None
    adapt: Word | None = None
    rank: Whole | None = None
    stack: Word | None = None
    usd_per_hour: Amount | None = None
    like: Words | None = None
    data: Word | None = None
    workers: Count | None = None
    pinned: Annotated[bool, Field(strict=True)] | None = None
    disk: Word | None = None


class Question(Training):
    """A model on a cluster."""

    model: Word
    cluster: Word


class Plan(Question):
    """Rank every legal layout."""

    top: Annotated[Whole, Field(le=100)] = 10
    objective: Literal["time", "cost", "energy", "memory"] = "time"
    fix: Words | None = None
    full: Annotated[bool, Field(strict=True)] = False


class Estimate(Question):
    """One layout. explain: with the arithmetic, term by term."""

    layout: Annotated[str, Field(max_length=400)]
    explain: Annotated[bool, Field(strict=True)] = False


class Timeline(Question):
    """One layout, stage by stage: its pipeline in time and its memory."""

    layout: Annotated[str, Field(max_length=400)]


class Export(Question):
    """A layout in the words of a training framework."""

    layout: Annotated[str, Field(max_length=400)]
    to: Word


class Scale(Question):
    """Every number of devices."""

    devices: Annotated[list[Annotated[Whole, Field(le=10_000_000)]], Field(min_length=1, max_length=24)] | None = None


class Split(Request):
    """One dense layer under every split."""

    shape: Word
    ranks: Annotated[Whole, Field(le=512)] = 2
    dtype: Word = "float32"
    rate: Word | None = None


class Advise(Request):
    """Which GPUs to get; see `Needs` of the Python API. why_not: a device to compare with the answer."""

    model: Word | None = None
    persona: Word | None = None
    prices: Words | None = None
    top: Annotated[Whole, Field(le=100)] = 10
    why_not: Word | None = None
    work: Word | None = None
    budget: Amount | None = None
    deadline: Word | None = None
    objective: Literal["soonest", "most", "cheapest"] | None = None
    get: Annotated[list[Literal["new", "used", "rent", "spot"]], Field(max_length=4)] | None = None
    memory: Word | None = None
    most: Annotated[Whole, Field(le=1024)] | None = None
    own: Word | None = None
    vendors: Words | None = None
    circuit: Word | None = None
    slots: Amount | None = None
    quiet: Annotated[bool, Field(strict=True)] | None = None
    one_machine: Annotated[bool, Field(strict=True)] | None = None
    hours_per_week: Amount | None = None
    years: Amount | None = None
    per_kwh: Amount | None = None
    currency: Word | None = None
    per_usd: Amount | None = None
    interruptions: Amount | None = None
    batch: Whole | None = None
    seq: Whole | None = None
    adapt: Word | None = None
    rank: Whole | None = None
    precision: Word | None = None
    optimizer: Word | None = None
    stack: Word | None = None


class Chart(Request):
    """Every card's speed, and its speed for the money, at a kind of work."""

    work: Word


class Around(Training):
    """What is around a machine."""

    model: Word | None = None
    layout: Annotated[str, Field(max_length=400)] | None = None
    preprocess: Literal["while", "before"] | None = None
    circuit: Word | None = None
    per_kwh: Amount | None = None


class Rig(Around):
    """A whole machine, or several, around GPUs."""

    gpus: Word
    budget: Amount | None = None
    objective: Literal["price", "cost", "time"] = "price"
    ram: Word | None = None
    storage: Word | None = None
    network: Annotated[str, Field(max_length=200)] = ""
    cooling: Literal["blower", "open", "hybrid", "water", "passive", "sxm", ""] = ""
    case: Words | None = None
    new: Annotated[bool, Field(strict=True)] = False
    limit: Amount | None = None
    keep: Words | None = None
    price: Words | None = None


class RigCheck(Around):
    """What is wrong with a list of parts; parts_list: the text of the list itself."""

    parts_list: Annotated[str, Field(min_length=1, max_length=20_000)]
    nodes: Annotated[Whole, Field(le=10_000)] = 1


class BrainEstimate(Request):
    """The brain's operations a second, memory and bandwidth."""

    sets: Sets | None = None
    include: Words | None = None
    draws: Annotated[Whole, Field(le=1_000_000)] = 100_000
    seed: Seed = 0


class BrainCompare(Request):
    """Published estimates, each from its own inputs."""

    sets: Sets | None = None
    seed: Seed = 0


class BrainMachines(Request):
    """How many of which device would sustain it."""

    devices: Words | None = None
    shape: Literal["cells", "events"] = "cells"
    flops: Annotated[float, Field(strict=True, gt=0, le=1e40, allow_inf_nan=False)] | None = None
    precision: Word | None = None
    sets: Sets | None = None
    include: Words | None = None
    seed: Seed = 0


class BrainForecast(Request):
    """The year in which machines reach it."""

    metric: Literal["hpcg", "linpack", "sum", "last", "device"] = "hpcg"
    target: Literal["article", "estimate"] | Annotated[float, Field(strict=True, gt=0, le=1e40)] = "article"
    limits: Words | None = None
    until: Annotated[Whole, Field(ge=2026, le=2500)] = 2100
    fitted_to: Annotated[float, Field(strict=True, ge=1993, le=2100)] | None = None
    sets: Sets | None = None
    include: Words | None = None
    seed: Seed = 0


class BrainNeuron(Request):
    """One neuron at work."""

    cell: Literal["purkinje", "granule"] = "purkinje"
    rate: Annotated[float, Field(strict=True, ge=0, le=1000)] = 5.0
    seconds: Annotated[float, Field(strict=True, gt=0, le=60)] = 2.0
    burst: Annotated[float, Field(strict=True, ge=0, le=1000)] = 4.0
    wait: Annotated[float, Field(strict=True, ge=0, le=1000)] = 0.5
    seed: Seed = 0


class Picture(Request):
    """An image: one that has a name (cat, stripes:30:8), or a PNG, base64, that is sent along."""

    image: Annotated[str, Field(min_length=1, max_length=40)] = "cat"
    picture: Annotated[str, Field(max_length=MOST_PICTURE)] | None = None


class ConvFeatures(Picture):
    """An image under kernels: figures and maps."""

    kernels: Annotated[list[Annotated[str, Field(min_length=1, max_length=2000)]], Field(min_length=1, max_length=12)]
    normalise: Annotated[bool, Field(strict=True)] = False
    colour: Annotated[bool, Field(strict=True)] = False
    size: Literal["valid", "same", "full"] = "same"
    border: Literal["zero", "periodic", "reflecting"] = "reflecting"
    kind: Literal["convolution", "cross-correlation"] = "convolution"


class ConvSpectrum(Picture):
    """An image's frequencies: spectrum, low pass and high pass."""

    radius: Annotated[float, Field(strict=True, ge=0, le=4096, allow_inf_nan=False)] | None = None


class ConvPixel(Picture):
    """A small image under one kernel, to look at pixel by pixel."""

    kernel: Annotated[str, Field(min_length=1, max_length=2000)] = "sobel-x"
    stride: Annotated[Whole, Field(le=8)] = 1
    padding: Annotated[Count, Field(le=8)] = 1
    dilation: Annotated[Whole, Field(le=8)] = 1
    kind: Literal["convolution", "cross-correlation"] = "convolution"


class ConvLayers(Request):
    """The convolutions of a network."""

    model: Word


class On(Request):
    """What a convolution runs on."""

    device: Word = "h100"
    precision: Word | None = None
    batch: Annotated[Whole, Field(le=65536)] = 32


class ConvLayer(On):
    """A convolution of a network: its sizes, and what each algorithm takes."""

    model: Word
    layer: Word


class ConvMap(On):
    """Which algorithm is soonest, over kernel and image."""

    channels: Annotated[Whole, Field(le=65536)] = 64
    groups: Annotated[Whole, Field(le=65536)] = 1
    which: Literal["forward", "input_gradient", "weight_gradient"] = "forward"


class Runs(Request):
    """The tasks that come along, and what was run from this folder."""


class Run(Request):
    """Train a packaged task on the machine of the server. Long: ask for it as a job."""

    task: Word
    layout: Annotated[str, Field(max_length=400)] = ""
    steps: Annotated[Whole, Field(le=MOST_STEPS)] = 200
    batch: Annotated[Whole, Field(le=1_000_000)] | None = None
    seed: Seed = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"


class Measure(Request):
    """Measure the machine of the server, and write it to the history of its user. Long: ask for it as a job."""

    seconds: Annotated[float, Field(strict=True, ge=1, le=3600)] | None = None
    thorough: Annotated[bool, Field(strict=True)] = False
    device: Literal["auto", "cpu", "cuda"] = "auto"


class Validation(Request):
    """Every measured row that rigwise carries, predicted. Long: ask for it as a job."""


class Job(Request):
    """A long answer: the verb, and its request as it would be sent to the verb itself."""

    verb: Annotated[str, Field(min_length=1, max_length=40)]
    request: dict[str, Any] = {}

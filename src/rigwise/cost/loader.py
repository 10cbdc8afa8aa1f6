"""The loader: from storage through the host's cores and RAM to the devices, and what of it a step waits for.

Of B samples a step, d replicas and N nodes a node takes n = B / min(d, N), a device B / d. Stages, in seconds:

    read     n stored / disk             a drive's or a network file system's rate; the RAM's where the set is cached
    decode   n work / hands              seconds of a core for a sample: decode, augment, stack; hands: cores at work
    pin      max(n sent passes / RAM, sent of a device / core)   batches cross the RAM; a device's one thread pins them
    copy     sent of a device / link     over the device's own lanes, shared with those behind the same port

    with workers       the stages run beside each other and beside the step: waits max(0, slowest stage - step)
    without workers    one after the other, and the step after them: waits for their sum
    not pinned         the copy is staged by the driver, at half the rate, and blocks: it is added to the step

Left out: the first batch, uneven samples, the seconds that decoding on the GPU or a copy in the compute stream takes
from the device, workers that take cores from ranks on a CPU. Replicas that span tensor or pipeline ranks load once.
Source: T. Dettmers, "A Full Hardware Guide to Deep Learning" and "How To Build and Use a Multi GPU System"; rates in
data/loading.toml and data/datakinds.csv.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil, exp

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.arrays import largest, total
from rigwise.cost.datakinds import Supply, rates
from rigwise.cost.interval import Z80
from rigwise.cost.ledger import tell, told
from rigwise.units import show_bytes, show_number, show_rate, show_seconds

Floats = NDArray[np.float64]
STAGES: Mapping[str, str] = {"read": "reading", "decode": "decoding", "pin": "pinning", "copy": "copying"}


def through(hops: Iterable[ArrayLike], *, pipelined: bool) -> Floats:
    """Seconds through stations in a row: the slowest where they work on different pieces at once, else their sum.

    4 MB from a GPU over two hosts to another: four copies at 15.75 GB/s and a network of 4 GB/s (article 6).

    >>> hops = [4e6 / 15.75e9] * 4 + [4e6 / 4e9]
    >>> through(hops, pipelined=False).round(6).item(), through(hops, pipelined=True).item()
    (0.002016, 0.001)
    """
    return largest(hops) if pipelined else total(hops)


def copy_seconds(size: ArrayLike, rate: ArrayLike, *, pinned: bool) -> Floats:
    """Seconds of a copy between host and device of `size` bytes over a link of `rate` bytes/s.

    Article 3's batch of 32 images of 225 x 225 over 16, 8 and 4 lanes of 1 GiB/s each:

    >>> lanes = np.array([16, 8, 4]) * 2.0**30
    >>> (copy_seconds(32 * 225 * 225 * 3 * 4, lanes, pinned=True) * 1e3).round(2).tolist()
    [1.13, 2.26, 4.53]
    """
    share = 1.0 if pinned else float(rates()["rates"]["pageable"])
    return np.asarray(np.asarray(size, dtype=np.float64) / (np.asarray(rate, dtype=np.float64) * share))


def hands(workers: ArrayLike, cores: int, threads: int) -> Floats:
    """Cores' worth of work that `workers` get out of a host: a second thread of a core adds little, a third nothing.

    >>> hands([4, 40, 64, 200], 40, 80).round(1).tolist()
    [4.0, 40.0, 47.2, 52.0]
    """
    asked = np.asarray(workers, dtype=np.float64)
    more = np.clip(asked - cores, 0.0, threads - cores) * rates()["rates"]["second_thread"]
    return np.asarray(np.minimum(asked, cores) + more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Seconds of a step by stage for a table of layouts. beside: what runs beside the step; blocking: what it waits for
    in any case. feeders: devices of a node that load samples.
    """

    stages: Mapping[str, Floats]
    beside: Floats
    blocking: Floats
    feeders: Floats

    @told("loader")
    def waits(self, step: ArrayLike) -> Floats:
        """Seconds that a step of `step` seconds waits for its data."""
        alone = np.asarray(step, dtype=np.float64)
        tell(**self.stages, beside=self.beside, blocking=self.blocking, alone=alone)
        return np.asarray(np.maximum(alone + self.blocking, self.beside) - alone)


def feed(what: Supply, batch: int, replicas: ArrayLike) -> Feed:
    """The stages of a step of `batch` samples with `replicas` data-parallel replicas (any shape).

    >>> from rigwise.cost.datakinds import Loading, supply
    >>> from rigwise.hardware.load import load_cluster
    >>> from rigwise.models.zoo import load
    >>> eight = supply(Loading(data="imagenet-jpeg", workers=8), load("resnet50"), load_cluster("8xa100"))
    >>> fed = feed(eight, 2048, 8)
    >>> {stage: round(seconds.item() * 1e3, 1) for stage, seconds in fed.stages.items()}
    {'read': 0.6, 'decode': 205.5, 'pin': 21.4, 'copy': 12.8}
    >>> fed.waits([0.1, 0.3]).round(4).tolist()
    [0.1055, 0.0]
    """
    replicas = np.asarray(replicas, dtype=np.float64)
    here, each = batch / np.minimum(replicas, what.nodes), batch / replicas
    feeders = np.clip(replicas / what.nodes, 1.0, what.devices)
    at_work = hands(feeders * max(what.workers, 1), what.cores, what.threads)
    crossing = rates()["rates"]["ram_passes"] * here * what.sent / what.ram if np.isfinite(what.core) else 0.0
    shared = what.link / np.minimum(feeders, what.sharing)
    stages = {
        "read": here * what.stored / what.disk,
        "decode": here * what.work / at_work,
        "pin": np.maximum(crossing, each * what.sent / what.core),
        "copy": copy_seconds(each * what.sent, shared, pinned=what.pinned),
    }
    prefetched = what.workers > 0
    ahead = [seconds for stage, seconds in stages.items() if stage != "copy" or what.pinned]
    nothing = np.zeros_like(replicas)
    return Feed(
        stages=stages,
        beside=through(ahead, pipelined=True) if prefetched else nothing,
        blocking=through(stages.values(), pipelined=False)
        if not prefetched
        else nothing
        if what.pinned
        else stages["copy"],
        feeders=feeders,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderReport:
    """One layout's loader. wants, gives: samples a second, of all devices, that the step could take and that the
    slowest stage delivers. stages: seconds of a step. waits_s: of them the step waits for. says: the verdict in words;
    advice: what would lift it, empty where it hides; assumed: what nobody said.
    """

    data: str
    workers: int
    pinned: bool
    wants: float
    gives: float
    stage: str
    stages: Mapping[str, float]
    waits_s: float
    says: str
    advice: tuple[str, ...]
    assumed: tuple[str, ...]

    @property
    def taken(self) -> tuple[str, ...]:
        """What nobody said, in words."""
        return (f"for the loader taken: {', '.join(self.assumed)}",) if self.assumed else ()

    @property
    def helps(self) -> tuple[str, ...]:
        """What to change where the step waits for its data, in words."""
        return (f"{self.says}; what helps: {', or '.join(self.advice)}",) if self.advice else ()

    def to_dict(self) -> dict[str, object]:
        """The report for JSON."""
        return {
            "data": self.data,
            "workers": self.workers,
            "pinned": self.pinned,
            "wants_samples_per_s": self.wants,
            "gives_samples_per_s": self.gives,
            "stage": self.stage,
            "stages_s": dict(self.stages),
            "waits_s": self.waits_s,
            "says": self.says,
            "advice": list(self.advice),
            "assumed": list(self.assumed),
        }


def loader_report(what: Supply, fed: Feed, batch: int, step: float) -> LoaderReport:
    """The report of one layout: `fed` of one element, `step` the seconds without the loader."""
    stages = {stage: float(np.max(seconds)) for stage, seconds in fed.stages.items()}
    stage = max(stages, key=lambda key: stages[key])
    alone = sum(stages.values()) if what.workers == 0 else max(float(np.max(fed.beside)), 1e-12)
    if what.workers and stage == "copy" and not what.pinned:
        stage = max((key for key in stages if key != "copy"), key=lambda key: stages[key])
    waits = float(np.max(fed.waits(step)))
    wants, gives = batch / (step + (float(np.max(fed.blocking)) if what.workers else 0.0)), batch / alone
    starved = gives < wants or what.workers == 0
    verdict = f"{_gives(what, stage)} {_count(gives)} samples/s, the step wants {_count(wants)}"
    if what.workers == 0:
        verdict = f"no workers: each step waits {show_seconds(waits)} for its data, most of it {STAGES[stage]}"
    says = verdict if starved else f"{verdict}: it hides behind the step"
    advice = _advice(what, float(np.max(fed.feeders)), stage, wants / gives) if starved else []
    if what.workers and not what.pinned and np.isfinite(what.link):
        says += f"; copies from pageable memory block {show_seconds(stages['copy'])} of it"
        advice.append("pinned memory: copies then run beside the step")
    return LoaderReport(
        data=what.kind.name,
        workers=what.workers,
        pinned=what.pinned,
        wants=wants,
        gives=gives,
        stage=stage,
        stages=stages,
        waits_s=waits,
        says=says,
        advice=tuple(advice),
        assumed=what.assumed,
    )


def _count(value: float) -> str:
    return show_number(float(f"{value:.3g}"))


def _gives(what: Supply, stage: str) -> str:
    by = {
        "read": f"storage of {show_rate(what.disk)} gives",
        "decode": f"{what.workers} worker{'s' * (what.workers != 1)} a device give{'s' * (what.workers == 1)}",
        "pin": "RAM and pinning threads give",
        "copy": f"the link of {show_rate(what.link)} gives",
    }
    return f"{STAGES[stage]}: {by[stage]}"


def _advice(what: Supply, feeders: float, stage: str, short: float) -> list[str]:
    """What would let the loader keep up; short: how many times too slow it is."""
    if what.workers == 0:
        return ["workers: the loader then runs beside the step"]
    if stage == "read":
        whole = what.stored * (what.kind.samples or 0)
        hold = f", or RAM that holds the set of {show_bytes(whole)}" if whole else ""
        return [f"storage of at least {show_rate(what.disk * short)} a node{hold}"]
    if stage != "decode":
        return ["fewer bytes a sample: 8-bit values, turned into floats on the device"]
    needed = float(hands(feeders * what.workers, what.cores, what.threads)) * short
    enough = ceil(_workers(needed, what.cores) / feeders)
    if enough * feeders <= what.threads:
        return [f"{enough} workers a device (a node has {what.cores} cores)"]
    lines = [f"{ceil(needed)} cores a node, which has {what.cores}"]
    if what.kind.per == "image":
        return [*lines, "smaller stored images (imagenet-256px-jpeg)", "decoding on the GPU (imagenet-jpeg-gpu)"]
    return [*lines, "data that is prepared before training (tensors, tokens)"]


def _workers(needed: float, cores: int) -> float:
    """The number of workers whose `hands` are `needed`."""
    return needed if needed <= cores else cores + (needed - cores) / float(rates()["rates"]["second_thread"])


def with_loader(low: float, high: float, what: Supply, fed: Feed) -> tuple[float, float]:
    """The interval of a step with its loader from that of the step alone: both ends of both."""
    factor = exp(Z80 * what.kind.spread)
    beside, blocking = float(np.max(fed.beside)), float(np.max(fed.blocking))
    return max(low + blocking / factor, beside / factor), max(high + blocking * factor, beside * factor)

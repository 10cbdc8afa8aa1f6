"""Kinds of data and what loads them: the facts that the loader's law (cost/loader.py) takes.

A kind (data/datakinds.csv) says how many bytes of a sample are stored and sent and how long a core works on it; the
host (hardware/) says how many cores, how fast a core, which RAM and which link; data/loading.toml has the few rates
that neither knows and what is taken where a cluster says nothing.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import inf
from typing import Any

from rigwise.errors import UsageError, not_found
from rigwise.hardware.cluster import Cluster, Node
from rigwise.models.model import Model
from rigwise.units import GIGA, MICRO, show_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKind:
    """A kind of data, by the sample, by the image or by the token. stored: bytes on the disk; sent: bytes that go to
    the device. Where either is None it is what the model takes. cpu: seconds of one core, without stacking samples.
    samples: in the whole set, None where a set has no usual size. spread: standard deviation of the logarithm of cpu.
    """

    name: str
    per: str
    samples: int | None
    stored: float | None
    sent: float | None
    cpu: float
    spread: float
    title: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How the samples come. workers: loading processes of a device, 0 for none; None takes the device's share of the
    host's cores. pinned: whether batches lie in page-locked memory and are copied beside the step. disk: bytes/s of a
    node's storage, inf where the set is cached in RAM; None decides by the size of the set.
    """

    data: str
    workers: int | None = None
    pinned: bool = True
    disk: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """All that the law takes for one question. Bytes and seconds are of a sample; rates in bytes/s: disk and ram of a
    node, link of a device alone, core of one copying thread. cores, threads, devices: of a node. assumed: what nobody
    said, in words.
    """

    kind: DataKind
    stored: float
    sent: float
    work: float
    workers: int
    pinned: bool
    cores: int
    threads: int
    disk: float
    ram: float
    link: float
    core: float
    sharing: int
    devices: int
    nodes: int
    assumed: tuple[str, ...]


@cache
def rates() -> Mapping[str, Any]:
    """The tables of data/loading.toml."""
    return tomllib.loads(files("rigwise.cost").joinpath("data/loading.toml").read_text("utf-8"))


@cache
def data_kinds() -> Mapping[str, DataKind]:
    """Every kind of data by its name."""
    text = files("rigwise.cost").joinpath("data/datakinds.csv").read_text("utf-8")
    return {row["id"]: _kind(row) for row in csv.DictReader(text.splitlines())}


def _kind(row: Mapping[str, str]) -> DataKind:
    return DataKind(
        name=row["id"],
        per=row["per"],
        samples=int(row["samples"]) if row["samples"] else None,
        stored=float(row["stored_bytes"]) if row["stored_bytes"] else None,
        sent=float(row["sent_bytes"]) if row["sent_bytes"] else None,
        cpu=float(row["cpu_us"]) * MICRO,
        spread=float(row["spread"]),
        title=row["title"],
        source=row["source"],
    )


def data_kind(name: str) -> DataKind:
    """The kind of a name. Raises NotFoundError with the nearest names."""
    if name not in data_kinds():
        raise not_found("kind of data", name, data_kinds(), hint=", ".join(data_kinds()))
    return data_kinds()[name]


def supply(loading: Loading, model: Model, cluster: Cluster) -> Supply:
    """The facts for a model on a cluster. Raises UsageError where the model does not take such data.

    >>> from rigwise.hardware.load import load_cluster
    >>> from rigwise.models.zoo import load
    >>> got = supply(Loading(data="imagenet-jpeg"), load("resnet50"), load_cluster("8xa100"))
    >>> got.workers, got.stored, got.sent, got.disk == got.ram
    (16, 115440.0, 602112.0, True)
    """
    kind, node = data_kind(loading.data), cluster.node
    if kind.per not in ("sample", model.unit):
        fit = [k.name for k in data_kinds().values() if k.per in ("sample", model.unit)]
        rule = f"{model.name} takes data by the {model.unit}"
        raise UsageError(f"{kind.name} for {model.name}", rule=rule, nearest=", ".join(fit))
    each = model.tokens if kind.per == "token" else 1
    sent = model.input_bytes if kind.sent is None else kind.sent * each
    stored = sent if kind.stored is None else kind.stored * each
    given, assumed = _host(node)
    disk, says = _disk(loading.disk, stored * (kind.samples or 0), given)
    workers = loading.workers
    if workers is None:
        share = given["cores"] // node.count
        workers = 0 if node.device.kind == "cpu" else int(max(1, min(share, rates()["rates"]["workers_most"])))
        assumed.append(f"{workers} workers a device" if workers else "no workers: the CPU's cores compute")
    speed = given["decode"] / rates()["rates"]["reference"]
    copied = node.device.kind != "cpu" and node.host_link is not None
    return Supply(
        kind=kind,
        stored=stored,
        sent=sent,
        work=(kind.cpu * each + sent / (rates()["rates"]["collate_gb_s"] * GIGA)) / speed,
        workers=workers,
        pinned=loading.pinned,
        cores=int(given["cores"]),
        threads=int(given["threads"]),
        disk=disk,
        ram=given["ram_rate"],
        link=node.host_link.bandwidth if copied and node.host_link else inf,
        core=rates()["rates"]["core_copy_gb_s"] * GIGA if copied else inf,
        sharing=node.host.sharing,
        devices=node.count,
        nodes=cluster.nodes,
        assumed=(*assumed, *says),
    )


def _host(node: Node) -> tuple[dict[str, float], list[str]]:
    """The host's figures; what its record leaves out is that of a usual machine of the device's form, in words too."""
    host, usual = node.host, rates()["host"].get(node.device.form, rates()["host"]["default"])
    cores = host.cores or usual["cores_a_device"] * node.count
    given = {
        "cores": cores,
        "threads": max(host.threads or cores, cores),
        "ram": host.ram or 0.0,
        "ram_rate": host.bandwidth or usual["ram_gb_s"] * GIGA,
        "decode": host.decode or rates()["rates"]["unknown_core"],
        "disk": usual["disk_gb_s"] * GIGA,
    }
    assumed = [] if host.cores else [f"{cores} cores a node"]
    return given, assumed + ([] if host.decode else ["a usual core"])


def _disk(said: float | None, whole: float, given: Mapping[str, float]) -> tuple[float, list[str]]:
    """Bytes/s at which a node reads: as said; else the RAM's where it holds the whole set, else a usual drive's."""
    if said is not None:
        return min(said, given["ram_rate"]), []
    if whole and whole <= given["ram"] * rates()["rates"]["cached"]:
        return given["ram_rate"], ["the set cached in RAM"]
    return given["disk"], [f"a drive of {show_rate(given['disk'])}"]

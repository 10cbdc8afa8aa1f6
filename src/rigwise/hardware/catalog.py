"""The catalogue: devices and links as records, from catalog/*.csv. Every row carries its source and its date."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import cast

from rigwise.errors import not_found
from rigwise.hardware.device import Device, DeviceKind, Link, LinkKind
from rigwise.hardware.names import resolve_device
from rigwise.hardware.tables import by_id, number, table, whole
from rigwise.units import GIBI, GIGA, MEBI, MICRO, TERA

_RATES = (
    "float32",
    "float32_matrix",
    "tf32",
    "float16",
    "float16_fp16acc",
    "float16_vector",
    "bfloat16",
    "float8",
    "float4",
    "int8",
)
_PEER = {"yes": True, "no": False}


@cache
def devices() -> Mapping[str, Device]:
    """Every device by its canonical id."""
    return {row["id"]: _device(row) for row in table("devices")}


@cache
def links() -> Mapping[str, Link]:
    """Every kind of link by its id."""
    return {row["id"]: _link(row) for row in table("links")}


def device(name: str) -> Device:
    """The device of a canonical id or of any spelling that names.py reads.

    Raises NotFoundError for an unknown or an ambiguous name.

    >>> device("RTX 4090").memory / 2**30, device("h100").name
    (24.0, 'h100-sxm-80gb')
    """
    return devices()[name] if name in devices() else devices()[resolve_device(name)[0]]


def link(name: str) -> Link:
    """The link of an id. Raises NotFoundError with the nearest ids."""
    if name not in links():
        raise not_found("link", name, links())
    return links()[name]


def bridge(device_id: str) -> Link | None:
    """The NVLink bridge that fits a card of the catalogue, None where it takes none."""
    name = by_id("devices").get(device_id, {}).get("bridge", "")
    return links()[name] if name else None


def _device(row: Mapping[str, str]) -> Device:
    peak = {rate: float(row[rate]) * TERA for rate in _RATES if row[rate]}
    return Device(
        name=row["id"],
        kind=cast(DeviceKind, row["kind"]),
        vendor=row["vendor"],
        arch=row["arch"],
        year=whole(row["year"]),
        form=row["form"],
        memory=float(row["memory_gib"]) * GIBI,
        bandwidth=float(row["bandwidth_gb_s"]) * GIGA,
        peak=peak,
        processors=whole(row["processors"]),
        l2=number(row["l2_mib"], MEBI),
        tdp=number(row["tdp_w"]),
        nvlink=number(row["nvlink_gb_s"], GIGA),
        pcie_gen=whole(row["pcie_gen"]),
        pcie_lanes=whole(row["pcie_lanes"]),
        peer_access=_PEER.get(row["peer_access"]),
        process_nm=number(row["process_nm"]),
        slots=number(row["slots"]),
        price=number(row["price_usd"]),
        rated_name=row["name"],
        source=row["source"],
        date=row["date"],
        weak=row["weak"],
    )


def _link(row: Mapping[str, str]) -> Link:
    return Link(
        name=row["id"],
        kind=cast(LinkKind, row["kind"]),
        bandwidth=float(row["bandwidth_gb_s"]) * GIGA,
        latency=float(row["latency_us"]) * MICRO,
        rated=float(row["rated_gb_s"]) * GIGA,
        multicast=row["multicast"] == "yes",
        source=row["source"],
    )

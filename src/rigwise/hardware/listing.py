"""The catalogue as rows for people and for JSON: `rigwise hardware list` and `show`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rigwise.errors import UsageError, not_found
from rigwise.hardware.catalog import devices
from rigwise.hardware.device import Device
from rigwise.hardware.fabrics import default_node
from rigwise.hardware.names import resolve_device


def rows(
    *,
    vendor: str | None = None,
    kind: str | None = None,
    since: int | None = None,
    until: int | None = None,
    memory: float | None = None,
    search: str | None = None,
) -> list[dict[str, Any]]:
    """The devices that pass every filter, newest first, as plain values in base units (bytes, bytes/s, FLOP/s, W, USD).

    since, until: years, both included. memory: the least, in bytes. search: a part of the id or of the vendor's name.
    Raises NotFoundError for a vendor or kind that no device has, UsageError for years or memory that cannot be.

    >>> [row["name"] for row in rows(vendor="amd", since=2024, memory=256 * 2**30)]
    ['mi350x', 'mi355x', 'mi325x']
    """
    _check(vendor, kind, since, until, memory)
    kept = [
        device
        for device in devices().values()
        if (vendor is None or device.vendor.lower() == vendor.lower())
        and (kind is None or device.kind == kind.lower())
        and (since is None or (device.year or 0) >= since)
        and (until is None or (device.year or 0) <= until)
        and (memory is None or device.memory >= memory)
        and (search is None or search.lower() in f"{device.name} {device.rated_name}".lower())
    ]
    return [_row(device) for device in sorted(kept, key=lambda device: (-(device.year or 0), device.name))]


def show(name: str) -> dict[str, Any]:
    """Everything the catalogue says of one device, its usual node and how the name was read, as plain values.

    >>> show("rtx 4090")["usual_node"]["link"]["name"]
    'pcie-4-x16-host'
    """
    found, how = resolve_device(name)
    device = devices()[found]
    node, says = default_node(device)
    usual = {key: value for key, value in asdict(node).items() if key != "device"}
    return {**asdict(device), "peak": dict(device.peak), "usual_node": usual, "assumed": says, "resolved": how}


def _check(vendor: str | None, kind: str | None, since: int | None, until: int | None, memory: float | None) -> None:
    vendors = {device.vendor.lower(): device.vendor for device in devices().values()}
    if vendor is not None and vendor.lower() not in vendors:
        raise not_found("vendor", vendor, vendors, hint=", ".join(sorted(vendors.values())))
    kinds = {device.kind for device in devices().values()}
    if kind is not None and kind.lower() not in kinds:
        raise not_found("kind of device", kind, kinds, hint=", ".join(sorted(kinds)))
    if since is not None and until is not None and since > until:
        raise UsageError(f"from {since} to {until}", rule="the first year is not after the last")
    if memory is not None and not memory >= 0:
        raise UsageError(f"at least {memory:g} bytes of memory", rule="0 or more")


def _row(device: Device) -> dict[str, Any]:
    return {
        "name": device.name,
        "rated_name": device.full_name,
        "vendor": device.vendor,
        "kind": device.kind,
        "arch": device.arch,
        "year": device.year,
        "form": device.form,
        "memory": device.memory,
        "bandwidth": device.bandwidth,
        "peak": dict(device.peak),
        "nvlink": device.nvlink,
        "tdp": device.tdp,
        "price": device.price,
        "source": device.source,
        "date": device.date,
        "weak": device.weak,
    }

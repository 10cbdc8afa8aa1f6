"""`rigwise hardware list|show|detect`: what can be planned for, and what this machine is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, facts, table
from rigwise.errors import NotFoundError

if TYPE_CHECKING:
    from rigwise.hardware.cluster import Cluster
    from rigwise.hardware.device import Link

UNKNOWN = "unknown"


def list_(
    *, vendor: str | None = None, year: int | None = None, memory: str | None = None, look: Look = Look()
) -> None:
    """The catalogue of devices, newest first.

    Parameters
    ----------
    vendor
        Only this vendor: nvidia, amd, google, intel, ...
    year
        Only devices of this year or later.
    memory
        Only devices with at least this memory: "24 GiB"; a plain number is GiB.
    """
    found = api.devices(vendor=vendor, since=year, memory=None if memory is None else _memory(memory))
    if not found:
        raise NotFoundError("no device in the catalogue fits these filters", nearest="leave one of them out")
    look.answer(lambda: {"devices": found}, lambda screen: _draw_list(screen, found))


def _memory(text: str) -> float:
    is_number = text.replace(".", "", 1).isdigit()
    return float(text) * units.GIBI if is_number else units.parse(text, "B")


def _draw_list(screen: Console, devices: list[dict[str, Any]]) -> None:
    columns = (
        Column(head="device", right=False),
        Column(head="vendor", right=False, drop=4),
        Column(head="year", drop=3),
        Column(head="memory"),
        Column(head="bandwidth", drop=1),
        Column(head="16 bit"),
        Column(head="float32", drop=2),
        Column(head="power", drop=2),
        Column(head="launch price", drop=5),
    )
    rows = (
        (
            d["name"],
            d["vendor"],
            str(d["year"] or UNKNOWN),
            units.show_bytes(d["memory"]),
            units.show_rate(d["bandwidth"]),
            _peak(d["peak"], "bfloat16", "float16"),
            _peak(d["peak"], "float32"),
            f"{d['tdp']:,.0f} W" if d["tdp"] else UNKNOWN,
            units.show_usd(d["price"]) if d["price"] else UNKNOWN,
        )
        for d in devices
    )
    screen.print(table(screen, columns, rows))


def _peak(peak: Mapping[str, float], *names: str) -> str:
    rate = next((peak[name] for name in names if name in peak), None)
    return units.show_flops(rate, per_second=True) if rate else "-"


def show_(name: str, /, *, look: Look = Look()) -> None:
    """All that is known of one device, with source and date.

    Parameters
    ----------
    name
        A device as people write it: h100, "RTX 4090", a100-sxm-80gb, what nvidia-smi prints.
    """
    device = api.device(name)
    how = device["resolved"] or f"{name!r} is {device['name']}"
    look.answer(
        lambda: {**device, "resolved": how},
        lambda screen: screen.print(
            facts([("read as", how if look.chatty else ""), *_device(device), *_usual(device)])
        ),
    )


def _device(d: Mapping[str, Any]) -> list[tuple[str, str]]:
    rates = ", ".join(f"{name} {units.show_flops(rate, per_second=True)}" for name, rate in d["peak"].items())
    slot = f"PCIe {d['pcie_gen']} x{d['pcie_lanes']}" if d["pcie_gen"] and d["pcie_lanes"] else UNKNOWN
    peer = {True: ", direct peer access", False: ", no peer access with the stock driver", None: ""}[d["peer_access"]]
    what = (d["kind"], d["vendor"], d["arch"], d["form"] if d["form"] != d["kind"] else "", d["year"])
    return [
        ("device", d["name"] + (f" ({d['rated_name']})" if d["rated_name"] else "")),
        ("kind", ", ".join(str(word) for word in what if word)),
        ("memory", f"{units.show_bytes(d['memory'])} at {units.show_rate(d['bandwidth'])}"),
        ("peak", f"{rates}; dense, float32 accumulation"),
        ("processors", f"{d['processors']:,}" if d["processors"] else UNKNOWN),
        ("L2 cache", units.show_bytes(d["l2"]) if d["l2"] else UNKNOWN),
        ("NVLink", f"{units.show_rate(d['nvlink'])} in one direction" if d["nvlink"] else "none or unknown"),
        ("slot", slot + peer),
        ("power", f"{d['tdp']:,.0f} W" if d["tdp"] else UNKNOWN),
        ("launch price", units.show_usd(d["price"]) if d["price"] else UNKNOWN),
        ("source", f"{d['source']}, {d['date']}".strip(", ")),
        ("weak", d["weak"]),
    ]


def _usual(d: Mapping[str, Any]) -> list[tuple[str, str]]:
    node = d["usual_node"]
    link, nic = node["link"], node["nic"]
    nics = f", {node['nics']} x {nic['name']}" if nic and node["nics"] else ""
    joined = f", joined by {link['name']} ({units.show_rate(link['bandwidth'])})" if link["kind"] != "none" else ""
    return [("usual node", f"{node['count']} devices{joined}{nics}"), ("assumed", d["assumed"])]


def detect_(
    *, ranks: int | None = None, probe: Annotated[bool, Parameter(negative="")] = False, look: Look = Look()
) -> None:
    """What this machine is: its devices, what joins them, and what feeds them.

    Parameters
    ----------
    ranks
        Devices to count: GPUs, or equal shares of the CPU's cores.
    probe
        Measure the CPU for a moment instead of trusting tables.
    """
    cluster = api.load_cluster(api.HERE if ranks is None else f"{api.HERE}:{ranks}", probe=probe)
    look.answer(
        lambda: {**_cluster(cluster), "machine": api.machine()},
        lambda screen: draw_machine(screen, cluster),
    )


def draw_machine(screen: Console, cluster: Cluster) -> None:
    """The machine as a list of facts."""
    node, host = cluster.node, cluster.node.host
    threads = f", {host.threads} threads" if host.threads else ""
    peak = ", ".join(
        f"{name} {units.show_flops(rate, per_second=True)}" for name, rate in sorted(node.device.peak.items())
    )
    rows = [
        ("machine", cluster.resolved or cluster.name),
        ("devices", f"{node.count} x {node.device.name}"),
        ("each", f"{units.show_bytes(node.device.memory)} at {units.show_rate(node.device.bandwidth)}; {peak}"),
        ("joined by", _link(node.link)),
        ("host", f"{host.cpu or UNKNOWN}: {host.cores or UNKNOWN} cores{threads}"),
        ("RAM", units.show_bytes(host.ram) if host.ram else UNKNOWN),
    ]
    screen.print(facts(rows))


def _link(link: Link) -> str:
    if link.kind == "none":
        return "nothing: a single device"
    return f"{link.name} ({units.show_rate(link.bandwidth)}, {units.show_seconds(link.latency)})"


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "resolved": cluster.resolved,
        "nodes": cluster.nodes,
        "devices": cluster.devices,
        "node": asdict(cluster.node),
    }

"""What joins devices: the usual node of each (catalog/nodes.csv) where nobody says, and links as people write them.

Bandwidths here are what one large transfer reaches and what the label says; how much of it a collective keeps is a
matter of cost/efficiencies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from rigwise.errors import UsageError, not_found
from rigwise.hardware.catalog import bridge, links
from rigwise.hardware.cluster import Node
from rigwise.hardware.device import Device, Host, Link
from rigwise.hardware.tables import by, number, table, whole
from rigwise.units import GIBI, GIGA

# Words of tables that say nothing of a link or a network.
SILENT = ("unspecified", "not stated", "unknown", "see system specs", "default", "pcie/nvlink not stated")
_REMARK = re.compile(r"\([^()]*(?:not stated|inferred)[^()]*\)")
_BOTH_WAYS = re.compile(r"(\d+(?:\.\d+)?)\s*gb/s")
_GENERATION = re.compile(r"pcie\s*(?:gen\s*)?(\d)?")
_LANES = re.compile(r"\bx(\d+)\b")
PCIE_WIDTHS = (16, 8, 4, 1)


@cache
def _rows() -> Mapping[str, Mapping[str, str]]:
    return {name: row for row in table("nodes") for name in row["devices"].split()}


def node_row(device: Device) -> Mapping[str, str]:
    """The row of catalog/nodes.csv for a device: its own, else that of its form, else the workstation's."""
    rows = _rows()
    return rows.get(device.name) or rows.get(f"form:{device.form}") or rows["form:pcie"]


def default_node(device: Device, count: int | None = None) -> tuple[Node, str]:
    """The usual node of a device, with `count` of them, and in words what was assumed.

    >>> from rigwise.hardware.catalog import device
    >>> node, says = default_node(device("a100-sxm-80gb"))
    >>> node.count, node.link.name, node.nics, node.nic.name
    (8, 'nvswitch-3-a100', 8, 'infiniband-hdr')
    """
    row = node_row(device)
    count = count or int(row["count"])
    link = own_link(device) if row["link"] == "own" else links()[row["link"]]
    domain = int(row["domain"] or 0)
    if count == 1 and domain <= 1:
        link = links()["none"]
    node = Node(
        device=device,
        count=count,
        link=link,
        pair=links()[row["pair"]] if row["pair"] and count > 1 else None,
        domain=domain,
        built=int(row["count"]),
        nic=links()[row["nic"]],
        nics=int(row["nics"]),
        host_link=_host_link(device, row["host_link"]),
        host=_host(device, row),
    )
    return node, f"node as {row['id']}" + (f" ({row['weak']})" if row["weak"] else "")


def own_link(device: Device, gen: int | None = None, lanes: int | None = None, *, peer: bool | None = None) -> Link:
    """A card's PCIe way to its neighbours: direct where the stock driver allows it, else through host memory."""
    gen, lanes = gen or device.pcie_gen or 3, lanes or device.pcie_lanes or 16
    if gen not in range(1, 7) or lanes not in PCIE_WIDTHS:
        raise UsageError(f"no PCIe {gen} x{lanes}", rule="generations 1 to 6, widths 16, 8, 4, 1", nearest="pcie-4-x16")
    direct = device.peer_access is True if peer is None else peer
    return links()[f"pcie-{gen}-x{lanes}" + ("" if direct else "-host")]


def _host_link(device: Device, name: str) -> Link | None:
    if name == "own":
        return own_link(device, peer=True) if device.pcie_gen else None
    return None if name == "none" else links()[name]


def _host(device: Device, row: Mapping[str, str]) -> Host:
    way = _host_link(device, row["host_link"])
    more = by("hosts", "node").get(row["id"], {"cpu": "", "ram_gb_s": "", "devices_a_port": ""})
    return Host(
        cores=whole(row["host_cores"]),
        threads=whole(row["host_threads"]),
        ram=number(row["host_ram_gib"], GIBI),
        cpu=row["host_cpu"],
        bandwidth=number(more["ram_gb_s"], GIGA),
        decode=decode_rate(more["cpu"]),
        sharing=whole(more["devices_a_port"]) or 1,
        copy={"pinned": way.bandwidth} if way else {},
    )


def decode_rate(cpu: str) -> float | None:
    """ImageNet JPEGs a second of one core of a microarchitecture (catalog/decoding.csv), None where nobody measured."""
    row = by("decoding", "cpu").get(cpu)
    return float(row["images_per_s"]) if row else None


def read_link(text: str, device: Device) -> Link:
    """The link inside a node from an id of catalog/links.csv or from free text; silent text gives the device's default.

    Raises UsageError for text that cannot be read or a bridge that the card does not take.

    >>> from rigwise.hardware.catalog import device
    >>> read_link("NVLink bridge", device("rtx-3090")).name, read_link("PCIe5 x8", device("rtx-5090")).name
    ('nvlink-bridge-3-x4', 'pcie-5-x8-host')
    """
    words = _REMARK.sub(" ", text.lower()).strip()
    if words in links():
        return links()[words]
    default = default_node(device, 2)[0].link
    if not words or words in SILENT:
        return default
    if re.search(r"no (nvlink|bridge)", words):
        words = "pcie"
    if "bridge" in words and "bridge not stated" not in words:
        return _bridge(text, device)
    if "nvlink" in words or "nvswitch" in words or "nvl72" in words:
        return _nvlink(words, text, device, default)
    if "pcie" in words:
        return _pcie(words, device)
    if re.search(r"xgmi|infinity fabric|ici|neuronlink|roce|xe ?link", words):
        return _rated(words, default)
    raise not_found("link", text, links(), hint="an id such as pcie-4-x16, or words such as NVLink bridge, PCIe4 x8")


def _bridge(text: str, device: Device) -> Link:
    found = bridge(device.name)
    if found is None:
        raise UsageError(
            f"{device.full_name} takes no NVLink bridge ({text!r})", nearest=default_node(device, 2)[0].link.name
        )
    return found


def _nvlink(words: str, text: str, device: Device, default: Link) -> Link:
    if default.kind not in ("nvswitch", "nvlink-mesh"):
        return _bridge(text, device)
    return _rated(words, default)


def _rated(words: str, default: Link) -> Link:
    """The default, at the rate that is named (both ways together, as vendors count), its achievable share kept."""
    named = _BOTH_WAYS.search(words)
    if not named or float(named[1]) * GIGA / 2 == default.rated:
        return default
    rated = float(named[1]) * GIGA / 2
    if not rated > 0:
        raise UsageError(f"a link of {named[1]} GB/s", rule="a link carries more than nothing")
    share = default.bandwidth / default.rated
    return replace(default, name=f"{default.name}-{named[1]}", rated=rated, bandwidth=rated * share)


def _pcie(words: str, device: Device) -> Link:
    gen, lanes = _GENERATION.search(words), _LANES.search(words)
    peer = None
    if re.search(r"via host|no p2p|cross socket|two sockets", words):
        peer = False
    elif re.search(r"\bp2p|peer", words):
        peer = True
    return own_link(device, int(gen[1]) if gen and gen[1] else None, int(lanes[1]) if lanes else None, peer=peer)

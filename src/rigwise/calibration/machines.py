"""On what it was trained: a row's device and its words on links become a cluster.

The device's usual node is the start; what the row says of its links replaces what the catalogue would put there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from rigwise.errors import UsageError
from rigwise.hardware.catalog import device as catalogue_device
from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.device import Device, Link
from rigwise.hardware.fabrics import SILENT, default_node, own_link, read_link
from rigwise.hardware.networks import read_network
from rigwise.measurements import words
from rigwise.measurements.tables import Row

_DIGIT = re.compile(r"\d")  # words on a network that give no number leave its rate or its cards open


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A cluster as a row describes it. key stands for it in caches."""

    key: str
    cluster: Cluster
    assumed: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def device_of(text: str) -> Device:
    """The device of a row's free text. Raises UsageError for none, NotFoundError for an unknown or ambiguous name."""
    if not text:
        raise UsageError("the table names no device", rule="the device is not given")
    return catalogue_device(text)


def machine_of(row: Row, devices: int) -> Machine:
    """The cluster of `devices` devices that a row describes.

    Raises UsageError where the devices do not fill whole nodes, or where words on links cannot be read.
    """
    peers = words.read("peers", row.notes)
    inside = f"{row.intra_link} {peers['says']}" if peers and "pcie" in row.intra_link.lower() else row.intra_link
    system = words.read("systems", row.text) or {}
    inside = inside if inside.lower() not in ("", *SILENT) else system.get("inside", inside)
    outside = _network_words(row.inter_link)
    outside = outside if _DIGIT.search(outside) else system.get("network", outside)
    return _machine(row.device, devices, row.devices_per_node, inside, outside, system.get("built"))


def _network_words(text: str) -> str:
    """Words that only say what kind of network it was tell no more than the device's usual one."""
    return "" if "not stated" in text and not any(letter.isdigit() for letter in text) else text


@lru_cache(maxsize=4096)
def _machine(text: str, devices: int, per_node: int | None, inside: str, outside: str, built: int | None) -> Machine:
    device = device_of(text)
    count = min(per_node or default_node(device)[0].count, devices)
    if devices % count:
        raise UsageError(f"{devices} devices in nodes of {count}", rule="devices fill whole nodes")
    nodes = devices // count
    node = _joined(default_node(device, count)[0], read_link(inside, device))
    node = replace(node, built=built or node.built)
    assumed: tuple[str, ...] = ()
    if nodes > 1:
        card, cards = read_network(outside, device)
        node = replace(node, nic=card, nics=cards)
        assumed = ("network",) if not outside else ()
    name = f"{nodes}x{count}x{device.name}"
    cluster = Cluster(name=name, node=node, nodes=nodes)
    return Machine(key=f"{name} {inside} {outside} {built or ''}", cluster=cluster, assumed=assumed)


def _joined(node: Node, link: Link) -> Node:
    """A bridge joins two cards; more of them reach each other over PCIe and only their neighbours over bridges."""
    if node.count == 1:
        return node
    if link.kind == "nvlink-bridge" and node.count > 2:
        return replace(node, link=own_link(node.device), pair=link)
    return replace(node, link=link)

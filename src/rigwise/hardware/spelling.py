"""How a cluster is written in one line: 8xh100, H100:8, 2x8xh100-sxm-80gb, 4x RTX 4090, 4x dgx-h100, this."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rigwise.errors import UsageError
from rigwise.hardware.device import Device
from rigwise.hardware.fabrics import node_row
from rigwise.hardware.tables import by_id

_GRID = re.compile(r"(-?\d+)\s*[x*]\s*(-?\d+)\s*[x*]\s*(.+)")
_TIMES = re.compile(r"(-?\d+)\s*[x*]\s*(\D.*|\d{3,4}.*)")
_COLON = re.compile(r"(.+):\s*(-?\d+)\s*")
_AFTER = re.compile(r"(.+?)\s+[x*]\s*(-?\d+)\s*")
_LAST = re.compile(r"(.+?)\s+(-?\d+)\s*[x*]\s*")
MOST_DEVICES = 10_000_000  # ten times the largest cluster that anybody has announced
RULE = "a count and a device: 8xh100, H100:8, 2x8xh100 (nodes x devices), this, or the path of a TOML file"


@dataclass(frozen=True, slots=True)
class Spelling:
    """The parts of a cluster's name. nodes: None where only a number of devices was said."""

    device: str
    count: int  # devices a node where nodes is given, else devices in all
    nodes: int | None = None


def spell(text: str) -> Spelling:
    """The parts of a one-line cluster. Raises UsageError for an empty text, zero or a negative number.

    >>> spell("2x8xh100-sxm-80gb")
    Spelling(device='h100-sxm-80gb', count=8, nodes=2)
    >>> spell("H100:8") == spell("8xH100") == spell("H100 8x") == Spelling("H100", 8)
    True
    """
    text = text.strip()
    if not text:
        raise UsageError("no cluster given", rule=RULE)
    if found := _GRID.fullmatch(text):
        return _checked(text, found[3], int(found[2]), int(found[1]))
    if found := _TIMES.fullmatch(text):
        return _checked(text, found[2], int(found[1]))
    for pattern in (_COLON, _AFTER, _LAST):
        if found := pattern.fullmatch(text):
            return _checked(text, found[1], int(found[2]))
    return Spelling(text, 1)


def _checked(text: str, device: str, count: int, nodes: int | None = None) -> Spelling:
    if count < 1 or (nodes is not None and nodes < 1):
        raise UsageError(f"cannot read {text!r}: {min(count, nodes or count)} of something", rule="at least 1")
    check_devices(count * (nodes or 1))
    return Spelling(device.strip(), count, nodes)


def check_devices(count: int) -> None:
    """Refuse clusters larger than any: laws and splits would be walked for ever."""
    if count > MOST_DEVICES:
        raise UsageError(f"{count} devices", rule=f"a cluster has at most {MOST_DEVICES:,}")


def machine(name: str) -> Mapping[str, str] | None:
    """The row of catalog/machines.csv for a whole machine (dgx-h100, p5.48xlarge), None for anything else."""
    return by_id("machines").get(re.sub(r"[\s_]+", "-", name.strip().lower()))


def fill_nodes(spelling: Spelling, device: Device, per_node: int | None) -> tuple[int, int]:
    """Nodes and devices a node, for a device whose usual node is that of catalog/nodes.csv.

    A number of devices up to one node's is one node, part of it empty; a larger one must fill whole nodes.
    Raises UsageError where it does not, with the nearest numbers that do.
    """
    if per_node is not None and per_node < 1:
        raise UsageError(f"{per_node} devices a node", rule="at least 1")
    if spelling.nodes is not None:
        return spelling.nodes, per_node or spelling.count
    usual = per_node or int(node_row(device)["count"])
    if spelling.count <= usual:
        return 1, spelling.count
    if spelling.count % usual:
        below = spelling.count // usual * usual
        rows = _even_split(spelling.count, usual)
        grid = f"{rows}x{spelling.count // rows}x{device.name}"
        raise UsageError(
            f"{spelling.count} {device.name} do not fill nodes of {usual}",
            rule=f"a multiple of {usual}, or nodes x devices",
            nearest=f"{below}x{device.name}, {below + usual}x{device.name} or {grid}",
        )
    return spelling.count // usual, usual


def _even_split(count: int, most: int) -> int:
    """The fewest equal nodes of at most `most` devices that hold `count`."""
    return next(nodes for nodes in range(1, count + 1) if count % nodes == 0 and count // nodes <= most)

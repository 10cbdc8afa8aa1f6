"""A cluster as a TOML file: read with every key checked, written so that reading gives the same cluster back.

Every key but `device` may be left out; what is then taken is the usual node of the device.

    name = "two-boxes"
    nodes = 2
    oversubscription = 1.0       # how much narrower the network's core is than its edge
    topology = "fat-tree"

    [node]
    device = "rtx-4090"          # a name of the catalogue, or a table of [device.*] below
    count = 4
    link = "PCIe4 x8"            # an id of catalog/links.csv, words, or a table of [link.*]
    pair = "nvlink-bridge-3-x4"  # a faster link between neighbours two by two
    domain = 0                   # devices in one NVLink domain where racks are switched as one
    nic = "100 GbE"              # or "none"
    nics = 1
    host_link = "pcie-4-x8"

    [node.host]
    cpu = "EPYC 7402P"
    cores = 24
    threads = 48
    ram = "256 GiB"
    bandwidth = "205 GB/s"       # of the RAM, all sockets
    decode = 400                 # ImageNet JPEGs a second of one core: its speed as a loader's worker
    sharing = 2                  # devices behind one PCIe port of the host
    copy = { pinned = "12 GB/s" }

    [device.my-card]             # `base` takes what is not said from the catalogue
    base = "rtx-4090"
    memory = "48 GiB"
    peak = { float16 = "150 TFLOP/s" }

    [link.my-switch]
    kind = "pcie-p2p"
    bandwidth = "24 GB/s"        # one way, what a large transfer reaches
    rated = "31.5 GB/s"
    latency = "5.7 us"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from rigwise.errors import NotFoundError, UsageError
from rigwise.files import replace_text
from rigwise.hardware.catalog import device, links
from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.device import Device, DeviceKind, Host, Link, LinkKind
from rigwise.hardware.fabrics import default_node, read_link
from rigwise.hardware.networks import read_network
from rigwise.hardware.spelling import check_devices
from rigwise.hardware.tomltext import cluster_to_toml
from rigwise.units import parse

_UNITS = {"memory": "B", "bandwidth": "B/s", "rated": "B/s", "latency": "s", "l2": "B", "tdp": "W", "nvlink": "B/s"}
_UNITS |= {"ram": "B", "decode": "", "process_nm": "", "slots": "", "price": ""}
_COUNTED = ("count", "nics", "nodes", "domain", "sharing", "built")
_WHOLE = ("year", "processors", "pcie_gen", "pcie_lanes", "cores", "threads", *_COUNTED)
_LEAST = {"count": 1, "nodes": 1, "oversubscription": 1, "cores": 1, "threads": 1, "processors": 1}
_TOP = ("name", "nodes", "oversubscription", "topology", "node", "device", "link")
_NODE = ("device", "count", "link", "pair", "domain", "built", "nic", "nics", "host_link", "host")
_FREE = ("latency", "domain", "nics", "year", "price", "slots", "built")  # these may be zero


def read_cluster(path: Path) -> Cluster:
    """The cluster of a TOML file. Raises UsageError naming the file and the key that is missing, unknown or wrong."""
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = get_close_matches(path.name, [file.name for file in _beside(path)], n=3)
        raise NotFoundError(f"no cluster file {str(path)!r}", nearest=", ".join(near)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {str(path)!r}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    try:
        return parse_cluster(tree, default_name=path.stem)
    except UsageError as error:
        raise UsageError(f"{path}: {error.says}", rule=error.rule, nearest=error.nearest) from None
    except NotFoundError as error:
        raise NotFoundError(f"{path}: {error.says}", rule=error.rule, nearest=error.nearest) from None


def _beside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.toml")) if path.parent.is_dir() else []


def parse_cluster(tree: Mapping[str, Any], *, default_name: str = "cluster") -> Cluster:
    """The cluster of an already read TOML tree."""
    _known(tree, _TOP, "the file")
    own_links = {name: _own_link(name, row) for name, row in _table(tree, "link").items()}
    own_devices = {name: _own_device(name, row) for name, row in _table(tree, "device").items()}
    if "node" not in tree:
        raise UsageError("no table [node]", rule="a cluster file says its node", nearest='[node] device = "h100"')
    node = _node(_table(tree, "node"), own_devices, own_links)
    name = str(tree.get("name", default_name))
    nodes = _value("nodes", tree.get("nodes", 1))
    check_devices(int(nodes) * node.count)
    return Cluster(
        name=name,
        node=node,
        nodes=int(nodes),
        oversubscription=float(_value("oversubscription", tree.get("oversubscription", 1.0))),
        topology=str(tree.get("topology", "fat-tree")),
        resolved=f"{name}: {nodes} x {node.count} {node.device.name}, as the file says",
    )


def save_cluster(cluster: Cluster, path: Path) -> None:
    """Write the cluster's TOML as a whole. Raises UsageError where the place cannot be written."""
    try:
        replace_text(path, cluster_to_toml(cluster))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error}") from None


def _node(row: Mapping[str, Any], own_devices: Mapping[str, Device], own_links: Mapping[str, Link]) -> Node:
    _known(row, _NODE, "[node]")
    if "device" not in row:
        raise UsageError("no key device in [node]", nearest='device = "h100-sxm-80gb"')
    named = str(row["device"])
    card = own_devices.get(named) or device(named)
    count = int(_value("count", row.get("count", 1)))
    node, _ = default_node(card, count)
    for key in ("link", "pair", "host_link"):
        if key in row:
            node = _with(node, key, _find_link(str(row[key]), card, own_links))
    if "nic" in row:
        node = _with_network(node, str(row["nic"]), own_links)
    if "nics" in row:
        node = replace(node, nics=int(_value("nics", row["nics"])))
    if "domain" in row:
        node = replace(node, domain=int(_value("domain", row["domain"])))
    if "built" in row:
        node = replace(node, built=int(_value("built", row["built"])))
    return replace(node, host=_host(_table(row, "host"))) if "host" in row else node


def _with(node: Node, key: str, link: Link) -> Node:
    if key == "link":
        return replace(node, link=link)
    kept = None if link.kind == "none" else link
    return replace(node, pair=kept) if key == "pair" else replace(node, host_link=kept)


def _with_network(node: Node, words: str, own_links: Mapping[str, Link]) -> Node:
    if words == "none":
        return replace(node, nic=None, nics=0)
    nic, cards = (own_links[words], node.nics) if words in own_links else read_network(words, node.device)
    return replace(node, nic=nic, nics=cards)


def _find_link(text: str, card: Device, own_links: Mapping[str, Link]) -> Link:
    return own_links.get(text) or links().get(text) or read_link(text, card)


def _host(row: Mapping[str, Any]) -> Host:
    _known(row, [field.name for field in fields(Host)], "[node.host]")
    values: dict[str, Any] = {key: _value(key, value) for key, value in row.items() if key != "copy"}
    copy = {str(key): _amount(f"copy.{key}", value, "B/s") for key, value in _table(row, "copy").items()}
    return Host(**values, copy=copy)


def _own_device(name: str, row: Mapping[str, Any]) -> Device:
    where = f"[device.{name}]"
    known = [field.name for field in fields(Device) if field.name != "name"]
    _known(row, [*known, "base"], where)
    values = {key: _value(key, value) for key, value in row.items() if key not in ("base", "peak")}
    peak = {str(key): _amount(f"peak.{key}", value, "FLOP/s") for key, value in _table(row, "peak").items()}
    _one_of(values.get("kind"), get_args(DeviceKind), f"kind in {where}")
    if "base" in row:
        base = device(str(row["base"]))
        values.setdefault("source", f"{base.name}, changed by hand")
        return replace(base, name=name, peak={**base.peak, **peak}, **values)
    values = {"year": None, "processors": None, **values}
    _complete(values | {"peak": peak}, Device, where)
    return Device(name=name, peak=peak, **values)


def _own_link(name: str, row: Mapping[str, Any]) -> Link:
    where = f"[link.{name}]"
    _known(row, [field.name for field in fields(Link) if field.name != "name"], where)
    values = {key: _value(key, value) for key, value in row.items()}
    values.setdefault("rated", values.get("bandwidth"))
    _complete(values, Link, where)
    _one_of(values["kind"], get_args(LinkKind), f"kind in {where}")
    return Link(name=name, **values)


def _table(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key, {})
    if not isinstance(value, Mapping):
        raise UsageError(f"{key} = {value!r} is not a table", rule=f"write [{key}] and its keys below")
    return value


def _known(row: Mapping[str, Any], allowed: tuple[str, ...] | list[str], where: str) -> None:
    for key in row:
        if key not in allowed:
            near = get_close_matches(key, allowed, n=1)
            raise UsageError(
                f"unknown key {key!r} in {where}", rule=f"known: {', '.join(allowed)}", nearest="".join(near)
            )


def _complete(values: Mapping[str, Any], record: type[Device] | type[Link], where: str) -> None:
    for field in fields(record):
        needed = field.default is MISSING and field.default_factory is MISSING and field.name != "name"
        if needed and values.get(field.name) is None and field.name not in ("year", "processors"):
            raise UsageError(f"no key {field.name!r} in {where}", nearest='say it, or base = "rtx-4090"')


def _one_of(value: Any, allowed: tuple[str, ...], where: str) -> None:
    if value is not None and value not in allowed:
        near = get_close_matches(str(value), allowed, n=1)
        raise UsageError(f"{where} is {value!r}", rule=f"one of {', '.join(allowed)}", nearest="".join(near))


def _value(key: str, value: Any) -> Any:
    """A key's value in the unit inside, checked: amounts are positive, counts are whole."""
    if key in _WHOLE or key == "oversubscription":
        if isinstance(value, bool) or not isinstance(value, int if key in _WHOLE else (int, float)):
            raise UsageError(f"{key} = {value!r}", rule="a whole number" if key in _WHOLE else "a number")
        if not value >= _LEAST.get(key, 0 if key in _FREE else 1):
            raise UsageError(f"{key} = {value}", rule=f"at least {_LEAST.get(key, 0 if key in _FREE else 1)}")
        return value
    if key in _UNITS:
        return _amount(key, value, _UNITS[key])
    if key == "peer_access" and not isinstance(value, bool):
        raise UsageError(f"{key} = {value!r}", rule="true or false")
    return value if isinstance(value, bool) else str(value)


def _amount(key: str, value: Any, unit: str) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f"{key} = {value!r}", rule=f"an amount in {unit}" if unit else "a number")
    amount = parse(value, unit) if isinstance(value, str) else float(value)
    if not amount >= 0 or amount == float("inf") or (amount == 0 and key not in _FREE):
        raise UsageError(f"{key} = {value!r}", rule="more than zero")
    return amount

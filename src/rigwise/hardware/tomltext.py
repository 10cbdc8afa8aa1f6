"""A cluster written as TOML: catalogue names where a part is exactly the catalogue's, whole tables where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from rigwise.hardware.catalog import devices, links
from rigwise.hardware.cluster import Cluster
from rigwise.hardware.device import Device, Host, Link


def cluster_to_toml(cluster: Cluster) -> str:
    """The cluster as text that read_cluster reads back to the same (`resolved` apart), amounts in base units (byte,
    second, FLOP/s).
    """
    node = cluster.node
    tables = [
        ("", {key: getattr(cluster, key) for key in ("name", "nodes", "oversubscription", "topology")}),
        ("node", _node(cluster)),
        ("node.host", _host(node.host)),
    ]
    if devices().get(node.device.name) != node.device:
        tables.append((f"device.{_key(node.device.name)}", _record(node.device)))
    for link in {link.name: link for link in (node.link, node.pair, node.nic, node.host_link) if link}.values():
        if links().get(link.name) != link:
            tables.append((f"link.{_key(link.name)}", _record(link)))
    return "\n".join(_table(name, values) for name, values in tables if values or name == "node.host")


def _node(cluster: Cluster) -> Mapping[str, Any]:
    node = cluster.node
    return {
        "device": node.device.name,
        "count": node.count,
        "link": node.link.name,
        "pair": node.pair.name if node.pair else "none",
        "domain": node.domain,
        "built": node.built,
        "nic": node.nic.name if node.nic else "none",
        "nics": node.nics,
        "host_link": node.host_link.name if node.host_link else "none",
    }


def _host(host: Host) -> Mapping[str, Any]:
    return {field.name: value for field in fields(Host) if (value := getattr(host, field.name)) not in (None, "", {})}


def _record(record: Device | Link) -> Mapping[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record) if field.name != "name"}
    return {key: value for key, value in values.items() if value is not None and value != ""}


def _table(name: str, values: Mapping[str, Any]) -> str:
    lines = [f"[{name}]"] if name else []
    lines += [f"{_key(key)} = {_text(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else _text(name)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_text(item)}" for key, item in value.items()) + " }"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
    return repr(value)

"""A cluster from whatever names one: a line, a TOML file, or this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rigwise.errors import UsageError
from rigwise.hardware.catalog import devices
from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.clusterfile import read_cluster
from rigwise.hardware.fabrics import default_node, read_link
from rigwise.hardware.names import resolve_device
from rigwise.hardware.networks import read_network
from rigwise.hardware.spelling import fill_nodes, machine, spell
from rigwise.units import show_rate


def load_cluster(
    text: str,
    *,
    per_node: int | None = None,
    link: str | None = None,
    nic: str | None = None,
    nics: int | None = None,
    oversubscription: float | None = None,
    probe: bool = False,
) -> Cluster:
    """The cluster that a text names; `resolved` says how it was read and what was assumed.

    text: `8xh100`, `H100:8`, `2x8xh100-sxm-80gb`, `4x RTX 4090`, `4x dgx-h100`, `this` (`this:2`: two ranks), or the
    path of a TOML file. per_node: devices a node. link: what joins them (an id of catalog/links.csv or words). nic,
    nics: the network card and how many a node. oversubscription: how much narrower the network's core is than its
    edge. probe: with `this`, measure the CPU for a moment instead of trusting tables.

    Raises UsageError for a size that cannot be, NotFoundError for a name.

    >>> cluster = load_cluster("512xa100-sxm-80gb")
    >>> cluster.nodes, cluster.node.count, cluster.devices, cluster.node.link.kind
    (64, 8, 512, 'nvswitch')
    """
    if nics is not None and nics < 0:
        raise UsageError(f"{nics} network cards", rule="0 or more")
    if oversubscription is not None and not oversubscription >= 1:
        raise UsageError(f"oversubscription {oversubscription:g}", rule="1 (none) or more")
    cluster = _read(text, per_node, probe)
    cluster = _override(cluster, link, nic, nics)
    return replace(cluster, oversubscription=oversubscription) if oversubscription is not None else cluster


def _read(text: str, per_node: int | None, probe: bool) -> Cluster:
    if text.strip().lower().endswith(".toml") or (text.strip() and Path(text).is_file()):
        cluster = read_cluster(Path(text))
        return replace(cluster, node=replace(cluster.node, count=_positive(per_node))) if per_node else cluster
    spelling = spell(text)
    if spelling.device.lower() == "this":
        from rigwise.hardware.detect import detect  # reads the machine, which nobody else needs

        ranks = per_node or (spelling.count if spelling.device != text.strip() else None)
        return detect(ranks=ranks, probe=probe)
    return _named(text, per_node)


def _positive(count: int) -> int:
    if count < 1:
        raise UsageError(f"{count} devices a node", rule="at least 1")
    return count


def _named(text: str, per_node: int | None) -> Cluster:
    spelling = spell(text)
    whole = machine(spelling.device)
    name, how = (whole["device"], "") if whole else resolve_device(spelling.device)
    device = devices()[name]
    if whole:
        count = int(whole["count"] or default_node(device)[0].count)
        nodes, count = (spelling.nodes or 1) * spelling.count, per_node or count
    else:
        nodes, count = fill_nodes(spelling, device, per_node)
    node, says = default_node(device, count)
    if whole and whole["nic"]:
        node = replace(node, nic=read_network(whole["nic"], device)[0], nics=int(whole["nics"]))
        says = f"node as {whole['id']}"
    return Cluster(name=text.strip(), node=node, nodes=nodes, resolved=_resolved(text, node, nodes, how, says))


def _override(cluster: Cluster, link: str | None, nic: str | None, nics: int | None) -> Cluster:
    node, notes = cluster.node, [cluster.resolved]
    if link is not None:
        node = _joined(node, link)
        notes.append(f"link {link!r} read as {(node.pair or node.link).name}")
    if nic is not None:
        card, count = read_network(nic, node.device)
        node = replace(node, nic=card, nics=count)
        notes.append(f"network {nic!r} read as {count} x {card.name}")
    if nics is not None:
        node = replace(node, nics=nics)
    return replace(cluster, node=node, resolved="; ".join(notes))


def _joined(node: Node, text: str) -> Node:
    """The node with another link inside. A bridge joins two; among more it joins pairs, PCIe the rest."""
    link = read_link(text, node.device)
    if link.kind == "nvlink-bridge" and node.count > 2:
        return replace(node, pair=link)
    return replace(node, link=link, pair=None)


def _resolved(text: str, node: Node, nodes: int, how: str, says: str) -> str:
    sizes = f"{nodes} x {node.count} {node.device.name}" if nodes > 1 else f"{node.count} x {node.device.name}"
    parts = [f"{text.strip()}: {sizes}", how]
    if node.count > 1:
        parts.append(f"joined by {node.link.name} ({show_rate(node.link.bandwidth)} one way)")
    if nodes > 1 and node.nic:
        parts.append(f"{node.nics} x {node.nic.name} a node")
    return "; ".join(part for part in (*parts, says) if part)

"""Collectives: seconds of an exchange among n ranks, inside a node, over nodes, or both.

An algorithm has steps (latency) and volume (bytes on the busiest link). The ring moves 2(n-1)/n of the bytes for an
all-reduce and half of that for a gather or a scatter; a tree needs 2 log2(n) steps and moves 2 of the bytes; NCCL
takes whichever is sooner, and so does this law. A group over nodes is bound by the slower of its part inside the node
and its part on the network cards, which the groups of a node share.

Sources: Patarasuk and Yuan 2009 (ring); NCCL's tuning model (github.com/NVIDIA/nccl, Apache-2.0) for the form;
constants in data/efficiencies.toml.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.efficiencies import Efficiencies
from rigwise.cost.ledger import heard, tell, told
from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of ranks, one array entry a layout.

    ranks: its size. inside: how many of them share a node (or a switched domain). sharing: how many such groups leave
    a node at once over its network cards. paired: whether it is two neighbours, whom a bridge may join.
    """

    ranks: Floats
    inside: Floats
    sharing: Floats
    paired: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((), dtype=np.bool_))


def group(cluster: Cluster, ranks: ArrayLike, stride: ArrayLike) -> Group:
    """The group of `ranks` ranks that lie `stride` apart in the order in which ranks fill nodes.

    >>> from rigwise.hardware.device import Device, Link
    >>> from rigwise.hardware.cluster import Node
    >>> link = Link(name="x", kind="nvswitch", bandwidth=240e9, latency=2e-6, rated=300e9)
    >>> card = Device(name="x", kind="gpu", vendor="x", arch="x", year=2020, form="sxm", memory=80e9, bandwidth=2e12,
    ...               peak={}, processors=108)
    >>> g = group(Cluster(name="x", node=Node(device=card, count=8, link=link), nodes=4), 8, 4)
    >>> g.inside.item(), g.sharing.item()
    (2.0, 4.0)
    """
    n, apart = np.asarray(ranks, dtype=np.float64), np.asarray(stride, dtype=np.float64)
    domain = float(cluster.node.fast_domain)
    inside = np.clip(np.floor(domain / apart), 1.0, n)
    paired = (n == 2) & (apart == 1) & (cluster.node.count % 2 == 0)
    return Group(ranks=n, inside=inside, sharing=np.minimum(apart, domain), paired=np.asarray(paired))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """The links of a cluster as the law takes them: bytes/s reached, seconds a step, seconds before the first step.

    bridge: the same three of the bridges that join neighbours two by two, None where there are none.
    """

    bridge: tuple[float, float, float] | None = None
    inside: float
    inside_step: float
    inside_base: float
    network: float
    network_step: float
    network_base: float


@told("wires")
def wires(cluster: Cluster, eff: Efficiencies) -> Wires:
    """What the links of a cluster reach in collectives. UsageError: nodes that nothing joins."""
    node = cluster.node
    if cluster.devices > node.fast_domain and not node.network:
        raise UsageError(
            f"{cluster.nodes} nodes of {cluster.name} have no network card",
            rule="ranks in several nodes exchange over network cards",
            nearest='one node, or a card such as nic = "10 GbE"',
        )
    near = eff.link(node.link.kind)
    far = eff.link(node.nic.kind) if node.nic else near
    nodes_in_domain = node.fast_domain / node.count
    reach = node.network * nodes_in_domain * far.share * eff.stack.network / max(cluster.oversubscription, 1.0)
    bridge = eff.link(node.pair.kind) if node.pair else None
    return Wires(
        bridge=(node.pair.bandwidth * bridge.share, max(bridge.step_s, node.pair.latency), bridge.base_s)
        if node.pair and bridge
        else None,
        inside=node.link.bandwidth * near.share,
        inside_step=max(near.step_s, node.link.latency),
        inside_base=near.base_s,
        network=reach,
        network_step=max(far.step_s, node.nic.latency) if node.nic else 0.0,
        network_base=far.base_s,
    )


@told("all-reduce")
def all_reduce_seconds(size: ArrayLike, among: Group, over: Wires) -> Floats:
    """Seconds to add `size` bytes over a group and give everyone the sum: the sooner of ring and tree; 0 for one rank.

    ring = base + 2(n-1) step + 2(n-1)/n size / bandwidth;  tree = base + 2 ceil(log2 n) step + 2 size / bandwidth

    >>> one = Group(ranks=np.array(8.0), inside=np.array(8.0), sharing=np.array(1.0))
    >>> over = Wires(inside=220e9, inside_step=2.5e-6, inside_base=25e-6, network=0, network_step=0, network_base=0)
    >>> f"{all_reduce_seconds(2**30, one, over) * 1e3:.2f} ms"
    '8.60 ms'
    """
    _tell(size, among, over)
    ring = _ring(size, among, over, rounds=2.0)
    size = np.asarray(size, dtype=np.float64)
    log = np.ceil(np.log2(np.maximum(among.ranks, 1.0)))
    nodes = among.ranks / among.inside
    far = nodes > 1
    near, near_step, near_base = _near(among, over)
    wire = np.where(far, _per_group(among, over), near)
    step = np.where(far, over.network_step, near_step)
    base = np.where(far, over.network_base, near_base)
    tree = np.where(among.ranks > 2, base + 2 * log * step + 2 * size / np.maximum(wire, 1.0), np.inf)
    tell(ring=ring, tree=tree)
    return np.minimum(ring, tree) * (among.ranks > 1)


@told("gather")
def gather_seconds(size: ArrayLike, among: Group, over: Wires) -> Floats:
    """Seconds of an all-gather or a reduce-scatter of `size` bytes in all: a ring, n-1 steps, (n-1)/n of the bytes."""
    _tell(size, among, over)
    return _ring(size, among, over, rounds=1.0)


@told("all-to-all")
def all_to_all_seconds(size: ArrayLike, among: Group, over: Wires) -> Floats:
    """Seconds for each rank to send its `size` bytes to the others, an equal piece each.

    (n-1)/n of the bytes leave the rank; the share that leaves the node goes over the shared network cards.
    """
    _tell(size, among, over)
    n, inside = among.ranks, among.inside
    size = np.asarray(size, dtype=np.float64)
    outside_share = np.where(n > 1, (n - inside) / n, 0.0)
    rate, step, base = _near(among, over)
    near = size * (n - 1) / n / rate
    leaving = size * outside_share * inside * among.sharing
    far = np.where(n > inside, leaving / max(over.network, 1.0), 0.0)
    steps = np.where(n > inside, over.network_base, base) + (n - 1) * step
    return np.asarray((np.maximum(near, far) + steps) * (n > 1))


@told("send")
def send_seconds(size: ArrayLike, far: ArrayLike, sharing: ArrayLike, over: Wires) -> Floats:
    """Seconds to send `size` bytes to a neighbour; far: whether it is in another node, `sharing` senders a node."""
    size = np.asarray(size, dtype=np.float64)
    tell(size=size, n=2.0, link=np.where(far, over.network / np.maximum(sharing, 1), over.inside))
    out = size * np.asarray(sharing, dtype=np.float64) / max(over.network, 1.0) + over.network_step
    return np.asarray(np.where(far, out, size / over.inside + over.inside_step))


def _tell(size: ArrayLike, among: Group, over: Wires) -> None:
    """What every collective is about, for whoever listens."""
    if heard():
        far = among.ranks > among.inside
        rate = np.where(far, np.minimum(_per_group(among, over), _near(among, over)[0]), _near(among, over)[0])
        tell(size=size, n=among.ranks, inside=among.inside, sharing=among.sharing, link=rate)


def _near(among: Group, over: Wires) -> tuple[Floats, Floats, Floats]:
    """Bytes/s, seconds a step and seconds before the first inside a node; two neighbours use their bridge."""
    link = (over.inside, over.inside_step, over.inside_base)
    rate, step, base = (np.where(among.paired, one, two) for one, two in zip(over.bridge or link, link, strict=True))
    return rate, step, base


def _per_group(among: Group, over: Wires) -> Floats:
    return np.asarray(max(over.network, 1.0) / among.sharing)


def _ring(size: ArrayLike, among: Group, over: Wires, rounds: float) -> Floats:
    n, size = among.ranks, np.asarray(size, dtype=np.float64)
    volume = rounds * (n - 1) / n * size
    far = n > among.inside
    near, near_step, near_base = _near(among, over)
    near_s = volume / near
    far_s = np.where(far, volume / _per_group(among, over), 0.0)
    nodes = n / among.inside
    steps = rounds * ((n - nodes) * near_step + np.where(far, (nodes - 1) * over.network_step, 0.0))
    base = np.where(far, over.network_base, near_base)
    return np.asarray((np.maximum(near_s, far_s) + steps + base) * (n > 1))

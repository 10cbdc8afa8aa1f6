"""Collectives: seconds of an exchange among n ranks, inside a node, over nodes, or both.

An algorithm has steps (latency) and volume (bytes on the busiest link), a protocol a seconds-a-step and a bandwidth of
its own; the library takes the soonest pair, and so does this law:

    seconds = base + min over algorithms and protocols of (steps x step + max(near volume / near, far volume / far))

ring       all-reduce 2(n-1) steps and 2(n-1)/n of the bytes; a gather or a scatter half of both
tree       a chain inside each node and two binary trees over the nodes: 2(inside-1) + 2 log2(nodes) steps, twice the
           bytes near, and far once them over two nodes, twice from four on
multicast  the switch of a node adds up and copies out (NVLink SHARP): 1 + 1/inside of the bytes, far as the tree

A mesh gives a group the links among its members only, a host's roots narrow a group that reaches over them, and the
groups of a node share its network cards.

Sources: Patarasuk and Yuan 2009 (ring); Sanders, Speck and Traff 2009 (two trees); NCCL's tuning model
(github.com/NVIDIA/nccl, Apache-2.0) for the form; constants in data/efficiencies.toml.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.efficiencies import Efficiencies, Value
from rigwise.cost.ledger import heard, tell, told
from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.device import Link
from rigwise.hardware.meshes import ring_shares

Floats = NDArray[np.float64]
_ONE_ROOT = 4  # x16 slots that one root or switch of a host joins; a group over more crosses between them


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of ranks, one array entry a layout.

    ranks: its size. inside: how many of them share a node (or a switched domain). sharing: how many such groups leave
    a node at once over its network cards. paired: whether it is two neighbours, whom a bridge may join. joined: share
    of a device's links that lead to its members. across: whether it reaches over more than one root of the host.
    """

    ranks: Floats
    inside: Floats
    sharing: Floats
    paired: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((), dtype=np.bool_))
    joined: Floats = field(default_factory=lambda: np.ones(()))
    across: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((), dtype=np.bool_))


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
    return Group(
        ranks=n,
        inside=inside,
        sharing=np.minimum(apart, domain),
        paired=np.asarray(paired),
        joined=_joined(cluster, inside, apart),
        across=np.asarray((inside - 1) * apart >= _ONE_ROOT),
    )


def _joined(cluster: Cluster, inside: Floats, apart: Floats) -> Floats:
    """Share of a device's links that a ring through the group's members of a node uses; 1 behind a switch."""
    shares = ring_shares(cluster.node.link.name, cluster.mesh)
    if shares is None:
        return np.ones(())
    last = len(shares) - 1
    return np.asarray(shares[np.minimum(inside, last).astype(np.int64), np.minimum(apart, last).astype(np.int64)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wires:
    """The links of a cluster as the law takes them: bytes/s reached, seconds a step, seconds before the first step.

    bridge: the same three of the bridges that join neighbours two by two, None where there are none. across: what a
    group keeps of `inside` that reaches over several roots of the host. tree: bandwidth of trees against rings.
    multicast: bytes/s at which a switch adds up, 0 where none does; multicast_fill: seconds until it does. protocols:
    seconds a step and bandwidth of each, against the plain one's. rings: the library knows nothing else. Values may be
    arrays whose trailing dims broadcast to the layouts.
    """

    inside: Value
    inside_step: Value
    inside_base: Value
    network: Value
    network_step: Value
    network_base: Value
    bridge: tuple[Value, Value, Value] | None = None
    across: Value = 1.0
    tree: Value = 1.0
    multicast: Value = 0.0
    multicast_fill: Value = 0.0
    protocols: tuple[tuple[Value, Value], ...] = ((1.0, 1.0),)
    rings: bool = False


@told("wires")
def wires(cluster: Cluster, eff: Efficiencies) -> Wires:
    """What the links of a cluster reach in collectives. UsageError: nodes that nothing joins."""
    node = cluster.node
    if cluster.devices > node.fast_domain and not np.all(node.network):
        raise UsageError(
            f"{cluster.nodes} nodes of {cluster.name} have no network card",
            rule="ranks in several nodes exchange over network cards",
            nearest='one node, or a card such as nic = "10 GbE"',
        )
    near, kinds = eff.link(node.link.kind), eff.ways(node.link.kind)
    inside, step, base = _reached(node.link, eff)
    network, far_step, far_base = _reached(node.nic, eff) if node.nic else (0.0, 0.0, near.base_s)
    return Wires(
        bridge=_reached(node.pair, eff) if node.pair else None,
        inside=inside,
        inside_step=step,
        inside_base=base,
        across=near.across,
        tree=near.tree,
        multicast=inside * near.multicast if node.link.multicast else 0.0,
        multicast_fill=near.multicast_s,
        network=_network(cluster, network * node.nics, eff),
        network_step=far_step,
        network_base=far_base,
        protocols=kinds,
    )


def _reached(link: Link, eff: Efficiencies) -> tuple[Floats, Floats, Floats]:
    of = eff.link(link.kind)
    return np.asarray(link.bandwidth * of.share), np.asarray(of.hop * link.latency), np.asarray(of.base_s)


def _network(cluster: Cluster, cards: Value, eff: Efficiencies) -> Floats:
    """Bytes/s that leave a domain; what cards carry that do not reach devices' memory passes the host's first."""
    node = cluster.node
    domain = node.fast_domain / node.count
    reach = cards * domain / max(cluster.oversubscription, 1.0)
    if node.nic and through_host(node):
        staged = eff.link(node.nic.kind).staged * domain
        reach = reach * staged / (reach + staged)
    return np.asarray(reach * eff.stack.network)


def through_host(node: Node) -> bool:
    """Whether what a node's cards carry passes the host's memory first, as they do not reach the devices'."""
    kind = node.nic.kind if node.nic else "none"
    return kind == "omni-path" or (kind == "rdma" and node.link.kind == "pcie-host")


@told("all-reduce")
def all_reduce_seconds(size: ArrayLike, among: Group, over: Wires) -> Floats:
    """Seconds to add `size` bytes over a group and give everyone the sum, by the soonest algorithm; 0 for one rank.

    >>> one = Group(ranks=np.array(8.0), inside=np.array(8.0), sharing=np.array(1.0))
    >>> over = Wires(inside=220e9, inside_step=2.5e-6, inside_base=25e-6, network=0, network_step=0, network_base=0)
    >>> f"{all_reduce_seconds(2**30, one, over) * 1e3:.2f} ms"
    '8.60 ms'
    """
    _tell(size, among, over)
    size = np.asarray(size, dtype=np.float64)
    best = _ring(size, among, over, rounds=2.0)
    tell(ring=best)
    if over.rings:
        return best
    far, nodes = among.ranks > among.inside, np.ceil(among.ranks / among.inside)
    near, step, base = _near(among, over)
    rate = _per_group(among, over)
    between = np.where(far, size * np.minimum(nodes, 4.0) / 2 / rate, 0.0)
    climb = np.where(far, 2 * np.ceil(np.log2(nodes)) * over.network_step, 0.0)
    base = np.where(far, over.network_base, base)
    if far.any():
        share = np.where(far, over.tree, 1.0)
        tree = _soonest(2 * (among.inside - 1) * step + climb, np.maximum(2 * size / near, between) / share, over)
        tell(tree=base + tree)
        best = np.where(far, np.minimum(best, base + tree), best)
    if np.any(over.multicast):
        moved = np.maximum(size * (1 + 1 / among.inside) / over.multicast, between / over.tree)
        soon = base + over.multicast_fill + climb + moved
        tell(multicast=np.where(among.inside > 2, soon, np.inf))
        best = np.where(among.inside > 2, np.minimum(best, soon), best)
    return np.asarray(best * (among.ranks > 1))


@told("gather")
def gather_seconds(size: ArrayLike, among: Group, over: Wires) -> Floats:
    """Seconds of an all-gather or a reduce-scatter of `size` bytes in all: a ring, n-1 steps, (n-1)/n of the bytes."""
    _tell(size, among, over)
    return _ring(np.asarray(size, dtype=np.float64), among, over, rounds=1.0)


@told("broadcast")
def broadcast_seconds(size: ArrayLike, among: Group, over: Wires) -> Floats:
    """Seconds for one rank to give `size` bytes to all others, or to add up theirs: a chain that all bytes pass."""
    _tell(size, among, over)
    n, size = among.ranks, np.asarray(size, dtype=np.float64)
    return _ring(size * n / np.maximum(n - 1, 1), among, over, rounds=1.0)


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
    far = np.where(n > inside, leaving / np.maximum(over.network, 1.0), 0.0)
    steps = np.where(n > inside, over.network_base, base) + (n - 1) * step
    return np.asarray((np.maximum(near, far) + steps) * (n > 1))


@told("send")
def send_seconds(size: ArrayLike, far: ArrayLike, sharing: ArrayLike, over: Wires) -> Floats:
    """Seconds to send `size` bytes to a neighbour; far: whether it is in another node, `sharing` senders a node."""
    size = np.asarray(size, dtype=np.float64)
    tell(size=size, n=2.0, link=np.where(far, over.network / np.maximum(sharing, 1), over.inside))
    out = size * np.asarray(sharing, dtype=np.float64) / np.maximum(over.network, 1.0) + over.network_step
    return np.asarray(np.where(far, out, size / over.inside + over.inside_step))


def _tell(size: ArrayLike, among: Group, over: Wires) -> None:
    """What every collective is about, for whoever listens."""
    if heard():
        far = among.ranks > among.inside
        rate = np.where(far, np.minimum(_per_group(among, over), _near(among, over)[0]), _near(among, over)[0])
        base = np.where(far, over.network_base, _near(among, over)[2])
        tell(size=size, n=among.ranks, inside=among.inside, sharing=among.sharing, link=rate, base=base)


def _near(among: Group, over: Wires) -> tuple[Floats, Floats, Floats]:
    """Bytes/s, seconds a step and seconds before the first inside a node; two neighbours use their bridge."""
    inside = over.inside * np.where(among.across, over.across, 1.0) * among.joined
    link = (inside, over.inside_step, over.inside_base)
    rate, step, base = (np.where(among.paired, one, two) for one, two in zip(over.bridge or link, link, strict=True))
    return rate, step, base


def _per_group(among: Group, over: Wires) -> Floats:
    return np.asarray(np.maximum(over.network, 1.0) / among.sharing)


def _ring(size: Floats, among: Group, over: Wires, rounds: float) -> Floats:
    n = among.ranks
    volume = rounds * (n - 1) / n * size
    far = n > among.inside
    near, near_step, near_base = _near(among, over)
    moved = np.maximum(volume / near, np.where(far, volume / _per_group(among, over), 0.0))
    nodes = n / among.inside
    steps = rounds * ((n - nodes) * near_step + np.where(far, (nodes - 1) * over.network_step, 0.0))
    base = np.where(far, over.network_base, near_base)
    return np.asarray((base + _soonest(steps, moved, over)) * (n > 1))


def _soonest(steps: Floats, moved: Floats, over: Wires) -> Floats:
    """The least over the protocols of seconds in steps and seconds of bytes together."""
    best = steps + moved
    for step, share in over.protocols[1:]:
        best = np.minimum(best, steps * step + moved / share)
    return np.asarray(best)

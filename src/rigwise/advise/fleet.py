"""Fleet: machines that differ in figures alone, put into the laws at once as arrays.

The laws broadcast, so a card's rate may be an array of all cards' rates. Machines whose words agree (the kind of link,
tensor cores or none, a host link or none) form a fleet; their figures are stacked to arrays of shape (P, 1, 1), which
broadcast to a layout table of two dims, and one evaluation answers for P machines. There is no second version of any
law: what a fleet says of a machine is what `estimate` says of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from rigwise.cost.collective import through_host
from rigwise.cost.compute import Machine
from rigwise.cost.efficiencies import Efficiencies, LinkEfficiencies, Protocol
from rigwise.cost.estimate import Answer, Question, evaluate, machine_of
from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.device import Link, LinkKind
from rigwise.hardware.meshes import ring_shares
from rigwise.layouts.defaults import default_precision
from rigwise.layouts.layout import PRECISIONS, LayoutTable

Floats = NDArray[np.float64]
Record = TypeVar("Record")
_BRIDGE: LinkKind = "nvlink-bridge"  # the kind of what joins two neighbours in a fleet, whatever it is in a member
_DECIDES = ("winograd", "host_power")  # efficiencies whose value chooses a law, not only its result


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Machines that one evaluation answers for. precision: the type that their products are computed in."""

    members: tuple[Cluster, ...]
    precision: str
    machines: tuple[tuple[Efficiencies, Machine], ...]

    def evaluate(self, question: Question, table: LayoutTable) -> Answer:
        """The laws for every member and every layout: arrays broadcast to (members, *table.shape), two dims a table.

        question: its cluster is any; the members take its place.
        """
        code = np.full((1, 1), PRECISIONS.index(self.precision))
        asked = replace(question, cluster=_cluster(self.members))
        return evaluate(asked, replace(table, precision=code), self.stacked())

    def stacked(self) -> tuple[Efficiencies, Machine]:
        """The members' efficiencies and engines as arrays of shape (members, 1, 1)."""
        first_eff, first = self.machines[0]
        links = {**first_eff.links, **self._reached()}
        device = _stacked([eff.device for eff, _ in self.machines])
        eff = replace(first_eff, device=device, links=links, protocols=self._protocols())
        machine = Machine(
            product=_engine([m.product for _, m in self.machines], eff),
            other=_engine([m.other for _, m in self.machines], eff),
            stack=first.stack,
            summed=first.summed,
        )
        return eff, machine

    def _reached(self) -> dict[str, LinkEfficiencies]:
        """What the members' links reach, by the kind of the first's: those in a node, network cards, and bridges."""
        first, nodes = self.members[0].node, [member.node for member in self.members]
        kinds: dict[LinkKind, list[LinkKind]] = {first.link.kind: [node.link.kind for node in nodes]}
        if self.paired:
            kinds[_BRIDGE] = [(node.pair or node.link).kind for node in nodes]
        if first.nic and all(node.nic for node in nodes):
            kinds[first.nic.kind] = [node.nic.kind for node in nodes if node.nic]
        effs = [eff for eff, _ in self.machines]
        return {
            kind: _stacked([eff.link(one) for eff, one in zip(effs, own, strict=True)]) for kind, own in kinds.items()
        }

    def _protocols(self) -> tuple[Protocol, ...]:
        """The protocols of the members' links, as those of the first's kind; the plain one where a link has fewer."""
        pairs = zip(self.members, self.machines, strict=True)
        ways = [eff.ways(member.node.link.kind)[1:] for member, (eff, _) in pairs]
        most = max(len(own) for own in ways)
        full = [(*own, *(((1.0, 1.0),) * (most - len(own)))) for own in ways]
        steps, shares = (np.array([[way[i] for way in own] for own in full]) for i in (0, 1))
        kind = (self.members[0].node.link.kind,)
        return tuple(
            Protocol(name=str(place), step=step[:, None, None], share=share[:, None, None], links=kind)
            for place, (step, share) in enumerate(zip(steps.T, shares.T, strict=True))
        )

    @property
    def paired(self) -> bool:
        """Whether bridges join the neighbours of some of the members."""
        return any(member.node.pair for member in self.members)


def fleets(clusters: Iterable[Cluster], stack: str, precision: str | None = None) -> list[Fleet]:
    """The fewest fleets that hold all clusters. precision: of the products; None: the best of 16 bit that each has.

    Clusters without a rate for the precision are left out.
    """
    sorted_out: dict[tuple[Any, ...], list[tuple[Cluster, tuple[Efficiencies, Machine]]]] = {}
    for cluster in clusters:
        kind = precision or default_precision(cluster)
        if kind not in cluster.device.peak:
            continue
        machine = machine_of(cluster.device, kind, stack)
        sorted_out.setdefault((kind, *_words(cluster, machine)), []).append((cluster, machine))
    return [
        Fleet(members=tuple(c for c, _ in rows), precision=key[0], machines=tuple(m for _, m in rows))
        for key, rows in sorted_out.items()
    ]


def _words(cluster: Cluster, machine: tuple[Efficiencies, Machine]) -> tuple[Any, ...]:
    """What must agree inside a fleet: all that decides which law applies, or is no figure."""
    node, (eff, on) = cluster.node, machine
    far = node.nic if cluster.nodes > 1 else None
    engine = [(e.tensor, e.cpu, e.element, e.activation) for e in (on.product, on.other)]
    decides = [bool(np.all(getattr(eff.device, key) > 0)) for key in _DECIDES[:1]]
    return (
        (node.link.multicast, node.host_link is None),
        (far is None, far is not None and through_host(node)),
        ring_shares(node.link.name, cluster.mesh) is not None and (node.link.name, cluster.mesh),
        (node.count, node.domain, cluster.nodes, cluster.oversubscription),
        (cluster.device.kind == "cpu", cluster.device.tdp is None),
        tuple(engine),
        (*decides, eff.device.host_power, tuple(eff.device.misaligned_powers)),
    )


def _engine(engines: Sequence[Any], eff: Efficiencies) -> Any:
    return replace(_stacked([replace(e, eff=engines[0].eff) for e in engines]), eff=eff.device)


def _cluster(members: Sequence[Cluster]) -> Cluster:
    """The members as one cluster whose figures are arrays."""
    paired = any(member.node.pair for member in members)
    nodes = [_filled(_one_card(member.node), paired) for member in members]
    parts: dict[str, Any] = {
        key: _links([getattr(n, key) for n in nodes]) for key in ("link", "pair", "nic", "host_link")
    }
    device = _stacked([replace(m.device, peak=members[0].device.peak) for m in members])
    return replace(members[0], node=replace(nodes[0], device=device, built=members[0].mesh, **parts))


def _one_card(node: Node) -> Node:
    """The node with one network card that carries what all of its cards do."""
    if node.nic is None:
        return node
    return replace(node, nic=replace(node.nic, bandwidth=node.network), nics=1)


def _filled(node: Node, paired: bool) -> Node:
    """The node with its plain link as a bridge, where other members have bridges and it has none."""
    return replace(node, pair=replace(node.pair or node.link, kind=_BRIDGE)) if paired else node


def _links(links: Sequence[Link | None]) -> Link | None:
    return None if links[0] is None else _stacked(links)


def _stacked(records: Sequence[Record]) -> Record:
    """One record of many: a figure that differs becomes an array of shape (P, 1, 1), a word is the first's."""
    first: Any = records[0]
    assert is_dataclass(first)
    changed: Mapping[str, Any] = {
        f.name: np.array([float(value) for value in values], dtype=np.float64)[:, None, None]
        for f in fields(first)
        if _differ(values := [getattr(record, f.name) for record in records])
    }
    whole: Any = replace(first, **changed)  # type: ignore[type-var]
    return cast(Record, whole)


def _differ(values: Sequence[Any]) -> bool:
    figures = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return figures and any(v != values[0] for v in values)

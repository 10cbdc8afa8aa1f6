"""The verb of showing one's work: an estimate with its arithmetic and the sources of its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from rigwise.api.question import Asked, Settings, ask

if TYPE_CHECKING:
    from rigwise.calibration.provenance import Constant
    from rigwise.cost.explain import Explanation
    from rigwise.cost.record import Estimate
    from rigwise.cost.terms import Term
    from rigwise.hardware.cluster import Cluster
    from rigwise.layouts.layout import Layout
    from rigwise.models.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of the catalogue. unit: s, B, B/s, FLOP/s, W or "". source: where it was published."""

    name: str
    value: float
    unit: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The figure for JSON."""
        return {"name": self.name, "value": self.value, "unit": self.unit, "source": self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An estimate term by term. arithmetic: its trees of terms. constants: the efficiencies that it took, with where
    each comes from. figures: the catalogue's, with their sources. provenance: of the fitted constants."""

    arithmetic: Explanation
    constants: tuple[Constant, ...]
    figures: tuple[Figure, ...]
    provenance: str

    @property
    def estimate(self) -> Estimate:
        """The estimate that is explained."""
        return self.arithmetic.estimate

    @property
    def step(self) -> Term:
        """The tree of a step's seconds."""
        return self.arithmetic.step

    @property
    def memory(self) -> Term:
        """The tree of the fullest device's bytes."""
        return self.arithmetic.memory

    def to_dict(self) -> dict[str, Any]:
        """The explanation for JSON."""
        return {
            **self.arithmetic.to_dict(),
            "constants": [constant.to_dict() for constant in self.constants],
            "catalogue": [figure.to_dict() for figure in self.figures],
            "provenance": self.provenance,
        }


def explain(
    model: str | Model, layout: str | Layout, cluster: str | Cluster, **settings: Unpack[Settings]
) -> Explained:
    """What `estimate` says, with its arithmetic: every term with formula, values, units and source.

    The terms add up to the estimate. settings: see Settings; raises as `estimate` does.
    """
    return explained(ask(model, cluster, layout=layout, **settings), layout)


def explained(asked: Asked, layout: str | Layout) -> Explained:
    """The explanation of a question's estimate."""
    from rigwise.calibration.provenance import constants, provenance
    from rigwise.cost.explain import explain as arithmetic

    found = arithmetic(asked.question, asked.estimate(layout).layout)
    return Explained(
        arithmetic=found,
        constants=constants(found.reads),
        figures=tuple(_figures(asked.cluster, found.estimate.layout.precision)),
        provenance=provenance(),
    )


def _figures(cluster: Cluster, precision: str) -> list[Figure]:
    """What the laws take of the catalogue."""
    device, node = cluster.device, cluster.node
    published = f"{device.source}{f', {device.date}' if device.date else ''}"
    peaks = [(f"{kind} peak", device.peak.get(kind), "FLOP/s") for kind in dict.fromkeys((precision, "float32"))]
    rows = [
        *peaks,
        ("memory bandwidth", device.bandwidth, "B/s"),
        ("memory", device.memory, "B"),
        ("processors", device.processors, ""),
        ("power limit", device.tdp, "W"),
        ("process, nm", device.process_nm, ""),
    ]
    figures = [(f"{device.name}: {what}", value, unit, published) for what, value, unit in rows]
    links = [("in a node", node.link), ("between neighbours", node.pair), ("to the host", node.host_link)]
    links += [("between nodes, a card", node.nic)] if cluster.nodes > 1 else []
    for where, link in links:
        if link is not None and (cluster.devices > 1 or where == "to the host"):
            figures.append((f"{link.name}: {where}, one way", link.bandwidth, "B/s", link.source))
            figures.append((f"{link.name}: latency", link.latency, "s", link.source))
    if cluster.nodes > 1 and node.nic is not None:
        figures.append((f"{node.nic.name}: cards of a node, which its groups share", node.nics, "", "the cluster"))
        figures.append(("oversubscription of the network's core", cluster.oversubscription, "", "the cluster"))
    return [Figure(name=n, value=float(v), unit=u, source=s or "not said") for n, v, u, s in figures if v is not None]

"""Intervals: how far a step time may be from its prediction, 80 % of the time.

The step's logarithm is taken as spread around the prediction with a standard deviation that grows with what is not
known: the stack, the kind of network, a link or a device that was never measured. low, high = exp(-+1.28 s).
Source: residuals of whole devices and whole stacks left out of exploratory fits (data/efficiencies.toml).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, hypot

from rigwise.cost.efficiencies import Efficiencies
from rigwise.hardware.cluster import Cluster
from rigwise.models.model import Model

Z80 = 1.2816  # standard normal: 80 % lie within


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Factors on the prediction, how they came about, and what to warn of."""

    low: float
    high: float
    basis: str
    warnings: tuple[str, ...] = ()


def interval(model: Model, cluster: Cluster, eff: Efficiencies) -> Interval:
    """The 80 % interval of a step time, as factors."""
    unknown = eff.family == "default"
    extra = eff.interval
    device = (extra["unknown_family"] * unknown, extra["weak_device"] * bool(cluster.device.weak))
    sigma = max(hypot(eff.stack.spread, extra[model.family], *device), extra["floor"])
    says = (
        (f"{cluster.device.arch} was never measured: its efficiencies are those of other devices",) if unknown else ()
    )
    return Interval(
        low=exp(-Z80 * sigma), high=exp(Z80 * sigma), basis=f"general ({eff.stack_name} stack)", warnings=says
    )

"""Intervals: how far a step time may be from its prediction, 80 % of the time.

The step's logarithm is taken as spread around the prediction with a standard deviation that grows with what is not
known: the stack, the kind of network, a link or a device that was never measured. low, high = exp(-+1.28 s). Measured
runs take away what they share with the step (cost/likeness.py).
Source: residuals of whole devices and whole stacks left out of exploratory fits (data/efficiencies.toml).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, hypot, sqrt

from rigwise.cost.efficiencies import Efficiencies, current
from rigwise.cost.likeness import RUN, Known
from rigwise.hardware.cluster import Cluster
from rigwise.models.model import Model
from rigwise.units import show_count

Z80 = 1.2816  # standard normal: 80 % lie within


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Factors on the prediction, how they came about, and what to warn of."""

    low: float
    high: float
    basis: str
    warnings: tuple[str, ...] = ()


def doubts(model: Model, cluster: Cluster, eff: Efficiencies, precision: str = "") -> dict[str, float]:
    """What is not known of a step, by the thing that it belongs to, as standard deviations of the logarithm."""
    extra, device = eff.interval, cluster.device
    own = stack_doubts(eff.stack_name)
    unknown = (extra["unknown_family"] * (eff.family == "default"), extra["weak_device"] * bool(device.weak))
    return {
        f"stack {eff.stack_name}": own["stack"],
        f"device {device.name}": hypot(own["device"], *unknown),
        f"family {model.family}": extra[model.family],
        f"model of {show_count(model.parameters)} parameters": own["model"],
        f"precision {precision}".rstrip(): own["precision"],
        RUN: own[RUN],
    }


def stack_doubts(stack: str) -> dict[str, float]:
    """What a stack's spread is made of: what all its runs share, those on one device, of one model, in one precision,
    and a run's own. A stack of which only the spread is known has the parts of the usual one, in proportion.

    >>> parts = stack_doubts("modern")
    >>> round(hypot(*parts.values()), 9) == current()["stack"]["modern"]["spread"]
    True
    """
    usual, told = current()["stack"]["modern"], current()["stack"][stack]
    spread = told["spread"]
    scale = spread / usual["spread"]
    within = min(told.get("within", usual["within"] * scale), spread)
    device = min(usual["devices"] * scale, sqrt(spread**2 - within**2))
    model, precision = (usual[part] * within / usual["within"] for part in ("models", "precisions"))
    return {
        "stack": sqrt(max(spread**2 - within**2 - device**2, 0.0)),
        "device": device,
        "model": model,
        "precision": precision,
        RUN: sqrt(max(within**2 - model**2 - precision**2, 0.0)),
    }


def interval(model: Model, cluster: Cluster, eff: Efficiencies, known: Known | None = None) -> Interval:
    """The 80 % interval of a step time, as factors on it; known: what measured runs left of the doubts."""
    unknown = eff.family == "default"
    sigma = max(known.spread if known else hypot(*doubts(model, cluster, eff).values()), eff.interval["floor"])
    says = (
        (f"{cluster.device.arch} was never measured: its efficiencies are those of other devices",) if unknown else ()
    )
    basis = f"general ({eff.stack_name} stack)"
    return Interval(
        low=exp(-Z80 * sigma),
        high=exp(Z80 * sigma),
        basis=f"{basis}, {known.says}" if known else basis,
        warnings=says + (known.warnings if known else ()),
    )

"""Intervals: how far a step time may be from its prediction, 80 % of the time.

The step's logarithm is taken as spread around the prediction with a standard deviation that grows with what is not
known: the stack, the kind of network, a link or a device that was never measured. low, high = exp(-+1.28 s). Measured
runs take away what they share with the step (cost/likeness.py).
Source: residuals of rows whose layout, device, device family or source was left out of the fit ([spread] of
data/efficiencies.toml).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, hypot, log, sqrt

from rigwise.cost.efficiencies import Efficiencies, current
from rigwise.cost.likeness import RUN, Known
from rigwise.hardware.cluster import Cluster
from rigwise.models.model import Model
from rigwise.units import show_count

Z80 = 1.2816  # standard normal: 80 % lie within
NOVELTIES = ("layout", "device", "family", "source")
EVERYTHING = "step"  # the class of any training step


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Factors on the prediction, how they came about, and what to warn of."""

    low: float
    high: float
    basis: str
    warnings: tuple[str, ...] = ()


def spread(classes: Sequence[str], novelty: str) -> float:
    """Standard deviation of the logarithm of what belongs to the first of some classes that is known.

    novelty: what about the case the fit never saw, one of NOVELTIES. The values are residuals of cases that were left
    out for it, see calibration/regimes.py.
    """
    known = current()["spread"]
    return float(next(known[name] for name in (*classes, EVERYTHING) if name in known)[novelty])


def step_classes(family: str, stack: str, cluster: Cluster | None = None) -> tuple[str, ...]:
    """The classes of a training step of a family of models in a stack, the narrowest first; by size of a cluster."""
    if cluster is None:
        return f"{family}_{stack}", family
    size = size_of(cluster)
    return f"{family}_{stack}_{size}", f"{family}_{stack}", f"{family}_{size}", family


def memory_classes(stack: str, cluster: Cluster) -> tuple[str, ...]:
    """The classes of a peak of memory in a stack, the narrowest first."""
    size = size_of(cluster)
    return f"memory_{stack}_{size}", f"memory_{stack}", f"memory_{size}", "memory"


def size_of(cluster: Cluster) -> str:
    """How far its devices are apart: one device, one node, or several."""
    if cluster.nodes > 1:
        return "nodes"
    return "node" if cluster.devices > 1 else "one"


def doubts(
    model: Model, cluster: Cluster, eff: Efficiencies, precision: str = "", novelty: str | None = None
) -> dict[str, float]:
    """What is not known of a step, by the thing that it belongs to, as standard deviations of the logarithm.

    novelty: None for what a user asks, see Efficiencies.novelty.
    """
    own = _doubts(model, cluster, eff, novelty)
    return {
        f"stack {eff.stack_name}": own["stack"],
        f"device {cluster.device.name}": own["device"],
        f"model of {show_count(model.parameters)} parameters": own["model"],
        f"precision {precision}".rstrip(): own["precision"],
        RUN: own[RUN],
    }


def _doubts(model: Model, cluster: Cluster, eff: Efficiencies, novelty: str | None) -> dict[str, float]:
    """The deviations of a step by their kind.

    A device that was never measured has more of its own where its figures are not sure, and where what is asked for,
    the usual stack, may be any software: what leaving devices out of the fit costs beyond leaving layouts out.
    """
    classes = step_classes(model.family, eff.stack_name, cluster)
    own = stack_doubts(eff.stack_name, spread(classes, novelty or eff.novelty))
    weak = eff.interval["weak_device"] * bool(cluster.device.weak and eff.device_novelty != "layout")
    new = 0.0
    if novelty is None and eff.novelty == "source":
        new = sqrt(max(spread(classes, eff.device_novelty) ** 2 - spread(classes, "layout") ** 2, 0.0))
    return own | {"device": hypot(own["device"], weak, new)}


def stack_doubts(stack: str, whole: float) -> dict[str, float]:
    """What a spread is made of: what all runs of a stack share, those on one device, of one model, in one precision,
    and a run's own. Of a stack whose runs were not told apart they are those of the usual one.

    >>> parts = stack_doubts("modern", 0.2)
    >>> round(hypot(*parts.values()), 9)
    0.2
    """
    usual, told = current()["stack"]["modern"], current()["stack"][stack]
    within = min(told.get("within", usual["within"]), whole)
    device = min(usual["devices"], sqrt(whole**2 - within**2))
    scale = within / max(hypot(usual["models"], usual["precisions"]), usual["within"])
    model, precision = usual["models"] * scale, usual["precisions"] * scale
    return {
        "stack": sqrt(max(whole**2 - within**2 - device**2, 0.0)),
        "device": device,
        "model": model,
        "precision": precision,
        RUN: sqrt(max(within**2 - model**2 - precision**2, 0.0)),
    }


def interval(
    model: Model, cluster: Cluster, eff: Efficiencies, known: Known | None = None, novelty: str | None = None
) -> Interval:
    """The 80 % interval of a step time, as factors on it; known: what measured runs left of the doubts."""
    if eff.measured is not None and known is None:
        sigma = max(eff.measured.spread, eff.interval["floor"])
        basis = f"measured here ({eff.measured.name}, {eff.measured.date}{_paced(eff.measured.slower)})"
        return Interval(low=exp(-Z80 * sigma), high=exp(Z80 * sigma), basis=basis)
    unknown = eff.family == "default"
    open_ = hypot(*_doubts(model, cluster, eff, novelty).values())
    sigma = max(known.spread if known else open_, eff.interval["floor"])
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


def _paced(slower: float) -> str:
    """How the machine's pace compares with that of its measurement, where it was asked.

    >>> _paced(1.25), _paced(1.0)
    (', the machine now takes 1.25 times as long', '')
    """
    return "" if slower == 1.0 else f", the machine now takes {slower:.2f} times as long"


def memory_interval(cluster: Cluster, eff: Efficiencies) -> tuple[float, float]:
    """The 80 % interval of a peak of memory, as factors on it."""
    sigma = max(spread(memory_classes(eff.stack_name, cluster), eff.novelty), eff.interval["floor"])
    return exp(-Z80 * sigma), exp(Z80 * sigma)


def widened(ends: tuple[float, float], by: float) -> tuple[float, float]:
    """Factors whose logarithm has one more doubt, of standard deviation `by`, that does not depend on the first.

    >>> low, high = widened((0.9, 1.1), 0.15)
    >>> round(low, 2), round(high, 2)
    (0.8, 1.24)
    """
    low, high = (hypot(log(end), Z80 * by) for end in ends)
    return exp(-low), exp(high)

"""Power cap: how much of its speed a card keeps when it may draw less.

    clock = ((w - idle P) / (P - idle P))^(1/a),  P the card's own limit, w the lower one

Power of a chip grows with its clock to a power a between 2 and 3, as the voltage falls with it. Rates of products
follow the clock, memory does not, so the laws say what is left of a step. Left out: chips differ, and a card that does
not draw its limit loses less. Source: data/assumptions.toml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rigwise.advise.assumptions import assumed
from rigwise.advise.fleet import fleets
from rigwise.advise.judge import Verdict
from rigwise.advise.needs import Need
from rigwise.cost.estimate import Question
from rigwise.errors import InfeasibleError, UsageError
from rigwise.hardware.device import Device
from rigwise.layouts.layout import LayoutTable
from rigwise.units import show_bytes

SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capped:
    """A card under a limit. speed: share of its throughput without one. per_watt: samples a second and watt."""

    watts: float
    throughput: float
    speed: float
    per_watt: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"watts": self.watts, "throughput": self.throughput, "speed": self.speed, "per_watt": self.per_watt}


def clock(share: float) -> float:
    """The clock that is left under a share of the power, over the clock without a cap.

    Article 7: 300 of 350 W cost an RTX 3090 about 7 %.

    >>> round(clock(300 / 350), 3)
    0.926
    """
    cap = assumed("power_cap")
    return float(((share - cap["idle"]) / (1 - cap["idle"])) ** (1 / cap["exponent"]))


def _slowed(device: Device, share: float, name: str) -> Device:
    return replace(device, name=name, peak={kind: rate * clock(share) for kind, rate in device.peak.items()})


def power_caps(verdict: Verdict, need: Need, shares: Sequence[float] = SHARES) -> list[Capped]:
    """The verdict's layout with its devices limited to shares of their power, the highest first.

    Raises UsageError for a device whose power is not known, InfeasibleError where the model does not fit.
    """
    device = verdict.cluster.device
    if not verdict.fits:
        raise InfeasibleError(
            f"{need.model.name} needs {show_bytes(verdict.memory)}, {device.name} has {show_bytes(device.memory)}",
            rule="a curve is drawn of what fits on one card",
            nearest="a smaller model, or --adapt qlora",
        )
    if device.tdp is None:
        raise UsageError(f"{device.name} under a power cap", rule="its own power limit has to be known")
    node = verdict.cluster.node
    clusters = [
        replace(verdict.cluster, node=replace(node, device=_slowed(device, share, str(place))))
        for place, share in enumerate(shares)
    ]
    (fleet,) = fleets(clusters, need.stack, verdict.layout.precision)
    row = LayoutTable.of([verdict.layout])
    table = replace(row, **{k: getattr(row, k)[:, None] for k in LayoutTable.__dataclass_fields__ if k != "blocks"})
    question = Question(model=need.model, cluster=verdict.cluster, batch=need.batch, optimizer=need.optimizer)
    answer = fleet.evaluate(replace(question, stack=need.stack), table)
    seconds = np.broadcast_to(answer.seconds, (len(shares), 1, 1))[:, 0, 0]
    return [
        Capped(
            watts=share * device.tdp,
            throughput=float(need.batch / took),
            speed=float(seconds[0] / took),
            per_watt=float(need.batch / took / (share * device.tdp * verdict.cluster.devices)),
        )
        for share, took in zip(shares, seconds, strict=True)
    ]

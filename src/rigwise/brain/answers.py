"""Answers of several records: published estimates beside ours, machines beside those that stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rigwise.brain.caveats import CANNOT_SAY
from rigwise.brain.estimate import BrainEstimate
from rigwise.brain.machines import DEVICES, Machine, machine, machines
from rigwise.brain.methods import Method, agrees, methods
from rigwise.brain.parameters import as_words
from rigwise.brain.quantity import Quantity
from rigwise.brain.scenarios import ARTICLE_TARGET
from rigwise.brain.standing import Standing, standing
from rigwise.brain.work import Work, work

EVENTS = "sobe_2025_event"  # the method whose inputs are those of the shape "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Published estimates, oldest first, and the estimate of the 2015 article as rigwise works it out."""

    methods: tuple[Method, ...]
    ours: Quantity

    @property
    def agrees(self) -> bool:
        """Whether ours rounds to what the article gives."""
        return agrees(self.ours.value or 1.0, ARTICLE_TARGET, 4)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a comparison."""
        return {
            "methods": [method.to_dict() for method in self.methods],
            "ours": {**self.ours.to_dict(), "published": ARTICLE_TARGET, "reproduced": self.agrees},
            "cannot_say": list(CANNOT_SAY),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Machines that would sustain the work, and machines that stand."""

    work: Work
    machines: tuple[Machine, ...]
    standing: tuple[Standing, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a fleet."""
        return {
            "shape": self.work.shape,
            "needed": self.work.quantity.to_dict(),
            "memory": self.work.held.to_dict(),
            "bandwidth": self.work.reading.to_dict() if self.work.read else None,
            "exchange": self.work.exchange.to_dict(),
            "machines": [one.to_dict() for one in self.machines],
            "standing": [one.to_dict() for one in self.standing],
            "cannot_say": list(CANNOT_SAY),
        }


def compare(brain: BrainEstimate, sets: Mapping[str, float | str] | Sequence[str] = ()) -> Comparison:
    """The published estimates beside ours; sets: inputs of methods, ["kurzweil_1999.rate=100"]."""
    return Comparison(methods=tuple(methods(sets, seed=brain.seed)), ours=brain.quantities["flops"])


def fleet(
    brain: BrainEstimate,
    devices: str | Sequence[str] = DEVICES,
    *,
    shape: str = "cells",
    flops: float | None = None,
    precision: str | None = None,
    sets: Mapping[str, float | str] | Sequence[str] = (),
) -> Fleet:
    """How many of each device. flops: to sustain instead of the estimate's. sets: inputs of the events,
    ["sobe_2025_event.synapses=1e15"]. Raises NotFoundError and UsageError."""
    events = next(method for method in methods(sets) if method.key == EVENTS)
    task = work(shape, brain, flops, {name: factor.value for name, factor in events.factors.items()})
    found = machines(brain, task, as_words(devices) or DEVICES, precision=precision)
    priced = {one.device: one for one in found}

    def cost(device: str) -> Machine:
        if device not in priced:
            priced[device] = machine(brain, task, device)
        return priced[device]

    return Fleet(work=task, machines=tuple(found), standing=tuple(standing(task.needed, cost)))

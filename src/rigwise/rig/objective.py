"""What the best machine has least of: its price, what it costs to own, or the seconds of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor

from rigwise.errors import UsageError
from rigwise.rig import power
from rigwise.rig.build import Build, Item, Use
from rigwise.rig.choose import Judge, cost
from rigwise.rig.lanes import seat
from rigwise.rig.parts import Supply
from rigwise.rig.steps import BEST
from rigwise.rig.wiring import eased, wiring_of
from rigwise.units import KILO

OBJECTIVES: Mapping[str, str] = {
    "price": "least money now",
    "cost": "least money with three years of electricity, at 15 % of the hours",
    "time": "shortest step; among steps alike to 0.5 %, the least money",
}
_ALIKE = 0.005  # steps that differ by less are not told apart: the model does not know better


def judge_of(objective: str, use: Use, gpu_watts: float = 0.0) -> Judge:
    """The judge of an objective. gpu_watts: what the GPUs of any of the machines draw at least. Raises UsageError."""
    if objective not in OBJECTIVES:
        raise UsageError(f"objective {objective!r}", rule=f"an objective is one of {', '.join(OBJECTIVES)}")
    if objective == "price":
        return Judge()
    if objective == "cost":
        return Judge(
            weight=lambda items: _owned(list(items), use, gpu_watts),
            total=lambda build, _: (build.price or 0.0) + electricity(build, use),
        )
    if use.work is None:
        raise UsageError("the shortest step of no network", rule="the objective time needs a model", nearest="--model")
    return Judge(before=lambda build: (_time(build, use),))


def electricity(build: Build, use: Use) -> float:
    """US dollars of three years at the share of the hours of data/power.toml; of a part of a machine, the least."""
    supply = build.one(Supply)
    return _dollars(build.watts, use) / power.efficiency(supply.efficiency if supply else "titanium")


def _dollars(watts: float, use: Use) -> float:
    table = power.constants()["years"]
    hours = power.year_hours(float(table["use"])) * float(table["years"])
    return watts * hours / KILO * use.per_kwh


def _owned(items: Sequence[Item], use: Use, gpu_watts: float) -> float:
    """US dollars of items and their electricity through the best supply; of a supply, what it wastes of the GPUs'."""
    rest = cost(items) + electricity(Build(items=tuple(i for i in items if i.part.kind != "psu")), use)
    gpus = _dollars(gpu_watts, use)
    losses = [1 / power.efficiency(i.part.efficiency) for i in items if isinstance(i.part, Supply)]
    return rest + sum(gpus * (loss - 1 / power.efficiency("titanium")) for loss in losses)


def _time(build: Build, use: Use) -> int:
    """The step in units that are told apart. What is not decided is taken at its best."""
    assert use.work is not None
    now = eased(wiring_of(build, seat(build) if build.board else None), build)
    unit = _ALIKE * use.work.seconds(BEST)
    return floor(use.work.seconds(now) / unit)

"""Need: what somebody wants from machines, with everything filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rigwise.advise.assumptions import assumed, data
from rigwise.advise.money import MINUTES_A_DAY, useful_share
from rigwise.errors import UsageError, check_whole, not_found
from rigwise.hardware.device import Device
from rigwise.models.model import Model
from rigwise.units import DAY, HOUR, YEAR, show_usd

OBJECTIVES = ("soonest", "most", "cheapest")
WEEK = 7 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What is asked of a choice. Amounts in base units: bytes, seconds, US dollars, watts.

    work: samples to train on, None where the machine is to be used for years. budget: dollars to spend. deadline:
    seconds of training. objective: soonest (finished first within the budget), most (work for the money of the budget),
    cheapest (dollars for the work); None chooses. conditions: new, used, rent, spot. memory: the least of a device.
    most: devices in all. owned: cards that are there already; host: the machine that is, named as in the assumptions.
    circuit: watts for hours. slots: the widest card. currency, per_usd: what amounts are shown in, and how many of it a
    dollar is.
    """

    model: Model
    batch: int
    optimizer: str = "adamw"
    stack: str = "modern"
    precision: str | None = None
    work: float | None = None
    budget: float | None = None
    deadline: float | None = None
    objective: str | None = None
    conditions: tuple[str, ...] = ("new", "used", "rent", "spot")
    memory: float = 0.0
    most: int = 8
    one_machine: bool = False
    vendors: tuple[str, ...] = ()
    circuit: float | None = None
    quiet: bool = False
    slots: float | None = None
    owned: tuple[tuple[Device, int], ...] = ()
    host: str = ""
    hours_per_week: float = 25.2
    years: float = 3.0
    per_kwh: float = 0.175
    interruptions: float = 1.0
    currency: str = ""
    per_usd: float = 1.0
    persona: str = ""
    says: str = ""
    source: str = ""

    @property
    def goal(self) -> str:
        """What the ranking looks for.

        A deadline, or no limit at all, asks for the least money; a budget for the most work that it buys: of a given
        amount the soonest end, else the most samples over the years.
        """
        if self.objective:
            return self.objective
        if self.deadline is not None or self.budget is None:
            return "cheapest"
        return "soonest" if self.work is not None else "most"

    def money(self, usd: float) -> str:
        """An amount in the reader's currency, in words."""
        sign, said = "-" if usd < 0 else "", show_usd(abs(usd) * self.per_usd)
        return f"{sign}{said}" if not self.currency else f"{sign}{said.removeprefix('$')} {self.currency}"

    @property
    def hours(self) -> float:
        """Hours that a machine works over the years it is kept."""
        return self.hours_per_week * self.years * YEAR / WEEK

    @property
    def use(self) -> float:
        """Share of all hours that it works."""
        return self.hours_per_week * HOUR / WEEK

    @property
    def wide(self) -> int:
        """Devices of the largest machine that is looked at."""
        return min(self.most, 8)


def persona(name: str) -> Mapping[str, Any]:
    """The need that a persona stands for. Raises NotFoundError for an unknown one.

    >>> persona("kaggle")["memory_gib"]
    8
    """
    known = data("personas")
    if name not in known:
        raise not_found("persona", name, known, hint=", ".join(known))
    found: Mapping[str, Any] = known[name]
    return found


def personas() -> dict[str, str]:
    """Every persona and what it stands for."""
    return {name: row["says"] for name, row in data("personas").items()}


def check(need: Need) -> None:
    """Refuse amounts that cannot be. Raises UsageError."""
    from rigwise.advise.prices import CONDITIONS

    positive = {"budget": need.budget, "deadline": need.deadline, "work": need.work, "years": need.years}
    positive |= {"hours_per_week": need.hours_per_week, "circuit": need.circuit, "slots": need.slots}
    for name, value in positive.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name}={value:g}", rule=f"{name} is more than nothing, and finite")
    if need.hours_per_week > WEEK / HOUR:
        raise UsageError(f"{need.hours_per_week:g} hours a week", rule="a week has 168")
    check_whole(devices=need.most)
    if not 0 <= need.memory < float("inf"):
        raise UsageError(
            f"memory of {need.memory:g} bytes", rule="the least memory of a device is 0 or more, and finite"
        )
    if not 0 <= need.per_kwh < float("inf"):
        raise UsageError(f"per_kwh={need.per_kwh:g}", rule="the price of a kWh is 0 or more, and finite")
    lost = float(assumed("spot")["lost_minutes"])
    if not (need.interruptions >= 0 and useful_share(need.interruptions, lost) > 0):
        rule = f"each loses {lost:g} minutes, so that {MINUTES_A_DAY / lost:g} a day leave nothing; 0 or more"
        raise UsageError(f"{need.interruptions:g} interruptions a day", rule=rule, nearest="--interruptions 1")
    if need.deadline is not None and need.work is None:
        rule = "a deadline is when an amount of work is done: say how much"
        raise UsageError("a deadline and no work", rule=rule, nearest='--work "1e9 tokens"')
    if need.objective not in (None, *OBJECTIVES):
        raise UsageError(f"objective {need.objective!r}", rule=f"one of {', '.join(OBJECTIVES)}")
    unknown = [word for word in need.conditions if word not in CONDITIONS]
    if unknown or not need.conditions:
        raise UsageError(f"condition {', '.join(unknown) or 'missing'}", rule=f"among {', '.join(CONDITIONS)}")


def usual() -> dict[str, float]:
    """What is taken of use and electricity where nobody says."""
    use = assumed("use")
    return {key: float(use[key]) for key in ("hours_per_week", "years", "per_kwh")}

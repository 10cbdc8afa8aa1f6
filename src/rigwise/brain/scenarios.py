"""The article's own extrapolations: a start, a doubling time, a target; and its other small sums.

year = start + years_per_doubling x log2(target / start FLOP/s)

Left out: everything that changes the doubling time, which is what trend.py is for. Source: Dettmers 2015.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, log, log2
from typing import Any

from rigwise import units
from rigwise.brain.history import history
from rigwise.brain.tables import toml
from rigwise.units import DAY, HOUR, KILO, YEAR

ARTICLE_TARGET = 1.075e21
_JULY = 0.5  # of a year: the article is of July 2015


def doublings(start: float, target: float) -> float:
    """How often a rate must double to reach a target.

    >>> round(doublings(0.58e15, 1.075e21), 2)
    20.82
    """
    return log2(target / start)


def crossing(start: float, target: float, year: float, years_per_doubling: float, *, whole: bool = False) -> float:
    """The year in which a rate reaches a target. whole: whole doublings, as the article counts them.

    >>> [round(crossing(0.58e15, 1.075e21, 2015, years, whole=True), 1) for years in (1.5, 1.8, 3.0)]
    [2046.5, 2052.8, 2078.0]
    >>> round(crossing(33.86e15, 1.075e21, 2015, 1.5), 1)
    2037.4
    """
    count = doublings(start, target)
    return year + years_per_doubling * (ceil(count) if whole else count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One extrapolation. stated: the year that the article gives, where it does from this start.

    foreseen, came: the rate 10 years after the start, by the scenario and as it was; off: how many doublings too many.
    """

    key: str
    name: str
    start: str
    start_year: float
    start_flops: float
    years_per_doubling: float
    year: float
    year_whole: float
    stated: int | None
    foreseen: float
    came: float
    off: float
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a scenario."""
        return asdict(self)


def scenarios(target: float = ARTICLE_TARGET, *, data: Mapping[str, Any] | None = None) -> list[Scenario]:
    """Each growth rate from each start, with how well it foresaw the last list. data: tables like scenarios.toml's."""
    data, found = toml("scenarios") if data is None else data, []
    for start, begin in data["start"].items():
        past = history(start)
        last = float(past.years[-1])
        for key, rate in data["scenario"].items():
            foreseen = begin["flops"] * 2 ** ((last - begin["year"] - _JULY) / rate["years"])
            came = past.at(last)
            both = (begin["flops"], target, begin["year"], rate["years"])
            found.append(
                Scenario(
                    key=key,
                    name=rate["name"],
                    start=start,
                    start_year=begin["year"],
                    start_flops=begin["flops"],
                    years_per_doubling=rate["years"],
                    year=crossing(*both),
                    year_whole=crossing(*both, whole=True),
                    stated=data["stated"][key] if (start == "linpack") == (key == "moore") else None,
                    foreseen=foreseen,
                    came=came,
                    off=log2(foreseen / came),
                    source=rate["source"],
                )
            )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """One of the article's small sums: what it comes to, and what the article says, None where it says nothing."""

    says: str
    value: float
    stated: float | None
    unit: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a sum."""
        return asdict(self)


def sums() -> list[Sum]:
    """Knowledge ten years before, what electricity costs a supercomputer, and how soon a factory costs twice.

    >>> [f"{one.value:.4g} {one.unit}" for one in sums()][2:5]
    ['0.1128 USD/kWh', '0.1736 USD/kWh', '0.1094 USD/kWh']
    """
    data = toml("scenarios")["sums"]
    then, power, factory = (data[name] for name in ("knowledge", "electricity", "factory"))
    known = knowledge_then(then["years"], then["doublings_a_year"])
    bills = [("day", bill, bill) for bill in power["usd_a_day"]]
    bills.append(("year", power["usd_a_year"], power["usd_a_year"] * DAY / YEAR))
    watts = units.show_watts(power["watts"])
    rows = [
        (f"share of today's knowledge of the brain, {then['years']} years ago", known, then["stated"], "", then),
        (f"electricity of {watts}", electricity(power["watts"], 0.0)[0], None, "kWh/day", power),
    ]
    for time, bill, daily in bills:
        price = electricity(power["watts"], daily)[1]
        rows.append((f"its price at {bill:,.0f} dollars a {time}", price, None, "USD/kWh", power))
    for growth in factory["growth"]:
        twice = doubling_years(growth)
        says = f"a factory's cost doubles at {growth:.0%} a year"
        rows.append((says, twice, factory["stated_years"], "year", factory))
    return [
        Sum(says=says, value=value, stated=stated, unit=unit, source=row["source"])
        for says, value, stated, unit, row in rows
    ]


def knowledge_then(years: float, doublings_a_year: float = 1.0) -> float:
    """What share of today's knowledge was known so many years ago.

    >>> f"{knowledge_then(10):.5f}"
    '0.00098'
    """
    return float(2.0 ** (-years * doublings_a_year))


def electricity(watts: float, usd_per_day: float) -> tuple[float, float]:
    """Kilowatt-hours a day, and the dollars of one, of a machine that runs all day.

    >>> electricity(24e6, 65_000)[0], round(electricity(24e6, 65_000)[1], 3), round(electricity(24e6, 23e6 / 365)[1], 3)
    (576000.0, 0.113, 0.109)
    """
    energy = watts * DAY / (KILO * HOUR)
    return energy, usd_per_day / energy


def doubling_years(growth: float) -> float:
    """Years in which something doubles that grows by this share a year.

    >>> round(doubling_years(0.07), 1), round(doubling_years(0.10), 1)
    (10.2, 7.3)
    """
    return log(2) / log(1 + growth)

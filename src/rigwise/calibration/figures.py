"""The aims of the back-test, what is reached of each, and which group of rows an aim is missed for.

An aim is data (data/aims.toml): which rows, what the constants were fitted without, which figures. Where a figure
misses its aim, the group is sought whose removal brings it nearest; what is known of the reason is a hand-written line
(data/reasons.toml).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rigwise.calibration.composed import effective
from rigwise.calibration.groups import facts, found_in
from rigwise.calibration.outcomes import Outcome, summarise
from rigwise.calibration.patterns import table
from rigwise.calibration.statistics import STATISTICS

SCHEMES: Mapping[str, str] = {
    "layout": "whole layouts left out",
    "device": "whole devices left out",
    "source": "whole sources left out",
    "shipped": "the constants as shipped",
}
CAUSES = ("source", "stack", "device", "model", "size", "regime", "metric", "precision", "tensor degree")
EXTREMES = "share inside"  # what the figures are called that are of the worst family and regime
_MOST = 0.5  # a group of more than half of the rows is the rule, not the exception

Outcomes = Mapping[str, Sequence[Outcome]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """The group whose removal helps a figure most. without: the figure of the rest; rows: of the group."""

    kind: str
    group: str
    rows: int
    without: float
    median: float | None
    signed: float | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of an aim. value is None where there is nothing to judge; cause is None where the aim is met."""

    statistic: str
    value: float | None
    most: float | None = None
    least: float | None = None
    prototype: float | None = None
    peer: float | None = None
    cause: Cause | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is nothing to judge."""
        if self.value is None:
            return None
        return self.value <= self.most if self.most is not None else self.value >= (self.least or 0.0)

    def better(self, one: float, other: float) -> bool:
        """Whether one value is better than the other."""
        return one < other if self.most is not None else one > other


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Rows, a way of leaving rows out, and the figures that are aimed at."""

    id: str
    rows: str
    scheme: str
    figures: tuple[Mapping[str, Any], ...]
    where: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    peer: str = ""

    def takes(self, outcome: Outcome) -> bool:
        """Whether an outcome is among the aim's rows: it counts, and has the patterns of `where`, none of `without`."""
        row = outcome.row
        if outcome.flag or not found_in(row, self.where):
            return False
        return not any(found_in(row, {column: pattern}) for column, pattern in self.without.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An aim with what was reached: rows that it is about, how many were predicted, and its figures."""

    aim: Aim
    rows: int
    predicted: int
    figures: tuple[Figure, ...]

    def to_dict(self) -> dict[str, Any]:
        """The aim for JSON."""
        return {
            "id": self.aim.id,
            "rows": self.aim.rows,
            "scheme": self.aim.scheme,
            "count": self.rows,
            "predicted": self.predicted,
            "peer": self.aim.peer,
            "figures": [_figure_dict(figure) for figure in self.figures],
        }


def _figure_dict(figure: Figure) -> dict[str, Any]:
    cause = figure.cause
    return {
        "statistic": figure.statistic,
        "value": figure.value,
        "most": figure.most,
        "least": figure.least,
        "prototype": figure.prototype,
        "peer": figure.peer,
        "met": figure.met,
        "cause": None
        if cause is None
        else {"by": cause.kind, "group": cause.group, "rows": cause.rows, "without": cause.without, "why": cause.why},
    }


def aims() -> tuple[Aim, ...]:
    """All aims, in the order of the page.

    >>> aims()[0].id, aims()[0].figures[0]["most"]
    ('table-5', 0.03)
    """
    return tuple(Aim(**{**entry, "figures": tuple(entry["figures"])}) for entry in table("aims")["aim"])


def judge(aim: Aim, schemes: Outcomes, composed: frozenset[str] = frozenset()) -> Judged:
    """What is reached of an aim. schemes: outcomes by the way of leaving out; composed: ids of composed rows."""
    rows = [o for o in schemes[aim.scheme] if aim.takes(o)]
    if not aim.where:
        rows = effective(rows, composed)
    return Judged(
        aim=aim,
        rows=len(rows),
        predicted=sum(o.predicted is not None for o in rows),
        figures=tuple(_figure(aim, target, rows) for target in aim.figures),
    )


def _figure(aim: Aim, target: Mapping[str, Any], rows: Sequence[Outcome]) -> Figure:
    figure = Figure(value=STATISTICS[target["statistic"]](rows), **target)
    if figure.met is not False:
        return figure
    return Figure(value=figure.value, cause=cause_of(aim, figure, rows), **target)


def cause_of(aim: Aim, figure: Figure, rows: Sequence[Outcome]) -> Cause | None:
    """The group whose removal brings a figure nearest to its aim, of at most half of the rows; None where none helps.

    A figure that is the extreme of some groups is missed for the one that it is the figure of.
    """
    best, value = ("", ""), figure.value
    groups = _groups(rows, ("regime of a family",) if EXTREMES in figure.statistic else CAUSES)
    for name, members in groups.items():
        if len(members) <= _MOST * len(rows):
            without = STATISTICS[figure.statistic]([o for i, o in enumerate(rows) if i not in members])
            if without is not None and value is not None and figure.better(without, value):
                best, value = name, without
    if not all(best) or value is None:
        return None
    own = summarise([rows[i] for i in sorted(groups[best])])
    return Cause(
        kind=best[0],
        group=best[1],
        rows=own.rows,
        without=value,
        median=own.median,
        signed=own.signed,
        why=reason(aim.id, *best),
    )


def _groups(rows: Sequence[Outcome], kinds: Sequence[str]) -> dict[tuple[str, str], set[int]]:
    """The places of the rows in each group of each kind, in the order of kinds and groups."""
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for place, outcome in enumerate(rows):
        told = facts(outcome)
        for kind in kinds:
            found[kind, told[kind]].add(place)
    return {name: found[name] for name in sorted(found, key=lambda name: (kinds.index(name[0]), name[1]))}


def reason(aim: str, kind: str, group: str) -> str:
    """What is known of why a group is missed, in words; "" where nothing is."""
    for entry in table("reasons")["reason"]:
        if entry["by"] == kind and group in entry["groups"] and aim in entry.get("aims", [aim]):
            return str(entry["why"])
    return ""

"""The aims of the back-test as records: which rows, what the constants were fitted without, and what is reached.

An aim is data (data/aims.toml). Where a figure misses its aim, the record names the group of rows that it is
missed for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rigwise.calibration.groups import found_in
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.patterns import table


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
    note: str = ""  # what the rows are, where their name does not say it

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

"""Growth with change points: log2 of an amount as joined straight lines, as few as the data ask for.

    y(t) = a + b_1 t + sum_i (b_{i+1} - b_i) max(t - c_i, 0)

Change points c_i lie on observations, five years from the ends and from each other; their number is the one with the
least n ln(RSS/n) + 3 k ln(n), k numbers a line more: BIC with a third paid for neighbours that resemble each other. An
interval of a slope takes its standard error, that of a change point its profile likelihood, both widened for residuals
that are correlated. A doubling time is 1 / slope.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import inf, log, log2, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.history import History

Floats = NDArray[np.float64]
_APART = 5.0  # years between change points, and from the ends
_MOST_CHANGES = 2
_Z80 = 1.2816


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One line. doublings: a year, with the ends of its 80 % interval. earliest, latest: the ends of that of its start,
    where growth changed; of the first line its start itself.
    """

    start: float
    end: float
    earliest: float
    latest: float
    doublings: float
    low: float
    high: float

    @property
    def months(self) -> float:
        """Months of one doubling."""
        return 12 / self.doublings if self.doublings > 0 else inf

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a line: the doubling time as a quantity, its interval 80 %."""
        low, high = (12 / rate if rate > 0 else None for rate in (self.high, self.low))
        months = {"value": self.months, "p10": low, "p50": self.months, "p90": high, "unit": "month"}
        where = {"start": self.start, "end": self.end, "start_p10": self.earliest, "start_p90": self.latest}
        return {**where, "doubling": {**months, "source": "least squares"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A history as joined lines."""

    name: str
    says: str
    segments: tuple[Segment, ...]
    residual: float  # standard deviation, doublings
    level: float  # log2 of the amount at the end of the last line

    @property
    def changes(self) -> tuple[float, ...]:
        """The years in which growth changed."""
        return tuple(segment.start for segment in self.segments[1:])

    def ahead(self, year: float) -> float:
        """The amount in a later year, if the last line goes on."""
        last = self.segments[-1]
        return float(2.0 ** (self.level + last.doublings * (year - last.end)))

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a growth."""
        return {
            "says": self.says,
            "changes": list(self.changes),
            "residual_doublings": self.residual,
            "segments": [segment.to_dict() for segment in self.segments],
        }


def doubling_months(past: History, start: float, end: float) -> float:
    """Months of one doubling between two years, by their two observations alone."""
    return 12 * (end - start) / log2(past.at(end) / past.at(start))


def fit(past: History) -> Growth:
    """The lines of a history.

    >>> import numpy as np
    >>> years = np.arange(1990.0, 2020.0)
    >>> bent = np.where(years < 2005, years - 1990, 15 + (years - 2005) / 2)
    >>> found = fit(History(name="x", says="x", unit="", years=years, log2=bent, source=""))
    >>> found.changes, [round(segment.doublings, 2) for segment in found.segments]
    ((2005.0,), [1.0, 0.5])
    """
    t, y = past.years, past.log2
    best, knots = inf, tuple[float, ...]()
    for candidate in _knots(t):
        rss = _solve(t, y, candidate)[1]
        score = len(t) * log(max(rss, 1e-12) / len(t)) + 3 * len(candidate) * log(len(t))
        if score < best - 1e-9:
            best, knots = score, candidate
    coefficients, rss, covariance = _solve(t, y, knots)
    residual = y - _design(t, knots) @ coefficients
    alike = _inflation(residual)
    widened = covariance * rss / max(len(t) - 2 - len(knots), 1) * alike
    slopes = np.cumsum(coefficients[1:])
    ends = [float(t[0]), *knots, float(t[-1])]
    moved = [(ends[0], ends[0]), *(_room(t, y, knots, place, alike) for place in range(len(knots)))]
    segments = []
    for i, slope in enumerate(slopes):
        pick = np.zeros(len(coefficients))
        pick[1 : i + 2] = 1.0
        error = _Z80 * sqrt(max(float(pick @ widened @ pick), 0.0))
        segments.append(
            Segment(
                start=ends[i],
                end=ends[i + 1],
                earliest=moved[i][0],
                latest=moved[i][1],
                doublings=float(slope),
                low=slope - error,
                high=slope + error,
            )
        )
    return Growth(name=past.name, says=past.says, segments=tuple(segments), residual=float(residual.std()),
                  level=float(y[-1] - residual[-1]))  # fmt: skip


def _room(t: Floats, y: Floats, knots: tuple[float, ...], place: int, alike: float) -> tuple[float, float]:
    """Where one change point may lie, the others as they are: the 80 % interval of its profile likelihood."""
    least, near = len(t) * log(max(_solve(t, y, knots)[1], 1e-12)), [knots[place]]
    for year in _inner(t):
        moved = (*knots[:place], year, *knots[place + 1 :])
        if all(b - a >= _APART for a, b in pairwise(moved)):
            more = len(t) * log(max(_solve(t, y, moved)[1], 1e-12)) - least
            near += [year] if more <= _Z80**2 * alike else []
    return min(near), max(near)


def _inner(t: Floats) -> list[float]:
    return [float(year) for year in np.unique(t) if t[0] + _APART <= year <= t[-1] - _APART]


def _knots(t: Floats) -> Iterator[tuple[float, ...]]:
    inner = _inner(t)
    for count in range(_MOST_CHANGES + 1):
        for knots in combinations(inner, count):
            if all(b - a >= _APART for a, b in pairwise(knots)):
                yield knots


def _design(t: Floats, knots: tuple[float, ...]) -> Floats:
    return np.column_stack([np.ones_like(t), t - t[0], *(np.maximum(t - knot, 0.0) for knot in knots)])


def _solve(t: Floats, y: Floats, knots: tuple[float, ...]) -> tuple[Floats, float, Floats]:
    """Coefficients, sum of squared residuals, and the inverse of the normal matrix."""
    design = _design(t, knots)
    inverse: Floats = np.asarray(np.linalg.pinv(design.T @ design), dtype=np.float64)
    coefficients = inverse @ (design.T @ y)
    return coefficients, float(((y - design @ coefficients) ** 2).sum()), inverse


def _inflation(residual: Floats) -> float:
    """(1 + r) / (1 - r) of the lag-one correlation r: how much less so many observations say when they are alike."""
    spread = float((residual**2).sum())
    if spread < 1e-12:
        return 1.0
    r = min(max(float((residual[1:] * residual[:-1]).sum()) / spread, 0.0), 0.95)
    return (1 + r) / (1 - r)

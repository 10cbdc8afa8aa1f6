"""When the fastest machine reaches the brain's operations: the year as a distribution, with the chance of none.

Paths of the trend (trend.py) are drawn from what the history says, bent by the limits that are switched on, and each is
compared with one draw of the estimate. The article's own scenarios stand beside it, and how each foresaw 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.caveats import CANNOT_SAY
from rigwise.brain.estimate import BrainEstimate
from rigwise.brain.growth import Growth, fit
from rigwise.brain.history import History, history, names
from rigwise.brain.limits import assumptions, bend, chosen_limits, figures, limit_names
from rigwise.brain.quantity import Quantity, known, spread
from rigwise.brain.scenarios import ARTICLE_TARGET, Scenario, Sum, scenarios, sums
from rigwise.brain.trend import Beliefs, Prior, coverage, follow, paths
from rigwise.errors import UsageError, check_whole, not_found

Floats = NDArray[np.float64]
METRICS = ("hpcg", "linpack", "sum", "last", "device")
TARGETS = ("article", "estimate")
_DRAWS = 4000
_CENTURY = 2100
_APART = 5  # years between the chances that are told
_SLICE = 0.5  # years between the points of a path


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The year of crossing under some limits. year: percentiles; None where so many paths do not cross before `until`.

    none: the share of paths that do not cross before `until`. by: the share that has crossed by the end of each year.
    """

    limits: tuple[str, ...]
    year: Quantity
    none: float
    by: Mapping[int, float]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a crossing."""
        chances = {str(year): share for year, share in self.by.items()}
        return {"limits": list(self.limits), "year": self.year.to_dict(), "none": self.none, "chance_by": chances}


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """What the trend, fitted on data to a year, foresaw of the last observation: the ends of its 80 % interval.

    drawn_on: what joined lines (growth.py), fitted to the same data, give where the last is drawn on.
    """

    metric: str
    fitted_to: float
    year: float
    foreseen: Quantity
    drawn_on: float
    came: float

    @property
    def off(self) -> tuple[float, float]:
        """How many doublings too many: the middle of the trend, and the line that is drawn on."""
        return log2((self.foreseen.p50 or self.came) / self.came), log2(self.drawn_on / self.came)

    @property
    def held(self) -> bool:
        """Whether what came lies inside."""
        return (self.foreseen.p10 or 0.0) <= self.came <= (self.foreseen.p90 or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a look back."""
        return {
            "metric": self.metric, "fitted_to": self.fitted_to, "year": self.year, "foreseen": self.foreseen.to_dict(),
            "drawn_on": self.drawn_on, "came": self.came, "held": self.held,
            "off_doublings": {"trend": self.off[0], "drawn_on": self.off[1]},
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The answer. fan: p10, p50 and p90 of the metric at `years`, without and with the chosen limits, FLOP/s."""

    metric: str
    until: int
    target: Quantity
    past: History
    growth: dict[str, Growth]
    crossings: tuple[Crossing, ...]
    chosen: Crossing
    years: Floats
    fan: Floats
    scenarios: tuple[Scenario, ...]
    foresight: tuple[Foresight, ...]
    coverage: dict[str, tuple[float, int]]
    sums: tuple[Sum, ...]
    figures: Mapping[str, Mapping[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a forecast."""
        every = range(0, len(self.years), max(1, round(5 / _SLICE)))
        return {
            "metric": self.metric,
            "says": self.past.says,
            "until": self.until,
            "target": self.target.to_dict(),
            "crossing": self.chosen.to_dict(),
            "by_limit": [crossing.to_dict() for crossing in self.crossings],
            "growth": {name: growth.to_dict() for name, growth in self.growth.items()},
            "fan": [
                {"year": float(self.years[i]), "value": float(self.fan[1, i]), "p10": float(self.fan[0, i]),
                 "p50": float(self.fan[1, i]), "p90": float(self.fan[2, i]), "unit": self.past.unit,
                 "source": self.past.source}
                for i in every
            ],
            "scenarios": [scenario.to_dict() for scenario in self.scenarios],
            "foresight": [look.to_dict() for look in self.foresight],
            "coverage": {name: {"share": share, "forecasts": count} for name, (share, count) in self.coverage.items()},
            "sums": [one.to_dict() for one in self.sums],
            "figures": {name: dict(figure) for name, figure in self.figures.items()},
            "cannot_say": list(CANNOT_SAY),
        }  # fmt: skip


def forecast(
    brain: BrainEstimate,
    *,
    metric: str = "hpcg",
    target: str | float = "article",
    limits: str | Sequence[str] = (),
    until: int = _CENTURY,
    fitted_to: float | None = None,
    sets: Mapping[str, float | str] | Sequence[str] = (),
    draws: int = _DRAWS,
    seed: int = 0,
) -> Forecast:
    """When the metric reaches the target.

    metric: hpcg, linpack, sum, last or device. target: "article" (1.075e21), "estimate" (its draws), or FLOP/s. limits:
    names of limit_names(), or "all". until: the year after which a crossing counts as none. fitted_to: look no further
    than this year of the history. sets: figures of data/scenarios.toml, ["energy.watts=1e9"]. Raises NotFoundError and
    UsageError for what cannot be.
    """
    check_whole(least=200, most=100_000, draws=draws)
    check_whole(least=0, seed=seed)
    chosen, data = chosen_limits(limits), assumptions(sets)
    past, prior = _past(metric, fitted_to), Prior.of(data)
    if not past.years[-1] + 1 <= until <= past.years[-1] + 500:
        raise UsageError(f"until {until}", rule=f"a year after {past.years[-1]:.0f}, by 500 at most")
    need, wanted = _target(brain, target, draws, seed)
    rng = np.random.default_rng([seed, 6])
    years = np.arange(past.years[-1] + _SLICE, until + _SLICE / 2, _SLICE)
    free = paths(follow(past, prior)[-1], years, draws, rng)
    every = [(), *((name,) for name in limit_names()), tuple(limit_names())]
    bent = {some: bend(free, years, past, some, data, seed) for some in dict.fromkeys([*every, chosen])}
    found = {some: _crossing(level, years, need, some, past.source) for some, level in bent.items()}
    return Forecast(
        metric=metric,
        until=until,
        target=wanted,
        past=past,
        growth={name: _grown(name) for name in names()},
        crossings=tuple(found[some] for some in every),
        chosen=found[chosen],
        years=years,
        fan=2.0 ** np.percentile(bent[chosen], [10, 50, 90], axis=0),
        scenarios=tuple(scenarios(wanted.value or ARTICLE_TARGET, data=data)),
        foresight=tuple(look_back(name, 2015.99, draws, seed, prior) for name in ("hpcg", "linpack", "sum", "last")),
        coverage={name: _earned(name, prior) for name in names()},
        sums=tuple(sums()),
        figures=figures(data),
    )


@cache
def _grown(name: str) -> Growth:
    return fit(history(name))


@cache
def _earned(name: str, prior: Prior) -> tuple[float, int]:
    return coverage(history(name), prior=prior)


def _past(metric: str, fitted_to: float | None) -> History:
    if metric not in METRICS:
        raise not_found("metric", metric, METRICS, hint=", ".join(METRICS))
    past = history(metric)
    past = past if fitted_to is None else past.until(fitted_to)
    if len(past.years) < 2:
        raise UsageError(f"{metric} to {fitted_to:g}", rule="a trend needs two observations", nearest="a later year")
    return past


def _target(brain: BrainEstimate, target: str | float, draws: int, seed: int) -> tuple[Floats, Quantity]:
    """log2 of the need, one a path, and the quantity."""
    if isinstance(target, str) and target not in TARGETS:
        raise not_found("target", target, TARGETS, hint="article, estimate or FLOP/s")
    if target == "estimate":
        rng = np.random.default_rng([seed, 7])
        return np.log2(rng.choice(brain.drawn["flops"], draws)), brain.quantities["flops"]
    flops = ARTICLE_TARGET if isinstance(target, str) else target
    if not (np.isfinite(flops) and flops > 0):
        raise UsageError(f"target {flops:g}", rule="FLOP/s above 0")
    source = "Dettmers 2015, The Brain vs Deep Learning Part I" if isinstance(target, str) else "asked for by the user"
    return np.full(draws, np.log2(flops)), known(flops, "FLOP/s", source)


def _crossing(level: Floats, years: Floats, need: Floats, limits: tuple[str, ...], source: str) -> Crossing:
    reached = level >= need[:, None]
    when = np.where(reached.any(axis=1), years[reached.argmax(axis=1)], np.inf)
    p10, p50, p90 = (float(np.quantile(when, q, method="inverted_cdf")) for q in (0.1, 0.5, 0.9))
    ends = [year if np.isfinite(year) else None for year in (p10, p50, p90)]
    year = Quantity(value=ends[1], p10=ends[0], p50=ends[1], p90=ends[2], unit="year", source=f"trend of {source}")
    by = {int(at): float(np.mean(when < at + 1)) for at in range(int(years[0]), int(years[-1]) + 1, _APART)}
    return Crossing(limits=limits, year=year, none=float(np.mean(~np.isfinite(when))), by=by)


def look_back(
    metric: str, fitted_to: float, draws: int = _DRAWS, seed: int = 0, prior: Prior | None = None
) -> Foresight:
    """What the trend would have said of the last observation, had it been fitted on data to a year."""
    past = history(metric)
    beliefs: Beliefs = [one for one in follow(past, prior) if one.year <= fitted_to][-1]
    last = float(past.years[-1])
    steps = np.linspace(beliefs.year, last, 21)[1:]
    at = paths(beliefs, steps, draws, np.random.default_rng([seed, 9]))[:, -1]
    foreseen = spread(float(2.0 ** np.median(at)), 2.0**at, past.unit, past.source)
    return Foresight(
        metric=metric,
        fitted_to=beliefs.year,
        year=last,
        foreseen=foreseen,
        drawn_on=fit(past.until(fitted_to)).ahead(last),
        came=float(2.0 ** past.log2[-1]),
    )

"""A trend whose rate may drift: what the past says of the years ahead, with an interval that widens as it should.

    y_t = m_t + e,  e ~ N(0, s_e^2)        what is seen: log2 of the amount
    m   grows by b dt + N(0, s_m^2 dt)     its level, which jumps when a great machine is built
    b   grows by N(0, s_b^2 dt)            doublings a year, which drift

A local linear trend (Harvey 1989), filtered once through the data for every (s_e, s_m, s_b) of a grid. The likelihood
weighs the grid, so that the forecast carries what the data cannot tell. The rate before any data is the prior of
data/scenarios.toml, which can be set. As the filter runs forward, its state at each observation is a forecast from what
was known then: the back-test is free. Left out: the future knowing anything that the past did not, and rates below 0,
as no record is ever lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.brain.history import History, history
from rigwise.brain.tables import toml

Floats = NDArray[np.float64]
_GRID = tuple(
    product((0.02, 0.1), (0.05, 0.15, 0.3, 0.6, 1.0, 1.4), (0.02, 0.06, 0.1, 0.15))
)  # standard deviations of e, of m a square-root year, of b a square-root year, all in doublings
_FEWEST = 6  # observations before a forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed of the rate before any data, in doublings a year: its middle and its standard deviation."""

    rate: float
    spread: float

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Prior:
        """From tables like those of data/scenarios.toml."""
        row = data["prior"]["trend"]
        return cls(rate=row["doublings_a_year"], spread=row["spread"])


def shipped() -> Prior:
    """The prior of data/scenarios.toml.

    >>> shipped()
    Prior(rate=1.0, spread=0.7)
    """
    return Prior.of(toml("scenarios"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """What is known at one observation, for each of G grid points: weight, mean level and rate, their covariance."""

    year: float
    weight: Floats
    mean: Floats  # G x 2
    cov: Floats  # G x 2 x 2


def follow(past: History, prior: Prior | None = None) -> list[Beliefs]:
    """The beliefs after each observation, in order. A history that is `like` another starts from what that one had
    taught of rates and jumps when this one began. prior: None for the shipped one.
    """
    prior = prior or shipped()
    grid = np.array(_GRID)
    seen, level, drift = (grid[:, i] ** 2 for i in range(3))
    count = len(grid)
    mean = np.tile([past.log2[0], prior.rate], (count, 1))
    cov = np.zeros((count, 2, 2))
    cov[:, 0, 0], cov[:, 1, 1] = seen + level, prior.spread**2
    log_weight = np.zeros(count)
    if past.like:
        before = [beliefs for beliefs in follow(history(past.like), prior) if beliefs.year < past.years[0]][-1]
        log_weight = np.log(before.weight + 1e-300)
        mean[:, 1], cov[:, 1, 1] = before.mean[:, 1], before.cov[:, 1, 1]
    out = []
    for place, (year, y) in enumerate(zip(past.years, past.log2, strict=True)):
        if place:
            mean, cov = _ahead(mean, cov, year - past.years[place - 1], level, drift)
            variance = cov[:, 0, 0] + seen
            miss = y - mean[:, 0]
            log_weight = log_weight - 0.5 * (np.log(variance) + miss**2 / variance)
            gain = cov[:, :, 0] / variance[:, None]
            mean = mean + gain * miss[:, None]
            cov = cov - gain[:, :, None] * cov[:, None, 0, :]
        weight = np.exp(log_weight - log_weight.max())
        out.append(Beliefs(year=float(year), weight=weight / weight.sum(), mean=mean, cov=cov))
    return out


def _ahead(mean: Floats, cov: Floats, dt: float, level: Floats, drift: Floats) -> tuple[Floats, Floats]:
    step = np.array([[1.0, dt], [0.0, 1.0]])
    moved = step @ cov @ step.T
    moved[:, 0, 0] += level * dt + drift * dt**3 / 3
    moved[:, 0, 1] += drift * dt**2 / 2
    moved[:, 1, 0] += drift * dt**2 / 2
    moved[:, 1, 1] += drift * dt
    return mean @ step.T, moved


def paths(beliefs: Beliefs, years: ArrayLike, draws: int, rng: np.random.Generator) -> Floats:
    """Draws of the log2 level at rising years after the beliefs', draws x years. A rate below 0 counts as 0."""
    at = np.asarray(years, dtype=np.float64)
    pick = rng.choice(len(beliefs.weight), draws, p=beliefs.weight)
    grid = np.array(_GRID)[pick]
    cov = beliefs.cov[pick]
    first = np.sqrt(np.maximum(cov[:, 0, 0], 0.0))
    slope = cov[:, 0, 1] / np.where(first > 0, first, 1.0)
    rest = np.sqrt(np.maximum(cov[:, 1, 1] - slope**2, 0.0))
    z = rng.standard_normal((2, draws))
    level = beliefs.mean[pick, 0] + first * z[0]
    rate = beliefs.mean[pick, 1] + slope * z[0] + rest * z[1]
    out, now = np.empty((draws, len(at))), beliefs.year
    for place, year in enumerate(at):
        dt = year - now
        jump, turn = rng.standard_normal((2, draws)) * np.sqrt(dt)
        later = rate + grid[:, 2] * turn
        level = level + np.maximum((rate + later) / 2, 0.0) * dt + grid[:, 1] * jump
        rate, now = later, year
        out[:, place] = level
    return out


def forecasts(
    past: History, horizon: float, draws: int = 400, seed: int = 0, prior: Prior | None = None
) -> list[tuple[float, float, float, float]]:
    """Rolling origin: for each observation that has one `horizon` years later, (origin, low, high, what was seen).

    low, high: the 80 % interval that was foreseen from the origin with nothing after it.
    """
    rng = np.random.default_rng([seed, 5])
    out = []
    for beliefs in follow(past, prior)[_FEWEST - 1 :]:
        later = past.years[past.years >= beliefs.year + horizon - 0.01]
        if not len(later):
            break
        seen = float(past.log2[np.searchsorted(past.years, later[0])])
        steps = np.linspace(beliefs.year, later[0], max(2, int(horizon) + 1))[1:]
        at = paths(beliefs, steps, draws, rng)[:, -1]
        low, high = np.percentile(at, [10, 90])
        out.append((beliefs.year, float(low), float(high), seen))
    return out


def coverage(
    past: History, horizons: tuple[float, ...] = (1.0, 2.0, 3.0, 5.0, 8.0, 10.0), prior: Prior | None = None
) -> tuple[float, int]:
    """The share of rolling-origin forecasts whose 80 % interval held what came, and how many there were."""
    rows = [row for horizon in horizons for row in forecasts(past, horizon, prior=prior)]
    held = [low <= seen <= high for _, low, high, seen in rows]
    return (float(np.mean(held)), len(held)) if held else (float("nan"), 0)

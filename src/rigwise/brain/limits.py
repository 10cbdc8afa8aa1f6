"""The limits that the article names, as switches: each slows growth from a year on, or bounds the level or the rate.

    atoms, factory   from a drawn year on, a path keeps a drawn share of its steps
    energy           level <= watts of a site or a device / joules of an operation x share of peak reached
    interconnect     level <= today's x 2^(years / drawn years of a doubling)

    year of factory = 2015 + ln(affordable / 9e9) / ln(1 + growth)

Left out: that limits push on each other, and what people do about them. Source and ranges: data/scenarios.toml, which
says what is the article's and what is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.history import History
from rigwise.brain.parameters import as_words, read_range, read_sets
from rigwise.brain.tables import toml
from rigwise.errors import UsageError, not_found

Floats = NDArray[np.float64]
_KINDS = ("limit", "scenario", "start", "prior")  # of tables whose figures can be set

_ENDS = {"year": (1900, 3000), "from_year": (1900, 3000), "years": (0.05, 1000), "growth": (0, 10), "left": (0, 1),
         "doublings_a_year": (0, 20), "spread": (0, 20)}  # what a figure can be; others are above 0  # fmt: skip
_SHARES = ("hpcg", "linpack", "last", "device")  # of the peak of one machine; that of all 500 may be above 1


def limit_names() -> list[str]:
    """Limits that can be switched on."""
    return list(toml("scenarios")["limit"])


def chosen_limits(limits: str | Sequence[str]) -> tuple[str, ...]:
    """The limits that are on, in their order; "all" takes every one. Raises NotFoundError for another name."""
    every, wanted = limit_names(), as_words(limits)
    for name in wanted:
        if name not in every and name != "all":
            raise not_found("limit", name, every, hint=", ".join(["all", *every]))
    return tuple(name for name in every if "all" in wanted or name in wanted)


def settable() -> list[str]:
    """Figures that can be set: limit.figure, energy.share.hpcg, scenario.years, start.flops, trend.spread."""
    return list(_places(toml("scenarios")))


def figures(data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every figure that can be set, as it stands: its value or two ends, how sure it is, and where it comes from."""
    rows = {name: row for kind in _KINDS for name, row in data[kind].items()}
    found = {}
    for name, (table, key) in _places(data).items():
        limit, figure = name.split(".")[:2]
        sure = "assumed" if figure in rows[limit].get("assumed", ()) else "yes"
        found[name] = {"value": table[key], "sure": sure, "source": rows[limit]["source"]}
    return found


def _places(data: Mapping[str, Any]) -> dict[str, tuple[dict[str, Any], str]]:
    """By name, the table that a figure stands in and its key there."""
    rows = [(name, row) for kind in _KINDS for name, row in data[kind].items()]
    rows += [(f"{name}.{key}", inner) for name, row in rows for key, inner in row.items() if isinstance(inner, dict)]
    return {
        f"{name}.{key}": (row, key)
        for name, row in rows
        for key, value in row.items()
        if isinstance(value, int | float | list) and key != "assumed"
    }


def assumptions(sets: Mapping[str, float | str] | Sequence[str] = ()) -> Mapping[str, Any]:
    """The tables of scenarios.toml with figures set: ["energy.watts=1e9", "atoms.year=2030..2050", "moore.years=2"].

    Raises NotFoundError for an unknown figure and UsageError for a value that cannot be.

    >>> assumptions(["energy.watts=1e9"])["limit"]["energy"]["watts"]
    [1000000000.0, 1000000000.0]
    """
    data = deepcopy(dict(toml("scenarios")))
    places = _places(data)
    for name, text in read_sets(sets).items():
        if name not in places:
            raise not_found("figure of a limit", name, places, hint=", ".join(places))
        low, high = read_range(f"{name}={text}", text)
        row, figure = places[name]
        least, most = (0.0, 1.0) if figure in _SHARES else _ENDS.get(figure, (0.0, inf))
        if low < least or (high or low) > most:
            raise UsageError(f"{name}={text}", rule=f"{figure} lies between {least:g} and {most:g}")
        row[figure] = [low, low if high is None else high] if isinstance(row[figure], list) else low
    return data


def bend(
    level: Floats, years: Floats, past: History, limits: Sequence[str], data: Mapping[str, Any], seed: int
) -> Floats:
    """Paths under limits, draws x years of log2. Every limit draws, on or off, so that one does not move another."""
    if not limits:
        return level
    rng, draws = np.random.default_rng([seed, 8]), len(level)
    slow = np.ones((draws, len(years)))
    for name, when in (("atoms", _atoms), ("factory", _factory)):
        row = data["limit"][name]
        start, left = when(row, draws, rng), _uniform(row["left"], draws, rng)
        if name in limits:
            slow = np.minimum(slow, np.where(years[None, :] >= start[:, None], left[:, None], 1.0))
    cap = _energy(data["limit"]["energy"], past.name, draws, rng)
    rate = 1 / _uniform(data["limit"]["interconnect"]["years"], draws, rng)
    now = past.log2[-1]
    steps = np.diff(np.concatenate([np.full((draws, 1), now), level], axis=1), axis=1)
    bent = now + np.cumsum(steps * slow, axis=1)
    if "interconnect" in limits:
        bent = np.minimum(bent, now + (years - past.years[-1])[None, :] * rate[:, None])
    if "energy" in limits:
        bent = np.minimum(bent, np.maximum(cap, now)[:, None])
    return np.asarray(bent)


def _atoms(row: Mapping[str, Any], draws: int, rng: np.random.Generator) -> Floats:
    return _uniform(row["year"], draws, rng)


def _factory(row: Mapping[str, Any], draws: int, rng: np.random.Generator) -> Floats:
    affordable, growth = _log_uniform(row["affordable"], draws, rng), _uniform(row["growth"], draws, rng)
    return np.asarray(row["from_year"] + np.log(affordable / row["usd"]) / np.log1p(growth))


def _energy(row: Mapping[str, Any], metric: str, draws: int, rng: np.random.Generator) -> Floats:
    power = row["device_watts" if metric == "device" else "watts"]
    watts, joules, share = (_log_uniform(ends, draws, rng) for ends in (power, row["joules"], row["share"][metric]))
    return np.asarray(np.log2(watts / joules * share))


def _uniform(ends: Sequence[float], draws: int, rng: np.random.Generator) -> Floats:
    return np.asarray(rng.uniform(ends[0], ends[1], draws), dtype=np.float64)


def _log_uniform(ends: Sequence[float], draws: int, rng: np.random.Generator) -> Floats:
    return np.asarray(np.exp(rng.uniform(np.log(ends[0]), np.log(ends[1]), draws)))

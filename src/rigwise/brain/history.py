"""Histories of computing speed: years and log2 of the amount, so that a slope is doublings a year."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.tables import table
from rigwise.errors import not_found
from rigwise.units import TERA

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """years: as decimals, rising; log2: of the amount in `unit`; one entry an observation. like: a longer history of
    the same kind, which says how such a one grows.
    """

    name: str
    says: str
    unit: str
    years: Floats
    log2: Floats
    source: str
    like: str = ""

    def until(self, year: float) -> History:
        """What was known in a year."""
        known = self.years <= year
        return replace(self, years=self.years[known], log2=self.log2[known])

    def at(self, year: float) -> float:
        """The amount of the last observation before a year, its month included."""
        return float(2.0 ** self.log2[np.searchsorted(self.years, year, side="right") - 1])


def year_of(text: str) -> float:
    """A date as a decimal year; a list of a month is taken at its middle.

    >>> year_of("2013-06"), year_of("2025-07-02").__round__(2)
    (2013.5, 2025.5)
    """
    parts = [int(part) for part in text.split("-")]
    if len(parts) < 3:
        return parts[0] + (parts[1] / 12 if len(parts) == 2 else 0.5)
    return parts[0] + (date(*parts) - date(parts[0], 1, 1)).days / 365.25


def _lists(column: str) -> Callable[[], Iterable[tuple[float, float]]]:
    return lambda: ((year_of(r["list"]), float(r[column]) * TERA) for r in table("supercomputers") if r[column])


def _training() -> Iterable[tuple[float, float]]:
    """Runs that took more than any before them, since 2010; of one day the largest."""
    most = 0.0
    largest: dict[str, float] = {}
    for row in table("training_runs"):
        largest[row["date"]] = max(largest.get(row["date"], 0.0), float(row["flop"]))
    for day, flop in sorted(largest.items()):
        if flop > most and day >= "2010":
            most = flop
            yield year_of(day), most


def _devices() -> Iterable[tuple[float, float]]:
    """The best so far of each year at products, taken at its middle; without the last year, which is not over."""
    best: dict[int, float] = {}
    for row in table("accelerators"):
        year = int(row["date"][:4])
        best[year] = max(best.get(year, 0.0), float(row["flops"]))
    most = 0.0
    for year in sorted(best)[:-1]:
        most = max(most, best[year])
        yield year + 0.5, most


_TOP500 = "TOP500 lists 1993 to 2025"
_KINDS: Mapping[str, tuple[str, str, str, Callable[[], Iterable[tuple[float, float]]]]] = {
    "linpack": ("the fastest machine, LINPACK", "FLOP/s", _TOP500, _lists("no1_tflops")),
    "sum": ("all 500 machines together, LINPACK", "FLOP/s", _TOP500, _lists("sum_tflops")),
    "last": ("the 500th machine, LINPACK", "FLOP/s", _TOP500, _lists("no500_tflops")),
    "hpcg": ("the fastest machine, HPCG", "FLOP/s", _TOP500 + ", HPCG", _lists("hpcg_tflops")),
    "training": ("the largest training run so far", "FLOP", "Epoch AI, frontier models, 2026", _training),
    "device": ("the fastest accelerator so far", "FLOP/s", "Epoch AI, machine learning hardware, 2026", _devices),
}


def names() -> list[str]:
    """The histories that are known."""
    return list(_KINDS)


@cache
def history(name: str) -> History:
    """A history by name. Raises NotFoundError for another."""
    if name not in _KINDS:
        raise not_found("history", name, _KINDS, hint=", ".join(_KINDS))
    says, unit, source, read = _KINDS[name]
    years, amounts = (np.array(column, dtype=np.float64) for column in zip(*read(), strict=True))
    like = "linpack" if name == "hpcg" else ""
    return History(name=name, says=says, unit=unit, years=years, log2=np.log2(amounts), source=source, like=like)

"""Watts: what the parts draw, what a supply must deliver, what the wall gives, and what it costs.

    supply   S = 1.1 (G + C + R)          article 3: GPUs, processor, about a tenth of the GPUs for the rest, a tenth
    more peak     W + (k - 1) sqrt(sum P_i^2) <= q S_rated    k: short peaks of a card over its limit, not all at once
    wall     W / e(level) <= 0.8 V A      a circuit carries four fifths of its rating for hours
    cost     W t p / e

Source: T. Dettmers, "A Full Hardware Guide to Deep Learning"; peaks, circuits and levels in data/power.toml, each with
its source. Left out: losses in cables, ageing, the supply's efficiency at partial load.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import ceil, hypot
from typing import Any

from rigwise.errors import UsageError
from rigwise.units import DAY, HOUR, KILO


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """A wall circuit."""

    volts: float
    amps: float

    @property
    def lasting(self) -> float:
        """Watts that it carries for hours.

        >>> Circuit(volts=120, amps=15).lasting
        1440.0
        """
        return float(constants()["circuit"]["lasting"]) * self.volts * self.amps

    def __str__(self) -> str:
        return f"{self.volts:g} V {self.amps:g} A"


def read_circuit(text: str) -> Circuit:
    """A circuit as people write it. Raises UsageError.

    >>> read_circuit("120 V 15 A"), read_circuit("230V16A").lasting
    (Circuit(volts=120.0, amps=15.0), 2944.0)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*v\W*(\d+(?:\.\d+)?)\s*a\s*", text.lower())
    if not found or not float(found[1]) or not float(found[2]):
        raise UsageError(f"circuit {text!r}", rule="volts and amperes", nearest='"120 V 15 A" or "230 V 16 A"')
    return Circuit(volts=float(found[1]), amps=float(found[2]))


@cache
def constants() -> dict[str, Any]:
    """The numbers of data/power.toml."""
    return tomllib.loads(files("rigwise.rig").joinpath("data/power.toml").read_text("utf-8"))


def supply_watts(gpus: Iterable[float], cpu: float, rest: float | None = None) -> tuple[float, float]:
    """Watts of a machine and watts that its supply should deliver. rest: a tenth of the GPUs' where nobody says.

    >>> total, wanted = supply_watts([250] * 4, 150)
    >>> total, round(wanted), whole_supply(wanted)
    (1250.0, 1375, 1400)
    >>> round(supply_watts([350] * 4, 150, rest=0)[1])
    1705
    """
    cards = float(sum(gpus))
    share = float(constants()["supply"]["rest"])
    total = cards + cpu + (share * cards if rest is None else rest)
    return total, total * margin()


def margin() -> float:
    """What a supply should deliver over what the machine draws."""
    return float(constants()["supply"]["margin"])


def whole_supply(watts: float) -> int:
    """The next rating that supplies are made in: steps of 50 W."""
    step = int(constants()["supply"]["step"])
    return step * ceil(round(watts, 6) / step)


def peak_watts(steady: float, cards: Iterable[tuple[float, str]]) -> float:
    """Watts of the shortest peaks: cards as (watts, architecture); their excesses do not fall on the same instant.

    >>> round(peak_watts(1800, [(350, "Ampere")] * 4)), round(peak_watts(1800, [(450, "Ada")] * 4))
    (2290, 2070)
    """
    return steady + hypot(*((peak_factor(arch) - 1.0) * watts for watts, arch in cards))


def peak_factor(arch: str) -> float:
    """Peaks of a millisecond over the power limit, by architecture."""
    table: dict[str, float] = constants()["peaks"]
    known = [name for name in table if arch.lower().startswith(name)]
    return float(table[max(known, key=len)] if known else table["default"])


def peak_allowed(rating: float, atx3: bool) -> float:
    """Watts that a supply stands for a millisecond."""
    shares = constants()["supply"]
    return rating * float(shares["peak_atx3"] if atx3 else shares["peak"])


def efficiency(level: str) -> float:
    """Share of the wall's watts that arrive, at half load, by 80 PLUS level; the base level where it is not known."""
    levels: dict[str, float] = constants()["efficiency"]
    return float(levels.get(level.lower(), levels["white"]))


def running_cost(watts: float, hours: float, per_kwh: float, share: float = 1.0) -> tuple[float, float]:
    """Kilowatt-hours at the wall and dollars. share: what arrives of what is paid for.

    Article 3's two weeks of a machine of 1,000 W, and a supply of 80 %:

    >>> [round(v, 1) for v in running_cost(1000, 14 * 24, 0.20)]
    [336.0, 67.2]
    >>> round(running_cost(1000, 14 * 24, 0.20, 0.8)[1] - 67.2, 1)
    16.8
    """
    kwh = watts * hours / KILO / share
    return kwh, kwh * per_kwh


def year_hours(use: float) -> float:
    """Hours at work in a year of which a share is used.

    >>> round(0.45 * year_hours(0.15), 1)
    591.3
    """
    return 365 * DAY / HOUR * use

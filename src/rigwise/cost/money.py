"""Money: what a step costs, from rent or from owning, and electricity.

C = T N r + E p PUE;  r US dollars a device-second: the rent, or the price spread over the years that it is used;
p dollars a joule. Left out: staff, rooms, repairs, resale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.ledger import summed, tell, told
from rigwise.units import HOUR, KILO, YEAR

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Prices. hourly: dollars a device-hour of rent, electricity included; None: the device is owned.

    price: dollars a device when owned, None when unknown. years and use: over how many years it is written off, and
    what share of them it works. per_kwh, pue: electricity.
    """

    hourly: float | None = None
    price: float | None = None
    years: float = 3.0
    use: float = 0.5
    per_kwh: float = 0.175
    pue: float = 1.2


@told("cost")
def cost_usd(devices: float, step_s: ArrayLike, joules: ArrayLike, rates: Rates) -> Floats | None:
    """US dollars of one step, or None where neither a rent nor a price is known.

    >>> cost_usd(8, 3600.0, 0.0, Rates(hourly=2.0)).item()
    16.0
    """
    step, energy = np.asarray(step_s, dtype=np.float64), np.asarray(joules, dtype=np.float64)
    if rates.hourly is not None:
        tell(rent=rates.hourly)
        return summed(("rent", devices / HOUR * rates.hourly, step))
    if rates.price is None:
        return None
    tell(price=rates.price, years=rates.years, use=rates.use, per_kwh=rates.per_kwh, pue=rates.pue)
    return summed(
        ("devices", devices * rates.price / (rates.years * YEAR * rates.use), step),
        ("electricity", rates.per_kwh * rates.pue / (KILO * HOUR), energy),
    )

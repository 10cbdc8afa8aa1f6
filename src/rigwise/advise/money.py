"""What owning and renting cost, and where one becomes cheaper than the other. US dollars, hours, watts.

    own      cards + host - resale + kW x hours x price of a kWh
    rent     dollars an hour x hours
    hours of break-even = (cards + host - resale) / (rent an hour - electricity an hour)

Left out: time to build and repair, rooms, cooling beyond the PUE, interest, taxes, data transfers.
Source: arithmetic; the worked numbers are Dettmers' of 2020 and 2023 (Which GPU(s) to Get).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from rigwise.units import DAY, HOUR, KILO, YEAR

MINUTES_A_DAY = 1440.0
MONTH_DAYS = 365 / 12


def electricity_usd(watts: float, hours: float, per_kwh: float) -> float:
    """Dollars for electricity.

    >>> round(electricity_usd(350 + 100, 0.15 * 8760, 0.12), 2), round(electricity_usd(450, 0.15 * 8760, 0.175), 1)
    (70.96, 103.5)
    """
    return watts / KILO * hours * per_kwh


def resale_usd(paid: float, kept_a_year: float, years: float) -> float:
    """Dollars that something fetches after years.

    >>> round(resale_usd(1000.0, 0.88, 3.0))
    681
    """
    return float(paid * kept_a_year**years)


def spot_usd(per_hour: float, interruptions_per_day: float, lost_minutes: float) -> float:
    """Dollars of a useful hour on machines that may be taken away; inf where nothing is left.

    >>> round(spot_usd(0.9, 6.0, 20.0), 3)
    0.982
    """
    useful = 1 - interruptions_per_day * lost_minutes / MINUTES_A_DAY
    return per_hour / useful if useful > 0 else inf


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Where owning becomes cheaper than renting. hours: of work; days: at the share of the day that it works.

    rent_usd, own_usd: what either has cost by then. never: renting stays cheaper.
    """

    hours: float
    days: float
    rent_usd: float
    own_usd: float

    @property
    def never(self) -> bool:
        """Whether electricity alone costs more than the rent."""
        return self.hours == inf

    @property
    def months(self) -> float:
        """The days in months."""
        return self.days / MONTH_DAYS

    def to_dict(self) -> dict[str, float | None]:
        """For JSON; None where renting stays cheaper."""
        rows = {"hours": self.hours, "days": self.days, "rent_usd": self.rent_usd, "own_usd": self.own_usd}
        return {key: None if self.never else value for key, value in rows.items()}


def break_even(
    price: float, rent_per_hour: float, *, watts: float, per_kwh: float, use: float, resale: float = 0.0
) -> BreakEven:
    """Hours and days from which owning is cheaper. use: share of all hours that the machine works, above 0.

    Article 7 (2020): a desktop of 2,200 dollars and 450 W against 2.14 dollars an hour, used 15 % of the time.

    >>> found = break_even(2200.0, 2.14, watts=450.0, per_kwh=0.12, use=0.15)
    >>> round(found.days), round(break_even(2200.0, 0.9, watts=450.0, per_kwh=0.12, use=0.15).months, 1)
    (293, 23.7)
    """
    running = electricity_usd(watts, 1.0, per_kwh)
    if rent_per_hour <= running:
        return BreakEven(hours=inf, days=inf, rent_usd=inf, own_usd=inf)
    hours = max(price - resale, 0.0) / (rent_per_hour - running)
    days = hours / use / (DAY / HOUR)
    return BreakEven(hours=hours, days=days, rent_usd=hours * rent_per_hour, own_usd=price - resale + hours * running)


def rent_usd(per_hour: float, use: float, days: float) -> float:
    """Dollars of renting for days at a share of the hours.

    >>> round(rent_usd(2.14, 0.15, 300.0), 1)
    2311.2
    """
    return per_hour * use * DAY / HOUR * days


def yearly_kwh(watts: float, use: float) -> float:
    """Kilowatt-hours of a year.

    >>> round(yearly_kwh(450.0, 0.15), 1)
    591.3
    """
    return watts / KILO * use * YEAR / HOUR

"""What owning and renting cost, and where one becomes cheaper than the other. US dollars, hours, watts.

    own      cards + host - resale + kW x hours x price of a kWh
    rent     dollars an hour x hours
    hours of break-even = (cards + host - resale) / (rent an hour - electricity an hour)

What something fetches falls with the years, so that the hours are sought where both sides meet.

Left out: time to build and repair, rooms, cooling beyond the PUE, interest, taxes, data transfers.
Source: arithmetic; the worked numbers are Dettmers' of 2020 and 2023 (Which GPU(s) to Get).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from math import inf

from rigwise.advise.assumptions import assumed
from rigwise.units import DAY, HOUR, KILO, YEAR

MINUTES_A_DAY = 1440.0
MONTH_DAYS = 365 / 12
_HALVINGS = 60  # of the hours until a machine that is never sold has paid for itself


def electricity_usd(watts: float, hours: float, per_kwh: float) -> float:
    """Dollars for electricity.

    >>> round(electricity_usd(350 + 100, 0.15 * 8760, 0.12), 2), round(electricity_usd(450, 0.15 * 8760, 0.175), 1)
    (70.96, 103.5)
    """
    return watts / KILO * hours * per_kwh


def resale_usd(paid: float, kept_a_year: float, years: float) -> float:
    """Dollars that something is worth after years.

    >>> round(resale_usd(1000.0, 0.88, 3.0))
    681
    """
    return float(paid * kept_a_year**years)


def card_worth(paid: float, age: float, years: float) -> float:
    """Dollars that a card of an age, bought for `paid`, is worth after years; from `old` years on it loses more a year.

    >>> round(card_worth(1000.0, 0.0, 3.0)), round(card_worth(1000.0, 5.0, 3.0))  # 0.88^3; 0.88 x 0.75^2
    (681, 495)
    """
    kept = assumed("resale")
    young = min(max(float(kept["old"]) - age, 0.0), years)
    return resale_usd(resale_usd(paid, kept["kept_a_year"], young), kept["kept_when_old"], years - young)


def useful_share(interruptions_per_day: float, lost_minutes: float) -> float:
    """What is left of the hours of machines that may be taken away; 0 where nothing is.

    >>> round(0.9 / useful_share(6.0, 20.0), 3)  # dollars of a useful hour at 0.90 an hour
    0.982
    """
    return max(1 - interruptions_per_day * lost_minutes / MINUTES_A_DAY, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Where owning becomes cheaper than renting. hours: of work; days: at the share of the day that it works.

    rent_usd, own_usd: what either has cost by then. resale_usd: what is got for the machine on that day. kept_hours,
    kept_days: the same if it is never sold. never: renting stays cheaper.
    """

    hours: float
    days: float
    rent_usd: float
    own_usd: float
    resale_usd: float
    kept_hours: float
    kept_days: float

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
        return {key: None if self.never else float(value) for key, value in asdict(self).items()}


def break_even(
    price: float,
    rent_per_hour: float,
    *,
    watts: float,
    per_kwh: float,
    use: float,
    worth: Callable[[float], float] = lambda years: 0.0,
) -> BreakEven:
    """Hours and days from which owning is cheaper. use: share of all hours that the machine works, above 0.

    worth: dollars that the machine fetches when it is sold after so many years; it must not rise.

    Article 7 (2020): a desktop of 2,200 dollars and 450 W against 2.14 dollars an hour, used 15 % of the time.

    >>> found = break_even(2200.0, 2.14, watts=450.0, per_kwh=0.12, use=0.15)
    >>> round(found.days), round(break_even(2200.0, 0.9, watts=450.0, per_kwh=0.12, use=0.15).months, 1)
    (293, 23.7)
    """
    running = electricity_usd(watts, 1.0, per_kwh)
    if rent_per_hour <= running:
        return BreakEven(**dict.fromkeys((f.name for f in fields(BreakEven)), inf))
    a_year = use * YEAR / HOUR
    saved = rent_per_hour - running
    kept = max(price, 0.0) / saved
    hours = _meet(lambda h: price - worth(h / a_year) - saved * h, kept)
    got = worth(hours / a_year)
    return BreakEven(
        hours=hours,
        days=hours / use / (DAY / HOUR),
        rent_usd=hours * rent_per_hour,
        own_usd=price - got + hours * running,
        resale_usd=got,
        kept_hours=kept,
        kept_days=kept / use / (DAY / HOUR),
    )


def _meet(owed: Callable[[float], float], most: float) -> float:
    """The hour from which owning has cost no more, sought by halves between 0 and `most`, where nothing is owed."""
    low, high = 0.0, most
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if owed(middle) > 0 else (low, middle)
    return high


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

"""Prices: of cards new and used, of devices by the hour, each with its date and its source.

A price says how old it is. Used prices are estimated from the launch price, as no usable table was found, and say so.
Own prices go before all others: a flag, or a CSV with the columns device, condition, price_usd, date.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date as Day
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from rigwise.advise.assumptions import assumed
from rigwise.advise.money import card_worth
from rigwise.errors import NotFoundError, UsageError
from rigwise.hardware.catalog import device as find_device
from rigwise.hardware.device import Device

CONDITIONS = ("new", "used", "rent", "spot")
_CHIEF = ("device", "condition", "price_usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars of one card, or of one device for an hour (rent and spot). estimated: worked out, not observed."""

    usd: float
    condition: str
    date: str
    source: str
    estimated: bool = False

    @property
    def seen(self) -> Day | None:
        """The day on which it was seen; None where nobody wrote it down."""
        try:
            return Day.fromisoformat(self.date)
        except ValueError:
            return None

    def age(self, today: Day) -> int | None:
        """Days since the price was seen; None where nobody wrote the day down."""
        return None if self.seen is None else max((today - self.seen).days, 0)

    def doubt(self, today: Day) -> str:
        """What to mark the price with; empty for a fresh one that was seen."""
        days, old = self.age(today), int(assumed("age")["old_days"])
        if self.estimated:
            return f"{self.condition} price estimated: {self.source}"
        if days is None:
            return f"{self.condition} price without a date: {self.source}"
        return f"{self.condition} price is {days} days old (older than {old})" if days > old else ""

    def to_dict(self, today: Day) -> dict[str, Any]:
        """The price as it is frozen into an answer."""
        return {
            "usd": self.usd,
            "condition": self.condition,
            "date": self.date,
            "age_days": self.age(today),
            "old": bool(self.doubt(today)),
            "estimated": self.estimated,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Devices by the hour: `count` of them at usd_per_hour, up to `most` in one machine."""

    provider: str
    instance: str
    device: str
    count: int
    most: int
    usd_per_hour: float
    spot: bool
    region: str
    date: str
    source: str

    def check(self) -> None:
        """Raises ValueError for what is no offer."""
        if self.count < 1 or self.most < self.count or not 0 < self.usd_per_hour < float("inf"):
            raise ValueError(self)

    def serves(self, count: int) -> bool:
        """Whether one machine of it has `count` devices."""
        return count <= self.most and count % self.count == 0

    def price(self) -> Price:
        """A device's hour."""
        instance = self.instance if self.instance != "-" else ""
        words = " ".join(filter(None, (self.provider, instance, self.region)))
        kind = "spot" if self.spot else "rent"
        return Price(
            usd=self.usd_per_hour / self.count, condition=kind, date=self.date, source=f"{words} ({self.source})"
        )


def left_behind(device: Device) -> bool:
    """Whether the current software of its vendor leaves a device's architecture out.

    >>> left_behind(find_device("gtx-1080-ti")), left_behind(find_device("rtx-2080-ti"))
    (True, False)
    """
    return device.arch.startswith(tuple(assumed("left_behind")["architectures"]))


@dataclass(frozen=True, kw_only=True)
class PriceBook:
    """All prices that are known on a day: the packaged ones, those refreshed on this machine, and one's own."""

    today: Day
    offers: Sequence[Offer] = ()
    own: Mapping[tuple[str, str], Price] = field(default_factory=dict)

    @cached_property
    def _by_device(self) -> Mapping[tuple[str, bool], Sequence[Offer]]:
        found: dict[tuple[str, bool], list[Offer]] = {}
        for offer in self.offers:
            found.setdefault((offer.device, offer.spot), []).append(offer)
        return found

    def card(self, device: Device, condition: str) -> Price | None:
        """A card's price, new or used; None where it is not to be had so, or bought at a price of one's own alone."""
        own = self.own.get((device.name, condition))
        if own or condition not in ("new", "used"):
            return own
        if left_behind(device):
            return None
        return self._used(device) if condition == "used" else self._new(device)

    def second_hand(self, device: Device) -> Price | None:
        """What a used card goes for, whether or not one would buy it; None where nobody knows."""
        return self.own.get((device.name, "used")) or self._used(device)

    def age(self, device: Device) -> float:
        """Years since a device's launch; 0 where nobody wrote the year down."""
        return float(max(self.today.year - device.year, 0)) if device.year is not None else 0.0

    def _new(self, device: Device) -> Price | None:
        if device.name in _listed():
            return _listed()[device.name]
        resale = assumed("resale")
        if _for_shops(device) and device.year is not None and device.year <= _shops_year():
            return None  # shops carried such cards that year, and this one no more
        if device.price is None or device.year is None or self.today.year - device.year > resale["shipped_years"]:
            return None
        return Price(
            usd=device.price, condition="new", date=f"{device.year}-07-01", source=f"launch price; {device.source}"
        )

    def _used(self, device: Device) -> Price | None:
        """Estimated: a share of what shops ask where they still do, else what years leave of the launch price.

        Nothing is estimated for cards of servers: the one price that the estimate was held against is a desktop's.
        """
        resale, listed = assumed("resale"), _listed().get(device.name)
        if device.price is None or device.year is None or device.form != "pcie" or device.kind != "gpu":
            return None
        if device.name in assumed("passive")["devices"]:
            return None
        years = self.today.year - device.year
        if not 2 <= years <= resale["most_years"]:
            return None
        if listed:
            usd = listed.usd * resale["used_of_new"]
            says = f"{resale['used_of_new']:.0%} of the shops' {listed.usd:,.0f} of {listed.date} ({listed.source})"
        else:
            usd = card_worth(device.price, 0.0, years)
            says = f"{usd / device.price:.0%} of the launch price of {device.price:,.0f} after {years} years"
            says += f" ({device.source})"
        says += f"; the share is {resale['basis']}"
        return Price(usd=usd, condition="used", date=self.today.isoformat(), source=says, estimated=True)

    def hour(self, device: Device, count: int, *, spot: bool) -> Price | None:
        """The least that a device's hour costs in a machine of `count`; fresh offers go before old ones, and those
        before offers without a date.
        """
        own = self.own.get((device.name, "spot" if spot else "rent"))
        if own:
            return own
        fitting = [o for o in self._by_device.get((device.name, spot), ()) if o.serves(count)]
        prices = [offer.price() for offer in fitting]
        return min(prices, key=lambda p: (p.seen is None, bool(p.doubt(self.today)), p.usd), default=None)


def price_book(
    own: Iterable[str] = (),
    *,
    file: str | Path | None = None,
    today: Day | None = None,
    refreshed: str | Path | None = None,
) -> PriceBook:
    """The prices of a day. own: texts such as "rtx-3090=700", "rtx-3090:used=650" or "h100:rent=2.1".

    file: a CSV of own prices. refreshed: a CSV that `rigwise prices refresh` wrote. Raises UsageError for what cannot
    be read, NotFoundError for an unknown device.
    """
    day = today or Day.today()  # noqa: DTZ011  the reader's own day
    known = {} if file is None else _from_file(Path(file), day)
    known |= dict(_own(text, day) for text in own)
    fresh = [] if refreshed is None else read_offers(Path(refreshed))
    renewed = {offer.provider for offer in fresh}
    kept = [offer for offer in packaged_offers() if offer.provider not in renewed]
    return PriceBook(today=day, offers=(*fresh, *kept), own=known)


def _own(text: str, day: Day) -> tuple[tuple[str, str], Price]:
    name, equals, amount = text.rpartition("=")
    what, _, condition = name.partition(":")
    try:
        usd = float(amount.strip().removeprefix("$").replace(",", ""))
    except ValueError:
        usd = -1.0
    condition = condition.strip() or "new"
    if not equals or not 0 <= usd < float("inf") or condition not in CONDITIONS:
        rule = f"DEVICE=USD or DEVICE:KIND=USD, KIND one of {', '.join(CONDITIONS)}"
        raise UsageError(f"cannot read the price {text!r}", rule=rule, nearest="rtx-3090:used=700")
    price = Price(usd=usd, condition=condition, date=day.isoformat(), source="said by you")
    return (find_device(what.strip()).name, condition), price


def _from_file(path: Path, day: Day) -> dict[tuple[str, str], Price]:
    prices = {}
    for number, row in enumerate(_rows(path, _CHIEF), start=2):
        try:
            key, price = _own(f"{row['device']}:{row['condition'] or 'new'}={row['price_usd']}", day)
        except (UsageError, NotFoundError) as error:
            raise type(error)(f"{path}:{number}: {error.says}", rule=error.rule, nearest=error.nearest) from None
        said = _day(row.get("date"), f"{path}:{number}") or day.isoformat()
        prices[key] = Price(usd=price.usd, condition=key[1], date=said, source=row.get("source") or path.name)
    return prices


def _day(text: str | None, where: str) -> str:
    """A date as it stands in a file; empty where there is none."""
    try:
        return Day.fromisoformat(text.strip()).isoformat() if text and text.strip() else ""
    except ValueError:
        raise UsageError(f"{where}: cannot read the date {text!r}", rule="YYYY-MM-DD", nearest="2026-11-22") from None


def _rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    missing = [key for key in needed if rows and key not in rows[0]]
    if missing or not rows:
        raise UsageError(f"{path} has no {', '.join(missing) or 'rows'}", rule=f"a CSV with {', '.join(needed)}")
    return rows


@cache
def _listed() -> Mapping[str, Price]:
    return {
        row["device"]: Price(
            usd=float(row["price_usd"]), condition=row["condition"], date=row["date"], source=row["source"]
        )
        for row in _packaged("card_prices.csv")
    }


@cache
def _shops_year() -> int:
    """The year of the packaged prices of shops."""
    return max(Day.fromisoformat(price.date).year for price in _listed().values())


def _for_shops(device: Device) -> bool:
    """Whether a card is of the series that shops sell to everybody."""
    return device.full_name.startswith(tuple(assumed("shops")["series"]))


@cache
def packaged_offers() -> tuple[Offer, ...]:
    """The offers that come with the package."""
    return tuple(_offer(row) for row in _packaged("cloud_prices.csv"))


def read_offers(path: Path) -> list[Offer]:
    """The offers of a CSV in the columns of data/cloud_prices.csv. Raises UsageError for a file that cannot be read."""
    needed = ("provider", "instance", "device", "count", "most", "usd_per_hour", "spot", "region", "date", "source")
    offers = []
    for number, row in enumerate(_rows(path, needed), start=2):
        try:
            offer = _offer(row)
            offer.check()
        except (TypeError, ValueError):
            rule = "whole numbers of devices from 1 on, and a price above nothing"
            again = "remove the file, or ask anew: rigwise prices refresh"
            raise UsageError(f"{path}:{number}: cannot read this offer", rule=rule, nearest=again) from None
        offers.append(offer)
    return offers


def _offer(row: Mapping[str, str]) -> Offer:
    return Offer(
        provider=row["provider"],
        instance=row["instance"],
        device=row["device"],
        count=int(row["count"]),
        most=int(row["most"]),
        usd_per_hour=float(row["usd_per_hour"]),
        spot=row["spot"] == "yes",
        region=row["region"],
        date=row["date"],
        source=row["source"],
    )


def _packaged(name: str) -> list[dict[str, str]]:
    text = files("rigwise.advise").joinpath("data", name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))

"""The general charts of article 7, from the cost model: every card's speed and its speed for the money, for a work.

A work is a network, a batch and a pass; data/works.toml has them. The money is the article's: the card, its desktop,
and five years of electricity at 15 % use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rigwise.advise.assumptions import assumed, data, host_for
from rigwise.advise.fleet import Fleet, Floats, fleets
from rigwise.advise.judge import judge, machine
from rigwise.advise.money import electricity_usd
from rigwise.advise.needs import Need
from rigwise.advise.prices import PriceBook
from rigwise.cost.arrays import total
from rigwise.cost.compute import block_times
from rigwise.cost.efficiencies import family_of
from rigwise.errors import not_found
from rigwise.hardware.catalog import devices
from rigwise.hardware.device import Device
from rigwise.layouts.layout import PRECISIONS, Layout, LayoutTable
from rigwise.models.model import Model

_YEARS, _HOURS, _PER_KWH = 5.0, 0.15 * 8760, 0.175  # of the article's charts


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A card in a chart. speed: samples a second. usd: card, desktop and electricity; None where no price is known.

    relative: speed over the fastest card's; value: speed a dollar over that of the best that was measured. measured:
    whether a card of its architecture was.
    """

    device: str
    name: str
    memory: float
    speed: float
    relative: float
    usd: float | None
    condition: str
    value: float | None
    measured: bool = True

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "device": self.device,
            "name": self.name,
            "memory_bytes": self.memory,
            "throughput": self.speed,
            "relative": self.relative,
            "price_usd": self.usd,
            "condition": self.condition,
            "relative_per_usd": self.value,
            "measured": self.measured,
        }


def by_value(bars: Sequence[Bar]) -> list[Bar]:
    """Those with a price, the most for the money first; what is a guess after what was measured."""
    return sorted((bar for bar in bars if bar.value), key=lambda bar: (not bar.measured, -(bar.value or 0.0)))


def works() -> dict[str, str]:
    """The works that there is a chart of, and what each is."""
    return {name: row["says"] for name, row in data("works").items()}


def work(name: str) -> dict[str, Any]:
    """The row of a work. Raises NotFoundError for an unknown one."""
    known = data("works")
    if name not in known:
        raise not_found("kind of work", name, known, hint=", ".join(known))
    return dict(known[name])


def chart(name: str, model: Model, book: PriceBook) -> list[Bar]:
    """Every card with a rate for the work, the fastest first. model: of the work, loaded by who asks."""
    row = work(name)
    forms, unsold = ("pcie", "sxm", "oam", "soc"), assumed("unsold")
    cards = [d for d in devices().values() if d.kind == "gpu" and d.form in forms and d.name not in unsold]
    if row["pass"] == "training":
        verdicts = judge(Need(model=model, batch=row["batch"], most=1), cards)
        speeds = {key: v.samples_per_s for (key, count), v in verdicts.items() if count == 1 and v.fits}
    else:
        speeds = dict(_inference(cards, model, row["batch"], row["precision"]))
    return _bars(speeds, book)


def _bars(speeds: dict[str, float], book: PriceBook) -> list[Bar]:
    known = devices()
    money = {name: _usd(known[name], book) for name in speeds}
    top = max(speeds.values())
    values = {name: speeds[name] / usd for name, (usd, _) in money.items() if usd}
    best = max((v for name, v in values.items() if family_of(known[name]) != "default"), default=1.0)
    return [
        Bar(
            device=name,
            name=known[name].full_name,
            memory=known[name].memory,
            speed=speed,
            relative=speed / top,
            usd=money[name][0],
            condition=money[name][1],
            value=values[name] / best if name in values else None,
            measured=family_of(known[name]) != "default",
        )
        for name, speed in sorted(speeds.items(), key=lambda item: -item[1])
    ]


def _usd(device: Device, book: PriceBook) -> tuple[float | None, str]:
    """Dollars of a card with its desktop and five years of power: new, else used; none for cards of whole servers."""
    host = host_for(device, 1)
    for condition in ("new", "used"):
        price = book.card(device, condition) if host and device.form not in ("sxm", "oam") else None
        if price and host:
            power = electricity_usd(device.tdp or 0.0, _HOURS * _YEARS, _PER_KWH)
            return price.usd + host.price + power, condition
    return None, ""


def _inference(cards: Sequence[Device], model: Model, batch: int, precision: str) -> Iterator[tuple[str, float]]:
    """Samples a second of the forward pass; a card without float8 uses its int8, one without both its 16 bit."""
    able = [_with_rate(card, precision) for card in cards]
    for kind in (precision, None):
        here = [c for c in able if (precision in c.peak) == (kind is not None)]
        for fleet in fleets([machine(card, 1) for card in here], "modern", kind):
            for member, seconds in zip(fleet.members, _forward(fleet, model, batch), strict=True):
                yield member.device.name, batch / float(seconds)


def _with_rate(card: Device, precision: str) -> Device:
    rate = card.peak.get(precision) or card.peak.get("int8")
    return replace(card, peak={**card.peak, precision: rate}) if rate else card


def _forward(fleet: Fleet, model: Model, batch: int) -> Floats:
    """Seconds of the forward pass of a batch on each member."""
    row = LayoutTable.of([Layout(micro=batch)])
    table = replace(row, **{k: getattr(row, k)[:, None] for k in LayoutTable.__dataclass_fields__ if k != "blocks"})
    table = replace(table, precision=np.full((1, 1), PRECISIONS.index(fleet.precision)))
    _, on = fleet.stacked()
    seconds = total(block.count * block_times(block, table, on).forward for block in model.blocks)
    return np.broadcast_to(seconds, (len(fleet.members), 1, 1))[:, 0, 0]

"""Buy or rent: the best choice that is bought against renting as much work, on demand and on spot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rigwise.advise.assumptions import assumed
from rigwise.advise.choice import Choice, worth
from rigwise.advise.money import BreakEven, break_even, useful_share
from rigwise.advise.needs import Need
from rigwise.advise.prices import PriceBook


def buy_or_rent(order: Sequence[Choice], need: Need, book: PriceBook) -> dict[str, Any] | None:
    """The break-even of the best choice that is bought; None where nothing is bought, or nothing like it is rented.

    spot: the same against spot, an hour of which costs more by what interruptions take; None where none is known.
    """
    owned = next((c for c in order if c.candidate.bought and c.candidate.cards > 0), None)
    if owned is None or owned.verdict.watts is None:
        return None
    hired = _rental(owned, order, need, book, spot=False)
    if hired is None:
        return None
    spot = _rental(owned, order, need, book, spot=True)
    return {"buy": owned.candidate.name, **_told(owned, hired, need), "spot": spot and _told(owned, spot, need)}


def _told(owned: Choice, hired: tuple[float, str], need: Need) -> dict[str, Any]:
    rent, what = hired
    return {"rent": what, "rent_usd_per_hour": rent, "use": need.use, **against(owned, rent, need).to_dict()}


def against(owned: Choice, rent_per_hour: float, need: Need) -> BreakEven:
    """The break-even of a bought choice with a rent for the same work, sold on that day.

    What cards fetch that are there already is left out: it is got in either case.
    """
    c = owned.candidate
    return break_even(
        c.cards + c.around,
        rent_per_hour,
        watts=owned.verdict.watts or 0.0,
        per_kwh=need.per_kwh,
        use=need.use,
        worth=lambda years: worth(c, years),
    )


def _rental(
    owned: Choice, order: Sequence[Choice], need: Need, book: PriceBook, *, spot: bool
) -> tuple[float, str] | None:
    """Dollars of a useful hour for as much work as a bought choice does: of the same devices, else of the cheapest."""
    c = owned.candidate
    useful = useful_share(need.interruptions, float(assumed("spot")["lost_minutes"])) if spot else 1.0
    same = book.hour(c.device, min(c.count, 8), spot=spot)
    if same:
        return same.usd * c.count / useful, f"{c.count}x {c.device.name} ({same.source}, {same.date})"
    hired = [other for other in order if other.candidate.condition == ("spot" if spot else "rent")]
    if not hired:
        return None
    near = min(hired, key=lambda c: (c.candidate.card.seen is None, c.candidate.hourly / c.throughput))
    times = owned.throughput / near.throughput / useful
    return near.candidate.hourly * times, f"{near.candidate.name}, for as much work"

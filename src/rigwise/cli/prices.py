"""`rigwise prices show|refresh`: what is known of prices, and live ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, facts, table

if TYPE_CHECKING:
    from rigwise.advise.prices import Price


def show_(
    name: str,
    /,
    *,
    price: Annotated[list[str] | None, Parameter(negative="")] = None,
    prices: Path | None = None,
    look: Look = Look(),
) -> None:
    """What is known of a device's prices: new, used, by the hour and on spot, with date and source.

    Parameters
    ----------
    name
        A device as people write it: h100, "RTX 4090".
    price
        Own prices: rtx-3090=700.
    prices
        A CSV of own prices.
    """
    rows, today = api.prices_of(name, prices=price or [], price_file=prices)
    look.answer(
        lambda: {"device": name, "prices": [p.to_dict(today) for p in rows]},
        lambda screen: _draw(screen, [(p, p.doubt(today)) for p in rows]),
    )


def _draw(screen: Console, rows: list[tuple[Price, str]]) -> None:
    columns = [
        Column(head="as", right=False),
        Column(head="price"),
        Column(head="date", right=False),
        Column(head="mark", right=False, drop=1),
    ]
    lines = []
    for price, doubt in rows:
        hour = " an hour" if price.condition in ("rent", "spot") else ""
        mark = "estimated" if price.estimated else "no date" if price.seen is None else "old" if doubt else ""
        lines.append([price.condition, units.show_usd(price.usd) + hour, price.date, mark])
    screen.print(table(screen, columns, lines))
    screen.print()
    for price, _ in rows:
        screen.print(f"{price.condition}: {price.source}", markup=False)


def refresh_(*providers: str, look: Look = Look()) -> None:
    """Ask live sources through gpuhunt (the extra [prices]) and keep what they say on this machine.

    Parameters
    ----------
    providers
        Only these sources: aws, lambdalabs, runpod, ...; all by default.
    """
    found = api.refresh_prices(providers=providers, progress=look.note)
    rows = [("prices", str(found["prices"])), ("of", ", ".join(found["providers"])), ("kept in", found["path"])]
    rows += [(f"no answer: {name}", why) for name, why in found["failed"].items()]
    look.answer(lambda: found, lambda screen: screen.print(facts(rows)))

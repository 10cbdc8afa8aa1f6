"""The verb of choosing: which GPUs to get, and the views that go with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from rigwise.api.names import load_model
from rigwise.api.needing import Needs, in_usd, money_of, need_of, owned
from rigwise.errors import UsageError, check_whole

if TYPE_CHECKING:
    from datetime import date

    from rigwise.advise.advice import Advice
    from rigwise.advise.charts import Bar
    from rigwise.advise.mixed import Mixed
    from rigwise.advise.powercap import Capped
    from rigwise.advise.prices import Price, PriceBook
    from rigwise.advise.terms import Term
    from rigwise.models.model import Model


def advise(
    model: str | Model | None = None,
    *,
    persona: str | None = None,
    prices: Sequence[str] = (),
    price_file: str | Path | None = None,
    today: date | None = None,
    top: int = 10,
    **said: Unpack[Needs],
) -> Advice:
    """Which GPUs to get for a model and a need, ranked, with the reasons.

    persona: starter, kaggle, prototyping, ... fills what is not said. prices: own ones, "rtx-3090:used=650".
    price_file: a CSV of own prices. today: the day by which prices are old. Raises UsageError for amounts that cannot
    be, NotFoundError for names, InfeasibleError where nothing answers the need, with what binds.
    """
    from rigwise.advise.advice import advise as answer

    check_whole(top=top)
    return answer(need_of(model, persona, said), book_of(prices, price_file, today, said), top=top)


def book_of(
    prices: Sequence[str] = (),
    price_file: str | Path | None = None,
    today: date | None = None,
    said: Mapping[str, Any] | None = None,
) -> PriceBook:
    """The prices of a day: packaged, refreshed on this machine, and one's own, which come in the currency."""
    from rigwise.advise.prices import price_book
    from rigwise.advise.refresh import kept_prices

    _, money = money_of(said or {})
    own = [in_usd(text, money) for text in prices] if money != 1.0 else prices
    return price_book(own, file=price_file, today=today, refreshed=kept_prices())


def why_not(advice: Advice, name: str) -> list[str]:
    """Why a device is not the answer, or where it stands: one line for each of its numbers and conditions."""
    from rigwise.advise.whynot import lines
    from rigwise.hardware.catalog import device

    return lines(advice, device(name))


def mixed(model: str | Model | None, cards: str, *, persona: str | None = None, **said: Unpack[Needs]) -> Mixed:
    """How different cards of one machine share the training of a model: "rtx-3090,rtx-4090"."""
    from rigwise.advise.mixed import mix

    return mix(owned(cards)[0], need_of(model, persona, said))


def power_caps(
    model: str | Model | None, card: str, *, persona: str | None = None, **said: Unpack[Needs]
) -> list[Capped]:
    """A card's speed on a model under lower and lower power limits. Raises UsageError where its power is not known."""
    from rigwise.advise.judge import judge
    from rigwise.advise.powercap import power_caps as caps
    from rigwise.hardware.catalog import device

    need, found = need_of(model, persona, {**said, "most": 1}), device(card)
    verdicts = judge(need, [found])
    if (found.name, 1) not in verdicts:
        raise UsageError(f"{found.name} has no rate for this precision", rule="a precision that it has")
    return caps(verdicts[found.name, 1], need)


def chart(work: str, *, prices: Sequence[str] = (), today: date | None = None) -> list[Bar]:
    """Every card's speed, and its speed for the money, at a kind of work of advise/data/works.toml."""
    from rigwise.advise.charts import chart as bars
    from rigwise.advise.charts import work as find_work

    row = find_work(work)
    return bars(work, load_model(row["model"], seq=row.get("seq")), book_of(prices, None, today))


def define(term: str) -> Term:
    """A word of the glossary: what it is, its formula, a worked number and its source. Raises NotFoundError."""
    from rigwise.advise.terms import term as find

    return find(term)


def terms() -> list[str]:
    """Every word that can be explained."""
    from rigwise.advise.terms import terms as known

    return list(known())


def prices_of(
    name: str, *, prices: Sequence[str] = (), price_file: str | Path | None = None, today: date | None = None
) -> tuple[list[Price], date]:
    """What is known of a device's prices, and the day by which they are old."""
    from rigwise.hardware.catalog import device

    found, book = device(name), book_of(prices, price_file, today)
    known = [book.card(found, "new"), book.second_hand(found)]
    known += [book.hour(found, 1, spot=spot) or book.hour(found, 8, spot=spot) for spot in (False, True)]
    return [price for price in known if price], book.today


def refresh_prices(*, providers: Sequence[str] = (), progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Ask live sources for the prices of machines by the hour, and keep what they say on this machine.

    Needs the extra [prices]. A source that fails is named and survived. Raises LaunchError without the extra.
    """
    from rigwise.advise.refresh import refresh

    return refresh(providers, progress)

"""`rigwise advise [MODEL]`: which GPUs to get, and the views that go with it."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.files import check_picture, write_aside, write_picture
from rigwise.cli.jsonout import dumps
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, facts, table
from rigwise.cli.views import show_caps, show_chart, show_mixed

if TYPE_CHECKING:
    from rigwise.advise.advice import Advice
    from rigwise.advise.choice import Choice

_NEED = Group("Need", sort_key=20)
_USE = Group("Use and money", sort_key=30)
_TRAINING = Group("Training", sort_key=40)
_VIEWS = Group("Other questions", sort_key=50)
_MANY = Parameter(negative="", consume_multiple=True)
_FLAG = Parameter(negative="", show_default=False)


@Parameter(name="*", group=_NEED)
@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What is wanted, and within what."""

    persona: str | None = None
    """starter, kaggle, prototyping, pretrained, transformers, images, startup, company or cluster: fills the rest."""
    work: str | None = None
    """How much is trained: "3e9 tokens", "90e6 images"; without it the machine is for years."""
    budget: float | None = None
    """What may be spent, electricity and rent included."""
    deadline: str | None = None
    """By when the work is done, running day and night: "3 d", "12 h"."""
    objective: Literal["soonest", "most", "cheapest"] | None = None
    """What the first choice is best in; by default what budget, work and deadline ask for."""
    get: Annotated[list[str] | None, _MANY] = None
    """new, used, rent, spot; all by default."""
    own: str | None = None
    """What is there already: "2x rtx-3090", and the answer is an upgrade; or desktop, workstation, server, or both."""
    memory: str | None = None
    """The least memory of a device: "24 GiB"; a plain number is GiB."""
    most: int | None = None
    """Devices in all; 8 by default, more are several machines."""
    vendors: Annotated[list[str] | None, Parameter(name="--vendor", negative="", consume_multiple=True)] = None
    """Only these vendors."""
    circuit: str | None = None
    """The wall circuit: "120V 15A", "230V 16A", or watts."""
    slots: float | None = None
    """The widest card, in slots."""
    quiet: Annotated[bool | None, Parameter(name="--low-noise", negative="", show_default=False)] = None
    """Nothing with the fans of a server; what else is loud is warned of."""
    one_machine: Annotated[bool | None, _FLAG] = None
    """No cluster of several machines."""


@Parameter(name="*", group=_USE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much it runs, and what that costs."""

    hours_per_week: float | None = None
    """Hours a week that it works; 25 by default, 15 % of the week."""
    years: float | None = None
    """Years that a machine is kept; 3 by default."""
    per_kwh: float | None = None
    """Price of a kilowatt-hour; 0.175 by default."""
    currency: str | None = None
    """Of --budget, --price, --per-kwh and of all amounts shown: EUR, with --per-usd; US dollars by default."""
    per_usd: float | None = None
    """How many of that currency a US dollar is."""
    interruptions: float | None = None
    """How often a spot machine is taken away a day; 1 by default."""


@Parameter(name="*", group=_TRAINING)
@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What is trained with."""

    batch: int | None = None
    """Samples of one optimizer step, all devices together."""
    seq: int | None = None
    """Tokens in a sample; the model's own by default."""
    adapt: str | None = None
    """Train less than the whole model: lora, qlora or frozen."""
    rank: int | None = None
    """Rank of the low-rank branches of lora and qlora."""
    precision: str | None = None
    """Type of the matrix products; the best of 16 bit that each device has by default."""
    optimizer: str | None = None
    """sgd, momentum, adam, adamw, adafactor, adam8bit or muon; adamw by default."""
    stack: str | None = None
    """The software: modern, eager or another of the efficiencies' stacks; modern by default."""


@Parameter(name="*", group=_USE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices of one's own, and the day by which prices are old."""

    price: Annotated[list[str] | None, _MANY] = None
    """Own prices: rtx-3090=700, rtx-3090:used=650, h100:rent=2.1; may be given several times."""
    prices: Path | None = None
    """A CSV of own prices: device, condition, price_usd, date, source."""
    today: date | None = None
    """The day by which prices are old, 2026-11-22; the machine's own by default."""


@Parameter(name="*", group=_VIEWS)
@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Other questions about the same need."""

    why_not: str | None = None
    """Say why this device is not the answer, or where it stands, and what would make the model fit on it."""
    chart: str | None = None
    """The general chart of a work: training-transformer, training-convnet, training-recurrent, inference-8bit."""
    mixed: str | None = None
    """Different cards in one machine, "rtx-3090,rtx-4090": how they share the work."""
    power_cap: str | None = None
    """A card's speed on the model under lower power limits."""


def advise(
    model: Annotated[
        str | None, Parameter(help="What is trained; a persona's own model where nothing is said.")
    ] = None,
    /,
    *,
    wants: Wants = Wants(),
    use: Use = Use(),
    trained: Trained = Trained(),
    priced: Prices = Prices(),
    views: Views = Views(),
    top: int = 10,
    output: Path | None = None,
    picture: Path | None = None,
    look: Look = Look(),
) -> None:
    """Which GPUs to get for a model and a need: bought new, used, or rented.

    Parameters
    ----------
    top
        Choices to show.
    output
        Keep the answer here as JSON, with the prices that it was made with.
    picture
        Write a picture here (.svg or .png): money against speed, or the chart, or the caps.
    """
    check_picture(picture)
    said = {field.name: getattr(part, field.name) for part in (wants, use, trained) for field in fields(part)}
    own = priced.price or []
    if views.chart is not None:
        return show_chart(views.chart, own, picture, look, top)
    persona = said.pop("persona")
    if views.mixed is not None:
        return show_mixed(model, persona, views.mixed, said, look)
    if views.power_cap is not None:
        return show_caps(model, persona, views.power_cap, said, picture, look)
    with _uncollected():
        found = api.advise(
            model, persona=persona, prices=own, price_file=priced.prices, today=priced.today, top=top, **said
        )
    against = api.why_not(found, views.why_not) if views.why_not else []
    if picture:
        from rigwise.report.advice import advice_svg

        write_picture(picture, advice_svg(found))
    currency = {"name": found.need.currency or "USD", "per_usd": found.need.per_usd}
    more = {**({"why_not": against} if views.why_not else {}), "currency": currency}
    if output:
        write_aside(output, dumps({**found.to_dict(), **more}) + "\n")
    look.answer(lambda: {**found.to_dict(), **more}, lambda screen: _draw(screen, found, against, look.chatty))
    if picture:
        look.note(f"picture: {picture}")
    return None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of circles: of the 100,000 objects that an answer makes it finds hardly any, in 0.1 s."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _draw(screen: Console, found: Advice, against: list[str], chatty: bool) -> None:
    if chatty:
        screen.print(facts(_need(found)))
        screen.print()
    screen.print(_ranking(screen, found))
    if not chatty:
        return
    best = found.best
    screen.print()
    for line in _conditions(found):
        screen.print(line, markup=False)
    screen.print()
    for line in best.reasons:
        screen.print(f"why: {line}", markup=False)
    for line in best.warnings:
        screen.print(f"mind: {line}", markup=False)
    for line in _even(found):
        screen.print(line, markup=False)
    screen.print()
    for step in found.path.steps:
        screen.print(f"path: {step.question} {'Yes' if step.yes else 'No'}: {step.fact}", markup=False)
    screen.print(f"path: so {found.path.says}", markup=False)
    screen.print(f"path: {found.path.ranking}", markup=False)
    for line in _beside(found):
        screen.print(line, markup=False)
    for line in against:
        screen.print(f"why not: {line}", markup=False)


def _conditions(found: Advice) -> Iterator[str]:
    """For each choice how it fits, and what it is warned of by head words; the best one's stand in full below."""
    for place, choice in enumerate(found.choices, start=1):
        minds = list(dict.fromkeys(text.partition(":")[0] for text in choice.warnings))
        yield f"{place}: fits with {', '.join(choice.fit) or 'nothing more'}" + (
            f"; mind {', '.join(minds)}" if minds else ""
        )


def _beside(found: Advice) -> Iterator[str]:
    """One more card beside those that are there, with the machine that it takes."""
    money = found.need.money
    for row in found.beside:
        more = f", and {money(row.around)} for a larger machine" if row.around else ""
        yield f"beside what is there, {row.device} ({row.condition}, {money(row.price)}{more}): {row.gain:+.0%}"


def _need(found: Advice) -> Iterator[tuple[str, str]]:
    from rigwise.advise.choice import scale

    need = found.need
    per, unit = scale(need)
    what = f"{need.model.name}, batch {need.batch:,}" + (f" of {need.model.tokens:,} tokens" if per > 1 else "")
    yield "train", what
    yield "for", f"{need.persona}: {need.says}" if need.persona else ""
    yield "work", "" if need.work is None else f"{units.show_count(need.work * per)} {unit}"
    yield "budget", "" if need.budget is None else found.need.money(need.budget)
    yield "deadline", "" if need.deadline is None else units.show_seconds(need.deadline)
    yield "use", f"{need.hours_per_week:g} hours a week for {need.years:g} years" if need.work is None else ""
    yield "there is", _there(found, per, unit)
    machines = len(found.verdicts)
    yield "search", f"{machines:,} machines, {len(found.every):,} ways to get them, in {found.seconds:.2f} s"


def _there(found: Advice, per: float, unit: str) -> str:
    """What is owned, with what it does of the work and for how much."""
    now = found.now
    if now is None:
        return ""
    if not now.fits:
        return f"{now.what}, on which the model does not fit"
    done = "" if now.time_s is None else f", done in {units.show_seconds(now.time_s)}"
    cost = "" if now.electricity is None else f" for {found.need.money(now.electricity)} of electricity"
    return f"{now.what}: {units.show_number(float(f'{now.throughput * per:.3g}'))} {unit}/s{done}{cost}"


def _ranking(screen: Console, found: Advice) -> object:
    from rigwise.advise.choice import scale

    per, unit = scale(found.need)
    columns = [
        Column(head="#"),
        Column(head="what", right=False),
        Column(head="memory", drop=4),
        Column(head=f"{unit}/s"),
        Column(head="80 % interval", drop=2),
        Column(head="to get"),
        Column(head="in all", drop=1),
        Column(head="finished in", drop=0) if found.need.work is not None else Column(head="an hour", drop=3),
        Column(head=f"a million {unit}", drop=3),
        Column(head="power", drop=5),
    ]
    rows = [_row(place, choice, per, found) for place, choice in enumerate(found.choices, start=1)]
    return table(screen, columns, rows)


def _row(place: int, choice: Choice, per: float, found: Advice) -> list[str]:
    c, v = choice.candidate, choice.verdict
    low, high = (units.show_number(float(f"{value * per:.3g}")) for value in choice.interval)
    hour = found.need.money(choice.hourly(found.need))
    return [
        str(place),
        c.name,
        units.show_bytes(c.device.memory),
        units.show_number(float(f"{choice.throughput * per:.3g}")),
        f"{low} to {high}",
        found.need.money(c.capital) if c.bought else f"{found.need.money(c.hourly)} an hour",
        found.need.money(choice.total),
        units.show_seconds(choice.time_s) if choice.time_s is not None else hour,
        found.need.money(choice.per_sample / per * 1e6),
        "unknown" if v.watts is None else f"{v.watts:,.0f} W",
    ]


def _even(found: Advice) -> Iterator[str]:
    even = found.even
    if even is None:
        return
    yield from _against(found, even["buy"], even)
    if even["spot"]:
        yield from _against(found, even["buy"], even["spot"])


def _against(found: Advice, buy: str, even: Mapping[str, Any]) -> Iterator[str]:
    """Buying against one way to rent."""
    rent = f"{even['rent']} at {found.need.money(even['rent_usd_per_hour'])} an hour"
    if even["hours"] is None:
        yield f"buy or rent: {rent} stays cheaper than the electricity of {buy}"
        return
    days = f"{even['days']:,.0f} days at {even['use']:.0%} use"
    yield f"buy or rent: {buy} is cheaper from {even['hours']:,.0f} hours on ({days}) than {rent},"
    got = found.need.money(even["resale_usd"])
    kept = f"{even['kept_hours']:,.0f} hours ({even['kept_days']:,.0f} days)"
    yield f"buy or rent: sold on that day for {got}; never sold, from {kept} on"

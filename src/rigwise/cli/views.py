"""The views beside advice: general charts, mixed cards, power caps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from rigwise import api, units
from rigwise.cli.console import can_draw
from rigwise.cli.files import write_picture
from rigwise.cli.options import Look
from rigwise.cli.pictures import bar
from rigwise.cli.tables import Column, facts, table


def show_chart(work: str, prices: Sequence[str], picture: Path | None, look: Look, top: int) -> None:
    """Every card's speed at a kind of work, and its speed for the money."""
    found = api.chart(work, prices=prices)
    if picture:
        from rigwise.report.advice import chart_svg

        write_picture(picture, chart_svg(work, found))
    look.answer(
        lambda: {"work": work, "chart": [row.to_dict() for row in found]},
        lambda screen: _draw_chart(screen, found, top),
    )
    if picture:
        look.note(f"picture: {picture}")


def _draw_chart(screen: Console, found: Sequence[Any], top: int) -> None:
    columns = [
        Column(head="device", right=False),
        Column(head="memory", drop=3),
        Column(head="samples/s"),
        Column(head="speed", right=False, drop=2),
        Column(head="card, desktop, power", drop=1),
        Column(head="for the money"),
        Column(head="", right=False, drop=2),
    ]
    from rigwise.advise.charts import by_value

    priced = by_value(found)[:top]
    for title, rows in (("fastest", found[:top]), ("most for the money", priced)):
        lines = [
            [
                row.device + ("" if row.measured else " *"),
                units.show_bytes(row.memory),
                units.show_number(row.speed),
                bar(row.relative, 16, draw=can_draw(screen)),
                "unknown" if row.usd is None else f"{units.show_usd(row.usd)} {row.condition}",
                "unknown" if row.value is None else f"{row.value:.2f}",
                bar(row.value or 0.0, 16, draw=can_draw(screen)),
            ]
            for row in rows
        ]
        screen.print(table(screen, columns, lines, title=title))
        screen.print()
    stars = [row.device for row in by_value(found) if not row.measured]
    if stars:
        screen.print(f"guesses, which stand after all others for the money: {', '.join(stars[:top])}", markup=False)
    screen.print("* no card of its architecture was measured: its efficiencies are those of others", markup=False)


def show_mixed(model: str | None, persona: str | None, cards: str, said: Mapping[str, Any], look: Look) -> None:
    """How different cards of one machine share the work."""
    found = api.mixed(model, cards, persona=persona, **said)
    look.answer(lambda: {"mixed": found.to_dict()}, lambda screen: _draw_mixed(screen, found))


def _draw_mixed(screen: Console, found: Any) -> None:
    columns = [
        Column(head="card", right=False),
        Column(head="alone, samples/s"),
        Column(head="of the batch"),
        Column(head="layers of a pipeline"),
    ]
    rows = [
        [
            card,
            "does not fit" if found.alone[i] is None else units.show_number(found.alone[i]),
            "-" if found.data is None else str(found.data[i]),
            "-" if found.layers is None else str(found.layers[i]),
        ]
        for i, card in enumerate(found.cards)
    ]
    screen.print(table(screen, columns, rows))
    rates = (("data parallel", found.data_throughput), ("pipeline", found.pipeline_throughput))
    shown = [(word, "not possible" if rate is None else f"{units.show_number(rate)} samples/s") for word, rate in rates]
    screen.print(facts([*shown, ("type", found.precision)]))
    for line in found.why:
        screen.print(f"why: {line}", markup=False)


def show_caps(
    model: str | None, persona: str | None, card: str, said: Mapping[str, Any], picture: Path | None, look: Look
) -> None:
    """A card's speed under lower power limits."""
    found = api.power_caps(model, card, persona=persona, **said)
    if picture:
        from rigwise.report.advice import caps_svg

        write_picture(picture, caps_svg(card, found))
    look.answer(
        lambda: {"device": card, "power_caps": [row.to_dict() for row in found]},
        lambda screen: screen.print(_caps(screen, found)),
    )
    if picture:
        look.note(f"picture: {picture}")


def _caps(screen: Console, found: Sequence[Any]) -> object:
    columns = [
        Column(head="limit"),
        Column(head="samples/s"),
        Column(head="speed"),
        Column(head="samples/s a watt"),
        Column(head="", right=False, drop=1),
    ]
    rows = [
        [
            f"{row.watts:,.0f} W",
            units.show_number(row.throughput),
            f"{row.speed:.1%}",
            f"{row.per_watt:.3g}",
            bar(row.speed, 24, draw=can_draw(screen)),
        ]
        for row in found
    ]
    return table(screen, columns, rows)

"""Machines for a brain, and the years ahead, drawn in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from rigwise import units
from rigwise.cli.brain_words import UNKNOWN, between, caveats, figures, four_digits, percentiles, value_and_range
from rigwise.cli.console import can_draw
from rigwise.cli.pictures import bar
from rigwise.cli.tables import Column, facts, table
from rigwise.units import show_power_of_ten as ten

if TYPE_CHECKING:
    from rigwise.brain.answers import Fleet
    from rigwise.brain.forecast import Crossing, Forecast


# ---- machines


def draw_machines(screen: Console, found: Fleet, chatty: bool) -> None:
    """What is needed, what a device gives by each measure, how many that makes, and what stands."""
    task = found.work
    rows = [
        ("needed", f"{between(task.quantity, ten)} FLOP/s, {between(task.held, units.show_bytes)} held"),
        ("read a second", f"{between(task.reading, ten)} byte/s" if task.read else "counted in the shape"),
        ("between devices", f"{between(task.exchange, ten)} byte/s"),
        ("shape", {"cells": "a Purkinje cell as a network", "events": "synapse events, one by one"}[task.shape]),
    ]
    screen.print(facts(rows))
    screen.print()
    screen.print(_rates(screen, found))
    screen.print()
    screen.print(_counts(screen, found))
    if not chatty:
        return
    screen.print()
    screen.print(_standing(screen, found))
    for warning in dict.fromkeys(line for machine in found.machines for line in machine.warnings):
        screen.print(f"note: {warning}", markup=False)
    caveats(screen)


_MEASURES = ("peak", "dense", "linpack", "hpcg", "shape", "network")


def _rates(screen: Console, found: Fleet) -> object:
    heads = ("peak", "dense product", "LINPACK", "HPCG", "this network", "its wires")
    drops = (2, 5, 4, 3, 0, 1)
    columns = [
        Column(head="one device", right=False),
        *(Column(head=head, drop=drop) for head, drop in zip(heads, drops, strict=True)),
    ]
    rows = [[m.device, *(_rate(m.rates[name].value) for name in _MEASURES)] for m in found.machines]
    return table(screen, columns, rows, title="FLOP/s of one device, by what is measured")


def _rate(value: float | None) -> str:
    return UNKNOWN if value is None else units.show_flops(value, per_second=True)


def _counts(screen: Console, found: Fleet) -> object:
    columns = (
        Column(head="machine of", right=False),
        Column(head="devices"),
        Column(head="p10 to p90", drop=2),
        Column(head="bound by", right=False, drop=4),
        Column(head="power", drop=1),
        Column(head="price", drop=1),
        Column(head="power bill a year", drop=5),
        Column(head="network cards", drop=6),
    )
    rows = [
        [
            m.device,
            *value_and_range(m.count),
            m.binds,
            UNKNOWN if m.power is None else units.show_watts(m.power.value or 0.0),
            UNKNOWN if m.capital is None else f"${ten(m.capital.value or 0.0, 2)}",
            UNKNOWN if m.electricity is None else f"${ten(m.electricity.value or 0.0, 2)}",
            ten(m.cards.value or 0.0, 2),
        ]
        for m in found.machines
    ]
    return table(screen, columns, rows, title="how many would sustain it")


def _standing(screen: Console, found: Fleet) -> object:
    columns = (
        Column(head="machine that stands", right=False),
        Column(head="date", right=False, drop=3),
        Column(head="what", right=False, drop=5),
        Column(head="peak", drop=1),
        Column(head="of the need", drop=4),
        Column(head="sustained", drop=2),
        Column(head="of the need"),
        Column(head="by", right=False, drop=6),
    )
    rows = [
        [
            one.name,
            one.date,
            one.what,
            ten(one.peak),
            _share(one.share_of_peak),
            UNKNOWN if one.sustained is None else ten(one.sustained),
            UNKNOWN if one.share is None else _share(one.share),
            one.measured,
        ]
        for one in found.standing
    ]
    return table(screen, columns, rows)


def _share(value: float) -> str:
    return f"{value:,.1f}x" if value >= 1 else f"{value:.2%}" if value >= 1e-4 else f"{ten(100 * value, 2)}%"


# ---- forecast


def draw_forecast(screen: Console, f: Forecast, chatty: bool, inputs: bool) -> None:
    """The year, by limits; the article's scenarios and what came; growth; how the intervals fared."""
    on = ", ".join(f.chosen.limits) or "none"
    screen.print(
        facts(
            [
                (
                    "metric",
                    f"{f.past.says}: {ten(float(2 ** f.past.log2[-1]))} {f.past.unit} in {int(f.past.years[-1])}",
                ),
                ("target", f"{between(f.target, four_digits)} FLOP/s"),
                ("limits", on),
                ("year", _years(f.chosen, f.until)),
                ("chance by", ", ".join(f"{year} {share:.0%}" for year, share in list(f.chosen.by.items())[:8])),
                ("none", f"{f.chosen.none:.0%} of the paths do not reach it by {f.until}"),
            ]
        )
    )
    screen.print()
    screen.print(_by_limit(screen, f))
    screen.print()
    screen.print(_scenarios(screen, f))
    if not chatty:
        return
    screen.print()
    screen.print(_foresight(screen, f))
    screen.print()
    screen.print(_growth(screen, f))
    screen.print()
    screen.print(_sums(screen, f))
    if inputs:
        screen.print()
        rows = ((name, one["value"], one["sure"], one["source"]) for name, one in f.figures.items())
        screen.print(figures(screen, rows))
    caveats(screen)


def _years(crossing: Crossing, until: int) -> str:
    p10, p50, p90 = (_year(getattr(crossing.year, name), until) for name in ("p10", "p50", "p90"))
    return f"{p50}  ({p10} to {p90})"


def _year(value: float | None, until: int) -> str:
    return f"after {until}" if value is None else str(int(value))


def _by_limit(screen: Console, f: Forecast) -> object:
    columns = (
        Column(head="limits", right=False),
        Column(head="p10", drop=1),
        Column(head="p50"),
        Column(head="p90", drop=1),
        Column(head=f"not by {f.until}"),
        Column(head="", right=False, drop=2),
    )
    every = max(len(crossing.limits) for crossing in f.crossings)
    names = {0: "none", every: "all of them"}
    rows = [
        [
            names.get(len(c.limits), ", ".join(c.limits)),
            *(_year(getattr(c.year, name), f.until) for name in ("p10", "p50", "p90")),
            f"{c.none:.0%}",
            bar(c.none, 16, draw=can_draw(screen)),
        ]
        for c in f.crossings
    ]
    return table(screen, columns, rows, title="year of crossing, by the limits that hold")


def _scenarios(screen: Console, f: Forecast) -> object:
    columns = (
        Column(head="scenario of 2015", right=False),
        Column(head="from", right=False, drop=1),
        Column(head="years a doubling", drop=4),
        Column(head="year"),
        Column(head="whole doublings", drop=5),
        Column(head="stated", drop=2),
        Column(head="foreseen of now", drop=3),
        Column(head="came", drop=3),
        Column(head="off by"),
    )
    rows = [
        [
            s.name,
            s.start,
            f"{s.years_per_doubling:g}",
            f"{s.year:.1f}",
            f"{s.year_whole:.1f}",
            "" if s.stated is None else str(s.stated),
            ten(s.foreseen),
            ten(s.came),
            f"{s.off:+.1f} doublings",
        ]
        for s in f.scenarios
    ]
    return table(screen, columns, rows, title="the article's scenarios, and how each foresaw the last list")


def _foresight(screen: Console, f: Forecast) -> object:
    columns = (
        Column(head="our trend, fitted to 2015", right=False),
        Column(head="p10", drop=2),
        Column(head="p50", drop=1),
        Column(head="p90", drop=2),
        Column(head="came"),
        Column(head="inside", right=False),
        Column(head="off by", drop=3),
        Column(head="line drawn on", drop=5),
        Column(head="off by", drop=4),
    )
    rows = [
        [
            look.metric,
            *percentiles(look.foreseen, ten)[1:],
            ten(look.came),
            "yes" if look.held else "no",
            f"{look.off[0]:+.1f} doublings",
            ten(look.drawn_on),
            f"{look.off[1]:+.1f} doublings",
        ]
        for look in f.foresight
    ]
    return table(screen, columns, rows)


def _growth(screen: Console, f: Forecast) -> object:
    columns = (
        Column(head="history", right=False),
        Column(head="from", drop=1),
        Column(head="when, 80 %", drop=4),
        Column(head="to", drop=1),
        Column(head="months a doubling"),
        Column(head="80 %", drop=2),
        Column(head="held from rolling origins", drop=3),
    )
    rows = []
    for name, growth in f.growth.items():
        for place, s in enumerate(growth.segments):
            high = f"{12 / s.low:.1f}" if s.low > 0 else "never"
            rows.append(
                [
                    name if place == 0 else "",
                    f"{s.start:.1f}",
                    f"{s.earliest:.1f} to {s.latest:.1f}" if place else "",
                    f"{s.end:.1f}",
                    f"{s.months:.1f}",
                    f"{12 / s.high:.1f} to {high}",
                    "{:.0%} of {}".format(*f.coverage[name]) if place == 0 else "",
                ]
            )
    return table(screen, columns, rows, title="growth, the years in which it changed, and how many 80 % intervals held")


def _sums(screen: Console, f: Forecast) -> object:
    columns = (
        Column(head="small sum of the article", right=False),
        Column(head="comes to"),
        Column(head="unit", right=False, drop=2),
        Column(head="stated", drop=1),
    )
    rows = [
        [one.says, units.show_number(one.value) if one.value >= 1 else f"{one.value:.3g}", one.unit,
         "" if one.stated is None else f"{one.stated:g}"]
        for one in f.sums
    ]  # fmt: skip
    return table(screen, columns, rows)

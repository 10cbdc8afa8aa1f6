"""How the answers about the brain are drawn in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel

from rigwise import units
from rigwise.brain.caveats import CANNOT_SAY
from rigwise.brain.scenarios import ARTICLE_TARGET
from rigwise.cli.console import can_draw
from rigwise.cli.pictures import bar
from rigwise.cli.tables import Column, facts, table
from rigwise.units import show_power_of_ten as ten

if TYPE_CHECKING:
    from rigwise.brain.answers import Comparison, Fleet
    from rigwise.brain.estimate import BrainEstimate
    from rigwise.brain.forecast import Crossing, Forecast
    from rigwise.brain.neuron import Trace
    from rigwise.brain.quantity import Quantity

UNKNOWN = "unknown"
_RISING, _PLAIN = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


def _range(q: Quantity | None, show: Callable[[float], str]) -> list[str]:
    """value, p10, p50, p90 in words."""
    if q is None:
        return [UNKNOWN] * 4
    return [UNKNOWN if v is None else show(v) for v in (q.value, q.p10, q.p50, q.p90)]


def _between(q: Quantity | None, show: Callable[[float], str]) -> str:
    """The value and its 80 % range on one line."""
    value, p10, _, p90 = _range(q, show)
    return value if p10 == p90 else f"{value}  ({p10} to {p90})"


def _box(screen: Console, says: Iterable[str]) -> None:
    """The plain limits, framed."""
    lines = "\n".join(f"- {line}" for line in says)
    frame = box.ROUNDED if can_draw(screen) else box.ASCII
    screen.print()
    screen.print(
        Panel(Padding(lines, (0, 1)), title="what this cannot say", title_align="left", box=frame, style="dim")
    )


def _four(value: float) -> str:
    """With the four digits that the article has."""
    return ten(value, 4)


# ---- estimate


def draw_estimate(screen: Console, e: BrainEstimate, chatty: bool, inputs: bool) -> None:
    """The figures, the terms, what moves them, and what they cannot say."""
    q = e.quantities
    bound = "a lower bound" if e.is_lower_bound else "with all that the article names"
    rows = [
        ("operations", f"{_between(q['flops'], _four)} FLOP/s; {bound}"),
        ("memory", _between(q["memory"], units.show_bytes)),
        ("read a second", f"{_between(q['bandwidth'], ten)} byte/s"),
        ("messages", f"{_between(q['messages'], ten)} a second, {_between(q['exchange'], ten)} byte/s"),
        ("switched in", ", ".join(e.include)),
    ]
    if chatty:
        rows.append(("spread", f"{e.draws:,} draws of the inputs, seed {e.seed}; in brackets from p10 to p90"))
    screen.print(facts(rows))
    screen.print()
    screen.print(table(screen, _TERMS, list(_terms(e))))
    if not chatty:
        return
    screen.print()
    screen.print(_tornado(screen, e))
    if inputs:
        screen.print()
        screen.print(_inputs(screen, e))
    left = [name for name in _omitted(e) if name not in e.include]
    if left:
        screen.print()
        screen.print(f"left out, switch in with --include: {', '.join(left)}", markup=False)
    _box(screen, CANNOT_SAY)


_TERMS = (
    Column(head="cells", right=False),
    Column(head="region", right=False, drop=4),
    Column(head="FLOP an evaluation", drop=3),
    Column(head="FLOP/s"),
    Column(head="p10", drop=2),
    Column(head="p50", drop=1),
    Column(head="p90", drop=2),
)


def _terms(e: BrainEstimate) -> Iterable[list[str]]:
    said = e.to_dict()["terms"]
    for name, q in e.terms.items():
        yield [name, said[name]["region"], ten(said[name]["flop_per_evaluation"]), *_range(q, ten)]


def _omitted(e: BrainEstimate) -> list[str]:
    left: list[str] = e.to_dict()["left_out"]
    return left


def _tornado(screen: Console, e: BrainEstimate) -> object:
    columns = (
        Column(head="input", right=False),
        Column(head="p10 to p90", drop=3),
        Column(head="FLOP/s", drop=2),
        Column(head="times"),
        Column(head="of the variance", drop=1),
        Column(head="with others", drop=4),
        Column(head="", right=False, drop=5),
    )
    shares = {share.name: share for share in e.shares}
    rows = [
        [
            one.name,
            f"{_plain(one.low)} to {_plain(one.high)}",
            f"{ten(one.at_low)} to {ten(one.at_high)}",
            f"{one.swing:,.2f}x",
            f"{max(shares[one.name].first, 0.0):.1%}",
            f"{shares[one.name].total:.1%}",
            bar(shares[one.name].total, 16, draw=can_draw(screen)),
        ]
        for one in e.bars
        if one.swing > 1.005
    ]
    return table(
        screen, columns, rows, title="what moves it: one input at a time, and its share of the variance (Sobol)"
    )


def _plain(value: float) -> str:
    return units.show_number(value) if value < 1e5 else ten(value)


def _inputs(screen: Console, e: BrainEstimate) -> object:
    columns = (
        Column(head="input", right=False),
        Column(head="value"),
        Column(head="range", drop=1),
        Column(head="unit", right=False, drop=2),
        Column(head="sure", right=False, drop=4),
        Column(head="what it is", right=False, drop=3),
    )
    rows = [
        [
            p.name,
            _plain(p.value),
            "fixed" if p.spread.kind == "fixed" else f"{_plain(p.spread.low)} to {_plain(p.spread.high)}",
            p.unit,
            p.checked,
            p.says,
        ]
        for p in e.parameters.values()
    ]
    return table(screen, columns, rows, title="inputs, each settable with --set name=value or name=low..high")


# ---- compare

_AGREES = {True: "yes", False: "no", None: "inputs unknown"}


def draw_compare(screen: Console, found: Comparison, chatty: bool) -> None:
    """One line a method, and why some do not come out."""
    columns = (
        Column(head="year"),
        Column(head="method", right=False),
        Column(head="FLOP/s"),
        Column(head="p10 to p90", drop=2),
        Column(head="published", drop=1),
        Column(head="reproduced", right=False, drop=3),
    )
    rows = [
        [
            str(m.year),
            m.name,
            *_value_and_range(m.quantity),
            _ends(m.published),
            "by construction" if m.by_construction and m.reproduced else _AGREES[m.reproduced],
        ]
        for m in found.methods
    ]
    rows.append(
        [
            "2015",
            "Dettmers, convolutions (rigwise)",
            *_value_and_range(found.ours),
            _four(ARTICLE_TARGET),
            _AGREES[found.agrees],
        ]
    )
    screen.print(table(screen, columns, rows))
    if not chatty:
        return
    screen.print()
    for m in found.methods:
        if m.gap:
            screen.print(f"{m.name}: {m.gap}", markup=False)
    _box(screen, CANNOT_SAY)


def _value_and_range(q: Quantity) -> tuple[str, str]:
    value, p10, _, p90 = _range(q, ten)
    return value, "" if p10 == p90 else f"{p10} to {p90}"


def _ends(ends: tuple[float, float]) -> str:
    return ten(ends[0]) if ends[0] == ends[1] else f"{ten(ends[0])} to {ten(ends[1])}"


# ---- machines


def draw_machines(screen: Console, found: Fleet, chatty: bool) -> None:
    """What is needed, what a device gives by each measure, how many that makes, and what stands."""
    task = found.work
    rows = [
        ("needed", f"{_between(task.quantity, ten)} FLOP/s, {_between(task.held, units.show_bytes)} held"),
        ("between devices", f"{_between(task.exchange, ten)} byte/s"),
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
    _box(screen, CANNOT_SAY)


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
            *_value_and_range(m.count),
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


def draw_forecast(screen: Console, f: Forecast, chatty: bool) -> None:
    """The year, by limits; the article's scenarios and what came; growth; how the intervals fared."""
    on = ", ".join(f.chosen.limits) or "none"
    screen.print(
        facts(
            [
                (
                    "metric",
                    f"{f.past.says}: {ten(float(2 ** f.past.log2[-1]))} {f.past.unit} in {int(f.past.years[-1])}",
                ),
                ("target", f"{_between(f.target, _four)} FLOP/s"),
                ("limits", on),
                ("year", _years(f.chosen, f.until)),
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
    _box(screen, CANNOT_SAY)


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
        Column(head="rolling origin, 80 %", drop=3),
    )
    rows = [
        [
            look.metric,
            *_range(look.foreseen, ten)[1:],
            ten(look.came),
            "yes" if look.held else "no",
            f"{f.coverage[look.metric][0]:.0%} of {f.coverage[look.metric][1]}",
        ]
        for look in f.foresight
    ]
    return table(screen, columns, rows)


def _growth(screen: Console, f: Forecast) -> object:
    columns = (
        Column(head="history", right=False),
        Column(head="from", drop=1),
        Column(head="to", drop=1),
        Column(head="months a doubling"),
        Column(head="80 %", drop=2),
    )
    rows = []
    for name, growth in f.growth.items():
        for place, s in enumerate(growth.segments):
            high = f"{12 / s.low:.1f}" if s.low > 0 else "never"
            rows.append(
                [
                    name if place == 0 else "",
                    f"{s.start:.1f}",
                    f"{s.end:.1f}",
                    f"{s.months:.1f}",
                    f"{12 / s.high:.1f} to {high}",
                ]
            )
    return table(screen, columns, rows, title="growth, with the years in which it changed")


# ---- neuron


def draw_neuron(screen: Console, trace: Trace, chatty: bool) -> None:
    """Biology and network side by side, and what comes out of each step."""
    from rigwise.brain.mapping import blocks

    columns = (
        Column(head="biology", right=False),
        Column(head="network", right=False),
        Column(head="layer", right=False, drop=2),
        Column(head="leaves out", right=False, drop=1),
    )
    rows = [[row["biology"], row["network"], row["layer"], row["leaves_out"]] for row in blocks()]
    if chatty:
        screen.print(table(screen, columns, rows))
        screen.print()
    screen.print(
        facts(
            [
                ("cell", trace.cell),
                ("one evaluation", units.show_flops(trace.flops)),
                ("spikes in", f"{trace.arriving.sum():,.0f} in {trace.seconds:.1f} s, {trace.rate:g} Hz an input"),
                ("spikes out", f"{int((trace.released > 0).sum())}, in {int(trace.blocked.sum())} steps blocked"),
            ]
        )
    )
    screen.print()
    width = max(10, min(len(trace.released), screen.width - 14))
    for name, values in trace.series.items():
        screen.print(f"{name:<12} {_spark(screen, values.tolist()[:width])}", markup=False)


def _spark(screen: Console, values: list[float]) -> str:
    """Values as heights from their least to their most."""
    steps = _RISING if can_draw(screen) else _PLAIN
    low, span = min(values), (max(values) - min(values)) or 1.0
    return "".join(steps[round((v - low) / span * (len(steps) - 1))] for v in values)

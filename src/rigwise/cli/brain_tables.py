"""The brain's estimate, its neighbours and a neuron, drawn in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console

from rigwise import units
from rigwise.brain.scenarios import ARTICLE_TARGET
from rigwise.cli.brain_words import between, caveats, figures, four_digits, percentiles, value_and_range
from rigwise.cli.console import can_draw
from rigwise.cli.pictures import bar
from rigwise.cli.tables import Column, facts, table
from rigwise.units import show_power_of_ten as ten

if TYPE_CHECKING:
    from rigwise.brain.answers import Comparison
    from rigwise.brain.estimate import BrainEstimate
    from rigwise.brain.neuron import Trace

_RISING, _PLAIN = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


# ---- estimate


def draw_estimate(screen: Console, e: BrainEstimate, chatty: bool, inputs: bool) -> None:
    """The figures, the terms, what moves them, and what they cannot say."""
    q = e.quantities
    bound = "a lower bound" if e.is_lower_bound else "with all that the article names"
    rows = [
        ("operations", f"{between(q['flops'], four_digits)} FLOP/s; {bound}"),
        ("memory", between(q["memory"], units.show_bytes)),
        ("read a second", f"{between(q['bandwidth'], ten)} byte/s"),
        ("messages", f"{between(q['messages'], ten)} a second, {between(q['exchange'], ten)} byte/s"),
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
    caveats(screen)


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
        yield [name, said[name]["region"], ten(said[name]["flop_per_evaluation"]), *percentiles(q, ten)]


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

_AGREES = {True: "yes", False: "no", None: "no inputs: below"}


def draw_compare(screen: Console, found: Comparison, chatty: bool, inputs: bool) -> None:
    """One line a method, and why some do not come out."""
    columns = (
        Column(head="year"),
        Column(head="method", right=False),
        Column(head="FLOP/s"),
        Column(head="p10 to p90", drop=2),
        Column(head="published", drop=1),
        Column(head="reproduced", right=False, drop=3),
        Column(head="inputs seen", drop=4),
    )
    rows = [
        [
            str(m.year),
            m.name,
            *value_and_range(m.quantity),
            _ends(m.published),
            "by construction" if m.by_construction and m.reproduced else _AGREES[m.reproduced],
            m.sure,
        ]
        for m in found.methods
    ]
    rows.append(
        [
            "2015",
            "Dettmers, convolutions (rigwise)",
            *value_and_range(found.ours),
            four_digits(ARTICLE_TARGET),
            _AGREES[found.agrees],
            "",
        ]
    )
    screen.print(table(screen, columns, rows))
    if not chatty:
        return
    screen.print()
    for m in found.methods:
        if m.gap:
            screen.print(f"{m.name}: {m.gap}", markup=False)
    if inputs:
        screen.print()
        screen.print(figures(screen, _factors(found)))
    caveats(screen)


def _factors(found: Comparison) -> Iterable[tuple[str, float | tuple[float, float], str, str]]:
    for m in found.methods:
        for name, f in m.factors.items():
            value = f.value if f.low == f.high else (f.low, f.high)
            yield f"{m.key}.{name}", value, f"{f.unit}, {f.checked}", m.source


def _ends(ends: tuple[float, float]) -> str:
    return ten(ends[0]) if ends[0] == ends[1] else f"{ten(ends[0])} to {ten(ends[1])}"


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
                (
                    "cell",
                    f"{trace.cell.name}: {trace.cell.inputs:,} inputs, {trace.cell.weights:,} weights in its filter",
                ),
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

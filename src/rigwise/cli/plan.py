"""`rigwise plan MODEL`: every legal way to split the training, ranked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.estimate import draw_parts, figures, setting
from rigwise.cli.files import check_picture, write_picture
from rigwise.cli.options import ClusterName, Look, ModelName, Training
from rigwise.cli.tables import Column, facts, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rigwise.api import Asked
    from rigwise.cost.record import Estimate
    from rigwise.search.plan import Plan


def plan(
    model: ModelName,
    /,
    *,
    cluster: ClusterName,
    top: int = 10,
    objective: Literal["time", "cost", "energy", "memory"] = "time",
    fix: Annotated[list[str] | None, Parameter(negative="")] = None,
    full: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    picture: Path | None = None,
    training: Training = Training(),
    look: Look = Look(),
) -> None:
    """Rank every legal way to split the training of a model over a cluster.

    Parameters
    ----------
    top
        Layouts to show.
    objective
        What the best layout has least of.
    fix
        Keep an axis as said, tp=8; may be given several times.
    full
        Search every axis: offload, overlap and unfused kernels too.
    picture
        Write a picture here (.svg or .png): the step by part, and time against memory.
    """
    check_picture(picture)
    asked = api.ask(model, cluster, **training.said())
    found = asked.plan(top=top, objective=objective, fix=fix, full=full)
    if picture:
        from rigwise.report.pictures import plan_svg

        write_picture(picture, plan_svg(found))
    look.answer(
        lambda: {**asked.subject(), **found.to_dict()}, lambda screen: draw_plan(screen, asked, found, look.chatty)
    )
    if picture:
        look.note(f"picture: {picture}")


def draw_plan(screen: Console, asked: Asked, found: Plan, chatty: bool) -> None:
    """The ranking, the best layout in full, the frontier and the reasons."""
    best = found.best
    if chatty:
        screen.print(facts([*setting(asked), ("search", searched(found))]))
        screen.print()
    screen.print(ranking(screen, found.layouts))
    if not chatty:
        return
    screen.print()
    screen.print(facts([("best", str(best.layout)), *figures(best)]))
    screen.print()
    draw_parts(screen, best)
    if len(found.pareto) > 1:
        screen.print()
        shown = thinned(found.pareto)
        more = f" ({len(shown)} of {len(found.pareto)}; --json has all)" if len(shown) < len(found.pareto) else ""
        screen.print(ranking(screen, shown, f"nothing beats these in time and memory together{more}"))
    screen.print()
    for line in found.why:
        screen.print(f"why: {line}", markup=False)
    for warning in best.warnings:
        screen.print(f"note: {warning}", markup=False)


def thinned(rows: Sequence[Estimate], most: int = 6) -> list[Estimate]:
    """At most `most` rows, evenly spread, ends included."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def searched(found: Plan) -> str:
    """How much was looked at."""
    return (
        f"{found.considered:,} layouts, {found.legal:,} legal, {found.feasible:,} fit in memory, "
        f"in {units.show_seconds(found.seconds)}"
    )


def ranking(screen: Console, layouts: Sequence[Estimate], title: str = "") -> object:
    """Layouts in a table, the best first."""
    tokens = any(e.tokens_per_s_per_device is not None for e in layouts)
    columns = [
        Column(head="#"),
        Column(head="layout", right=False),
        Column(head="step"),
        Column(head="80 % interval", drop=1),
        Column(head="tokens/s a device" if tokens else "samples/s", drop=3),
        Column(head="MFU", drop=4),
        Column(head="memory", drop=2),
        Column(head="energy", drop=6),
        Column(head="cost", drop=5),
    ]
    rows = [_row(place, e, tokens) for place, e in enumerate(layouts, start=1)]
    return table(screen, columns, rows, title=title)


def _row(place: int, e: Estimate, tokens: bool) -> list[str]:
    low, high = e.interval
    speed = e.tokens_per_s_per_device if tokens else e.samples_per_s
    return [
        str(place),
        str(e.layout),
        units.show_seconds(e.step_s),
        f"{units.show_seconds(low)} to {units.show_seconds(high)}",
        "unknown" if speed is None else f"{speed:,.0f}" if tokens else units.show_number(speed),
        "unknown" if e.mfu is None else f"{e.mfu:.1%}",
        units.show_bytes(e.memory_total),
        "unknown" if e.energy_j is None else units.show_joules(e.energy_j),
        "unknown" if e.cost_usd is None else units.show_usd(e.cost_usd),
    ]

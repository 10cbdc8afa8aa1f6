"""`rigwise validate [FILE.csv]`: every row of a table of measurements predicted, and how far off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from rich.console import Console

from rigwise import api, units
from rigwise.cli.files import check_page, write_aside
from rigwise.cli.options import Look
from rigwise.cli.progress import counting, stages
from rigwise.cli.tables import Column, table

if TYPE_CHECKING:
    from rigwise.calibration.aims import Judged
    from rigwise.calibration.backtest import Report
    from rigwise.calibration.cardorder import CardOrder
    from rigwise.calibration.validation import Validation

_REFUSALS = 12  # reasons that are printed; --json has all of them


def validate(
    file: Path | None = None,
    /,
    *,
    rows: Path | None = None,
    page: Annotated[Path | None, Parameter(name="--page")] = None,
    look: Look = Look(),
) -> None:
    """Predict every row of a table of measurements and sum up the errors.

    Parameters
    ----------
    file
        A CSV in the columns of a table of measurements; without it, the tables that rigwise carries.
    rows
        Write one line a row here: measured, predicted, low, high, and why where a row is refused.
    page
        Fit anew without each layout, device and source, hold the errors against the aims, and write it all here
        (Markdown), with a picture a family in the folder pictures beside it. Minutes.
    """
    if page is not None:
        _write_page(file, rows, page, look)
        return
    with counting(look, "rows") as progress:
        report = api.validate(file, rows=rows, progress=progress)
    look.answer(report.to_dict, lambda screen: _draw(screen, report, rows if look.chatty else None))


def _write_page(file: Path | None, rows: Path | None, page: Path, look: Look) -> None:
    from rigwise.report.validation import pages

    check_page(page)
    with stages(look) as progress:
        found = api.cross_validate(file, rows=rows, progress=progress)
    for name, text in pages(found, page.name).items():
        place = page.parent / name
        place.parent.mkdir(exist_ok=True)
        write_aside(place, text)
    look.answer(found.to_dict, lambda screen: _draw_aims(screen, found))
    look.note(f"page: {page}")


def _draw_aims(screen: Console, found: Validation) -> None:
    heads = ("rows", "left out", "figure", "reached", "aim", "")
    columns = [Column(head=head, right=place in (3, 4)) for place, head in enumerate(heads)]
    lines = [line for judged in found.aims for line in _aim_lines(judged)]
    if lines:
        screen.print(table(screen, columns, lines))
        screen.print()
    for line in _closing(found.report, timed=False):
        screen.print(line, highlight=False)


def _aim_lines(judged: Judged) -> list[list[str]]:
    lines = []
    for figure in judged.figures:
        show = "{:.2f}" if figure.statistic == "rank correlation" else "{:.1%}"
        bound = f"<= {show.format(figure.most)}" if figure.most is not None else f">= {show.format(figure.least)}"
        value = "unknown" if figure.value is None else show.format(figure.value)
        met = {True: "met", False: "missed", None: ""}[figure.met]
        lines.append([judged.aim.rows, judged.aim.scheme, figure.statistic, value, bound, met])
    return lines


def _draw(screen: Console, report: Report, rows: Path | None) -> None:
    for what in ("source", "family", "device", "metric", "flag"):
        lines = report.rows(what)
        if lines:
            screen.print(_summary(screen, f"by {what}" if what != "flag" else "rows that do not count", what, lines))
            screen.print()
    orders = [order for order in report.orders if order.group[4] == "1"]
    if orders:
        screen.print(_orders(screen, orders))
        screen.print()
    if report.refusals:
        columns = (Column(head="refused"), Column(head="why", right=False))
        lines = [[str(count), why] for why, count in report.refusals[:_REFUSALS]]
        screen.print(table(screen, columns, lines))
        screen.print()
    for line in _closing(report):
        screen.print(line, highlight=False)
    if rows:
        screen.print(f"one line a row is in {rows}")


def _orders(screen: Console, orders: list[CardOrder]) -> object:
    heads = ("source", "network", "precision", "cards", "rank correlation", "pairs 5 % apart in order")
    columns = [Column(head=head, right=place > 2) for place, head in enumerate(heads)]
    lines = [
        [*order.group[:3], str(len(order.devices)), f"{order.correlation:.3f}", f"{order.kept} of {order.clear}"]
        for order in orders
    ]
    return table(screen, columns, lines, title="order of single cards on one network")


def _summary(screen: Console, title: str, what: str, lines: list[list[str]]) -> object:
    from rigwise.calibration.backtest import HEADER

    drops = (0, 3, 0, 1, 0, 4, 2, 0)
    columns = [
        Column(head=head or what, right=bool(place), drop=drops[place], style="bold" if not place else "")
        for place, head in enumerate(HEADER)
    ]
    return table(screen, columns, lines, title=title)


def _closing(report: Report, *, timed: bool = True) -> list[str]:
    best, ranking = report.headline, report.ranking
    took = f" in {units.show_seconds(report.seconds)}" if timed else ""
    lines = [
        f"{len(report.outcomes):,} rows{took}: {report.supported:,} predicted, "
        f"{len(report.outcomes) - report.supported:,} refused ({report.refused_share:.1%})"
    ]
    if best.mean is not None and best.median is not None and best.inside is not None and best.signed is not None:
        lines.append(
            f"each run counted once: error mean {best.mean:.1%}, median {best.median:.1%}, signed {best.signed:+.1%}; "
            f"{best.inside:.0%} inside the 80 % interval"
        )
    if ranking["groups"] and ranking["regret"]["mean"] is not None:
        rank = ranking["rank_correlation"]["mean"]
        said = "unknown" if rank is None else f"{rank:.2f}"
        lines.append(
            f"{ranking['groups']} groups that differ only in layout: rank correlation {said}, "
            f"the layout ranked first is {ranking['regret']['mean']:.1%} slower than the best measured"
        )
    return lines

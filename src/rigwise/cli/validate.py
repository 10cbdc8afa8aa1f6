"""`rigwise validate FILE.csv`: every row of a table of measurements predicted, and how far off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from rigwise import api, units
from rigwise.cli.options import Look
from rigwise.cli.progress import counting
from rigwise.cli.tables import Column, table

if TYPE_CHECKING:
    from rigwise.calibration.backtest import Report

_REFUSALS = 12  # reasons that are printed; --json has all of them


def validate(file: Path, /, *, rows: Path | None = None, look: Look = Look()) -> None:
    """Predict every row of a table of measurements and sum up the errors.

    Parameters
    ----------
    file
        A CSV in the columns of data/measured/training.csv.
    rows
        Write one line a row here: measured, predicted, low, high, and why where a row is refused.
    """
    with counting(look, "rows") as progress:
        report = api.validate(file, rows=rows, progress=progress)
    look.answer(report.to_dict, lambda screen: _draw(screen, report, rows if look.chatty else None))


def _draw(screen: Console, report: Report, rows: Path | None) -> None:
    for what in ("source", "family", "device", "metric", "flag"):
        lines = report.rows(what)
        if lines:
            screen.print(_summary(screen, f"by {what}" if what != "flag" else "rows that do not count", what, lines))
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


def _summary(screen: Console, title: str, what: str, lines: list[list[str]]) -> object:
    from rigwise.calibration.backtest import HEADER

    drops = (0, 3, 0, 1, 0, 4, 2, 0)
    columns = [
        Column(head=head or what, right=bool(place), drop=drops[place], style="bold" if not place else "")
        for place, head in enumerate(HEADER)
    ]
    return table(screen, columns, lines, title=title)


def _closing(report: Report) -> list[str]:
    best, ranking = report.headline, report.ranking
    lines = [
        f"{len(report.outcomes):,} rows in {units.show_seconds(report.seconds)}: {report.supported:,} predicted, "
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

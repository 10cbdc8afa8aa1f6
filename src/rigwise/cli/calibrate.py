"""`rigwise calibrate TABLE.csv ...`: the constants of the laws fitted anew from measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from rigwise import api
from rigwise.cli.files import write_aside
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, table

if TYPE_CHECKING:
    from rigwise.calibration.calibrate import Calibration

_MOVED = 0.02  # constants that moved less are not printed; --json has all of them


def calibrate(*tables: Path, output: Path | None = None, rounds: int = 4, look: Look = Look()) -> None:
    """Fit the constants of the laws to measured tables; minutes, with the error before and after.

    Parameters
    ----------
    tables
        CSVs in the columns of a table of measurements; none means those that rigwise carries.
    output
        Write the data file with the fitted constants here.
    rounds
        Steps of the fit at most.
    """
    found = api.calibrate(tables, rounds=rounds, progress=look.note)
    if output:
        write_aside(output, found.text())
    look.answer(found.to_dict, lambda screen: _draw(screen, found))
    if output:
        look.note(f"constants: {output}")


def _draw(screen: Console, found: Calibration) -> None:
    columns = [Column(head="constant", right=False), Column(head="prior"), Column(head="fitted")]
    moved = [
        [c.name, f"{c.prior:.3g}", f"{value:.3g}"]
        for c, value in zip(found.fit.constants, found.fit.values, strict=True)
        if abs(value / c.prior - 1) > _MOVED
    ]
    screen.print(table(screen, columns, moved, title=f"{len(moved)} of {len(found.fit.constants)} constants moved"))
    screen.print()
    heads = [Column(head="rows of", right=False), *(Column(head=h) for h in ("rows", "before", "after", "bias"))]
    lines = [[g.group, f"{g.rows}", f"{g.before:.1%}", f"{g.after:.1%}", f"{g.bias:+.1%}"] for g in found.groups()]
    screen.print(table(screen, heads, lines, title="median error of a step, before and after"))

"""`rigwise calibrate TABLE.csv ...`: the constants of the laws fitted anew from measurements."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from rigwise import api
from rigwise.cli.files import write_aside
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, table
from rigwise.errors import UsageError
from rigwise.units import show_rate, show_seconds

if TYPE_CHECKING:
    from rigwise.calibration.calibrate import Calibration
    from rigwise.cost.profile import Profile

_NAMED = 6  # rows left out that are printed; --json has all of them
_MOVED = 0.02  # constants that moved less are not printed; --json has all of them


def calibrate(
    *tables: Path,
    output: Path | None = None,
    rounds: int = 4,
    source: Annotated[Literal["tables", "history"], Parameter(name="--from")] = "tables",
    name: str = "this",
    history: Path | None = None,
    look: Look = Look(),
) -> None:
    """Fit the constants of the laws to measured tables (minutes), or this machine's profile to its history.

    Parameters
    ----------
    tables
        CSVs in the columns of a table of measurements; none means those that rigwise carries.
    output
        Write the data file with the fitted constants here.
    rounds
        Steps of the fit at most.
    source
        history: what `rigwise measure` wrote here; predictions for `this` then say "measured here".
    name
        Of the machine's profile; predictions go by another than `this` where RIGWISE_PROFILE names it.
    history
        A history file in place of your own.
    """
    if source == "history":
        _here(tables, output, name, history, look)
        return
    found = api.calibrate(tables, rounds=rounds, progress=look.note)
    if output:
        write_aside(output, found.text())
    look.answer(found.to_dict, lambda screen: _draw(screen, found))
    if output:
        look.note(f"constants: {output}")


def _here(tables: tuple[Path, ...], output: Path | None, name: str, history: Path | None, look: Look) -> None:
    """This machine's profile."""
    if tables or output:
        raise UsageError("--from history with tables or --output", rule="a profile is fitted to the history alone")
    found = api.calibrate_here(name=name, history=history)
    payload = {"schema_version": 1, "name": name, "machine": found[0].machine, "profiles": [_brief(p) for p in found]}
    look.answer(lambda: payload, lambda screen: _draw_profiles(screen, found))
    where = "" if name == "this" else f" where RIGWISE_PROFILE={name} is set"
    look.note(f"predictions for `this` now say: measured here{where}")


def _brief(profile: Profile) -> dict[str, object]:
    wire = profile.wire
    return {
        "ranks": profile.ranks,
        "threads": profile.threads,
        "date": profile.date,
        "curves": len(profile.rates.curves),
        "spread": profile.spread,
        "before": profile.before,
        "after": profile.after,
        "wire": wire and {"alpha": wire.alpha, "bandwidth": wire.bandwidth},
    }


def _draw_profiles(screen: Console, found: Sequence[Profile]) -> None:
    from rigwise.cost.interval import Z80

    names = ("ranks", "threads", "measured", "kinds timed", "error before", "after", "80 % bar", "link")
    rows = []
    for p in found:
        link = f"{show_seconds(p.wire.alpha)} + bytes / {show_rate(p.wire.bandwidth)}" if p.wire else ""
        bar = f"x{exp(Z80 * p.spread):.2f}"
        before, after = (f"{value:.0%}" for value in (p.before, p.after))
        rows.append([str(p.ranks), str(p.threads), p.date, str(len(p.rates.curves)), before, after, bar, link])
    title = f"{found[0].machine}: error of a pass of a network that the fit did not see"
    screen.print(table(screen, [Column(head=head) for head in names], rows, title=title))


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
    screen.print()
    for line in _closing(found):
        screen.print(line, highlight=False)


def _closing(found: Calibration) -> list[str]:
    """How much the rows determine, and which rows were left out."""
    lines = [
        f"{len(found.cases):,} rows fitted, rounds: {found.fit.rounds}; of {len(found.fit.constants)} constants the "
        f"rows determine about {found.fit.freedom:.0f}, and the rest stays near its priors"
    ]
    for why, ids in found.left_out.items():
        rest = f" and {len(ids) - _NAMED:,} more (--json has all)" if len(ids) > _NAMED else ""
        lines.append(f"left out, {why}: {len(ids):,} rows: {', '.join(ids[:_NAMED])}{rest}")
    return lines

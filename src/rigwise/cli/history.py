"""`rigwise history`: what was measured and run on this machine: listed, compared, drawn, exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console

from rigwise import api
from rigwise.cli.files import check_picture, write_aside
from rigwise.cli.options import Look
from rigwise.cli.tables import Column, facts, table
from rigwise.errors import UsageError
from rigwise.units import show_bytes, show_flops, show_joules, show_rate, show_seconds

if TYPE_CHECKING:
    from rigwise.api import Listing
    from rigwise.measurements.history import Beside, Session


def history(
    *numbers: int,
    kind: Literal["measure", "replay", "run"] | None = None,
    last: int = 20,
    history: Path | None = None,
    csv: Path | None = None,
    picture: Path | None = None,
    look: Look = Look(),
) -> None:
    """List what was measured and run here; one number shows a session, several compare them.

    Parameters
    ----------
    numbers
        Sessions to show side by side; all of the last by default.
    kind
        Only of this kind.
    last
        How many, newest first.
    history
        A history file in place of your own.
    csv
        Write the runs as a table, which --like reads, and `rigwise validate` where it knows model and device.
    picture
        Draw predicted over measured here, as .svg.
    """
    check_picture(picture)
    found = api.history(numbers, kind=kind, last=last, path=history)
    if csv:
        write_aside(csv, api.history_csv(found))
    if picture:
        from rigwise.report.runs import runs_svg

        points = [point for session, rows in found.sessions if (point := _point(session, rows))]
        if not points:
            raise UsageError("no run with a prediction to draw", rule="a run is drawn beside what was predicted of it")
        write_aside(picture, runs_svg(points))
    look.answer(found.to_dict, lambda screen: _draw(screen, found, bool(numbers)))
    look.note(*([f"a history that could not be read was kept: {found.kept}"] if found.kept else []))
    look.note(*(f"written: {path}" for path in (csv, picture) if path))


def _total(rows: Sequence[Beside]) -> Beside | None:
    return next((one for one in rows if one.measured.part == "total"), None)


def _point(session: Session, rows: Sequence[Beside]) -> tuple[str, float, float] | None:
    one = _total(rows)
    if one is None or one.predicted is None:
        return None
    return (
        f"{session.id} {_short(session.name)} {session.settings.get('layout', '')}",
        one.measured.value,
        one.predicted,
    )


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _draw(screen: Console, found: Listing, chosen: bool) -> None:
    if not found.sessions:
        screen.print(f"nothing yet in {found.path}: `rigwise measure` and `rigwise run` write to it", markup=False)
        return
    if chosen:
        _side_by_side(screen, found.sessions)
        return
    columns = [
        Column(head="number"),
        Column(head="date", right=False, drop=2),
        Column(head="kind", right=False),
        Column(head="what", right=False),
        Column(head="setting", right=False, drop=1),
        Column(head="measured"),
        Column(head="predicted"),
        Column(head="predicted / measured", drop=3),
    ]
    lines = [_line(session, rows) for session, rows in found.sessions]
    screen.print(table(screen, columns, lines, title=str(found.path)))


def _line(session: Session, rows: Sequence[Beside]) -> list[str]:
    said, one = session.settings, _total(rows)
    setting = str(said.get("layout") or f"{said.get('ranks', 1)} x {said.get('threads', 1)}")
    whole = sum(row.measured.value for row in rows) if session.kind == "replay" else None
    measured = show_seconds(one.measured.value) if one else "" if whole is None else f"sum {show_seconds(whole)}"
    foreseen = one.predicted if one else None
    if session.kind == "measure":
        measured = f"{len(rows)} things"
    ratio = f"{foreseen / one.measured.value:.2f}" if one and foreseen else ""
    predicted = show_seconds(foreseen) if foreseen else ""
    return [str(session.id), session.date[:16], session.kind, _short(session.name), setting, measured, predicted, ratio]


def _side_by_side(screen: Console, sessions: Sequence[tuple[Session, Sequence[Beside]]]) -> None:
    for session, rows in sessions:
        facts_of = [(key, str(value)) for key, value in session.settings.items() if value is not None]
        head = [("session", f"{session.id}, {session.kind}, {session.date}"), ("what", session.name)]
        screen.print(facts([*head, ("machine", str(session.machine.get("name", ""))), *facts_of]))
        if session.kind != "measure":
            columns = [Column(head="part", right=False), Column(head="predicted"), Column(head="measured")]
            lines = [[one.measured.part, _show(one, one.predicted), _show(one, one.measured.value)] for one in rows]
            screen.print(table(screen, columns, lines))
        else:
            _of_kinds(screen, rows)
        for cause in session.findings.get("diagnosis", []):
            screen.print(f"slow: {cause['part']}, {cause['cause']}: {cause['evidence']}", markup=False)
        for doubt in session.findings.get("doubts", []):
            screen.print(f"note: {doubt}", markup=False)
        screen.print()


def _of_kinds(screen: Console, rows: Sequence[Beside]) -> None:
    """What was timed, by kind: how often, and how many of these are to be trusted."""
    kinds: dict[str, list[Beside]] = {}
    for row in rows:
        kinds.setdefault(row.measured.id, []).append(row)
    columns = [Column(head="what", right=False), *(Column(head=head) for head in ("sizes", "trusted", "least", "most"))]
    lines = []
    for what, found in kinds.items():
        by_value = sorted(found, key=lambda one: one.measured.value)
        trusted = sum(one.measured.trusted for one in found)
        ends = [_show(one, one.measured.value) for one in (by_value[0], by_value[-1])]
        lines.append([what, str(len(found)), str(trusted), *ends])
    screen.print(table(screen, columns, lines))


def _show(one: Beside, value: float | None) -> str:
    if value is None:
        return "unknown"
    shows: dict[str, Callable[[float], str]] = {
        "peak_memory": show_bytes,
        "joules": show_joules,
        "copy_bytes_per_s": show_rate,
        "flops_per_s_per_device": partial(show_flops, per_second=True),
    }
    return shows.get(one.measured.metric, show_seconds)(value)

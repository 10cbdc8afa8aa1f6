"""The forecast as a picture: the history, the years ahead, and the year of crossing by the limits that hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rigwise.report.brain_board import RIGHT, WIDTH, area, exponent, powers
from rigwise.report.svg import Board, Frame, Scale, axes, legend

if TYPE_CHECKING:
    from rigwise.brain.forecast import Crossing, Forecast
    from rigwise.brain.scenarios import Scenario

_HUES = {"moore": 2, "sixty_years": 5, "network": 3}
_LEFT, _ROW = 110.0, 28.0


def forecast_svg(f: Forecast) -> str:
    """Above amounts over years, below the year of crossing, one row for each set of limits."""
    board = Board(WIDTH, 560 + 100 + _ROW * len(f.crossings), f"When {f.past.says} reaches the brain's operations")
    every = max(len(crossing.limits) for crossing in f.crossings)
    on = "all" if len(f.chosen.limits) == every else ", ".join(f.chosen.limits) or "none"
    board.text(20, 28, f"{f.past.says[0].upper()}{f.past.says[1:]}: history and the years ahead; limits: {on}", "title")
    entries = [(0, "history, middle path"), (1, "foreseen, p10 to p90"), *((_HUES[s.key], s.name) for s in _own(f))]
    top = legend(board, 20, 54, entries, RIGHT)
    _years(board, f, Frame(left=_LEFT, top=top, right=RIGHT - 30, bottom=480))
    _crossings(board, f, 550)
    return board.svg()


def _own(f: Forecast) -> list[Scenario]:
    """The scenarios that start from this metric, or from LINPACK."""
    start = f.metric if any(s.start == f.metric for s in f.scenarios) else "linpack"
    return [s for s in f.scenarios if s.start == start]


def _years(board: Board, f: Forecast, frame: Frame) -> None:
    first, target = float(f.past.years[0]), f.target.value or 1.0
    least = float(2.0 ** f.past.log2[0])
    most = max(target * 100, min(float(f.fan[1, -1]), target * 1e4))
    across, up = frame.across(first, f.until), frame.up(least / 3, most, log=True)

    def clipped(value: float) -> float:
        return up(min(max(value, least / 3), most))

    step = 10 if f.until - first > 40 else 5
    marks = range(int(np.ceil(first / step)) * step, f.until + 1, step)
    axes(
        board,
        frame,
        [(across(year), str(year)) for year in marks],
        [(up(value), exponent(value)) for value in powers(least / 3, most)],
        "year",
        f.past.unit,
    )
    now = (across(float(f.past.years[-1])), up(float(2.0 ** f.past.log2[-1])))
    rows = [[now, *((across(float(y)), clipped(float(v))) for y, v in zip(f.years, row, strict=True))] for row in f.fan]
    area(board, rows[2], rows[0], 1)
    inside = sum(y > frame.top for _, y in rows[1])
    board.path(rows[1][: inside + 1], "l0")
    for scenario in _own(f):
        _scenario(board, scenario, f.until, across, up, most)
    for year, value in zip(f.past.years, 2.0**f.past.log2, strict=True):
        board.dot(across(float(year)), up(float(value)), 0, f"{year:.1f}: {value:.3g} {f.past.unit}", 2.6)
    board.path([(frame.left, up(target)), (frame.right, up(target))], "l4")
    board.text(frame.left + 8, up(target) - 6, "the brain, as a lower bound" if target == 1.075e21 else "target")


def _scenario(board: Board, s: Scenario, until: int, across: Scale, up: Scale, most: float) -> None:
    """A straight line from the start in 2015 to the frame's end."""
    end = min(float(until), s.start_year + s.years_per_doubling * float(np.log2(most / s.start_flops)))
    last = s.start_flops * 2 ** ((end - s.start_year) / s.years_per_doubling)
    points = [(across(s.start_year), up(s.start_flops)), (across(end), up(last))]
    board.path(points, f"l{_HUES[s.key]}")


def _crossings(board: Board, f: Forecast, top: float) -> None:
    board.text(20, top, "Year of crossing: p10, p50 and p90 of the paths, by the limits that hold", "title")
    board.text(RIGHT, top, f"not by {f.until}", "soft", "end")
    first = float(f.past.years[-1])
    frame = Frame(left=_LEFT, top=top + 14, right=RIGHT - 90, bottom=top + 24 + _ROW * len(f.crossings))
    across = frame.across(first, f.until)
    for year in range(int(np.ceil(first / 10)) * 10, f.until + 1, 10):
        board.line(across(year), frame.top, across(year), frame.bottom)
        board.text(across(year), frame.bottom + 16, str(year), "soft", "middle")
    board.line(frame.left, frame.bottom, frame.right, frame.bottom, "edge")
    most = max(len(crossing.limits) for crossing in f.crossings)
    for place, crossing in enumerate(f.crossings):
        y = frame.top + 18 + _ROW * place
        name = "no limits" if not crossing.limits else "all" if len(crossing.limits) == most else crossing.limits[0]
        board.text(frame.left - 10, y + 4, name, "", "end")
        _crossing(board, crossing, y, across, frame.right, f.until)
        board.text(RIGHT, y + 4, f"{crossing.none:.0%}", "soft", "end")
    said = ", ".join(f"{s.name} {s.year_whole:.1f}" for s in _own(f))
    board.text(
        frame.left, frame.bottom + 38, f"The article, whole doublings from {_own(f)[0].start.upper()}: {said}", "soft"
    )
    for s in _own(f):
        x = across(min(s.year, float(f.until)))
        board.path([(x, frame.bottom - 9), (x, frame.bottom)], f"l{_HUES[s.key]}")


def _crossing(board: Board, crossing: Crossing, y: float, across: Scale, right: float, until: int) -> None:
    q = crossing.year
    start = across(q.p10) if q.p10 else right
    end = across(q.p90) if q.p90 else right
    says = f"p10 {_word(q.p10, until)}, p50 {_word(q.p50, until)}, p90 {_word(q.p90, until)}"
    if q.p10:
        board.bar(start, y - 3, max(end - start, 1), 6, 1, says)
        board.text(start, y - 8, f"{int(q.p10)}", "soft", "middle")
    if q.p50:
        board.dot(across(q.p50), y, 0, says, 5.5)
        board.text(across(q.p50), y - 8, f"{int(q.p50)}", "", "middle")


def _word(value: float | None, until: int) -> str:
    return f"after {until}" if value is None else str(int(value))

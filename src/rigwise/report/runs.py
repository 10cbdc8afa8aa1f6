"""Runs of the history: predicted over measured, a mark a run, with the diagonal and a band of +-10 %."""

from __future__ import annotations

from collections.abc import Sequence

from rigwise.report.svg import Board, Frame, Scale, axes
from rigwise.units import show_seconds

Point = tuple[str, float, float]  # name, measured seconds, predicted seconds
_WIDTH, _HEIGHT, _BAND = 560.0, 520.0, 0.1
_FRAME = Frame(left=90.0, top=54.0, right=530.0, bottom=450.0)


def runs_svg(points: Sequence[Point]) -> str:
    """The picture; at least one point.

    >>> runs_svg([("a", 1.0, 1.1)]).count("<title>a: 1.00 s</title>")
    1
    """
    board = Board(_WIDTH, _HEIGHT, "runs of this machine: predicted over measured")
    board.text(20, 28, "runs of this machine: predicted over measured", "title")
    values = [value for _, measured, predicted in points for value in (measured, predicted)]
    low, high = min(values) / 1.5, max(values) * 1.5
    x, y = _FRAME.across(low, high, log=True), _FRAME.up(low, high, log=True)
    marks = _marks(low, high)
    shown = [show_seconds(value) for value in marks]
    axes(
        board,
        _FRAME,
        [(x(v), text) for v, text in zip(marks, shown, strict=True)],
        [(y(v), text) for v, text in zip(marks, shown, strict=True)],
        "measured step",
        "predicted step",
    )
    board.line(x(low), y(low), x(high), y(high), "edge")
    for factor in (1 + _BAND, 1 / (1 + _BAND)):
        _along(board, x, y, low, high, factor)
    for name, measured, predicted in points:
        board.bar(x(measured) - 4, y(predicted) - 4, 8, 8, 0, f"{name}: {show_seconds(measured)}")
    return board.svg()


def _along(board: Board, x: Scale, y: Scale, low: float, high: float, factor: float) -> None:
    first, last = max(low, low / factor), min(high, high / factor)
    board.line(x(first), y(first * factor), x(last), y(last * factor))


def _marks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them where there are few."""
    found = [10.0**power * part for power in range(-7, 6) for part in (1, 2, 5)]
    inside = [value for value in found if low <= value <= high]
    return inside if len(inside) <= 8 else [value for value in inside if f"{value:e}".startswith("1")]

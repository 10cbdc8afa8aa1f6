"""Published estimates as a picture: one row each, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rigwise.report.brain_board import RIGHT, WIDTH, log_axis, reach
from rigwise.report.svg import Board, Frame, legend
from rigwise.units import show_power_of_ten as ten

if TYPE_CHECKING:
    from rigwise.brain.answers import Comparison
    from rigwise.brain.methods import Method

_LEFT, _ROW = 350.0, 22.0
_KINDS = ((5, "from its own inputs"), (2, "inputs read off the figure"), (6, "inputs not known"), (4, "this estimate"))


def compare_svg(found: Comparison) -> str:
    """Ranges on one logarithmic axis; the dot is the value, the bar what was published or the spread of the inputs."""
    board = Board(WIDTH, 150 + _ROW * (len(found.methods) + 1), "Published estimates of the brain's computing power")
    board.text(20, 28, "The brain's computing power, as published since 1988", "title")
    top = legend(board, 20, 54, list(_KINDS), RIGHT)
    bottom = top + 8 + _ROW * (len(found.methods) + 1)
    frame = Frame(left=_LEFT, top=top, right=RIGHT - 64, bottom=bottom)
    ends = [end for method in found.methods for end in method.published] + [found.ours.p10 or 1.0]
    across = log_axis(board, frame, min(ends) / 5, max(ends) * 5, "operations a second")
    ours = across(found.ours.value or 1.0)
    board.line(ours, frame.top, ours, frame.bottom, "dash")
    for place, method in enumerate(found.methods):
        y = frame.top + 14 + _ROW * place
        board.text(frame.left - 10, y + 4, f"{method.name}, {method.year}", "", "end")
        low, high = method.published if method.published[0] != method.published[1] else _ends(method)
        value = method.quantity.value or low
        reach(board, across(low), across(value), across(high), y, _hue(method), _says(method))
        board.text(RIGHT, y + 4, ten(value, 2), "soft", "end")
    y = frame.top + 14 + _ROW * len(found.methods)
    q = found.ours
    board.text(frame.left - 10, y + 4, "Dettmers, convolutions, 2015", "", "end")
    says = f"this estimate: {ten(q.value or 0.0, 4)} FLOP/s"
    reach(board, across(q.p10 or 1.0), ours, across(q.p90 or 1.0), y, 4, says)
    board.text(RIGHT, y + 4, ten(q.value or 0.0, 2), "soft", "end")
    return board.svg()


def _ends(method: Method) -> tuple[float, float]:
    q = method.quantity
    return (q.p10 or method.published[0], q.p90 or method.published[1])


def _hue(method: Method) -> int:
    if method.computed is None:
        return 6
    return 2 if method.by_construction else 5


def _says(method: Method) -> str:
    return f"{method.name}: published {ten(method.published[0])} to {ten(method.published[1])}; {method.source}"

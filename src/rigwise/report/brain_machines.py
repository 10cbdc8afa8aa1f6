"""Machines as a picture: one device by six measures, and how many of it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rigwise.report.brain_board import RIGHT, WIDTH, log_axis, reach
from rigwise.report.svg import Board, Frame, legend
from rigwise.units import show_power_of_ten as ten
from rigwise.units import show_watts

if TYPE_CHECKING:
    from rigwise.brain.answers import Fleet

_LEFT, _ROW, _DOT = 180.0, 36.0, 6.0
_MEASURES = (
    ("hpcg", 3, "HPCG"),
    ("shape", 4, "this network"),
    ("network", 5, "what its wires carry"),
    ("linpack", 2, "LINPACK"),
    ("dense", 1, "dense product"),
    ("peak", 0, "peak"),
)


def machines_svg(found: Fleet) -> str:
    """Above what one device gives by each measure, below how many would do, with power, price and network."""
    rows = len(found.machines)
    lower = 150 + _ROW * rows
    board = Board(WIDTH, lower + 120 + _ROW * rows, "Machines for the brain's operations")
    board.text(20, 28, "One device, by what is measured", "title")
    top = legend(board, 20, 54, [(hue, words) for _, hue, words in reversed(_MEASURES)], RIGHT)
    frame = Frame(left=_LEFT, top=top, right=RIGHT, bottom=top + 6 + _ROW * rows)
    ends = [rate.value for machine in found.machines for rate in machine.rates.values() if rate.value]
    across = log_axis(board, frame, min(ends) / 2, max(ends) * 2, "FLOP/s of one device")
    for place, machine in enumerate(found.machines):
        y = frame.top + 20 + _ROW * place
        board.text(frame.left - 10, y + 4, machine.device, "", "end")
        spots = [rate.value for rate in machine.rates.values() if rate.value]
        board.line(across(min(spots)), y, across(max(spots)), y)
        taken: list[tuple[float, float]] = []
        for name, hue, words in _MEASURES:
            rate = machine.rates[name].value
            if rate:
                lane = _free(across(rate), taken)
                board.dot(across(rate), y + lane, hue, f"{machine.device}, {words}: {ten(rate)} FLOP/s", _DOT)
    _counts(board, found, lower)
    return board.svg()


def _free(x: float, taken: list[tuple[float, float]]) -> float:
    """How far above or below its line a dot goes, so that it hides no other; it is then among those taken."""
    near = {on for at, on in taken if abs(x - at) <= 2 * _DOT}
    lane = next((way for way in (0.0, -12.5, 12.5) if way not in near), 0.0)
    taken.append((x, lane))
    return lane


def _counts(board: Board, found: Fleet, top: float) -> None:
    need = ten(found.work.needed, 4)
    board.text(20, top + 20, f"How many would sustain {need} FLOP/s: value, and from p10 to p90", "title")
    frame = Frame(left=_LEFT, top=top + 36, right=RIGHT - 175, bottom=top + 42 + _ROW * len(found.machines))
    ends = [end for m in found.machines for end in (m.count.p10, m.count.value, m.count.p90) if end]
    across = log_axis(board, frame, min(ends) / 2, max(ends) * 2, "devices")
    for place, machine in enumerate(found.machines):
        y, q = frame.top + 20 + _ROW * place, machine.count
        board.text(frame.left - 10, y + 4, machine.device, "", "end")
        if q.value and q.p10 and q.p90:
            says = f"{ten(q.value)} {machine.device}, bound by {machine.binds}"
            reach(board, across(q.p10), across(q.value), across(q.p90), y, 4, says)
        watts = show_watts(machine.power.value or 0.0) if machine.power else "power unknown"
        price = f"${ten(machine.capital.value or 0.0, 2)}" if machine.capital else "price unknown"
        board.text(RIGHT, y - 2, f"{ten(q.value or 0.0, 2)} devices, {watts}", "soft", "end")
        board.text(RIGHT, y + 13, f"{price}, {ten(machine.cards.value or 0.0, 2)} cards", "soft", "end")

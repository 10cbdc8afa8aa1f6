"""What the pictures of the brain share: ranges on a logarithmic axis, boxes, and areas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from rigwise.report.svg import Board, Frame, Scale
from rigwise.units import show_power_of_ten

WIDTH, RIGHT = 860.0, 840.0


def powers(low: float, high: float, most: int = 10) -> list[float]:
    """Powers of ten from low to high, `most` of them at the most, evenly apart.

    >>> powers(5e14, 2e18)
    [1000000000000000.0, 1e+16, 1e+17, 1e+18]
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / most))
    return [10.0**n for n in range(first, last + 1, step)]


def exponent(value: float) -> str:
    """A power of ten as its exponent is written.

    >>> exponent(1e21), exponent(1000.0)
    ('10²¹', '10³')
    """
    raised = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
    return "10" + str(round(math.log10(value))).translate(raised)


def log_axis(board: Board, frame: Frame, low: float, high: float, label: str) -> Scale:
    """A logarithmic axis below a frame, with a grid; returns the way from a value to its x."""
    across = frame.across(low, high, log=True)
    marks = [(value, exponent(value)) for value in powers(low, high)]
    if len(marks) < 3:
        steps = [times * 10.0**n for n in range(-20, 60) for times in (1, 2, 5)]
        marks = [(value, show_power_of_ten(value)) for value in steps if low <= value <= high]
    for value, words in marks:
        board.line(across(value), frame.top, across(value), frame.bottom)
        board.text(across(value), frame.bottom + 16, words, "soft", "middle")
    board.line(frame.left, frame.bottom, frame.right, frame.bottom, "edge")
    board.text((frame.left + frame.right) / 2, frame.bottom + 36, label, "", "middle")
    return across


def reach(board: Board, low: float, at: float, high: float, y: float, hue: int, says: str) -> None:
    """A range as a slim bar, with a dot where the value stands; all in pixels."""
    board.line(min(low, high, at), y, max(low, high, at), y, "edge")
    board.bar(min(low, high), y - 2, max(abs(high - low), 1.0), 4, hue, says)
    board.dot(at, y, hue, says, 5)


def area(board: Board, upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], hue: int) -> None:
    """The area between two lines, pale."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (*upper, *reversed(lower)))
    board.parts.append(f'<polygon points="{points}" class="h{hue}" fill-opacity="0.22"/>')


def framed(board: Board, x: float, y: float, width: float, height: float, words: Sequence[str], hue: int) -> None:
    """A rounded box with lines of words, the first of them in ink, a stripe of colour at its left."""
    board.parts.append(
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6" class="rule" fill="none"/>'
    )
    board.bar(x, y + 6, 4, height - 12, hue, escape(words[0]))
    top = y + height / 2 + 4 - 8 * (len(words) - 1)
    for place, line in enumerate(words):
        board.text(x + 14, top + 16 * place, line, "soft" if place else "")


def arrow(board: Board, x1: float, y1: float, x2: float, y2: float) -> None:
    """A straight arrow, down or to the right."""
    board.line(x1, y1, x2, y2, "edge")
    down = abs(y2 - y1) > abs(x2 - x1)
    for side in (-4, 4):
        board.line(x2, y2, x2 + (side if down else -6), y2 + (-6 if down else side), "edge")

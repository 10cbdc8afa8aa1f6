"""The estimate as a picture: its spread, its terms, and what moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rigwise.report.brain_board import RIGHT, WIDTH, log_axis, reach
from rigwise.report.svg import Board, Frame
from rigwise.units import show_power_of_ten as ten

if TYPE_CHECKING:
    from rigwise.brain.estimate import BrainEstimate

_BINS = 70
_LEFT, _ROW = 170.0, 26.0
_LEAST = 1.1  # times: inputs that move the answer less are not drawn


def estimate_svg(e: BrainEstimate) -> str:
    """Three panels below each other."""
    bars = [bar for bar in e.bars if bar.swing > _LEAST]
    terms_top = 330.0
    tornado_top = terms_top + 96 + _ROW * len(e.terms)
    board = Board(WIDTH, tornado_top + 100 + _ROW * len(bars), "The brain's operations a second")
    value = e.quantities["flops"].value or 0.0
    kind = "a lower bound" if e.is_lower_bound else "with all that the article names"
    board.text(20, 28, f"The brain's operations a second: {ten(value, 4)} FLOP/s by the point values, {kind}", "title")
    _spread(board, e, Frame(left=40, top=60, right=RIGHT, bottom=240))
    _terms(board, e, terms_top)
    _tornado(board, e, tornado_top)
    return board.svg()


def _spread(board: Board, e: BrainEstimate, frame: Frame) -> None:
    drawn = e.drawn["flops"]
    low, high = np.percentile(drawn, [0.2, 99.8])
    q = e.quantities["flops"]
    low, high = min(low, q.value or low) / 1.5, max(high, q.value or high) * 1.5
    across = log_axis(board, frame, float(low), float(high), f"FLOP/s, {e.draws:,} draws of the inputs")
    counts, edges = np.histogram(np.log10(drawn), _BINS, (np.log10(low), np.log10(high)))
    up = frame.up(0.0, float(counts.max()) * 1.08)
    inside = [(10**a, n) for a, n in zip(edges[:-1], counts, strict=True)]
    wide = across(float(10 ** edges[1])) - across(float(10 ** edges[0]))
    boxes = [(across(float(a)), up(float(n)), wide - 1, frame.bottom - up(float(n))) for a, n in inside if n]
    board.bars(boxes, 1, "share of the draws")
    for name, at in (("p10", q.p10), ("p50", q.p50), ("p90", q.p90)):
        if at:
            board.line(across(at), frame.top, across(at), frame.bottom, "dash")
            board.text(across(at) + 4, frame.top + 10, f"{name} {ten(at, 2)}", "soft")
    if q.value:
        board.path([(across(q.value), frame.top + 18), (across(q.value), frame.bottom)], "l4")
        board.text(across(q.value) + 5, frame.top + 30, "point values")


def _terms(board: Board, e: BrainEstimate, top: float) -> None:
    board.text(20, top, "By type of cell: point value, and from p10 to p90", "title")
    ends = [v for q in e.terms.values() for v in (q.value, q.p10, q.p90) if v]
    frame = Frame(left=_LEFT, top=top + 16, right=RIGHT - 90, bottom=top + 26 + _ROW * len(e.terms))
    across = log_axis(board, frame, min(ends) / 2, max(ends) * 2, "")
    for place, (name, q) in enumerate(e.terms.items()):
        y = frame.top + 16 + _ROW * place
        board.text(frame.left - 10, y + 4, name, "", "end")
        if q.value and q.p10 and q.p90:
            says = f"{name}: {ten(q.value)} FLOP/s, {ten(q.p10)} to {ten(q.p90)}"
            reach(board, across(q.p10), across(q.value), across(q.p90), y, 0, says)
            board.text(RIGHT, y + 4, ten(q.value), "soft", "end")


def _tornado(board: Board, e: BrainEstimate, top: float) -> None:
    bars = [bar for bar in e.bars if bar.swing > _LEAST]
    if not bars:
        return
    shares = {share.name: share.total for share in e.shares}
    board.text(20, top, "What moves it: one input from its p10 to its p90", "title")
    board.text(RIGHT, top, "of the variance", "soft", "end")
    low, high = min(min(b.at_low, b.at_high) for b in bars), max(max(b.at_low, b.at_high) for b in bars)
    frame = Frame(left=_LEFT, top=top + 16, right=RIGHT - 90, bottom=top + 26 + _ROW * len(bars))
    across = log_axis(board, frame, low / 1.5, high * 1.5, "FLOP/s")
    middle = across(e.quantities["flops"].value or low)
    for place, one in enumerate(bars):
        y = frame.top + 16 + _ROW * place
        board.text(frame.left - 10, y + 4, one.name.replace("_", " "), "", "end")
        for end, at, hue in (("p10", one.at_low, 1), ("p90", one.at_high, 2)):
            x = across(at)
            board.bar(min(x, middle), y - 7, abs(x - middle), 14, hue, f"{one.name} at its {end}: {ten(at)} FLOP/s")
        board.text(RIGHT, y + 4, f"{shares[one.name]:.0%}", "soft", "end")
    board.line(middle, frame.top, middle, frame.bottom, "edge")
    board.bar(_LEFT, frame.bottom + 26, 11, 11, 1, "at p10")
    board.text(_LEFT + 16, frame.bottom + 36, "input at its p10", "soft")
    board.bar(_LEFT + 130, frame.bottom + 26, 11, 11, 2, "at p90")
    board.text(_LEFT + 146, frame.bottom + 36, "at its p90", "soft")

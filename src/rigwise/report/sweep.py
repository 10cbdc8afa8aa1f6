"""A picture of a sweep: the loss of every run over its steps, the best one in front and named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rigwise.report.svg import Board, Frame, Scale, axes, ticks

if TYPE_CHECKING:
    from rigwise.run.sweep import Outcome, Sweep

_POINTS = 240  # of a curve: more are no longer seen
_FRAME = Frame(left=90, top=64, right=800, bottom=400)
_BEST, _OTHER = 4, 1


def sweep_svg(found: Sweep) -> str:
    """Losses over steps, smoothed over a hundredth of the run and on a logarithmic axis where all are above 0."""
    board = Board(860, 460, f"Sweep of {found.task}")
    best, done = found.best, [outcome for outcome in found.outcomes if outcome.losses]
    board.text(20, 28, f"{found.task}: {len(done)} runs", "title")
    if best is None:
        board.text(20, 60, "no run finished", "soft")
        return board.svg()
    board.text(20, 48, f"best: {best.name}, loss {best.loss:.4g}", "soft")
    curves = {outcome.name: _smooth(outcome.losses) for outcome in done}
    lows, highs = [min(y for _, y in curve) for curve in curves.values()], [c[0][1] for c in curves.values()]
    low, high = min(lows), max(max(highs), min(lows) * 1.01)
    log = low > 0
    across = _FRAME.across(0, max(len(outcome.losses) for outcome in done))
    up = _FRAME.up(low if log else min(low, 0.0), high, log=log)
    steps = ticks(max(len(outcome.losses) for outcome in done))
    axes(
        board,
        _FRAME,
        [(across(step), f"{step:,g}") for step in steps],
        [(up(each), f"{each:.3g}") for each in _marks(low, high, log)],
        "step",
        "loss",
    )
    for outcome in sorted(done, key=lambda one: one is best):  # the best is drawn last, above the others
        _draw(board, outcome, curves[outcome.name], across, lambda y: up(min(max(y, low), high)), outcome is best)
    return board.svg()


def _draw(
    board: Board, outcome: Outcome, curve: Sequence[tuple[float, float]], across: Scale, up: Scale, best: bool
) -> None:
    hue = _BEST if best else _OTHER
    points = [(across(step), up(loss)) for step, loss in curve]
    board.path(points, f"l{hue}")
    board.dot(*points[-1], hue, f"{outcome.name}: loss {outcome.loss:.4g}", radius=5 if best else 3)
    if best:
        board.text(points[-1][0] + 8, points[-1][1] + 4, "best")


def _smooth(losses: Sequence[float]) -> list[tuple[float, float]]:
    """Means over windows of a hundredth of the steps, thinned to what can be seen: (step, loss)."""
    wide = max(1, len(losses) // 100)
    every = max(1, len(losses) // _POINTS)
    ends = [*range(1, len(losses) + 1, every)]
    if ends[-1] != len(losses):
        ends.append(len(losses))
    return [(float(end), sum(losses[max(0, end - wide) : end]) / min(end, wide)) for end in ends]


def _marks(low: float, high: float, log: bool) -> list[float]:
    if not log:
        return ticks(high)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high] or [low, high]

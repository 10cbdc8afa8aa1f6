"""Pictures of an answer as one SVG file: steps by part, the Pareto of time and memory, the speed-up over devices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING

from rigwise import units
from rigwise.report.gantt import gantt, gantt_height
from rigwise.report.svg import Board, Frame, Scale, axes, legend, spread, ticks

if TYPE_CHECKING:
    from rigwise.cost.record import Estimate
    from rigwise.search.plan import Plan
    from rigwise.search.scale import Scaling

TIME_PARTS = (
    "compute",
    "recompute",
    "tensor_exchange",
    "context_exchange",
    "pipeline_exchange",
    "gradient_exchange",
    "bubble",
    "expert_exchange",
    "optimizer",
    "host",
    "offload",
    "loader",
)
"""Parts of a step, in the order in which they are drawn; the place is also the hue, the last two sharing one."""

_LAST_HUE = 10
_SLOWEST = 3.0  # times the best layout's step: slower ones would press the others together
_WIDTH, _LEFT, _RIGHT, _ROW = 860.0, 70.0, 840.0, 34.0


def plan_svg(plan: Plan) -> str:
    """Bars of the step's parts for the best layouts; memory and time of the frontier; the best's pipeline in time."""
    best = plan.layouts
    bars = 84 + 18 * 2 + _ROW * len(best)
    below = bars + 400
    board = Board(_WIDTH, below + gantt_height(plan.timeline), f"Plan of {plan.model} on {plan.cluster}")
    board.text(20, 28, f"{plan.model} on {plan.cluster}, batch {plan.batch:,}: one step by part", "title")
    _bars(board, best, bars)
    board.text(20, bars + 50, "Time against memory: layouts that nothing beats in both", "title")
    _pareto(board, best, plan.pareto, Frame(left=_LEFT + 20, top=bars + 70, right=_RIGHT, bottom=bars + 350))
    if gantt_height(plan.timeline):
        gantt(board, plan.timeline, below, _RIGHT)
    return board.svg()


def _bars(board: Board, layouts: Sequence[Estimate], bottom: float) -> None:
    longest = max(e.step_s for e in layouts)
    unit, seconds = units.time_unit(longest)
    shown = [p for p in TIME_PARTS if any(e.time.get(p, 0.0) > 0.0005 * longest for e in layouts)]
    top = legend(board, 20, 52, [(hue(p), p.replace("_", " ")) for p in shown], _RIGHT)
    frame = Frame(left=20, top=top - 4, right=_RIGHT - 90, bottom=bottom - 40)
    across = frame.across(0, longest / seconds)
    for value in ticks(longest / seconds):
        board.line(across(value), frame.top, across(value), frame.bottom)
        board.text(across(value), frame.bottom + 16, f"{value:g}", "soft", "middle")
    board.text((frame.left + frame.right) / 2, frame.bottom + 34, f"time of one step ({unit})", "", "middle")
    row = (frame.bottom - frame.top) / len(layouts)
    for place, estimate in enumerate(layouts):
        _bar(board, estimate, shown, frame.top + row * place, lambda s: across(s / seconds))


def _bar(board: Board, estimate: Estimate, shown: Sequence[str], y: float, across: Scale) -> None:
    board.text(across(0.0), y + 11, str(estimate.layout))
    at = 0.0
    for part in shown:
        took = estimate.time.get(part, 0.0)
        if took > 0:
            says = f"{part.replace('_', ' ')}: {units.show_seconds(took)}"
            board.bar(across(at), y + 15, across(at + took) - across(at), 13, hue(part), says)
            at += took
    board.text(across(at) + 6, y + 26, units.show_seconds(estimate.step_s), "soft")


def hue(part: str) -> int:
    """The hue of a part; a part that is not known takes the last."""
    return min(TIME_PARTS.index(part), _LAST_HUE) if part in TIME_PARTS else _LAST_HUE


def _pareto(board: Board, best: Sequence[Estimate], front: Sequence[Estimate], frame: Frame) -> None:
    front = [e for e in front if e.step_s <= _SLOWEST * best[0].step_s]
    points = [*front, *best]
    longest, most = max(e.step_s for e in points), max(e.memory_total for e in points)
    limit = best[0].memory_limit
    unit, seconds = units.time_unit(longest)
    across = frame.across(0, 1.05 * longest / seconds)
    up = frame.up(0, 1.08 * max(most, limit) / units.GIBI)
    axes(
        board,
        frame,
        [(across(v), f"{v:g}") for v in ticks(1.05 * longest / seconds)],
        [(up(v), f"{v:g}") for v in ticks(1.08 * max(most, limit) / units.GIBI)],
        f"time of one step ({unit})",
        "memory of the fullest device (GiB)",
    )
    board.line(frame.left, up(limit / units.GIBI), frame.right, up(limit / units.GIBI), "dash")
    board.text(frame.right, up(limit / units.GIBI) - 5, f"limit {units.show_bytes(limit)}", "soft", "end")
    board.path([_place(e, across, up, seconds) for e in sorted(front, key=lambda e: e.step_s)], "l5")
    for e in points:
        x, y = _place(e, across, up, seconds)
        says = f"{e.layout}: {units.show_seconds(e.step_s)}, {units.show_bytes(e.memory_total)}"
        board.dot(x, y, 0 if e in best else 5, says, 5 if e in best else 4)
    board.text(frame.left + 8, frame.top + 14, "blue: ranked above; green: on the frontier only", "soft")


def _place(e: Estimate, across: Scale, up: Scale, seconds: float) -> tuple[float, float]:
    return across(e.step_s / seconds), up(e.memory_total / units.GIBI)


def scale_svg(found: Scaling) -> str:
    """Speed-up over devices, both axes logarithmic, one line a way, beside the line of a perfect speed-up."""
    board = Board(_WIDTH, 460, f"Speed-up of {found.model} on {found.cluster}")
    board.text(20, 28, f"{found.model} on {found.cluster}, batch {found.batch:,}: speed-up", "title")
    hues = {way: hue for way, hue in zip(found.curves, cycle(_WAY_HUES), strict=False) if any(found.curves[way])}
    top = legend(board, 20, 52, [(hue, way) for way, hue in hues.items()], _RIGHT)
    frame = Frame(left=_LEFT + 20, top=top, right=_RIGHT - 60, bottom=410)
    first, last = found.devices[0], max(found.devices[-1], found.devices[0] + 1)
    slowest = min([s for way in found.curves for s in found.speedups(way) if s] + [float(first)])
    across, up = frame.across(first, last, log=True), frame.up(slowest, last, log=True)
    powers = [2.0**i for i in range(-10, 20) if slowest <= 2.0**i <= last]
    axes(
        board,
        frame,
        [(across(n), f"{n:,}") for n in found.devices],
        [(up(v), f"{v:g}") for v in powers],
        "devices",
        "times as fast as one device",
    )
    board.path([(across(n), up(n)) for n in (first, last)], "dash")
    ends = [("perfect", across(last), up(last))]
    for way in hues:
        ends += _curve(board, found, way, hues[way], across, up)
    for (words, x, _), y in zip(ends, spread([y for *_, y in ends], 13), strict=True):
        board.text(x + 7, y + 4, words, "soft")
    return board.svg()


def _curve(
    board: Board, found: Scaling, way: str, line: int, across: Scale, up: Scale
) -> list[tuple[str, float, float]]:
    """Draws one way; returns its name and where its line ends, if it has any."""
    rows = zip(found.devices, found.speedups(way), found.curves[way], strict=True)
    points = [(across(n), up(s), n, s, e) for n, s, e in rows if s is not None and e is not None]
    board.path([(x, y) for x, y, *_ in points], f"l{line}")
    for x, y, n, s, e in points:
        board.dot(x, y, line, f"{way}, {n} devices: {s:.2f}x, {units.show_seconds(e.step_s)}, {e.layout}")
    return [(way, points[-1][0], points[-1][1])] if points else []


_WAY_HUES = (0, 2, 4, 5)

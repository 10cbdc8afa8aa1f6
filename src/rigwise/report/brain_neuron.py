"""A neuron as a picture: biology and network side by side, and what comes out of each step on a spike train."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rigwise.brain.mapping import NAMES, blocks
from rigwise.report.brain_board import RIGHT, WIDTH, arrow, framed
from rigwise.report.svg import Board, Frame, ticks
from rigwise.units import show_flops

if TYPE_CHECKING:
    from rigwise.brain.neuron import Trace

_ROW, _BOX = 62.0, 44.0
_TRACE = 58.0
_HUES = (0, 1, 2, 3, 4, 5, 6, 7, 8)
_SAYS = {
    "arriving": "spikes arriving",
    "transmitted": "after the receptors",
    "charge": "charge on the dendrite",
    "spots": "dendritic spikes",
    "potential": "soma, above its mean",
    "threshold": "above the threshold",
    "blocked": "refractory, blocked",
    "released": "released",
}
_STEP_OF = {"arriving": 0, "transmitted": 1, "charge": 2, "spots": 3, "potential": 4, "threshold": 5, "blocked": 6,
            "released": 8}  # fmt: skip


def neuron_svg(trace: Trace) -> str:
    """The walk above, the run below."""
    walk = list(blocks())
    below = 96 + _ROW * len(walk)
    board = Board(WIDTH, below + 96 + _TRACE * len(trace.series), f"A {NAMES[trace.cell.name]} cell as a network")
    board.text(
        20,
        28,
        f"A {NAMES[trace.cell.name]} cell and its network: {show_flops(trace.flops)} an evaluation",
        "title",
    )
    board.text(205, 56, "biology", "soft", "middle")
    board.text(645, 56, "network", "soft", "middle")
    _walk(board, trace, 68)
    where = f"{trace.rate:g} Hz an input, more in every second half-second"
    board.text(20, below + 14, f"The same cell on Poisson spike trains, {where}", "title")
    _traces(board, trace, below + 30)
    return board.svg()


def _walk(board: Board, trace: Trace, top: float) -> None:
    walk, sizes = list(blocks()), _sizes(trace)
    for place, row in enumerate(walk):
        y, hue = top + _ROW * place, _HUES[place]
        framed(board, 20, y, 370, _BOX, [row["biology"], row["detail"]], hue)
        framed(board, 450, y, 390, _BOX, [row["network"], sizes.get(row["id"], row["layer"])], hue)
        arrow(board, 398, y + _BOX / 2, 442, y + _BOX / 2)
        if place + 1 < len(walk):
            for x in (205, 645):
                arrow(board, x, y + _BOX + 2, x, y + _ROW - 2)


def _sizes(trace: Trace) -> dict[str, str]:
    """The sizes and the FLOP of the blocks that have some."""
    cell = trace.cell
    flops = {name: show_flops(amount) for name, amount in trace.blocks.items()}
    windows = f"windows of {cell.pool} along a dendrite"
    return {
        "terminal": f"{cell.inputs:,} inputs x {cell.steps} steps",
        "receptor": f"one weight an input: {flops['synapse']}",
        "dendrite": f"filter {cell.reach} x {cell.dendrites:,} x {cell.steps}: {flops['dendrite']}",
        "spike": windows,
        "soma": f"filter 1 x 1 x {cell.steps}: {flops['soma']}",
        "threshold": "elementwise: no FLOP counted",
        "refractory": "waits k steps, k from Poisson(0.5)",
        "scaling": "to between 0 and 1",
        "release": "an amount, not only 0 or 1",
    }


def _traces(board: Board, trace: Trace, top: float) -> None:
    count = len(trace.released)
    frame = Frame(left=200, top=top, right=RIGHT, bottom=top + _TRACE * len(trace.series))
    across = frame.across(0, trace.seconds)
    for second in ticks(trace.seconds, 8):
        board.line(across(second), frame.top, across(second), frame.bottom)
        board.text(across(second), frame.bottom + 16, f"{second:g}", "soft", "middle")
    board.text((frame.left + frame.right) / 2, frame.bottom + 36, "seconds", "", "middle")
    for place, (name, values) in enumerate(trace.series.items()):
        bottom = top + _TRACE * (place + 1) - 6
        low, high = min(float(values.min()), 0.0), float(values.max())
        up = Frame(left=0, top=bottom - _TRACE + 16, right=1, bottom=bottom).up(low, high if high > low else low + 1)
        board.text(frame.left - 12, bottom - 12, _SAYS[name], "", "end")
        board.line(frame.left, up(0.0), frame.right, up(0.0))
        hue, wide = _HUES[_STEP_OF[name]], (frame.right - frame.left) / count
        if name in ("arriving", "blocked", "released", "threshold"):
            boxes = [
                (across(i * trace.seconds / count), up(float(v)), wide * 0.8, up(0.0) - up(float(v)))
                for i, v in enumerate(values)
                if v > 0
            ]
            board.bars(boxes, hue, _SAYS[name])
        else:
            points = [(across((i + 0.5) * trace.seconds / count), up(float(v))) for i, v in enumerate(values)]
            board.path(points, f"l{hue}")

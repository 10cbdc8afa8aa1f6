"""A pipeline in time: one row a stage, forward and backward passes as its walk has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rigwise import units
from rigwise.report.svg import Board, Frame, legend, ticks

if TYPE_CHECKING:
    from rigwise.cost.timeline import Timeline

_FORWARD, _BACKWARD = 1, 2  # hues
_MOST = 16  # stages drawn: of a longer pipeline the first and last of them, evenly spread
_HEAD, _FOOT, _LEFT = 66.0, 56.0, 90.0


def gantt_height(timeline: Timeline) -> float:
    """Pixels that the picture of a pipeline takes; 0 where there is no pipeline."""
    stages = len(timeline.schedule)
    return 0.0 if stages == 1 else _HEAD + _FOOT + _row(stages) * min(stages, _MOST)


def gantt(board: Board, timeline: Timeline, top: float, right: float) -> None:
    """Draw the walked micro-batches of a pipeline below `top`; gaps are the bubble."""
    shown = np.unique(np.linspace(0, len(timeline.schedule) - 1, _MOST).round().astype(int))
    row = _row(len(timeline.schedule))
    words = f"Its pipeline: {timeline.walked} of {timeline.micros} micro-batches, forward and backward on each stage"
    board.text(20, top + 24, words, "title")
    legend(board, 20, top + 46, [(_FORWARD, "forward"), (_BACKWARD, "backward")], right)
    frame = Frame(left=_LEFT, top=top + _HEAD, right=right, bottom=top + _HEAD + row * len(shown))
    unit, seconds = units.time_unit(timeline.walk.makespan)
    across = frame.across(0, timeline.walk.makespan / seconds)
    for value in ticks(timeline.walk.makespan / seconds):
        board.line(across(value), frame.top, across(value), frame.bottom)
        board.text(across(value), frame.bottom + 16, f"{value:g}", "soft", "middle")
    board.text((frame.left + frame.right) / 2, frame.bottom + 34, f"time since the step began ({unit})", "", "middle")
    for place, stage in enumerate(shown):
        y = frame.top + row * place
        board.text(_LEFT - 8, y + row * 0.7, f"stage {stage}", "soft", "end")
        for kind, hue, says in (("F", _FORWARD, "forward"), ("B", _BACKWARD, "backward")):
            at = [n for n, action in enumerate(timeline.schedule[stage]) if action.kind == kind]
            begin, end = timeline.walk.start[stage][at] / seconds, timeline.walk.end[stage][at] / seconds
            boxes = [(across(a), y + 1.5, across(b) - across(a), row - 3) for a, b in zip(begin, end, strict=True)]
            board.bars(boxes, hue, f"{says} passes of stage {stage}")


def _row(stages: int) -> float:
    return 22.0 if stages <= 8 else 16.0

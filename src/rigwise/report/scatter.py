"""Predicted over measured, one picture a family: a mark a row with its 80 % interval, the diagonal, a band of +-25 %.

Both axes of a panel are logarithmic and alike. Sources (devices, where all rows have one source) differ by hue and by
form, so that no colour is needed to tell them apart; all marks of one are one path, which keeps a picture of thousands
small.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rigwise.calibration.outcomes import Outcome, summarise
from rigwise.report.svg import Board, Frame, Scale

_BAND = 0.25
_LEGEND, _GAP, _TOP, _BOTTOM = 250.0, 74.0, 62.0, 68.0
_SIZES = {1: 470.0, 2: 330.0}  # of a panel, by panels side by side
_HUES, _FORMS = (0, 4, 5, 3, 2, 7, 8, 1, 9, 6), 5

Kinds = tuple[Callable[[Outcome], str], Sequence[str]]  # what marks differ by, and its values in the legend's order


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The rows of a family that share a unit. label: what the axes show."""

    label: str
    outcomes: Sequence[Outcome]


def scatter_svg(title: str, panels: Sequence[Panel]) -> str:
    """The picture of a family. Panels hold predicted rows only, and at least one each."""
    across = min(len(panels), 2)
    down = math.ceil(len(panels) / across)
    size = _SIZES[across]
    width = across * (size + _GAP) + _LEGEND
    board = Board(width, _TOP + down * (size + _BOTTOM) + 4, f"{title}: predicted over measured")
    board.text(20, 28, f"{title}: predicted over measured", "title")
    rows = [o for panel in panels for o in panel.outcomes]
    key = _by_source if len({o.row.prefix for o in rows}) > 1 else _by_device
    order = [name for name, _ in Counter(key(o) for o in rows).most_common()]
    for place, panel in enumerate(panels):
        left = _GAP - 8 + (place % across) * (size + _GAP)
        top = _TOP + (place // across) * (size + _BOTTOM)
        _panel(board, panel, (key, order), Frame(left=left, top=top, right=left + size, bottom=top + size))
    _legend(board, rows, (key, order), across * (size + _GAP) + 18)
    return board.svg()


def _by_source(outcome: Outcome) -> str:
    return outcome.row.prefix


def _by_device(outcome: Outcome) -> str:
    return outcome.device


def _panel(board: Board, panel: Panel, kinds: Kinds, frame: Frame) -> None:
    low, high = _range(panel.outcomes)
    across, up = frame.across(low, high, log=True), frame.up(low, high, log=True)
    for value in decades(low, high):
        board.line(across(value), frame.top, across(value), frame.bottom)
        board.line(frame.left, up(value), frame.right, up(value))
        board.text(across(value), frame.bottom + 16, short(value), "soft", "middle")
        board.text(frame.left - 6, up(value) + 4, short(value), "soft", "end")
    board.shape(_strip(low, high, across, up), "band", "within 25 %")
    _marks(board, panel, kinds, across, up, (low, high))
    board.path([(across(low), up(low)), (across(high), up(high))], "dash")
    board.line(frame.left, frame.bottom, frame.right, frame.bottom, "edge")
    board.line(frame.left, frame.top, frame.left, frame.bottom, "edge")
    middle = (frame.left + frame.right) / 2
    board.text(middle, frame.bottom + 34, f"measured, {panel.label}", "", "middle")
    board.text(frame.left - 46, (frame.top + frame.bottom) / 2, f"predicted, {panel.label}", "", "middle", -90)
    found = summarise(panel.outcomes)
    told = f"{found.supported:,} rows, median error {found.median:.1%}, {found.inside:.0%} inside the 80 % interval"
    board.text(frame.left, frame.top - 8, told, "soft")


def _marks(
    board: Board,
    panel: Panel,
    kinds: Kinds,
    across: Scale,
    up: Scale,
    ends: tuple[float, float],
) -> None:
    """Whiskers below, marks above; those with the fewest rows on top."""
    count = len(panel.outcomes)
    size = 2.2 if count > 1000 else 3.0 if count > 200 else 3.8
    key, order = kinds
    groups = {name: [o for o in panel.outcomes if key(o) == name] for name in order}
    for place, members in enumerate(groups.values()):
        whiskers = "".join(_whisker(o, across, up, ends) for o in members)
        if whiskers:
            hue = _HUES[place % len(_HUES)]
            board.shape(whiskers, f"l{hue} many butt whiskers", opacity=0.16 if count > 300 else 0.4)
    for place, (name, members) in enumerate(groups.items()):
        if members:
            marks = "".join(_mark(across(_measured(o)), up(o.predicted or 1.0), place, size) for o in members)
            says = f"{name}: {len(members):,} rows"
            board.shape(marks, f"{_ink(place)} marks", says, 2 * size, 0.7 if count > 300 else 0.85)


def _form(place: int) -> int:
    """Hues come round after ten, and then stand with other forms."""
    return (place + place // len(_HUES)) % _FORMS


def _ink(place: int) -> str:
    """Discs are strokes of no length; the other forms are filled."""
    hue = _HUES[place % len(_HUES)]
    return f"h{hue}" if _form(place) else f"l{hue} many"


def _mark(x: float, y: float, place: int, size: float) -> str:
    """A mark of one of five forms, as a path: disc, square, triangle, diamond, triangle upside down."""
    s = size * 1.1
    forms = (
        "h.01",
        f"m{-s:.1f} {-s:.1f}h{2 * s:.1f}v{2 * s:.1f}h{-2 * s:.1f}z",
        f"m0 {-1.3 * s:.1f}l{1.3 * s:.1f} {2.3 * s:.1f}h{-2.6 * s:.1f}z",
        f"m0 {-1.5 * s:.1f}l{1.3 * s:.1f} {1.5 * s:.1f}l{-1.3 * s:.1f} {1.5 * s:.1f}l{-1.3 * s:.1f} {-1.5 * s:.1f}z",
        f"m0 {1.3 * s:.1f}l{1.3 * s:.1f} {-2.3 * s:.1f}h{-2.6 * s:.1f}z",
    )
    return f"M{x:.1f} {y:.1f}{forms[_form(place)]}"


def _whisker(outcome: Outcome, across: Scale, up: Scale, ends: tuple[float, float]) -> str:
    if outcome.low is None or outcome.high is None:
        return ""
    low, high = (min(max(value, ends[0]), ends[1]) for value in (outcome.low, outcome.high))
    return f"M{across(_measured(outcome)):.1f} {up(low):.1f}V{up(high):.1f}"


def _measured(outcome: Outcome) -> float:
    assert outcome.row.value, outcome.row.id
    return outcome.row.value


def _range(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """The ends of both axes: a fifth of a decade beyond the smallest and the largest value."""
    values = [v for o in outcomes for v in (o.row.value, o.predicted) if v]
    return min(values) / 1.5, max(values) * 1.5


def _strip(low: float, high: float, across: Scale, up: Scale) -> str:
    """The band around the diagonal as a closed path inside the frame."""
    less, more = 1 - _BAND, 1 + _BAND
    corners = (
        (low, low),
        (low, more * low),
        (high / more, high),
        (high, high),
        (high, less * high),
        (low / less, low),
    )
    return "M" + "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in corners) + "z"


def decades(low: float, high: float) -> list[float]:
    """Ticks of a logarithmic axis: powers of ten, with 2 and 5 between them where there are few.

    >>> decades(0.5, 2000.0), decades(3.0, 40.0)
    ([1.0, 10.0, 100.0, 1000.0], [5.0, 10.0, 20.0])
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1.0,) if math.log10(high / low) > 2.6 else (1.0, 2.0, 5.0)
    return [v for p in powers for v in (round(s * 10.0**p, 12) for s in steps) if low <= v <= high]


def short(value: float) -> str:
    """A tick in few letters.

    >>> short(0.01), short(500.0), short(20000.0), short(3e6)
    ('0.01', '500', '20k', '3M')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _legend(board: Board, rows: Sequence[Outcome], kinds: Kinds, x: float) -> None:
    """Each source or device with its mark, its rows and its median error; below, what the lines are."""
    key, order = kinds
    columns = (x + 170, x + 222)
    board.text(x + 16, _TOP + 12, "source" if key is _by_source else "device", "soft")
    board.text(columns[0], _TOP + 12, "rows", "soft", "end")
    board.text(columns[1], _TOP + 12, "median", "soft", "end")
    y = _TOP + 32
    for place, name in enumerate(order):
        found = summarise([o for o in rows if key(o) == name])
        board.shape(_mark(x + 5, y - 4, place, 4), f"{_ink(place)} swatch", width=8)
        board.text(x + 16, y, name)
        board.text(columns[0], y, f"{found.supported:,}", "", "end")
        board.text(columns[1], y, f"{found.median:.1%}", "", "end")
        y += 19
    for words in ("lines: 80 % intervals", "band: within 25 %", "dashed: as measured"):
        y += 17
        board.text(x, y, words, "soft")


def panels_of(units: Mapping[str, Sequence[str]], outcomes: Sequence[Outcome]) -> list[Panel]:
    """The panels of a family: its predicted rows by the unit of their metric. units: label, and its metrics."""
    done = [o for o in outcomes if o.predicted is not None and o.row.value]
    panels = [Panel(label=label, outcomes=[o for o in done if o.row.metric in of]) for label, of in units.items()]
    return [panel for panel in panels if panel.outcomes]

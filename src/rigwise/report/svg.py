"""A small drawing board: SVG written by hand, readable on a light and on a dark page.

Sizes are in pixels of the picture. Colours are classes: the style sheet inside the file chooses ink and paper by what
the reader's page prefers. The hues tell apart for most colour-blind eyes (Okabe and Ito, jfly.uni-koeln.de/color, with
four more); no picture says anything by colour alone.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

Scale = Callable[[float], float]

_HUES = (
    "#0072b2",
    "#56b4e9",
    "#e69f00",
    "#cc79a7",
    "#d55e00",
    "#009e73",
    "#8f8f8f",
    "#7a51c2",
    "#a0673d",
    "#c3a80b",
    "#e8a2c8",
)
_HUE_RULES = "".join(f".h{i}{{fill:{hue}}}.l{i}{{stroke:{hue}}}" for i, hue in enumerate(_HUES))
_LIGHT = {"ink": "#1b1f24", "soft": "#5b636e", "rule": "#d5dae0", "paper": "#ffffff"}
_DARK = {"ink": "#e8eaed", "soft": "#a5adb8", "rule": "#3a4149", "paper": "#16191d"}


def _colours(page: Mapping[str, str]) -> str:
    """Rules without CSS variables, which some viewers do not know."""
    fills = f".paper{{fill:{page['paper']}}} text{{fill:{page['ink']}}} text.soft{{fill:{page['soft']}}}"
    fills += f" .band{{fill:{page['soft']};fill-opacity:.13}}"
    strokes = f".rule{{stroke:{page['rule']}}} .edge{{stroke:{page['ink']}}} .dash{{stroke:{page['soft']}}}"
    return f"{fills} {strokes}"


_STYLE = f"""<style>
text{{font:12px system-ui,sans-serif}} text.title{{font-size:15px;font-weight:600}}
.line{{fill:none;stroke-width:2}} .dash{{fill:none;stroke-dasharray:5 4}}
.many{{fill:none;stroke-linecap:round}} .butt{{stroke-linecap:butt}} {_HUE_RULES}
{_colours(_LIGHT)}
@media (prefers-color-scheme:dark){{{_colours(_DARK)}}}
</style>"""


@dataclass(slots=True)
class Board:
    """A picture being drawn. Coordinates grow right and down, as SVG has them."""

    width: float
    height: float
    label: str
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "start", turn: float = 0) -> None:
        """Words at a point. anchor: start, middle or end; turn: degrees."""
        spin = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}"{spin}>{escape(words)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "rule") -> None:
        """A straight line."""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>')

    def bar(self, x: float, y: float, width: float, height: float, hue: int, says: str) -> None:
        """A filled box that says what it is when pointed at."""
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.2f}" height="{height:.1f}" class="h{hue}">'
            f"<title>{escape(says)}</title></rect>"
        )

    def bars(self, boxes: Sequence[tuple[float, float, float, float]], hue: int, says: str) -> None:
        """Many boxes (x, y, width, height) of one kind as one shape, which keeps a picture of thousands small."""
        steps = "".join(f"M{x:.1f} {y:.1f}h{w:.2f}v{h:.1f}h-{w:.2f}z" for x, y, w, h in boxes)
        self.parts.append(f'<path d="{steps}" class="h{hue}"><title>{escape(says)}</title></path>')

    def dot(self, x: float, y: float, hue: int, says: str, radius: float = 4) -> None:
        """A point that says what it is when pointed at."""
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="h{hue}"><title>{escape(says)}</title></circle>'
        )

    def path(self, points: list[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{steps}" class="{kind} line"/>')

    def pixels(self, x: float, y: float, width: float, height: float, png: bytes, says: str) -> None:
        """A PNG inside the picture, its pixels as squares, with a frame around it."""
        data, told = b64encode(png).decode("ascii"), f"<title>{escape(says)}</title>"
        self.parts.append(
            f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none" '
            f'style="image-rendering:pixelated" href="data:image/png;base64,{data}">{told}</image>'
        )
        self.shape(f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z", "rule line")

    def shape(self, steps: str, kind: str, says: str = "", width: float = 1, opacity: float = 1) -> None:
        """Any path, which may be many marks in one. steps: as SVG writes them; width: of its strokes."""
        told = f"<title>{escape(says)}</title>" if says else ""
        ink = f'stroke-width="{width:g}" opacity="{opacity:g}"'
        self.parts.append(f'<path d="{steps}" class="{kind}" {ink}>{told}</path>')

    def svg(self) -> str:
        """The file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" role="img" aria-label={quoteattr(self.label)}>'
        )
        paper = '<rect class="paper" width="100%" height="100%"/>'
        return "\n".join((head, _STYLE, paper, *self.parts, "</svg>", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A field with two axes: left, top, right, bottom in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def across(self, low: float, high: float, log: bool = False) -> Scale:
        """From a value to its x."""
        return _scale(low, high, self.left, self.right, log)

    def up(self, low: float, high: float, log: bool = False) -> Scale:
        """From a value to its y."""
        return _scale(low, high, self.bottom, self.top, log)


def _scale(low: float, high: float, start: float, stop: float, log: bool) -> Scale:
    """
    >>> _scale(1, 100, 0, 50, True)(10.0)
    25.0
    """
    bend: Scale = math.log10 if log else float
    first, span = bend(low), (bend(high) - bend(low)) or 1.0
    return lambda value: start + (bend(value) - first) / span * (stop - start)


def ticks(high: float, count: int = 6) -> list[float]:
    """Round values from 0 up to at most `high`, about `count` of them.

    >>> ticks(28.1), ticks(0.0009)[:3]
    ([0.0, 5.0, 10.0, 15.0, 20.0, 25.0], [0.0, 0.0002, 0.0004])
    """
    if high <= 0:
        return [0.0]
    rough = high / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * f for f in (1, 2, 5, 10) if rough <= power * f * 1.0001)
    return [round(step * i, 12) for i in range(int(high / step + 1e-9) + 1)]


def axes(
    board: Board,
    frame: Frame,
    x: list[tuple[float, str]],
    y: list[tuple[float, str]],
    x_label: str,
    y_label: str,
) -> None:
    """Two labelled axes with a grid; x and y are (pixel, words) of each tick."""
    for at, words in x:
        board.line(at, frame.top, at, frame.bottom)
        board.text(at, frame.bottom + 16, words, "soft", "middle")
    for at, words in y:
        board.line(frame.left, at, frame.right, at)
        board.text(frame.left - 6, at + 4, words, "soft", "end")
    board.line(frame.left, frame.bottom, frame.right, frame.bottom, "edge")
    board.line(frame.left, frame.top, frame.left, frame.bottom, "edge")
    board.text((frame.left + frame.right) / 2, frame.bottom + 34, x_label, "", "middle")
    board.text(frame.left - 58, (frame.top + frame.bottom) / 2, y_label, "", "middle", -90)


def legend(board: Board, x: float, y: float, entries: list[tuple[int, str]], right: float) -> float:
    """A row of swatches with names, wrapped at `right`; returns the y below it."""
    at = x
    for hue, words in entries:
        wide = 30 + 7.2 * len(words)
        if at + wide > right:
            at, y = x, y + 18
        board.bar(at, y - 10, 11, 11, hue, words)
        board.text(at + 15, y, words, "soft")
        at += wide
    return y + 18


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Heights of labels moved as little as needed to stand `gap` apart, in their order of height.

    >>> spread([10.0, 50.0, 12.0], 13)
    [10.0, 50.0, 23.0]
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    out = list(heights)
    for before, i in pairwise(order):
        out[i] = max(out[i], out[before] + gap)
    return out

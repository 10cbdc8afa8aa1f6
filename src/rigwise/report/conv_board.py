"""What the pictures of the convolution laboratory share: panels of pixels, kernels as squares with their numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.filters import Kernel
from rigwise.convolution.planes import shown
from rigwise.convolution.png import encode
from rigwise.report.svg import Board

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
WIDTH, LEFT = 860.0, 20.0
_MOST_PIXELS = 320  # a side of a panel, beyond which its pixels are averaged
_LEAST_SHARE = 1e-5
_NUMBERED = 5  # rows of the largest kernel whose numbers are written


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Pixels (height, width, 1 or 3) with a heading and lines of words below."""

    pixels: Pixels
    head: str
    lines: Sequence[str] = ()


def grey(plane: Floats, *, signed: bool = False) -> Pixels:
    """A plane as pixels of a panel."""
    return shown(plane, signed=signed)[..., None]


def stretched(plane: Floats) -> Pixels:
    """A plane from its least value, black, to its greatest, white."""
    low, high = float(plane.min()), float(plane.max())
    return grey((plane - low) * (255 / ((high - low) or 1.0)))


def coloured(planes: Floats, *, signed: bool = False) -> Pixels:
    """Planes (1 or 3, height, width) as pixels."""
    return shown(planes, signed=signed).transpose(1, 2, 0)


def panel(board: Board, x: float, y: float, width: float, what: Panel) -> float:
    """Draw a panel at its upper left corner; returns the y below it."""
    height = width * what.pixels.shape[0] / what.pixels.shape[1]
    board.text(x, y, what.head)
    board.pixels(x, y + 8, width, height, encode(_fewer(what.pixels)), " ".join((what.head, *what.lines)))
    y += height + 24
    for line in what.lines:
        board.text(x, y, line, "soft")
        y += 15
    return y


def panels(board: Board, y: float, many: Sequence[Panel], across: int, right: float = WIDTH - LEFT) -> float:
    """Panels in rows of `across`; returns the y below them."""
    width = (right - LEFT - 20 * (across - 1)) / across
    for start in range(0, len(many), across):
        row = many[start : start + across]
        y = max(panel(board, LEFT + place * (width + 20), y, width, what) for place, what in enumerate(row)) + 16
    return y


def height_of(many: Sequence[Panel], across: int, right: float = WIDTH - LEFT) -> float:
    """The height that `panels` takes."""
    width = (right - LEFT - 20 * (across - 1)) / across
    rows = [many[start : start + across] for start in range(0, len(many), across)]
    tall: list[float] = [
        max(width * p.pixels.shape[0] / p.pixels.shape[1] + 24 + 15 * len(p.lines) for p in row) for row in rows
    ]
    return sum(tall) + 16 * len(rows)


def _fewer(pixels: Pixels) -> Pixels:
    """Means of neighbours where a panel has more pixels than anybody sees."""
    by = math.ceil(max(pixels.shape[:2]) / _MOST_PIXELS)
    if by == 1:
        return pixels
    height, width = (n // by for n in pixels.shape[:2])
    if not height or not width:
        return pixels
    kept = pixels[: height * by, : width * by].reshape(height, by, width, by, -1)
    return np.asarray(np.rint(kept.mean(axis=(1, 3))), dtype=np.uint8)


def kernel_squares(board: Board, x: float, y: float, side: float, kernel: Kernel) -> None:
    """A kernel's values as squares: blue above zero, orange below, paler where smaller; numbers where there is room."""
    rows, columns = kernel.size
    step = side / max(rows, columns)
    most = float(np.abs(kernel.values).max()) or 1.0
    for row in range(rows):
        for column in range(columns):
            value = float(kernel.values[row, column])
            left, top = x + column * step, y + row * step
            steps = f"M{left:.1f} {top:.1f}h{step:.1f}v{step:.1f}h-{step:.1f}z"
            board.shape(steps, f"h{0 if value > 0 else 4}", f"{value:.4g}", opacity=0.75 * abs(value) / most)
            if max(rows, columns) <= _NUMBERED and step >= 26:
                board.text(left + step / 2, top + step / 2 + 4, number(value), "", "middle")
    wide, tall = step * columns, step * rows
    board.shape(f"M{x:.1f} {y:.1f}h{wide:.1f}v{tall:.1f}h-{wide:.1f}z", "rule line")


def number(value: float) -> str:
    """A value of a kernel in few letters.

    >>> number(-1.0), number(1 / 9), number(0.0001233)
    ('-1', '0.11', '1e-04')
    """
    if value == round(value) and abs(value) < 1000:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) >= 0.01 else f"{value:.0e}"


def share(value: float) -> str:
    """A share as people read it, never rounded to all or to nothing.

    >>> share(0.0490), share(0.99996), share(0.00002), share(1e-12)
    ('4.9 %', '99.996 %', '0.002 %', 'less than 0.001 %')
    """
    if value in (0.0, 1.0):
        return f"{100 * value:.0f} %"
    near = min(value, 1 - value)
    if near < _LEAST_SHARE:
        return "less than 0.001 %" if value < _LEAST_SHARE else "more than 99.999 %"
    digits = max(1, 1 - math.floor(math.log10(100 * near)) - 1) if near > 0 else 1
    return f"{100 * value:.{digits}f} %"

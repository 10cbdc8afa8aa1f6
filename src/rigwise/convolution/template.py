"""Cross-correlation as a search: where in an image does a template lie?

A plain cross-correlation is brightest where the image is bright. The normalised one takes the mean off both and
divides by their standard deviations: it is 1 where the image is the template up to brightness and contrast, and
never more (Cauchy and Schwarz). The sum of products is a convolution with the template turned by 180 degrees, done
here as a product of spectra: FT(f corr g) = conj(FT f) FT g; means and deviations under every window are cumulative
sums. Source: Lewis 1995, "Fast Normalized Cross-Correlation".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.filters import Kernel
from rigwise.convolution.planes import lay
from rigwise.errors import UsageError

Floats = NDArray[np.float64]
Box = tuple[int, int, int, int]
_FLAT = 1e-6  # of a standard deviation of 255: less is an even area, which is like nothing
_LEAST = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """A place of the template's upper left corner, and how like it the image is there, -1 to 1."""

    y: int
    x: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Search:
    """A template searched for. plane: the image. scores, plain: at every place where it lies within the image."""

    plane: Floats
    template: Floats
    scores: Floats
    plain: Floats
    peaks: tuple[Peak, ...]
    taken_from: Box | None

    @property
    def best(self) -> Peak:
        """Where the image is most like the template."""
        return self.peaks[0]

    @property
    def brightest(self) -> tuple[int, int]:
        """Where the plain cross-correlation has its largest value: y, x."""
        y, x = np.unravel_index(int(self.plain.argmax()), self.plain.shape)
        return int(y), int(x)

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON; places are of the upper left corner, in pixels."""
        return {
            "template": list(self.template.shape),
            "taken_from": self.taken_from,
            "peaks": [{"y": p.y, "x": p.x, "score": p.score} for p in self.peaks],
            "plain_brightest": dict(zip("yx", self.brightest, strict=True)),
        }


def cut(plane: Floats, box: Box) -> Floats:
    """A part of a plane: y, x, height, width. Raises UsageError where it is not within."""
    y, x, height, width = box
    if min(y, x) < 0 or min(height, width) < _LEAST or y + height > plane.shape[0] or x + width > plane.shape[1]:
        raise UsageError(
            f"a template at y={y}, x={x} of {width} x {height} pixels",
            rule=f"it lies within the image of {plane.shape[1]} x {plane.shape[0]} and has {_LEAST} pixels a side",
            nearest=f"0,0,{max(_LEAST, plane.shape[0] // 4)},{max(_LEAST, plane.shape[1] // 4)}",
        )
    return plane[y : y + height, x : x + width]


def find(plane: Floats, template: Floats, *, count: int = 3, taken_from: Box | None = None) -> Search:
    """The places of a plane (height, width) that are most like a template, best first, none within half of another.

    Raises UsageError for a template that is even, or larger than the plane.

    >>> plane = np.random.default_rng(0).normal(size=(40, 50))
    >>> best = find(plane, plane[7:15, 20:31]).best
    >>> best.y, best.x, round(best.score, 9)
    (7, 20, 1.0)
    """
    flat = _FLAT * 255
    if template.std() <= flat * 1e-3 or not np.isfinite(template).all():
        raise UsageError("the template is even", rule="a template has something that can be found again")
    if count < 1:
        raise UsageError(f"count={count}", rule="at least 1 place is looked for")
    centred = template - template.mean()
    products = lay(
        (plane - plane.mean())[None],
        Kernel(name="template", values=centred),
        size="valid",
        kind="cross-correlation",
        domain="frequency",
    )[0]
    # The template's mean is off, so that a constant of the plane adds nothing; taking it off keeps the sums small.
    spread = _deviations(plane - plane.mean(), (template.shape[0], template.shape[1]))
    scores = np.where(
        spread > flat * 1e-3, products / (np.maximum(spread, flat * 1e-3) * template.std() * template.size), 0
    )
    scores = np.clip(scores, -1, 1)
    bright = lay(
        plane[None],
        Kernel(name="template", values=template),
        size="valid",
        kind="cross-correlation",
        domain="frequency",
    )
    return Search(
        plane=plane,
        template=template,
        scores=scores,
        plain=bright[0],
        peaks=_peaks(scores, template, count),
        taken_from=taken_from,
    )


def _deviations(plane: Floats, size: tuple[int, int]) -> Floats:
    """The standard deviation under every window, from cumulative sums."""
    count = size[0] * size[1]
    mean = _window_sums(plane, size) / count
    return np.sqrt(np.maximum(_window_sums(plane**2, size) / count - mean**2, 0))


def _window_sums(plane: Floats, size: tuple[int, int]) -> Floats:
    total = np.zeros((plane.shape[0] + 1, plane.shape[1] + 1))
    total[1:, 1:] = plane.cumsum(0).cumsum(1)
    down, across = size
    out: Floats = total[down:, across:] - total[:-down, across:] - total[down:, :-across] + total[:-down, :-across]
    return out


def _peaks(scores: Floats, template: Floats, count: int) -> tuple[Peak, ...]:
    left, peaks = scores.copy(), []
    for _ in range(count):
        y, x = (int(place) for place in np.unravel_index(int(left.argmax()), left.shape))
        if left[y, x] == -np.inf:
            break
        peaks.append(Peak(y=y, x=x, score=float(left[y, x])))
        near = tuple(slice(max(0, at - n // 2), at + n // 2 + 1) for at, n in zip((y, x), template.shape, strict=True))
        left[near] = -np.inf
    return tuple(peaks)

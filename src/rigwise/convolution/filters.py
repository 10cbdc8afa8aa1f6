"""Kernels for images: those that have a name, those that have a formula, and one's own from text.

    blur, sharpen, edge, sobel-x, ...   data/kernels.toml
    box:5                               the mean of 5 x 5 pixels
    gauss:1.5                           a bell with a standard deviation of 1.5 pixels
    gabor:45:6                          a wave of 6 pixels at 45 degrees under a bell
    motion:9                            the mean of 9 pixels in a row
    "0 -1 0; -1 5 -1; 0 -1 0"           rows between semicolons; fractions as 1/9

Rows are those of a convolution, which turns them by 180 degrees before it lays them on the image.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError, not_found

Floats = NDArray[np.float64]
MOST = 255
"""Rows and columns of the largest kernel."""

_BELL = 3.0  # standard deviations of a bell that are kept on each side
_EXACT = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kernel:
    """A kernel of one channel: values (R, S), and where it comes from."""

    name: str
    values: Floats
    says: str = ""
    source: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.values.shape
        return rows, columns

    @property
    def total(self) -> float:
        """The sum: by how much the mean of an image grows."""
        return float(self.values.sum())

    @property
    def is_density(self) -> bool:
        """Whether it is a probability density: nothing negative, a sum of 1."""
        return bool(self.values.min() >= 0 and abs(self.total - 1) < _EXACT)

    @property
    def signed(self) -> bool:
        """Whether it looks for differences: its sum is 0, and so is what it gives of an even image."""
        return abs(self.total) < _EXACT * float(np.abs(self.values).sum() or 1.0)

    @property
    def rank(self) -> int:
        """Of how many products of a column and a row it is the sum; 1: it is separable, and costs R + S for R S."""
        return int(np.linalg.matrix_rank(self.values))

    @property
    def variance(self) -> tuple[float, float]:
        """Of a density, in pixels squared, down and across: what each step adds when it spreads something out."""
        down, across = (np.arange(n, dtype=np.float64) for n in self.size)
        out = []
        for places, share in ((down, self.values.sum(1)), (across, self.values.sum(0))):
            mean = float(share @ places)
            out.append(float(share @ (places - mean) ** 2))
        return out[0], out[1]

    def normalised(self) -> Kernel:
        """Over its sum, so that total intensity is kept; over its magnitudes' sum where the sum is 0."""
        by = float(np.abs(self.values).sum()) if self.signed else self.total
        if by == 0:
            raise UsageError(f"kernel {self.name!r} is all zeros", rule="a kernel has something to normalise")
        return replace(self, values=self.values / by)

    def turned(self) -> Kernel:
        """Turned by 180 degrees, which makes a convolution of a cross-correlation."""
        return replace(self, values=self.values[::-1, ::-1])

    def softmax(self) -> Kernel:
        """exp(v) / sum of exp(v), a density whatever the kernel was; shifted by the largest, so that nothing overflows.

        >>> edge = read_kernel("edge").softmax()
        >>> round(float(edge.values[1, 1]), 6), round(float(edge.values[0, 0]), 9)
        (0.999014, 0.000123288)
        """
        grown = np.exp(self.values - self.values.max())
        return replace(self, name=f"softmax({self.name})", values=grown / grown.sum())

    def to_dict(self) -> dict[str, Any]:
        """The kernel for JSON."""
        return {
            "name": self.name,
            "size": list(self.size),
            "values": self.values.tolist(),
            "sum": self.total,
            "is_density": self.is_density,
            "rank": self.rank,
            "says": self.says,
            "source": self.source,
        }


@cache
def named() -> Mapping[str, Kernel]:
    """The kernels of data/kernels.toml."""
    text = (files("rigwise.convolution") / "data" / "kernels.toml").read_text(encoding="utf-8")
    return {
        name: Kernel(
            name=name,
            values=np.array(row["rows"], dtype=np.float64) / row.get("divisor", 1),
            says=row["says"],
            source=row["source"],
        )
        for name, row in tomllib.loads(text).items()
    }


def read_kernel(text: str | Kernel) -> Kernel:
    """The kernel that a text means. Raises UsageError for what is no number, NotFoundError for an unknown name.

    >>> read_kernel("1 0 -1; 2 0 -2; 1 0 -1").values.tolist() == read_kernel("sobel-x").values.tolist()
    True
    >>> read_kernel("box:2").values.tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    if isinstance(text, Kernel):
        return text
    word, *numbers = text.strip().split(":")
    if word in named() and not numbers:
        return named()[word]
    if word in _FORMULAS:
        return _of_formula(text.strip(), word, numbers)
    if word[:1].isalpha():
        known = [*named(), *(f"{name}:{usual}" for name, (_, usual, _) in _FORMULAS.items())]
        raise not_found("kernel", text, known, hint=", ".join(known))
    return Kernel(name="own", values=_rows(text), says="as it was given", source="its user")


def _rows(text: str) -> Floats:
    rows = [
        [_number(entry, text) for entry in line.replace(",", " ").split()] for line in text.strip("; \n").split(";")
    ]
    if not rows[0] or len({len(row) for row in rows}) != 1:
        raise UsageError(
            f"kernel {text!r} has rows of {', '.join(str(len(row)) for row in rows)} numbers",
            rule="rows stand between semicolons and are equally long",
            nearest='"0 -1 0; -1 5 -1; 0 -1 0"',
        )
    return _checked(np.array(rows, dtype=np.float64), text)


def _number(entry: str, text: str) -> float:
    try:
        value = float(Fraction(entry))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UsageError(
            f"{entry!r} in kernel {text!r} is no number",
            rule="a name, or numbers with semicolons between the rows",
            nearest='"0 -1 0; -1 5 -1; 0 -1 0"',
        ) from None
    if not math.isfinite(value):
        raise UsageError(f"{entry!r} in kernel {text!r} is not finite", rule="numbers of a kernel are finite")
    return value


def _checked(values: Floats, text: str) -> Floats:
    if max(values.shape) > MOST:
        shape = " x ".join(map(str, values.shape))
        raise UsageError(f"kernel {text!r} is {shape}", rule=f"a kernel is at most {MOST} x {MOST}")
    return values


# ---- kernels that have a formula


def box(size: float) -> Floats:
    """The mean of size x size pixels."""
    n = _whole(size)
    return np.full((n, n), 1 / n**2)


def motion(size: float) -> Floats:
    """The mean of `size` pixels in a row, as a moving camera has it."""
    n = _whole(size)
    return np.full((1, n), 1 / n)


def gauss(sigma: float) -> Floats:
    """A bell with a standard deviation of `sigma` pixels, cut at 3 of them; its sum is 1."""
    reach = max(1, math.ceil(_BELL * sigma))
    places = np.arange(-reach, reach + 1)
    line = np.exp(-0.5 * (places / sigma) ** 2)
    out: Floats = np.outer(line, line) / line.sum() ** 2
    return out


def gabor(degrees: float, wavelength: float) -> Floats:
    """A wave of `wavelength` pixels at `degrees` from the horizontal, under a bell of half a wavelength; its sum is 0.

    Source: Daugman 1985, who found them in simple cells of the visual cortex; the mean is taken off.
    """
    sigma = wavelength / 2
    reach = max(1, math.ceil(2 * sigma))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = x * math.cos(math.radians(degrees)) + y * math.sin(math.radians(degrees))
    bell = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    wave = np.cos(2 * math.pi * along / wavelength)
    out = bell * (wave - (bell * wave).sum() / bell.sum())
    return np.asarray(out / np.abs(out).sum(), dtype=np.float64)


def _whole(size: float) -> int:
    if size != int(size):
        raise UsageError(f"a size of {size:g} pixels", rule="a size is a whole number of pixels")
    return int(size)


_FORMULAS: Mapping[str, tuple[Any, str, str]] = {
    "box": (box, "5", "the mean of N x N pixels"),
    "gauss": (gauss, "1.5", "a bell, its standard deviation in pixels"),
    "gabor": (gabor, "45:6", "a wave under a bell: degrees, and pixels of a wave"),
    "motion": (motion, "9", "the mean of N pixels in a row"),
}


def formulas() -> Mapping[str, str]:
    """The kernels that have a formula, with what they do: {"gauss:1.5": "a bell, ..."}."""
    return {f"{name}:{usual}": says for name, (_, usual, says) in _FORMULAS.items()}


def _of_formula(text: str, word: str, numbers: list[str]) -> Kernel:
    make, usual, says = _FORMULAS[word]
    given = numbers or usual.split(":")
    rule = f"{word} takes {len(usual.split(':'))} numbers: {says}"
    if len(given) != len(usual.split(":")):
        raise UsageError(f"kernel {text!r}", rule=rule, nearest=f"{word}:{usual}")
    values = [_number(entry, text) for entry in given]
    lengths = values[1:] if word == "gabor" else values
    if min(lengths) <= 0 or max(lengths) > MOST:
        raise UsageError(f"kernel {text!r}", rule=f"{rule}, above 0 and at most {MOST}", nearest=f"{word}:{usual}")
    source = "Daugman 1985" if word == "gabor" else "its formula"
    return Kernel(name=text, values=_checked(np.asarray(make(*values)), text), says=says, source=source)

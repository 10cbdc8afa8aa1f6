"""A kernel as a propagator: what a step moves from each cell to its neighbours, as salt spreads in still water.

A kernel that is a probability density (nothing negative, a sum of 1) keeps the mass; one that is not, such as an edge
detector, becomes one by softmax. Where nothing reaches the border, n steps add n times the kernel's variance to the
variance of what is spread, whatever its form, and the form tends to a bell (the central limit theorem): variance =
2 D t with D half the kernel's variance a step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.filters import Kernel
from rigwise.convolution.planes import Border, lay
from rigwise.errors import UsageError

Floats = NDArray[np.float64]
Start = Literal["image", "point", "wall"]
STARTS: tuple[Start, ...] = get_args(Start)
MOST_STEPS = 10_000

_SHOWN = 4  # states that are kept for a picture, the last besides
_SIDE = 64  # cells a side of a point's and a wall's aquarium


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Diffusion:
    """A plane spread out step by step.

    kernel: the density that was stepped; softmaxed: whether it had to be made one. mass: of every step, the first
    before any. contrast: standard deviation of the cells at every step, over that before any. variance: of every step,
    in pixels squared, down plus across, around the middle of the mass. expected: what n steps add to it, until the
    border is reached. reached: the step from which mass may have met the border. states: (step, plane).
    """

    kernel: Kernel
    softmaxed: bool
    border: Border
    start: Start
    mass: Floats
    variance: Floats
    contrast: Floats
    expected: Floats
    reached: int
    states: tuple[tuple[int, Floats], ...]

    @property
    def steps(self) -> int:
        """How often the kernel was laid on."""
        return len(self.mass) - 1

    @property
    def lost(self) -> float:
        """The largest change of mass, as a share."""
        return float(np.abs(self.mass - self.mass[0]).max() / (abs(self.mass[0]) or 1.0))

    @property
    def from_bell(self) -> float:
        """The largest difference of the last state from the bell of its variance, as a share of the bell's top."""
        plane = self.states[-1][1]
        y, x, down, across = _moments(plane)
        if not down or not across:
            return math.nan
        rows, columns = (np.arange(n, dtype=np.float64) for n in plane.shape)
        bell = np.outer(np.exp(-((rows - y) ** 2) / (2 * down)), np.exp(-((columns - x) ** 2) / (2 * across)))
        bell *= plane.sum() / bell.sum()
        return float(np.abs(plane - bell).max() / bell.max())

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON; variance in pixels squared."""
        return {
            "kernel": self.kernel.to_dict(),
            "softmaxed": self.softmaxed,
            "border": self.border,
            "start": self.start,
            "steps": self.steps,
            "mass": self.mass.tolist(),
            "largest_change_of_mass": self.lost,
            "variance": self.variance.tolist(),
            "contrast": self.contrast.tolist(),
            "variance_expected": self.expected.tolist(),
            "border_reached_at_step": self.reached,
            "difference_from_bell": self.from_bell if self.start == "point" else None,
        }


def diffuse(
    plane: Floats | None,
    kernel: Kernel,
    *,
    steps: int,
    border: Border = "reflecting",
    start: Start = "point",
    softmax: bool = False,
) -> Diffusion:
    """Lay a kernel on a plane again and again.

    plane: what is spread where start is "image"; a point of mass 1 in the middle and a wall (the left half full) are
    made. A kernel that is no density is made one by softmax, as is any where softmax asks for it. A reflecting border
    keeps the mass of kernels that are symmetric, a periodic one of all.

    >>> from rigwise.convolution.filters import read_kernel
    >>> found = diffuse(None, read_kernel("blur"), steps=9)
    >>> found.lost < 1e-12, [round(float(v), 6) for v in found.variance[[0, 1, 9]]]  # 2/3 down, 2/3 across
    (True, [0.0, 1.333333, 12.0])
    """
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"{steps} steps", rule=f"from 1 to {MOST_STEPS:,}")
    made = softmax or not kernel.is_density
    density = kernel.softmax() if made else kernel
    now = _begin(plane, start)
    keep = {round(steps * place / _SHOWN) for place in range(_SHOWN + 1)}
    if start == "point":
        keep = {0, *(max(1, round(steps * (place / _SHOWN) ** 2)) for place in range(1, _SHOWN + 1))}
    states, mass, variance, contrast = [(0, now)], [float(now.sum())], [_spread(now)], [float(now.std())]
    for step in range(1, steps + 1):
        now = lay(now[None], density, border=border)[0]
        mass.append(float(now.sum()))
        variance.append(_spread(now))
        contrast.append(float(now.std()))
        if step in keep:
            states.append((step, now))
    each = sum(density.variance)
    return Diffusion(
        kernel=density,
        softmaxed=made,
        border=border,
        start=start,
        mass=np.array(mass),
        variance=np.array(variance),
        contrast=np.array(contrast) / (contrast[0] or 1.0),
        expected=variance[0] + each * np.arange(steps + 1, dtype=np.float64),
        reached=_reached(now.shape, density, start),
        states=tuple(states),
    )


def _begin(plane: Floats | None, start: Start) -> Floats:
    if start not in STARTS:
        raise UsageError(f"start={start!r}", rule=" or ".join(STARTS))
    if start == "image":
        assert plane is not None, "an image to start from"
        return plane
    made = np.zeros((_SIDE + 1, _SIDE + 1))
    if start == "point":
        made[_SIDE // 2, _SIDE // 2] = 1.0
    else:
        made[:, : _SIDE // 2] = 1.0
    return made


def _reached(size: tuple[int, ...], kernel: Kernel, start: Start) -> int:
    """The first step whose reach from the middle is beyond the border; 0 where mass lies there from the start."""
    if start != "point":
        return 0
    return min((n // 2) // max(r // 2, 1) for n, r in zip(size, kernel.size, strict=True)) + 1


def _moments(plane: Floats) -> tuple[float, float, float, float]:
    """Where the middle of the mass is, down and across, and its variance both ways."""
    whole = float(plane.sum()) or 1.0
    rows, columns = (np.arange(n, dtype=np.float64) for n in plane.shape)
    down, across = plane.sum(1) / whole, plane.sum(0) / whole
    y, x = float(down @ rows), float(across @ columns)
    return y, x, float(down @ (rows - y) ** 2), float(across @ (columns - x) ** 2)


def _spread(plane: Floats) -> float:
    *_, down, across = _moments(plane)
    return down + across

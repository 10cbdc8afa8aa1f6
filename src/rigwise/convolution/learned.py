"""Kernels that a network learned, beside what people wrote down: which of them became edge detectors?

A kernel of three by three pixels has nine numbers. The share of its energy that lies in the plane of sobel-x and
sobel-y says how much of it is a first derivative, in whatever direction; a kernel drawn at random has 2 of 9 there on
average. Beside it stands
the named kernel that is nearest by the cosine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.filters import Kernel, gabor, named

Floats = NDArray[np.float64]
_BANK = ("blur", "edge", "laplace")
_ANGLES = range(0, 360, 15)
_WAVES = (2.5, 3.0, 4.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Learned:
    """Kernels of a first layer before and after training, (out, rows, columns), the channels in summed.

    edge_before, edge_after: of each, the share of energy that is a first derivative. chance: of a random kernel.
    """

    task: str
    steps: int
    losses: tuple[float, float]
    before: Floats
    after: Floats
    edge_before: Floats
    edge_after: Floats
    chance: float
    nearest: tuple[tuple[str, float], ...]

    @property
    def edge(self) -> int:
        """The kernel that became the best edge detector: the largest first derivative, by its energy."""
        energy = (self.after**2).sum((1, 2))
        return int((self.edge_after * energy).argmax())

    @property
    def angle(self) -> float:
        """The direction in which the edge detector looks, in degrees from the horizontal, downwards."""
        return direction(self.after[self.edge])

    @property
    def moved(self) -> Floats:
        """How far each went, as a share of its length before."""
        gone = np.sqrt(((self.after - self.before) ** 2).sum((1, 2)))
        length = np.sqrt((self.before**2).sum((1, 2)))
        return np.asarray(gone / np.maximum(length, 1e-12))

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON."""
        return {
            "task": self.task,
            "steps": self.steps,
            "loss_first": self.losses[0],
            "loss_last": self.losses[1],
            "kernels": len(self.after),
            "edge_share_of_chance": self.chance,
            "edge_share_before": self.edge_before.tolist(),
            "edge_share_after": self.edge_after.tolist(),
            "moved": self.moved.tolist(),
            "nearest": [{"kernel": name, "cosine": cosine} for name, cosine in self.nearest],
            "edge_detector": {
                "number": self.edge,
                "values": self.after[self.edge].tolist(),
                "edge_share": float(self.edge_after[self.edge]),
                "degrees": self.angle,
                "nearest": self.nearest[self.edge][0],
                "cosine": self.nearest[self.edge][1],
            },
            "before": self.before.tolist(),
            "after": self.after.tolist(),
        }


def learned(task: str, before: Floats, after: Floats, *, steps: int, losses: tuple[float, float]) -> Learned:
    """Look at kernels (out, in, rows, columns) before and after training."""
    first, last = before.sum(1), after.sum(1)
    return Learned(
        task=task,
        steps=steps,
        losses=losses,
        before=first,
        after=last,
        edge_before=np.array([edge_share(kernel) for kernel in first]),
        edge_after=np.array([edge_share(kernel) for kernel in last]),
        chance=2 / first[0].size,
        nearest=tuple(_nearest(kernel) for kernel in last),
    )


def _slopes(size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Of a size: the first derivatives across and down, smoothed as Sobel's are, each of length 1."""
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in size)
    bells = [np.array([math.comb(n - 1, i) for i in range(n)], dtype=np.float64) for n in size]
    across = np.outer(bells[0], columns * (bells[1] if size[1] > 3 else 1))
    down = np.outer(rows * (bells[0] if size[0] > 3 else 1), bells[1])
    return across / (np.linalg.norm(across) or 1), down / (np.linalg.norm(down) or 1)


def edge_share(kernel: Floats) -> float:
    """Share of a kernel's energy that is a first derivative in some direction, 0 to 1.

    >>> round(edge_share(named()["sobel-x"].values), 9), round(edge_share(named()["blur"].values), 9)
    (1.0, 0.0)
    """
    across, down = _slopes((kernel.shape[0], kernel.shape[1]))
    energy = float((kernel**2).sum())
    return float((kernel * across).sum() ** 2 + (kernel * down).sum() ** 2) / energy if energy else 0.0


def direction(kernel: Floats) -> float:
    """Where a kernel grows, in degrees from the right, downwards, as it is laid on the image; 0 to 360."""
    across, down = _slopes((kernel.shape[0], kernel.shape[1]))
    return math.degrees(math.atan2(float((kernel * down).sum()), float((kernel * across).sum()))) % 360


def _nearest(kernel: Floats) -> tuple[str, float]:
    """The name of the nearest known kernel, and the cosine between the two, in size."""
    across, down = _slopes((kernel.shape[0], kernel.shape[1]))
    angle = round(direction(kernel))
    steered = across * math.cos(math.radians(angle)) + down * math.sin(math.radians(angle))
    bank = {f"sobel at {angle}°": steered}
    bank |= {name: known.values for name in _BANK if (known := named()[name]).values.shape == kernel.shape}
    for wave in _WAVES:
        bank |= {f"gabor {degrees}° of {wave:g} px": _cut(gabor(degrees, wave), kernel.shape) for degrees in _ANGLES}
    cosines = {name: abs(_cosine(kernel, values)) for name, values in bank.items()}
    best = max(cosines, key=lambda name: cosines[name])
    return best, cosines[best]


def _cut(values: Floats, shape: tuple[int, ...]) -> Floats:
    """The middle of a larger kernel."""
    rows, columns = ((n - m) // 2 for n, m in zip(values.shape, shape, strict=True))
    if rows < 0 or columns < 0:
        wider = np.zeros((max(values.shape[0], shape[0]), max(values.shape[1], shape[1])))
        y, x = (wider.shape[0] - values.shape[0]) // 2, (wider.shape[1] - values.shape[1]) // 2
        wider[y : y + values.shape[0], x : x + values.shape[1]] = values
        return _cut(wider, shape)
    return values[rows : rows + shape[0], columns : columns + shape[1]]


def _cosine(a: Floats, b: Floats) -> float:
    return float((a * b).sum() / (np.linalg.norm(a) * np.linalg.norm(b) or 1.0))


def as_kernel(values: Floats, name: str) -> Kernel:
    """A learned kernel as one that can be laid on an image: what networks call convolution is a cross-correlation."""
    return Kernel(name=name, values=values[::-1, ::-1], says="learned", source="training")

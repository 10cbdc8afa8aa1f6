"""Which algorithm: the fastest by the operations that each of them does."""

from __future__ import annotations

from rigwise.convolution.algorithms import Pass
from rigwise.convolution.geometry import Geometry


def choose_numpy(which: Pass, shape: Geometry, element: int) -> str:
    """The algorithm for one pass in NumPy."""
    return "fft" if shape.taps > 49 else "im2col"

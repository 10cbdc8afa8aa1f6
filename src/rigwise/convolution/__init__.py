"""The convolution laboratory: what a convolution is, what each algorithm does, and code that does it.

conv, convolve, correlate      NumPy arrays (and, for conv, torch tensors with gradients)
Geometry, geometry             sizes, padding, stride, dilation, groups
ALGORITHMS                     direct, im2col, fft, overlap-save, overlap-add, Winograd F(2, 3) and F(4, 3)
"""

from __future__ import annotations

from rigwise.convolution.algorithms import ALGORITHMS, PASSES, run_pass
from rigwise.convolution.geometry import Geometry, geometry, transposed_geometry
from rigwise.convolution.operation import conv, convolve, correlate

__all__ = [
    "ALGORITHMS",
    "PASSES",
    "Geometry",
    "conv",
    "convolve",
    "correlate",
    "geometry",
    "run_pass",
    "transposed_geometry",
]

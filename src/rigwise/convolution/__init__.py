"""The convolution laboratory: what a convolution is, what each algorithm does, and code that does it.

conv, convolve, correlate      NumPy arrays (and, for conv, torch tensors with gradients)
Geometry, geometry             sizes, padding, stride, dilation, groups
ALGORITHMS                     direct, im2col, fft, overlap-save, overlap-add, Winograd F(2, 3) and F(4, 3)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rigwise.convolution.algorithms import ALGORITHMS, PASSES, run_pass
from rigwise.convolution.geometry import Geometry, geometry, transposed_geometry
from rigwise.convolution.operation import conv, convolve, correlate

if TYPE_CHECKING:
    from rigwise.convolution.torch_kernels.module import Conv, replace
    from rigwise.convolution.torch_kernels.tuning import tune

__all__ = [
    "ALGORITHMS",
    "PASSES",
    "Conv",
    "Geometry",
    "conv",
    "convolve",
    "correlate",
    "geometry",
    "replace",
    "run_pass",
    "transposed_geometry",
    "tune",
]


def __getattr__(name: str) -> Any:
    """What needs torch, imported when it is first used."""
    if name in ("Conv", "replace", "tune"):
        return getattr(import_module("rigwise.convolution.torch_kernels"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

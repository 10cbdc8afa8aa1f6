"""Convolution of tensors, with gradients. The one part of the room that knows torch; imported when a tensor comes."""

from __future__ import annotations

from rigwise.convolution.torch_kernels.function import conv
from rigwise.convolution.torch_kernels.module import Conv, replace
from rigwise.convolution.torch_kernels.tuning import tune

__all__ = ["Conv", "conv", "replace", "tune"]

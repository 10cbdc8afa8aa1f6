"""The three passes of a tensor's convolution by name: torch's own, spectra, and the NumPy algorithms on CPU tensors.

"plane" is the forward pass of one plain image by NumPy's transform of the whole, whose calls cost less than torch's;
its gradients are "fft"'s.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from rigwise.convolution import algorithms, choose
from rigwise.convolution.algorithms import Pass
from rigwise.convolution.choose import LIBRARY, PADDED, SPECTRAL, TORCH
from rigwise.convolution.counts import window_of
from rigwise.convolution.fourier import plain, whole_transform
from rigwise.convolution.geometry import Geometry
from rigwise.convolution.kernels import inside, turn
from rigwise.convolution.torch_kernels.transforms import Dft, Fast, Transform
from rigwise.convolution.torch_kernels.windows import Windows
from rigwise.errors import UsageError, not_found

PLANE = "plane"
OWN = (*TORCH, PLANE)
NAMES = (*OWN, *(name for name in algorithms.NAMES if name not in OWN))


@lru_cache(maxsize=512)
def transform(name: str, shape: Geometry) -> Transform | None:
    """The transform that a spectral algorithm uses; None where windows would be no smaller than the whole."""
    if choose.cannot(name, shape):
        return None
    if name == "fft":
        return Fast.of(shape)
    if name == "dft":
        return Dft.of(shape)
    return Windows.of(shape, window_of(name, shape), Fast if name == "overlap-save" else Dft)


def cannot(name: str, shape: Geometry) -> str:
    """Why an algorithm cannot do a geometry, or ""."""
    if name not in NAMES:
        raise not_found("algorithm", name, NAMES, hint=", ".join(("auto", *NAMES)))
    if name == PLANE:
        return "" if _transform_of(shape) else "a plane is one image of one channel under one kernel, without steps"
    return choose.cannot(name, shape) if name in OWN else algorithms.ALGORITHMS[name].cannot(shape)


@lru_cache(maxsize=512)
def _transform_of(shape: Geometry) -> tuple[tuple[int, ...], ...] | None:
    """What NumPy's one transform takes, or None where the geometry is more than one plain image."""
    alone = shape.batch == shape.c == shape.k == shape.groups == 1 and set(shape.stride + shape.dilation) == {1}
    return whole_transform(shape) if alone else None


def plane(x: Tensor, w: Tensor, shape: Geometry, turned: bool = False) -> Tensor:
    """The cross-correlation of one plain image on the CPU, (1, 1, sizes), in one transform; no gradients.

    turned: the true convolution, for which the kernel is taken as it is.
    """
    how = _transform_of(shape)
    assert how is not None, f"{PLANE} cannot do {shape}"
    if x.device.type != "cpu":
        raise UsageError(f"{PLANE} on {x.device}", rule="NumPy's algorithms run on the CPU", nearest="auto")
    kernel = w.detach().numpy()[0, 0]
    y = plain(x.detach().numpy()[0, 0], kernel if turned else turn(kernel, shape.dims), *how)
    return torch.from_numpy(y[None, None])


def even_pad(shape: Geometry) -> tuple[int, ...] | None:
    """The padding as torch's convolutions take it, or None if it differs before and after."""
    if any(before != after for before, after in shape.pad):
        return None
    return tuple(before for before, _ in shape.pad)


def pad_input(x: Tensor, shape: Geometry) -> Tensor:
    """The input with its zeros."""
    widths = [width for before, after in reversed(shape.pad) for width in (before, after)]
    return functional.pad(x, widths) if any(widths) else x


def library_forward(x: Tensor, w: Tensor, shape: Geometry, padded: bool) -> Tensor:
    """Torch's own; padded: zeros written out first, which is at times faster."""
    pad = even_pad(shape)
    if padded or pad is None:
        x, pad = pad_input(x, shape), (0,) * shape.dims
    return torch.convolution(x, w, None, shape.stride, pad, shape.dilation, False, (0,) * shape.dims, shape.groups)


def library_backward(
    g: Tensor, x: Tensor | None, w: Tensor | None, shape: Geometry, padded: bool, mask: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Torch's own gradients, those in `mask` (input, kernels). x or w may be None where only its shape is read."""
    x = g.new_empty(1).expand(shape.x_shape) if x is None else x
    w = g.new_empty(1).expand(shape.w_shape) if w is None else w
    pad = even_pad(shape)
    around = padded or pad is None
    if around:
        x, pad = pad_input(x, shape), (0,) * shape.dims
    zeros = (0,) * shape.dims
    ask: Any = [*mask, False]
    dx, dw, _ = torch.ops.aten.convolution_backward(
        g, x, w, None, shape.stride, pad, shape.dilation, False, zeros, shape.groups, ask
    )
    if around and mask[0]:
        dx = dx[inside(slice(before, before + h) for (before, _), h in zip(shape.pad, shape.size))]
    return dx, dw


def in_numpy(which: Pass, name: str, first: Tensor, second: Tensor, shape: Geometry) -> Tensor:
    """A pass by the NumPy algorithm of that name; the arrays share memory with the tensors."""
    if first.device.type != "cpu":
        raise UsageError(
            f"{name} on {first.device}", rule="NumPy's algorithms run on the CPU", nearest=", ".join(("auto", *OWN))
        )
    result = algorithms.run_pass(which, name, first.detach().numpy(), second.detach().numpy(), shape)
    return torch.from_numpy(result if result.flags.c_contiguous else result.copy())


def run_pass(which: Pass, name: str, first: Tensor, second: Tensor, shape: Geometry) -> Tensor:
    """One pass on its own. forward takes (x, w), input_gradient (g, w), weight_gradient (x, g)."""
    if name in (LIBRARY, PADDED):
        if which == "forward":
            return library_forward(first, second, shape, name == PADDED)
        asks_input = which == "input_gradient"
        g, x, w = (first, None, second) if asks_input else (second, first, None)
        found = library_backward(g, x, w, shape, name == PADDED, (asks_input, not asks_input))
        result = found[0] if asks_input else found[1]
        assert result is not None
        return result
    if name == PLANE:
        if which == "forward":
            return plane(first, second, shape)
        name = "fft"
    if name not in SPECTRAL:
        return in_numpy(which, name, first, second, shape)
    by = transform(name, shape)
    assert by is not None, f"{name} cannot do {shape}"
    if which == "forward":
        return by.output(by.of_input(first), by.of_kernels(second))
    if which == "input_gradient":
        return by.input(by.of_output(first), by.of_kernels(second))
    return by.kernels(by.of_input(first), by.of_output(second))

"""`conv`: a convolution of NumPy arrays or of torch tensors, by the algorithm that is asked for or the soonest."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from rigwise.convolution.algorithms import run_pass
from rigwise.convolution.choose import choose_numpy
from rigwise.convolution.fourier import plain, whole_transform
from rigwise.convolution.geometry import (
    Geometry,
    Kind,
    Padding,
    Sizes,
    geometry,
    transposed_geometry,
)
from rigwise.convolution.kernels import Floats, turn
from rigwise.convolution.quick import QUICK
from rigwise.errors import UsageError

Array = TypeVar("Array")
MODES = ("full", "same", "valid")


def conv(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    algorithm: str = "auto",
    kind: Kind = "cross-correlation",
    transposed: bool = False,
    output_padding: Sizes = 0,
) -> Any:
    """Convolve x (N, C, sizes) with the kernels w (K, C/G, sizes) over 1, 2 or 3 spatial dims.

    The result is (N, K, out), an array for arrays and a tensor, with gradients, for tensors. kind: what deep learning
    calls a convolution is a "cross-correlation"; a "convolution" turns the kernels by 180 degrees. padding: a number,
    one a dim, a pair a dim, or "valid", "same", "full", "causal". transposed: w is (C, K/G, sizes), as in torch.
    algorithm: "auto", or one of `algorithms.NAMES`. Raises UsageError.

    >>> x, w = np.array([[[1.0, 2.0, 3.0]]]), np.array([[[0.0, 1.0, 0.5]]])
    >>> conv(x, w, padding="full", kind="convolution", algorithm="direct").tolist()
    [[[0.0, 1.0, 2.5, 4.0, 1.5]]]
    """
    if type(x) is not np.ndarray:
        try:
            key = x.shape, w.shape, x.dtype, x.device, stride, padding, dilation, groups, algorithm, kind
            found = QUICK.get(key)
            if found is not None and not transposed and not output_padding:
                run, native, threads, count, asked = found
                if threads() == count and (asked is None or not asked(x, w)):
                    return run(x, w, bias, *native)
        except (AttributeError, RuntimeError, TypeError):
            pass  # the longer road says what is wrong
        if of_tensors := _TENSORS.get(type(x)) or _tensors(x):
            return of_tensors(
                x, w, bias, stride, padding, dilation, groups, algorithm, kind, transposed, output_padding
            )
    x, w = _floats("x", x), _floats("w", w)
    try:
        shape = _known(x.shape, w.shape, stride, padding, dilation, groups, kind, transposed, output_padding)
    except TypeError:  # lists cannot be looked up
        shape = _shape(x.shape, w.shape, stride, padding, dilation, groups, kind, transposed, output_padding)
    if kind == "convolution":
        w = turn(w, shape.dims)
    y = run_pass("input_gradient" if transposed else "forward", algorithm, x, w, shape)
    return y if bias is None else y + np.asarray(bias, dtype=y.dtype).reshape(-1, *(1,) * shape.dims)


_TENSORS: dict[type, Callable[..., Any]] = {}  # types of tensor seen so far: a look-up where an import would cost more


def _tensors(x: Any) -> Callable[..., Any] | None:
    """The convolution of tensors if x is one; torch is not imported for anything else."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(x, torch.Tensor):
        return None
    from rigwise.convolution.torch_kernels import conv as of_tensors

    return _TENSORS.setdefault(type(x), of_tensors)


def _shape(
    x: Sequence[int],
    w: Sequence[int],
    stride: Sizes,
    padding: Padding,
    dilation: Sizes,
    groups: int,
    kind: Kind,
    transposed: bool,
    output_padding: Sizes,
) -> Geometry:
    if transposed:
        return transposed_geometry(
            x,
            w,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            dilation=dilation,
            groups=groups,
            kind=kind,
        )
    if output_padding != 0:
        raise UsageError(f"output_padding={output_padding}", rule="output_padding is of a transposed convolution")
    return geometry(x, w, stride=stride, padding=padding, dilation=dilation, groups=groups, kind=kind)


_known = lru_cache(maxsize=4096, typed=True)(_shape)


def _floats(name: str, value: Any) -> Floats:
    """The array in float32 or float64: whole numbers become float64, half precision float32."""
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64):
        raise UsageError(f"{name} of type {array.dtype}", rule="real numbers", nearest="float32 or float64")
    return array


def convolve(image: Any, kernel: Any, mode: str = "full", algorithm: str = "auto") -> Floats:
    """The true convolution of two plain arrays of 1, 2 or 3 dims: no channels, no batch.

    mode: "full" every position where they touch, "same" the size of the image, "valid" where the kernel lies inside.

    >>> convolve([1, 2, 3], [0, 1, 0.5]).tolist()
    [0.0, 1.0, 2.5, 4.0, 1.5]
    """
    return _plain(image, kernel, mode, algorithm, "convolution")


def correlate(image: Any, kernel: Any, mode: str = "valid", algorithm: str = "auto") -> Floats:
    """The cross-correlation of two plain arrays: the kernel is laid on the image as it is, as in template search.

    >>> correlate([1, 2, 3], [0, 1, 0.5]).tolist()
    [3.5]
    """
    return _plain(image, kernel, mode, algorithm, "cross-correlation")


def _plain(image: Any, kernel: Any, mode: str, algorithm: str, kind: Kind) -> Floats:
    x, w = _floats("image", image), _floats("kernel", kernel)
    if mode not in MODES:
        raise UsageError(f"mode={mode!r}", rule="one of " + ", ".join(MODES))
    if algorithm == "auto" and x.ndim == w.ndim:
        found = _whole(x.shape, w.shape, mode, kind, x.dtype.itemsize)
        if found is not None:
            return plain(x, w if kind == "convolution" else turn(w, w.ndim), *found)
    y: Floats = conv(x[None, None], w[None, None], padding=mode, kind=kind, algorithm=algorithm)[0, 0]
    return y


@lru_cache(maxsize=4096)
def _whole(
    x: tuple[int, ...], w: tuple[int, ...], mode: str, kind: Kind, element: int
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """What `plain` takes where one transform is the soonest: to look for the way is half of a short one."""
    shape = geometry((1, 1, *x), (1, 1, *w), padding=mode, kind=kind)
    return whole_transform(shape) if choose_numpy("forward", shape, element) == "fft" else None

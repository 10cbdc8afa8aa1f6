"""Direct convolution and im2col in NumPy: the definition, tap by tap, and the same sum as one product of matrices.

Three passes of one geometry, each with the arrays that it reads:

    forward          y[n,k,i]  = sum over c, r of w[k,c,r] x[n,c,i s + r d - p]
    input_gradient   dx[n,c,j] = sum over k, r of w[k,c,r] g[n,k,i] where j = i s + r d - p
    weight_gradient  dw[k,c,r] = sum over n, i of g[n,k,i] x[n,c,i s + r d - p]

`direct` holds one product at a time (its extra memory is one output); im2col writes every patch out, taps times the
input, and hands the sum to one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.geometry import Geometry

Floats = NDArray[np.floating]


def inside(places: Iterable[slice | int]) -> tuple[Any, ...]:
    """An index of the last dims, all of those before them taken whole."""
    return (..., *places)


def turn(w: Floats, dims: int) -> Floats:
    """Kernels turned by 180 degrees, which turns a cross-correlation into a convolution and back."""
    turned: Floats = w[inside((slice(None, None, -1),) * dims)]
    return turned


def pad(x: Floats, shape: Geometry) -> Floats:
    """The input with its zeros around it; the input itself where there are none."""
    if not any(before or after for before, after in shape.pad):
        return x
    return np.pad(x, ((0, 0), (0, 0), *shape.pad))


def crop(x: Floats, shape: Geometry) -> Floats:
    """The input's part of a padded input."""
    part: Floats = x[inside(slice(before, before + h) for (before, _), h in zip(shape.pad, shape.size))]
    return part


def taps(shape: Geometry) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Every tap of the kernel, and the elements of the padded input that it meets."""
    for tap in product(*(range(r) for r in shape.kernel)):
        rows = zip(tap, shape.dilation, shape.stride, shape.out)
        yield tap, tuple(slice(r * d, r * d + (o - 1) * s + 1, s) for r, d, s, o in rows)


def direct_forward(x: Floats, w: Floats, shape: Geometry) -> Floats:
    """The definition, one tap at a time. x (N, C, sizes), w (K, C/G, sizes); the output (N, K, sizes)."""
    groups, positions = shape.groups, prod(shape.out)
    padded, banks = pad(x, shape), w.reshape(groups, shape.k // groups, shape.c // groups, *shape.kernel)
    y = np.zeros((shape.batch, groups, shape.k // groups, positions), dtype=np.result_type(x, w))
    for tap, meets in taps(shape):
        seen = padded[inside(meets)].reshape(shape.batch, groups, shape.c // groups, positions)
        y += np.matmul(banks[inside(tap)], seen)
    return y.reshape(shape.y_shape)


def direct_input_gradient(g: Floats, w: Floats, shape: Geometry) -> Floats:
    """The transpose of the definition: every output's gradient back to what its taps met."""
    groups = shape.groups
    banks = w.reshape(groups, shape.k // groups, shape.c // groups, *shape.kernel)
    grads = g.reshape(shape.batch, groups, shape.k // groups, prod(shape.out))
    dx = np.zeros((shape.batch, shape.c, *shape.padded), dtype=np.result_type(g, w))
    for tap, meets in taps(shape):
        back = np.matmul(banks[inside(tap)].swapaxes(-1, -2), grads)
        dx[inside(meets)] += back.reshape(shape.batch, shape.c, *shape.out)
    return crop(dx, shape)


def direct_weight_gradient(x: Floats, g: Floats, shape: Geometry) -> Floats:
    """The sum over images and positions, one tap at a time."""
    groups, positions = shape.groups, prod(shape.out)
    padded = pad(x, shape)
    grads = g.reshape(shape.batch, groups, shape.k // groups, positions)
    dw = np.empty((groups, shape.k // groups, shape.c // groups, *shape.kernel), dtype=np.result_type(x, g))
    for tap, meets in taps(shape):
        seen = padded[inside(meets)].reshape(shape.batch, groups, shape.c // groups, positions)
        dw[inside(tap)] = np.matmul(grads, seen.swapaxes(-1, -2)).sum(axis=0)
    return dw.reshape(shape.w_shape)


def columns(x: Floats, shape: Geometry) -> Floats:
    """Every patch as a column: (N, G, C/G taps, positions), written out."""
    dims, axes = shape.dims, tuple(range(2, 2 + shape.dims))
    view = np.lib.stride_tricks.sliding_window_view(pad(x, shape), shape.reach, axis=axes)
    here = tuple(slice(None, (o - 1) * s + 1, s) for o, s in zip(shape.out, shape.stride))
    there = tuple(slice(None, None, d) for d in shape.dilation)
    view = view[(slice(None), slice(None), *here, *there)]
    order = (0, 1, *range(2 + dims, 2 + 2 * dims), *axes)
    return view.transpose(order).reshape(shape.batch, shape.groups, -1, prod(shape.out))


def im2col_forward(x: Floats, w: Floats, shape: Geometry) -> Floats:
    """Patches written out, then one matrix product an image and group."""
    banks = w.reshape(shape.groups, shape.k // shape.groups, -1)
    y: Floats = np.matmul(banks, columns(x, shape)).reshape(shape.y_shape)
    return y


def im2col_input_gradient(g: Floats, w: Floats, shape: Geometry) -> Floats:
    """One matrix product to the gradient of every patch, then the patches added where they overlap."""
    groups = shape.groups
    banks = w.reshape(groups, shape.k // groups, -1)
    grads = g.reshape(shape.batch, groups, shape.k // groups, prod(shape.out))
    patches = np.matmul(banks.swapaxes(-1, -2), grads).reshape(shape.batch, shape.c, *shape.kernel, *shape.out)
    dx = np.zeros((shape.batch, shape.c, *shape.padded), dtype=patches.dtype)
    for tap, meets in taps(shape):
        dx[inside(meets)] += patches[(slice(None), slice(None), *tap)]
    return crop(dx, shape)


def im2col_weight_gradient(x: Floats, g: Floats, shape: Geometry) -> Floats:
    """Output gradients times patches."""
    groups = shape.groups
    grads = g.reshape(shape.batch, groups, shape.k // groups, prod(shape.out))
    dw: Floats = np.matmul(grads, columns(x, shape).swapaxes(-1, -2)).sum(axis=0).reshape(shape.w_shape)
    return dw

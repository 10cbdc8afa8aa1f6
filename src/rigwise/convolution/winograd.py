"""Winograd's minimal filtering in NumPy: F(2, 3) and F(4, 3), nested over 1, 2 or 3 dims.

m outputs of an r-tap filter need m + r - 1 products instead of m r:  y = A' [ (G w) . (B' x) ],  tiles of m + r - 1
inputs that overlap by r - 1. Nested over d dims it takes (m + r - 1)^d products for (m r)^d: 16 for 36 in F(2x2, 3x3),
36 for 144 in F(4x4, 3x3). Over channels the products become (m + r - 1)^d matrix products.

The input gradient is the same with the kernels turned. The weight gradient is its transpose: the sum over tiles of
B' x and A g gives G w's gradient. Source: Winograd 1980; Lavin and Gray, arXiv 1509.09308, whose matrices these are.
"""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.fourier import as_forward
from rigwise.convolution.geometry import Geometry
from rigwise.convolution.kernels import Floats, inside

TAPS = 3
Matrices = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def matrices(m: int) -> Matrices:
    """A' (m, m + 2), B' (m + 2, m + 2) and G (m + 2, 3) of F(m, 3) for m = 2 or 4.

    >>> A, B, G = matrices(2)
    >>> x, w = np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 7])
    >>> (A @ ((G @ w) * (B @ x))).tolist(), np.correlate(x, w).tolist()
    ([38.0, 56.0], [38.0, 56.0])
    """
    if m == 2:
        a = [[1, 1, 1, 0], [0, 1, -1, -1]]
        b = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
        g = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
        return np.array(a, dtype=float), np.array(b, dtype=float), np.array(g, dtype=float)
    assert m == 4, m
    a = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
    b = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]]
    b += [[0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
    g = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6]]
    g += [[1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
    return np.array(a, dtype=float), np.array(b, dtype=float), np.array(g, dtype=float)


def cannot(shape: Geometry) -> str:
    """Why Winograd cannot do a geometry, or ""."""
    if set(shape.kernel) != {TAPS} or shape.strided or shape.dilated:
        return "Winograd's F(2, 3) and F(4, 3) are for 3 taps a dim at stride 1 and dilation 1"
    return ""


def _along(values: Floats, matrix: NDArray[np.float64], dims: int) -> Floats:
    """The matrix applied along each of the last `dims` axes."""
    cast = matrix.astype(values.dtype)
    for axis in range(-dims, 0):
        values = np.moveaxis(np.moveaxis(values, axis, -1) @ cast.T, -1, axis)
    return values


def _tiles(x: Floats, shape: Geometry, m: int) -> tuple[Floats, tuple[int, ...]]:
    """Overlapping tiles of the padded input: (N, C, counts, (m + 2,) * dims), and the counts."""
    counts = tuple(-(-out // m) for out in shape.out)
    widths, cuts = [], []
    for h, (before, _), count in zip(shape.size, shape.pad, counts):
        wanted = count * m + TAPS - 1
        start, end = max(-before, 0), min(h, wanted - before)
        cuts.append(slice(start, end))
        widths.append((max(before, 0), wanted - max(before, 0) - (end - start)))
    laid = np.pad(x[inside(cuts)], ((0, 0), (0, 0), *widths))
    axes = tuple(range(2, 2 + shape.dims))
    view = np.lib.stride_tricks.sliding_window_view(laid, (m + TAPS - 1,) * shape.dims, axis=axes)
    return view[(slice(None), slice(None), *(slice(None, None, m) for _ in counts))], counts


def _to_products(values: Floats, groups: int, dims: int) -> Floats:
    """(N, C, counts, points) as (points, G, C/G, N tiles)."""
    n, c = values.shape[:2]
    points, tiles = prod(values.shape[-dims:]), prod(values.shape[2:-dims])
    return (
        values.reshape(n, groups, c // groups, tiles, points)
        .transpose(4, 1, 2, 0, 3)
        .reshape(points, groups, c // groups, n * tiles)
    )


def forward(x: Floats, w: Floats, shape: Geometry, m: int) -> Floats:
    """F(m, 3) forward: transform tiles and kernels, (m + 2)^dims matrix products, transform back."""
    a, b, g = matrices(m)
    dims, groups = shape.dims, shape.groups
    tiles, counts = _tiles(x, shape, m)
    seen = _to_products(_along(tiles, b, dims), groups, dims)
    banks = _along(w, g, dims).reshape(groups, shape.k // groups, shape.c // groups, -1).transpose(3, 0, 1, 2)
    products = np.matmul(banks, seen)  # (points, G, K/G, N tiles)
    products = products.reshape(-1, shape.k, shape.batch, *counts)
    products = np.moveaxis(products, 0, -1).swapaxes(0, 1)
    parts = _along(products.reshape(shape.batch, shape.k, *counts, *(m + TAPS - 1,) * dims), a, dims)
    return _untile(parts, shape, counts, m)


def _untile(parts: Floats, shape: Geometry, counts: tuple[int, ...], m: int) -> Floats:
    """(N, K, counts, (m,) * dims) as (N, K, out)."""
    dims = shape.dims
    order = (0, 1, *(axis for d in range(dims) for axis in (2 + d, 2 + dims + d)))
    y = parts.transpose(order).reshape(*parts.shape[:2], *(count * m for count in counts))
    return np.ascontiguousarray(y[inside(slice(out) for out in shape.out)])


def input_gradient(g: Floats, w: Floats, shape: Geometry, m: int) -> Floats:
    """F(m, 3) of the gradient with the turned kernels."""
    turned, turns = as_forward(shape, w)
    return forward(g, turns, turned, m)


def weight_gradient(x: Floats, g: Floats, shape: Geometry, m: int) -> Floats:
    """The transpose of F(m, 3): G' of the sum over tiles of (A g) and (B' x)."""
    a, b, bank = matrices(m)
    dims, groups = shape.dims, shape.groups
    tiles, counts = _tiles(x, shape, m)
    seen = _to_products(_along(tiles, b, dims), groups, dims)
    short = tuple((0, count * m - out) for count, out in zip(counts, shape.out))
    grads = np.pad(g, ((0, 0), (0, 0), *short))
    grads = grads.reshape(*g.shape[:2], *(size for count in counts for size in (count, m)))
    order = (0, 1, *(2 + 2 * d for d in range(dims)), *(3 + 2 * d for d in range(dims)))
    pulled = _to_products(_along(grads.transpose(order), a.T, dims), groups, dims)
    products = np.matmul(pulled, seen.swapaxes(-1, -2)).transpose(1, 2, 3, 0)
    points = products.reshape(shape.k, shape.c // groups, *(m + TAPS - 1,) * dims)
    return np.ascontiguousarray(_along(points, bank.T, dims))


forward_2, forward_4 = partial(forward, m=2), partial(forward, m=4)
input_gradient_2, input_gradient_4 = partial(input_gradient, m=2), partial(input_gradient, m=4)
weight_gradient_2, weight_gradient_4 = partial(weight_gradient, m=2), partial(weight_gradient, m=4)

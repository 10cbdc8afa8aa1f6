"""How far an algorithm may be from the exact sum: a bound for each, derived, and stated in units of roundoff.

Let u be the unit roundoff (2^-24 for float32, 2^-53 for float64), T the terms of an output's sum (C/G x taps forward,
K/G x taps for the input gradient, N x positions for the weight gradient), gamma(n) = n u / (1 - n u) (Higham 2002).

    direct, im2col   |error| <= gamma(T) sum |x| |w|: any order of a sum of T products. Bounded by Cauchy and Schwarz,
                     gamma(T) ||x patch|| ||w||.
    fft, dft         A transform of n points is a product of log2 n unitary (scaled) butterflies, each with a relative
                     error of at most e = mu + gamma(4) (sqrt 2 + mu), mu the error of the twiddle factors, about u
                     (Higham, theorem 24.2): relative to the norm, log2 n e in all. Two transforms there, one back and
                     products: |error| <= (3 e log2 n + gamma(S + 3)) ||x|| ||w||, S the terms summed over channels or
                     images. The norms are of the whole window: an output near zero may have a relative error as large
                     as one likes, which the bounds of direct sums do not allow. As matrix products, log2 n
                     becomes gamma(2 n) sqrt n a dim.
    winograd-m       Each dim multiplies by the norms of A', B' and G: (||A'|| ||B'|| ||G||)^dims in the largest row
                     sum, times gamma of the terms: 2 x 2 x 1.5 for F(2, 3), 19 x 10 x 1 for F(4, 3), so that two
                     dims of F(4, 3) lose up to 4.6 digits (typically less than 2), F(2, 3) 1.6.

Every bound is of the worst case; rounding errors walk, so that what is seen is about its root. `typical` is not given:
the tests show both.
"""

from __future__ import annotations

from math import log2, prod, sqrt

import numpy as np

from rigwise.convolution.algorithms import Pass
from rigwise.convolution.counts import window_of
from rigwise.convolution.geometry import Geometry
from rigwise.convolution.winograd import matrices

_TWIDDLES = 1.0  # error of sines and cosines, in roundoffs: half for a correct rounding, as much again for the product


def terms(which: Pass, shape: Geometry) -> int:
    """Products in one output of a pass.

    >>> terms("forward", Geometry(batch=2, c=3, k=8, size=(16, 16), kernel=(5, 5)))
    75
    """
    if which == "weight_gradient":
        return shape.batch * prod(shape.out)
    return (shape.c if which == "forward" else shape.k) // shape.groups * shape.taps


def gamma(count: float, roundoff: float) -> float:
    """N u / (1 - n u): what n roundings in a row can do."""
    return count * roundoff / (1 - count * roundoff)


def error_bound(algorithm: str, which: Pass, shape: Geometry, dtype: type | str = np.float64) -> float:
    """The largest error of an output, relative to ||first|| ||second||, the norms of the two arrays that a pass reads.

    So |result - exact| <= error_bound(...) * norm(first) * norm(second) for every element.

    >>> shape = Geometry(batch=1, c=1, k=1, size=(64, 64), kernel=(7, 7), pad=((6, 6), (6, 6)))
    >>> error_bound("direct", "forward", shape) < error_bound("fft", "forward", shape) < 1e-13
    True
    """
    roundoff = float(np.finfo(dtype).eps) / 2
    count = terms(which, shape)
    if algorithm.startswith("winograd"):
        return _winograd(int(algorithm[-1]), which, shape, count, roundoff)
    if algorithm == "plane":
        return _fourier("fft", which, shape, roundoff)
    if algorithm in ("fft", "dft", "overlap-save", "overlap-add", "overlap-dft"):
        return _fourier(algorithm, which, shape, roundoff)
    return gamma(count, roundoff)


def _fourier(algorithm: str, which: Pass, shape: Geometry, roundoff: float) -> float:
    n = window_of(algorithm, shape)
    summed = {"forward": shape.c // shape.groups, "input_gradient": shape.k // shape.groups}.get(which, shape.batch)
    windows = prod(-(-out // max(side - r + 1, 1)) for out, side, r in zip(shape.dense_out, n, shape.reach))
    if algorithm in ("dft", "overlap-dft"):
        transform = sum(gamma(2 * length + 2, roundoff) * sqrt(2 * length) for length in n)
    else:
        step = _TWIDDLES * roundoff + gamma(4, roundoff) * (sqrt(2) + _TWIDDLES * roundoff)
        transform = step * sum(max(log2(length), 1) + 1 for length in n)  # a factor 3, 5 or 7 counts as its log2
        transform *= _RADIX
    return 3 * transform + gamma(2 * summed + 3 + (windows if which == "weight_gradient" else 2**shape.dims), roundoff)


_RADIX = 2.0  # butterflies of 3, 5 and 7 have longer sums than those of 2


def _winograd(m: int, which: Pass, shape: Geometry, count: int, roundoff: float) -> float:
    a, b, g = matrices(m)
    growth = prod(float(np.abs(matrix).sum(axis=1).max()) for matrix in (a, b, g))
    if which == "weight_gradient":
        growth = prod(float(np.abs(matrix).sum(axis=1).max()) for matrix in (a.T, b, g.T))
    inside = count / shape.taps if which != "weight_gradient" else count / m**shape.dims
    rounding = gamma(inside + 3 * (m + 2) * shape.dims, roundoff)
    return float(growth**shape.dims * rounding * (m + 2) ** (shape.dims / 2))

"""What a convolution of oneDNN holds besides its tensors: copies of them in blocks of 16 channels.

    input gradient     g' + x' + w'          (not of an image, whose gradient nobody asks for)
    weight gradient    x' + g' + 2 w'        (of an image x itself is read, and x' is not made)

x', g', w': input, output gradient and kernels with their channels rounded up to blocks; the more of the two passes
counts. Source: oneDNN's blocked layouts (nChw16c); single convolutions under torch 2.13 take this within 10 %, one of 6
to 16 channels less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 16  # channels
_IMAGE = 3  # channels up to which an input is read as it is
_FLOAT = 4.0  # bytes


def blocked(
    *, b: ArrayLike, c: ArrayLike, k: ArrayLike, g: ArrayLike, p: ArrayLike, s: ArrayLike, r: ArrayLike
) -> NDArray[np.float64]:
    """Bytes in blocks at the fuller backward pass, float32; letters as in measure/reading.py. Arrays broadcast.

    >>> float(blocked(b=64, c=1, k=6, g=1, p=784, s=784, r=25)) / 2**20  # LeNet's first, 6 channels held as 16
    3.0655517578125
    """
    b, c, k, g = (np.asarray(one, dtype=np.float64) for one in (b, c, k, g))
    inner, outer = _rounded(c * g), _rounded(k * g)
    weights = np.where(g > 1, outer * _rounded(c), outer * inner) * np.asarray(r)
    image = c * g <= _IMAGE
    x, out = np.where(image, 0.0, b * inner * np.asarray(s)), b * outer * np.asarray(p)
    kernels = np.where(image, outer * c * np.asarray(r), weights)
    return np.asarray(_FLOAT * np.where(image, out + 2 * kernels, x + out + 2 * kernels))


def _rounded(channels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.ceil(channels / BLOCK) * BLOCK)

"""The dynamic tree type: 8 bits whose leading zeros are a decimal exponent and whose rest bisects a decade.

Made by its rule (Dettmers, arXiv 1511.04561; the library clusterNet has the same values). A code is a sign and a
magnitude from 0 to 126. Magnitude 0 is zero. Of a number in (0, 1], n = 0 to 5 leading zeros say the decade
(0.1, 1) x 10^-n, and the 6 - n bits after the flag name one of 2^(6-n) cells in it: the first bit cuts the decade at
0.45 x 10^-n, every other halves what is left. A cell's value is its middle. Numbers under 10^-6 are zero.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
_DECADES = 6  # bits that the exponent and the cells of a decade share
_FIRST_CUT = 0.45
_LOW_BITS = 15  # of a float32: what the lookup leaves out. A bin is 2^-8 of its octave, narrower than any cell


@cache
def edges() -> NDArray[np.float64]:
    """The 127 edges between cells in rising order: the first is 1e-6, the last is 1.

    >>> len(edges()), float(edges()[0]), float(edges()[-1])
    (127, 1e-06, 1.0)
    """
    decades = []
    for zeros in reversed(range(_DECADES)):
        half = 2 ** (_DECADES - zeros - 1)
        below = np.linspace(0.1, _FIRST_CUT, half, endpoint=False)
        above = np.linspace(_FIRST_CUT, 1.0, half, endpoint=False)
        decades.append(np.concatenate([below, above]) / 10.0**zeros)
    return np.concatenate([*decades, [1.0]])


@cache
def values() -> Floats:
    """The 127 magnitudes by code: zero, then the middles of the cells.

    >>> [round(float(values()[code(x)]), 9) for x in (0.2345678, 2.34e-5)]
    [0.236718744, 1.875e-05]
    """
    cuts = edges()
    return np.concatenate([[0.0], (cuts[:-1] + cuts[1:]) / 2]).astype(np.float32)


@cache
def decoding() -> Floats:
    """The value of each of the 256 bytes; the two that are no code (magnitude 127) are not a number."""
    positive = np.concatenate([values(), np.full(1, np.nan, np.float32)])
    return np.concatenate([positive, -positive])


@cache
def thresholds() -> Floats:
    """The edges as float32, with one above all for the last code: magnitude m begins at thresholds()[m - 1]."""
    return np.append(edges()[:-1], np.inf).astype(np.float32)


@cache
def lookup() -> Bytes:
    """The magnitude at the lower end of every bin of float32 numbers from 0 to 1 that share their upper bits.

    One comparison with the next threshold makes it exact, as no bin holds two edges.
    """
    last = int(np.float32(1).view(np.uint32)) >> _LOW_BITS
    starts = (np.arange(last + 1, dtype=np.uint32) << _LOW_BITS).view(np.float32)
    return np.searchsorted(thresholds(), starts, side="right").astype(np.uint8)


def codes(magnitudes: NDArray[Any]) -> Bytes:
    """The magnitudes' codes, for numbers from 0 to 1."""
    numbers = np.ascontiguousarray(magnitudes, dtype=np.float32)
    low = lookup()[numbers.view(np.uint32) >> _LOW_BITS]
    return np.asarray(low + (numbers >= thresholds()[low]), np.uint8)


def code(magnitude: float) -> int:
    """One magnitude's code.

    >>> code(0.0), code(9e-7), code(1.0)
    (0, 0, 126)
    """
    return int(codes(np.array([magnitude]))[0])

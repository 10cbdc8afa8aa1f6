"""Sums and maxima of arrays that broadcast against each other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def total(terms: Iterable[ArrayLike]) -> Floats:
    """The sum of arrays of different shapes; 0 of none.

    >>> total([np.ones((2, 1)), np.ones(3)]).shape
    (2, 3)
    """
    result: Floats = np.zeros(())
    ours = False  # whether the array is one that was made here, to which the next term may be added in place
    for term in terms:
        more = np.asarray(term, dtype=np.float64)
        if ours and _inside(more.shape, result.shape):
            result += more
        elif result.ndim == 0 and not ours and not result:
            result = more
        else:
            result, ours = np.asarray(result + more), True
    return result


def _inside(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether an array of a shape broadcasts to another shape; asked thousands of times, mostly of equal ones."""
    return not shape or shape == other or np.broadcast_shapes(shape, other) == other


def largest(terms: Iterable[ArrayLike]) -> Floats:
    """The elementwise maximum of non-negative arrays of different shapes; 0 of none.

    >>> largest([np.array([1.0, 5.0]), np.array(3.0)]).tolist()
    [3.0, 5.0]
    """
    result: Floats = np.zeros(())
    for term in terms:
        result = np.maximum(result, np.asarray(term, dtype=np.float64))
    return result

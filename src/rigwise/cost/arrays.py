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
        if ours and _fits(more.shape, result.shape):
            result += more
        elif result.ndim == 0 and not ours and not result:
            result = more
        else:
            result, ours = np.asarray(result + more), True
    return result


def _fits(small: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether an array of the small shape broadcasts to the other."""
    return len(small) <= len(shape) and all(n in (1, m) for n, m in zip(small[::-1], shape[::-1], strict=False))


def largest(terms: Iterable[ArrayLike]) -> Floats:
    """The elementwise maximum of non-negative arrays of different shapes; 0 of none.

    >>> largest([np.array([1.0, 5.0]), np.array(3.0)]).tolist()
    [3.0, 5.0]
    """
    result: Floats = np.zeros(())
    for term in terms:
        result = np.maximum(result, np.asarray(term, dtype=np.float64))
    return result

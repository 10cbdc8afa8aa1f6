"""The dims of a graph's values as products of axes, so that a cut can be followed through views and sums.

A dim is a list of axes, the slowest first: the 384 outputs of a fused projection that is viewed as (3, 4 heads, 32)
are [3, 4, 32]. What must be cut alike is one axis (`unify`). An axis may turn out to be a product of others (a view
splits it) or a row of others (a chunk or a cat: `terms`). What cannot be aligned is no error: whoever asks keeps the
value whole there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from rigwise.layouts.pieces import pieces


class Axis:
    """Indices 0 to size. Of two that were unified one stands for both (`find`)."""

    __slots__ = ("parts", "same", "size", "terms")

    def __init__(self, size: int) -> None:
        self.size = size
        self.same: Axis | None = None
        self.parts: list[Axis] | None = None  # a product, slowest first
        self.terms: list[list[Axis]] | None = None  # a row of products

    def find(self) -> Axis:
        """The axis that stands for this one."""
        axis = self
        while axis.same is not None:
            axis = axis.same
        return axis


Axes = list[Axis]


def fresh(size: int) -> Axes:
    """A dim of its own; nothing for a dim of one."""
    return [Axis(size)] if size != 1 else []


def leaves(axes: Sequence[Axis]) -> Axes:
    """The axes of a dim, products taken apart."""
    found: Axes = []
    for axis in axes:
        top = axis.find()
        found += leaves(top.parts) if top.parts is not None else [top]
    return found


def size_of(axes: Sequence[Axis]) -> int:
    """Indices of a dim."""
    return prod(axis.size for axis in axes)


def unify(first: Sequence[Axis], second: Sequence[Axis]) -> bool:
    """Make two dims of one size the same; False, and nothing is changed, where they cannot be aligned."""
    a, b = leaves(first), leaves(second)
    if not _aligns(a, b):
        return False
    _align(a, b)
    return True


def _aligns(a: Axes, b: Axes) -> bool:
    if prod(x.size for x in a) != prod(x.size for x in b):
        return False
    left, right = [(x, x.size) for x in a], [(x, x.size) for x in b]
    while left and right:
        (x, m), (y, n) = left.pop(0), right.pop(0)
        if x is y and m == n:
            continue
        split = x.terms is not None and y.terms is not None
        if m == n:
            if split and m == x.size and n == y.size and not _terms_align(x, y):
                return False
            if (x.terms is not None and m != x.size) or (y.terms is not None and n != y.size):
                return False
        elif max(m, n) % min(m, n) or (x if m > n else y).terms is not None:
            return False
        elif m > n:
            left.insert(0, (x, m // n))
        else:
            right.insert(0, (y, n // m))
    return not left and not right


def _terms_align(x: Axis, y: Axis) -> bool:
    assert x.terms is not None
    assert y.terms is not None
    return len(x.terms) == len(y.terms) and all(
        _aligns(leaves(s), leaves(t)) for s, t in zip(x.terms, y.terms, strict=True)
    )


def _align(a: Axes, b: Axes) -> None:
    left, right = list(a), list(b)
    while left and right:
        one, other = leaves([left.pop(0)]), leaves([right.pop(0)])
        x, y = one[0], other[0]
        left[:0], right[:0] = one[1:], other[1:]
        if x is y:
            continue
        if x.size == y.size:
            _merge(x, y)
        elif x.size > y.size:
            left.insert(0, _outer(x, y))
        else:
            right.insert(0, _outer(y, x))


def _outer(large: Axis, small: Axis) -> Axis:
    """Make `small` the slower factor of `large`; the faster one."""
    inner = Axis(large.size // small.size)
    large.parts = [small, inner]
    return inner


def _merge(x: Axis, y: Axis) -> None:
    if x.terms is not None and y.terms is not None:
        for s, t in zip(x.terms, y.terms, strict=True):
            unify(s, t)
    if y.terms is not None and x.terms is None:
        x, y = y, x
    y.same = x


def regroup(dims: Sequence[Sequence[Axis]], sizes: Sequence[int]) -> list[Axes] | None:
    """The axes of dims viewed in other sizes; None where a size cuts through an axis that it does not divide."""
    left = leaves([axis for dim in dims for axis in dim])
    made: list[Axes] = []
    for size in sizes:
        dim: Axes = []
        rest = size
        while rest > 1:
            if not left:
                return None
            axis = leaves([left.pop(0)])
            left[:0] = axis[1:]
            first = axis[0]
            if first.size > rest:
                if first.size % rest or first.terms is not None:
                    return None
                outer = Axis(rest)
                left.insert(0, _outer(first, outer))
                first = outer
            elif rest % first.size:
                return None
            rest //= first.size
            dim.append(first)
        made.append(dim)
    return None if left else made


def cut_row(axes: Sequence[Axis], start: int, stop: int) -> Axes | None:
    """The axes of indices start:stop of a dim, which becomes a row of terms; None where it cannot."""
    found = leaves(axes)
    if len(found) != 1:
        return None
    axis, size = found[0], found[0].size
    if start == 0 and stop == size:
        return [axis]
    if axis.terms is None:
        bounds = sorted({0, start, stop, size})
        axis.terms = [fresh(b - a) for a, b in pairwise(bounds)]
    begin = 0
    for term in axis.terms:
        end = begin + size_of(term)
        if begin <= start and stop <= end:
            return term if (begin, end) == (start, stop) else cut_row(term, start - begin, stop - begin)
        begin = end
    return None


def row_of(dims: Sequence[Sequence[Axis]]) -> Axes:
    """One dim out of several after each other (a cat)."""
    axis = Axis(sum(size_of(dim) for dim in dims))
    axis.terms = [list(dim) for dim in dims]
    return [axis]


def occurrences(axes: Sequence[Axis], chosen: Axis) -> int:
    """How often a chosen axis is in a dim; -1 where only some terms of a row have it, or one has it twice."""
    total = 0
    for axis in leaves(axes):
        if axis is chosen:
            total += 1
        elif axis.terms is not None:
            inside = {occurrences(term, chosen) for term in axis.terms}
            if inside != {0}:
                if inside != {1}:
                    return -1
                total += 1
    return total


def indices(axes: Sequence[Axis], chosen: Axis, ranks: int, rank: int) -> NDArray[np.int64]:
    """The indices of a dim that a rank holds where `chosen` is shared out over the ranks (layouts/pieces.py)."""
    held = np.zeros(1, dtype=np.int64)
    for axis in leaves(axes):
        own = np.arange(axis.size)
        if axis is chosen:
            own = own[pieces(axis.size, ranks)[rank]]
        elif axis.terms is not None and occurrences([axis], chosen):
            begins = np.cumsum([0, *(size_of(term) for term in axis.terms)])
            rows = [b + indices(term, chosen, ranks, rank) for b, term in zip(begins, axis.terms, strict=False)]
            own = np.concatenate(rows)
        held = (held[:, None] * axis.size + own[None, :]).ravel()
    return held.astype(np.int64)

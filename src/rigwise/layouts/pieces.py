"""Who holds which piece of a dense layer, and what must be exchanged: the algebra of the two articles on parallelism.

B batch, I inputs, O outputs, n ranks. A layer is C = A . W with A (B x I), W (I x O); backward it hands on
delta_i = delta_j . W^T and takes the gradient A^T . delta_j. Three ways to split it:

    split    a rank holds     forward      backward     gradient
    data     samples of A     its own      its own      partial results are ADDED
    rows     inputs of W      ADDED        STACKED      its own
    columns  outputs of W     STACKED      ADDED        its own

A part that a rank only has a share of (STACKED) is handed on as the piece it is; a partial result (ADDED) has to be
handed on whole. What does not divide goes to the last rank.

Source: T. Dettmers, How To Parallelize Deep Learning on GPUs, part 1 Data Parallelism and part 2 Model Parallelism
(2014); the last-rank rule is that of his library.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.errors import UsageError

SplitKind = Literal["data", "rows", "columns"]
Combine = Literal["own", "add", "stack"]
Pass = Literal["forward", "backward", "gradient"]
Shape = tuple[int, int]
Floats = NDArray[np.float64]
KINDS: tuple[SplitKind, ...] = get_args(SplitKind)
PASSES: tuple[Pass, ...] = get_args(Pass)
COMBINES: dict[SplitKind, tuple[Combine, Combine, Combine]] = {
    "data": ("own", "own", "add"),
    "rows": ("add", "stack", "own"),
    "columns": ("stack", "add", "own"),
}
"""How the results of the ranks become one: forward, backward, gradient."""


def divide(total: int, ranks: int) -> tuple[int, ...]:
    """What each rank holds of `total` things; the last takes what is left over.

    >>> divide(10, 4), divide(1000, 4)
    ((2, 2, 2, 4), (250, 250, 250, 250))
    """
    if not 1 <= ranks <= total:
        raise UsageError(f"{total} over {ranks} ranks", rule="every rank holds at least one", nearest=f"{total} ranks")
    return (*(total // ranks,) * (ranks - 1), total - total // ranks * (ranks - 1))


def pieces(total: int, ranks: int) -> tuple[slice, ...]:
    """Where each rank's piece lies along a dim of `total`.

    >>> pieces(10, 4)[-1]
    slice(6, 10, None)
    """
    ends = accumulate(divide(total, ranks), initial=0)
    return tuple(slice(a, b) for a, b in pairwise(ends))


def largest_piece(total: ArrayLike, ranks: ArrayLike) -> Floats:
    """The last rank's piece, which is the largest; broadcasts.

    >>> largest_piece(10, [1, 2, 4]).tolist()
    [10.0, 5.0, 4.0]
    """
    t, n = np.asarray(total, dtype=np.float64), np.asarray(ranks, dtype=np.float64)
    return np.asarray(t - (n - 1) * (t // n))


def handed_on(
    kind: SplitKind, batch: ArrayLike, inputs: ArrayLike, outputs: ArrayLike, ranks: ArrayLike
) -> tuple[Floats, Floats, Floats]:
    """Elements that the last rank hands to each other rank: forward, backward, for gradients; broadcasts.

    An added result is handed on whole, a stacked one as the piece it is (article 4's count): data (0, 0, I O),
    rows (B O, B I/n, 0), columns (B O/n, B I, 0); all 0 on one rank. Left out: how often a collective moves an element
    on its way (`ring` in exchange.py).

    >>> [float(sum(handed_on(kind, 128, 1000, 500, 2))) for kind in KINDS]
    [500000.0, 128000.0, 160000.0]
    """
    b, i, o, n = (np.asarray(a, dtype=np.float64) for a in (batch, inputs, outputs, ranks))
    several = n > 1
    nothing = np.zeros(np.broadcast_shapes(b.shape, i.shape, o.shape, n.shape))
    if kind == "data":
        return nothing, nothing, i * o * several + nothing
    if kind == "rows":
        return b * o * several + nothing, b * largest_piece(i, n) * several + nothing, nothing
    return b * largest_piece(o, n) * several + nothing, b * i * several + nothing, nothing


def break_even_batch(kind: SplitKind, inputs: ArrayLike, outputs: ArrayLike, ranks: ArrayLike) -> Floats:
    """The batch at which a split by model hands on as many elements as data parallelism; below it, it hands on fewer.

    rows: B (O + I/n) = I O; columns: B (O/n + I) = I O; broadcasts. NaN for data itself and on one rank. Article 4's
    example, 1000 x 500 on two ranks, gives 2 B 500 and B (250 + 1000).

    >>> break_even_batch("rows", 1000, 500, 2).item(), break_even_batch("columns", 1000, 500, 2).item()
    (500.0, 400.0)
    """
    per_sample = sum(handed_on(kind, 1, inputs, outputs, ranks)[:2])
    gradients = handed_on("data", 1, inputs, outputs, ranks)[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(per_sample > 0, gradients / per_sample, np.nan))


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One of the three products of a layer under a split: left . right = result, a shape (rows, columns) each rank.

    of: the pass. combine: what makes the ranks' results one: "own" (each keeps its piece), "add" or "stack". whole: the
    shape of the unsplit result.
    """

    of: Pass
    left: tuple[Shape, ...]
    right: tuple[Shape, ...]
    result: tuple[Shape, ...]
    whole: Shape
    combine: Combine

    @property
    def handed_on(self) -> tuple[int, ...]:
        """Elements that each rank hands to each other rank."""
        alone = self.combine == "own" or len(self.result) == 1
        return tuple(0 if alone else rows * columns for rows, columns in self.result)


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseSplit:
    """A dense layer under one split: its three products, and elements that each rank keeps in memory."""

    kind: SplitKind
    forward: Product
    backward: Product
    gradient: Product
    weights: tuple[int, ...]  # elements of W a rank; its gradient is as large
    activations: tuple[int, ...]  # elements of A, as the rank needs it, and of C after it was combined

    @property
    def products(self) -> tuple[Product, Product, Product]:
        """Forward, backward, gradient."""
        return self.forward, self.backward, self.gradient

    @property
    def handed_on(self) -> int:
        """Elements that the busiest rank hands to each other rank in a step."""
        return sum(max(product.handed_on) for product in self.products)


def split(kind: SplitKind, batch: int, inputs: int, outputs: int, ranks: int) -> DenseSplit:
    """A dense layer divided over ranks; UsageError where a rank would hold nothing.

    >>> columns = split("columns", 128, 1000, 500, 2)
    >>> columns.forward.right, columns.forward.result, columns.forward.combine
    (((1000, 250), (1000, 250)), ((128, 250), (128, 250)), 'stack')
    """
    cut = {"data": batch, "rows": inputs, "columns": outputs}[kind]
    held = divide(cut, ranks)
    b, i, o = (held if kind == axis else (whole,) * ranks for axis, whole in zip(KINDS, (batch, inputs, outputs)))
    whole = ((batch, outputs), (batch, inputs), (inputs, outputs))
    factors = (
        (_shapes(b, i), _shapes(i, o), _shapes(b, o)),
        (_shapes(b, o), _shapes(o, i), _shapes(b, i)),
        (_shapes(i, b), _shapes(b, o), _shapes(i, o)),
    )
    forward, backward, gradient = (
        Product(of=of, left=left, right=right, result=result, whole=shape, combine=combine)
        for of, (left, right, result), shape, combine in zip(PASSES, factors, whole, COMBINES[kind], strict=True)
    )
    combined = b if kind == "data" else (batch,) * ranks
    return DenseSplit(
        kind=kind,
        forward=forward,
        backward=backward,
        gradient=gradient,
        weights=tuple(x * y for x, y in zip(i, o, strict=True)),
        activations=tuple(x * y + z * outputs for x, y, z in zip(b, i, combined, strict=True)),
    )


def _shapes(rows: tuple[int, ...], columns: tuple[int, ...]) -> tuple[Shape, ...]:
    return tuple(zip(rows, columns, strict=True))


_PROBLEM = re.compile(r"\s*([^x×*]+)[x×*]([^x×*]+)[x×*]([^x×*]+)$")


def parse_problem(text: str) -> tuple[int, int, int]:
    """Read batch x inputs x outputs.

    >>> parse_problem("128x1000x500")
    (128, 1000, 500)
    """
    rule = "BATCHxINPUTSxOUTPUTS, whole numbers of at least 1"
    match = _PROBLEM.match(text)
    if not match:
        raise UsageError(f"cannot read {text!r} as a dense layer", rule=rule, nearest="128x1000x500")
    sizes = []
    for name, word in zip(("batch", "inputs", "outputs"), match.groups(), strict=True):
        digits = word.strip().replace("_", "")
        if not (digits.isascii() and digits.isdigit() and int(digits) > 0):
            raise UsageError(f"{name} is {word.strip()!r} in {text!r}", rule=rule)
        sizes.append(int(digits))
    return sizes[0], sizes[1], sizes[2]

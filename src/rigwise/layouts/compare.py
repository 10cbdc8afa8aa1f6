"""One dense layer under every split, side by side: what `rigwise split 128x1000x500 --ranks 2` shows.

And the proof that a split changes nothing: `execute` does it with NumPy, one array a rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError
from rigwise.layouts.exchange import all_gather, all_reduce
from rigwise.layouts.pieces import (
    COMBINES,
    KINDS,
    Combine,
    DenseSplit,
    Product,
    SplitKind,
    break_even_batch,
    pieces,
    split,
)
from rigwise.layouts.teaching import MessageTime, batch_warnings, message_s

Matrix = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """Every split of one dense layer that gives each rank something, and the reason for those that do not.

    break_even: the batch from which data parallelism hands on fewer elements, by split. element_bytes: bytes a number.
    rate: bytes/s of the link between ranks, None where nobody said.
    """

    batch: int
    inputs: int
    outputs: int
    ranks: int
    element_bytes: float
    splits: tuple[DenseSplit, ...]
    refused: Mapping[SplitKind, str] = field(default_factory=dict)
    break_even: Mapping[SplitKind, float] = field(default_factory=dict)
    rate: float | None = None

    @property
    def least(self) -> DenseSplit:
        """The split that hands on the fewest elements, the plainest of equals."""
        return min(self.splits, key=lambda s: s.handed_on)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What article 5 warns of where each rank takes a share of this batch."""
        return batch_warnings(self.batch, self.ranks) if self.ranks > 1 else ()

    def bytes_handed_on(self, one: DenseSplit) -> float:
        """Bytes that the busiest rank hands to each other rank in a step."""
        return one.handed_on * self.element_bytes

    def seconds(self, one: DenseSplit) -> MessageTime | None:
        """Seconds of those bytes over the link, in both readings of its giga; None where no rate is known."""
        return None if self.rate is None else message_s(self.bytes_handed_on(one), self.rate)

    def ring_bytes(self, one: DenseSplit) -> float:
        """Bytes that a rank sends in a step where rings do the exchange."""
        return self.element_bytes * sum(ring_elements(product) for product in one.products)

    def memory(self, one: DenseSplit) -> Mapping[str, tuple[float, ...]]:
        """Bytes each rank holds, by part."""
        parts = {"weights": one.weights, "gradients": one.weights, "activations": one.activations}
        return {part: tuple(n * self.element_bytes for n in counts) for part, counts in parts.items()}

    def to_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "batch": self.batch,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "ranks": self.ranks,
            "element_bytes": self.element_bytes,
            "splits": [self._split_dict(one) for one in self.splits],
            "refused": dict(self.refused),
            "break_even_batch": dict(self.break_even),
            "least": self.least.kind,
            "rate": self.rate,
            "warnings": list(self.warnings),
        }

    def _split_dict(self, one: DenseSplit) -> dict[str, Any]:
        time = self.seconds(one)
        products = [{**asdict(p), "handed_on": p.handed_on, "ring_elements": ring_elements(p)} for p in one.products]
        return {
            "kind": one.kind,
            "products": products,
            "elements": one.handed_on,
            "bytes": self.bytes_handed_on(one),
            "ring_bytes": self.ring_bytes(one),
            "seconds": None if time is None else asdict(time),
            "memory_bytes": dict(self.memory(one)),
        }


def ring_elements(product: Product) -> float:
    """Elements that a rank sends where rings do the exchange: added by an all-reduce, stacked by an all-gather."""
    whole, ranks = math.prod(product.whole), len(product.result)
    if product.combine == "own":
        return 0.0
    return float(all_reduce(whole, ranks) if product.combine == "add" else all_gather(whole, ranks))


def compare(
    batch: int, inputs: int, outputs: int, ranks: int, element_bytes: float = 4.0, rate: float | None = None
) -> SplitReport:
    """A dense layer under each split; UsageError for sizes below 1 and where no split gives every rank something.

    >>> report = compare(128, 1000, 500, ranks=2)
    >>> {s.kind: s.handed_on for s in report.splits}, report.least.kind
    ({'data': 500000, 'rows': 128000, 'columns': 160000}, 'rows')
    """
    sizes: dict[str, float] = {
        "batch": batch,
        "inputs": inputs,
        "outputs": outputs,
        "ranks": ranks,
        "element_bytes": element_bytes,
    }
    sizes |= {} if rate is None else {"rate": rate}
    for name, size in sizes.items():
        if not size > 0:
            raise UsageError(f"{name} is {size}", rule=f"{name} is above 0")
    cut = dict(zip(KINDS, ((batch, "samples"), (inputs, "inputs"), (outputs, "outputs")), strict=True))
    refused = {k: f"{n} {what} over {ranks} ranks leave some with none" for k, (n, what) in cut.items() if n < ranks}
    if len(refused) == len(KINDS):
        most = max(n for n, _ in cut.values())
        raise UsageError(
            f"a layer {batch}x{inputs}x{outputs} over {ranks} ranks",
            rule="every rank holds a sample, an input or an output",
            nearest=f"{most} ranks",
        )
    splits = tuple(split(kind, batch, inputs, outputs, ranks) for kind in KINDS if kind not in refused)
    compared: list[SplitKind] = [k for k in KINDS if k != "data" and k not in refused and ranks > 1]
    return SplitReport(
        batch=batch,
        inputs=inputs,
        outputs=outputs,
        ranks=ranks,
        element_bytes=element_bytes,
        splits=splits,
        refused=refused,
        break_even={k: float(break_even_batch(k, inputs, outputs, ranks)) for k in compared},
        rate=rate,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What the ranks computed together: C (B x O), the delta handed on (B x I), the gradient of W (I x O)."""

    forward: Matrix
    backward: Matrix
    gradient: Matrix


def execute(kind: SplitKind, a: Matrix, w: Matrix, delta: Matrix, ranks: int) -> Executed:
    """Do a layer's three products piece by piece, as the ranks would, and combine them as COMBINES says.

    a (B x I), w (I x O), delta (B x O). Equals a . w, delta . w^T and a^T . delta up to the order of additions.
    """
    axis = KINDS.index(kind)  # which of B, I, O is cut
    cut = pieces((a.shape[0], *w.shape)[axis], ranks)
    held = [_hold(axis, piece, a, w, delta) for piece in cut]
    products: Sequence[Callable[[Matrix, Matrix, Matrix], Matrix]] = (
        lambda x, y, d: x @ y,
        lambda x, y, d: d @ y.T,
        lambda x, y, d: x.T @ d,
    )
    dims = ((0, 2), (0, 1), (1, 2))  # of C, of the delta handed on, of the gradient
    forward, backward, gradient = (
        _combine(combine, [product(*rank) for rank in held], dim.index(axis) if axis in dim else 0)
        for combine, product, dim in zip(COMBINES[kind], products, dims, strict=True)
    )
    return Executed(forward=forward, backward=backward, gradient=gradient)


def _hold(axis: int, piece: slice, a: Matrix, w: Matrix, delta: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    b, i, o = (piece if axis == n else slice(None) for n in range(3))
    return a[b, i], w[i, o], delta[b, o]


def _combine(combine: Combine, parts: list[Matrix], dim: int) -> Matrix:
    """Partial results are added; pieces, stacked or kept by their ranks, lie side by side."""
    if combine == "add":
        total = parts[0].copy()
        for part in parts[1:]:
            total += part
        return total
    return np.concatenate(parts, axis=dim)

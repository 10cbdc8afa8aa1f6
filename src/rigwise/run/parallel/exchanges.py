"""What ranks send each other inside a forward and backward pass, as functions that autograd knows, and their count.

A value is whole (the same on all ranks), cut (each rank has some indices of one dim), or partial (to be ADDED). Each
function goes from one state to another, and its backward pass goes the way back for the gradient:

    forward                    backward                    used where
    spread    whole, as it is  partial -> whole (add)      a whole value enters a cut operation
    add       partial -> whole as it is                    a cut operation summed over what was cut
    stack     cut -> whole     own piece of the whole      a cut value enters a whole operation
    collect   cut -> whole     partial -> cut              a value cut one way enters an operation cut another way
    shard     whole -> cut     cut -> whole                a whole value enters an operation that is cut along it
    settle    partial -> cut   cut -> whole                a cut operation's sum is cut along another dim

Own functions, since DTensor gives wrong results for a convolution that is cut along its input channels (torch 2.13).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from rigwise.layouts.exchange import Collective, all_gather, all_reduce, all_to_all, reduce_scatter
from rigwise.layouts.pieces import Pass

_LAW = {"all_reduce": all_reduce, "all_gather": all_gather, "reduce_scatter": reduce_scatter, "all_to_all": all_to_all}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One collective. elements: of the whole tensor (all_to_all: of what a rank holds); item: bytes of an element.
    leaving: elements that left this rank, where they are no equal parts.
    """

    of: Pass
    collective: Collective
    elements: int
    ranks: int
    item: int
    leaving: int | None = None

    @property
    def bytes(self) -> float:
        """Bytes that this rank sends: counted, or by the law that a cost reads (layouts/exchange.py)."""
        if self.leaving is not None:
            return float(self.leaving) * self.item
        return float(_LAW[self.collective](self.elements, self.ranks)) * self.item


_ledgers: list[list[Sent]] = []


@contextmanager
def counting() -> Iterator[list[Sent]]:
    """Write down every collective of this rank that is started inside."""
    ledger: list[Sent] = []
    _ledgers.append(ledger)
    try:
        yield ledger
    finally:
        _ledgers.remove(ledger)


def count(
    of: Pass,
    collective: Collective,
    tensor: torch.Tensor,
    ranks: int,
    elements: int | None = None,
    leaving: int | None = None,
) -> None:
    """Write a collective down where somebody counts; elements: of the whole where that is not the tensor's own;
    leaving: as Sent has it.
    """
    for ledger in _ledgers:
        size, item = tensor.numel() if elements is None else elements, tensor.element_size()
        ledger.append(Sent(of=of, collective=collective, elements=size, ranks=ranks, item=item, leaving=leaving))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """How a dim lies on the ranks of a group: the indices of each rank, in the order in which it holds them."""

    dim: int
    size: int
    held: tuple[NDArray[np.int64], ...]
    group: dist.ProcessGroup = field(compare=False)
    rank: int  # within the group
    weight: bool = False  # what is exchanged is a weight: its way back is a gradient's

    @property
    def ranks(self) -> int:
        """Ranks of the group."""
        return len(self.held)


def pick(tensor: torch.Tensor, dim: int, index: NDArray[np.int64]) -> torch.Tensor:
    """These indices of a dim: a view where they are neighbours."""
    if len(index) and int(index[-1]) - int(index[0]) + 1 == len(index) and bool(np.all(np.diff(index) == 1)):
        return tensor.narrow(dim, int(index[0]), len(index))
    return tensor.index_select(dim, torch.from_numpy(index).to(tensor.device))


def _add(tensor: torch.Tensor, cut: Cut, of: Pass) -> torch.Tensor:
    total = tensor.contiguous().clone()
    count(of, "all_reduce", total, cut.ranks)
    dist.all_reduce(total, group=cut.group)
    return total


def _stack(piece: torch.Tensor, cut: Cut, of: Pass) -> torch.Tensor:
    """The whole from all pieces. Unequal pieces travel padded to the longest: gloo gathers equal ones only."""
    longest = max(len(held) for held in cut.held)
    rows = piece.movedim(cut.dim, 0)
    sent = rows.new_zeros(longest, *rows.shape[1:]) if len(rows) < longest else rows.contiguous()
    sent[: len(rows)] = rows
    got = sent.new_empty(cut.ranks * longest, *rows.shape[1:])
    count(of, "all_gather", sent, cut.ranks, sent.numel() * cut.ranks)
    dist.all_gather_into_tensor(got, sent, group=cut.group)
    parts = [got[r * longest : r * longest + len(held)] for r, held in enumerate(cut.held)]
    whole = torch.cat(parts) if any(len(held) < longest for held in cut.held) else got
    order = np.concatenate(cut.held)
    if not np.array_equal(order, np.arange(cut.size)):
        whole = whole.index_select(0, torch.from_numpy(np.argsort(order)).to(whole.device))
    return whole.movedim(0, cut.dim)


def gather(piece: torch.Tensor, cut: Cut, of: Pass) -> torch.Tensor:
    """The whole from all pieces, outside of autograd."""
    return _stack(piece, cut, of)


def _settle(partial: torch.Tensor, cut: Cut, of: Pass) -> torch.Tensor:
    """This rank's piece of the sum; unequal pieces travel padded to the longest."""
    longest = max(len(held) for held in cut.held)
    rows = partial.movedim(cut.dim, 0)
    sent = rows.new_zeros(cut.ranks, longest, *rows.shape[1:])
    for r, held in enumerate(cut.held):
        sent[r, : len(held)] = pick(rows, 0, held)
    got = sent.new_empty(longest, *rows.shape[1:])
    count(of, "reduce_scatter", sent, cut.ranks)
    dist.reduce_scatter_tensor(got, sent.flatten(0, 1), group=cut.group)
    return got[: len(cut.held[cut.rank])].movedim(0, cut.dim)


def _own(whole: torch.Tensor, cut: Cut) -> torch.Tensor:
    return pick(whole, cut.dim, cut.held[cut.rank])


class _Exchange(torch.autograd.Function):
    """forward and backward: one of the ways above each."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cut: Cut, there: str, back: str) -> torch.Tensor:
        ctx.cut, ctx.back = cut, back
        return _go(there, x, cut, "forward")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        of: Pass = "gradient" if ctx.cut.weight else "backward"
        return _go(ctx.back, gradient, ctx.cut, of), None, None, None


def _go(way: str, x: torch.Tensor, cut: Cut, of: Pass) -> torch.Tensor:
    if way == "same":
        return x.view_as(x)
    if way == "own":
        return _own(x, cut).contiguous()
    return {"add": _add, "stack": _stack, "settle": _settle}[way](x, cut, of)


def _apply(x: torch.Tensor, cut: Cut, there: str, back: str) -> torch.Tensor:
    return cast(torch.Tensor, _Exchange.apply(x, cut, there, back))  # type: ignore[no-untyped-call]


def spread(x: torch.Tensor, cut: Cut) -> torch.Tensor:
    """A whole value for a cut operation: its gradients are partial and ADDED."""
    return _apply(x, cut, "same", "add")


def add(x: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Partial results ADDED."""
    return _apply(x, cut, "add", "same")


def stack(x: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Pieces STACKED for a whole operation."""
    return _apply(x, cut, "stack", "own")


def collect(x: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Pieces STACKED for an operation that is cut otherwise: its gradients are partial."""
    return _apply(x, cut, "stack", "settle")


def shard(x: torch.Tensor, cut: Cut) -> torch.Tensor:
    """This rank's piece of a whole value; gradients are STACKED."""
    return _apply(x, cut, "own", "stack")


def settle(x: torch.Tensor, cut: Cut) -> torch.Tensor:
    """Partial results ADDED, each rank keeping its piece of the sum."""
    return _apply(x, cut, "settle", "stack")

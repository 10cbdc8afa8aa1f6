"""What ranks send each other inside a forward and backward pass, as functions that autograd knows.

A value is whole (the same on all ranks), cut (each rank has some indices of one dim), or partial (to be ADDED). Each
function goes from one state to another, and its backward pass goes the way back for the gradient:

    forward                    backward                    used where
    spread    whole, as it is  partial -> whole (add)      a whole value enters a cut operation
    add       partial -> whole as it is                    a cut operation summed over what was cut
    stack     cut -> whole     own piece of the whole      a cut value enters a whole operation
    collect   cut -> whole     partial -> cut              a value cut one way enters an operation cut another way
    shard     whole -> cut     cut -> whole                a whole value enters an operation that is cut along it
    settle    partial -> cut   cut -> whole                a cut operation's sum is cut along another dim
    swap      cut -> cut       cut -> cut                  a value cut one way enters an operation cut another

Own functions, since DTensor gives wrong results for a convolution that is cut along its input channels (torch 2.13).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch.autograd.function import once_differentiable

from rigwise.layouts.pieces import Pass
from rigwise.run.parallel.sending import sending


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
    with sending(of, "all_reduce", total, cut.ranks):
        dist.all_reduce(total, group=cut.group)
    return total


def _stack(piece: torch.Tensor, cut: Cut, of: Pass) -> torch.Tensor:
    """The whole from all pieces. Unequal pieces travel padded to the longest: gloo gathers equal ones only."""
    longest = max(len(held) for held in cut.held)
    rows = piece.movedim(cut.dim, 0)
    sent = rows.contiguous()
    if len(rows) < longest:
        sent = rows.new_zeros(longest, *rows.shape[1:])
        sent[: len(rows)] = rows
    got = sent.new_empty(cut.ranks * longest, *rows.shape[1:])
    with sending(of, "all_gather", sent, cut.ranks, sent.numel() * cut.ranks):
        dist.all_gather_single(got, sent, group=cut.group)
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
    with sending(of, "reduce_scatter", sent, cut.ranks):
        dist.reduce_scatter_single(got, sent.flatten(0, 1), group=cut.group)
    return got[: len(cut.held[cut.rank])].movedim(0, cut.dim)


def merged(pieces: Sequence[torch.Tensor], cut: Cut) -> torch.Tensor:
    """The whole from the pieces of all ranks, each as its rank holds it."""
    whole = torch.cat(list(pieces), cut.dim)
    order = np.concatenate(cut.held)
    if not np.array_equal(order, np.arange(cut.size)):
        whole = whole.index_select(cut.dim, torch.from_numpy(np.argsort(order)).to(whole.device))
    return whole


def _swap(x: torch.Tensor, now: Cut, then: Cut, of: Pass) -> torch.Tensor:
    """This rank's indices of another dim: every rank sends each other what it has of them."""
    leaving = [pick(x, then.dim, held).contiguous() for held in then.held]
    shape = list(x.shape)
    shape[then.dim] = len(then.held[then.rank])
    shapes = [[len(held) if dim == now.dim else size for dim, size in enumerate(shape)] for held in now.held]
    coming = [prod(one) for one in shapes]
    got = x.new_empty(sum(coming))
    sends = [piece.numel() for piece in leaving]
    flat = torch.cat([piece.flatten() for piece in leaving])
    with sending(of, "all_to_all", x, now.ranks, leaving=sum(sends) - sends[now.rank]):
        dist.all_to_all_single(got, flat, coming, sends, group=now.group)
    return merged([piece.view(one) for piece, one in zip(got.split(coming), shapes, strict=True)], now)


class _Swap(torch.autograd.Function):
    """Cut one way forward, the other way backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, now: Cut, then: Cut) -> torch.Tensor:
        ctx.ways = now, then
        return _swap(x, now, then, "forward")

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        now, then = ctx.ways
        return _swap(gradient, then, now, "backward"), None, None


def swap(x: torch.Tensor, now: Cut, then: Cut) -> torch.Tensor:
    """What is cut along one dim, cut along another."""
    return cast(torch.Tensor, _Swap.apply(x, now, then))  # type: ignore[no-untyped-call]


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

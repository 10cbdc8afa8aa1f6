"""What needs more than a rank's own tokens where a sequence is cut: attention, the loss, sums over tokens.

Attention takes own queries, and keys and values of all ranks. These are gathered forward, gathered again backward
instead of being kept, and their gradients are added and cut again: the moves of `by_context` (layouts/exchange.py).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn

from rigwise.run.parallel import exchanges
from rigwise.run.parallel.exchanges import Cut
from rigwise.run.parallel.regather import gathering_again, remember
from rigwise.run.parallel.sending import waiting

Tensor = torch.Tensor


class ContextAttention(nn.Module):
    """cut: how the keys' dim of tokens lies on the ranks. causal: a token sees those before it and itself."""

    def __init__(self, cut: Cut, *, causal: bool, scale: float | None, grouped: bool) -> None:
        super().__init__()
        self.cut, self.causal, self.scale, self.grouped = cut, causal, scale, grouped
        self.runs = _runs(cut.held[cut.rank])

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        """q, k, v [.., S of this rank, E], mask [.., S, S] of all tokens: as q."""
        if k.shape != v.shape:
            return self._attend(q, exchanges.collect(k, self.cut), exchanges.collect(v, self.cut), mask)
        pair = torch.stack([k, v])
        both = Cut(
            dim=self.cut.dim + 1, size=self.cut.size, held=self.cut.held, group=self.cut.group, rank=self.cut.rank
        )
        whole = exchanges.collect(pair, both).contiguous()
        with gathering_again():
            remember(whole, pair, both)
            return self._attend(q, whole[0], whole[1], mask)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        made, at = [], 0
        for start, stop in self.runs:
            rows = q.narrow(-2, at, stop - start)
            at += stop - start
            end = stop if self.causal else k.shape[-2]
            made.append(
                nn.functional.scaled_dot_product_attention(
                    rows,
                    k[..., :end, :],
                    v[..., :end, :],
                    attn_mask=self._mask(mask, start, stop, end, q.device),
                    is_causal=self.causal and start == 0,
                    scale=self.scale,
                    enable_gqa=self.grouped,
                )
            )
        return torch.cat(made, -2) if len(made) > 1 else made[0]

    def _mask(self, mask: Tensor | None, start: int, stop: int, end: int, device: torch.device) -> Tensor | None:
        if mask is not None:
            return mask[..., start:stop, :] if mask.dim() > 1 and mask.shape[-2] > 1 else mask
        if not self.causal or start == 0:
            return None
        return torch.ones(stop - start, end, dtype=torch.bool, device=device).tril(start)


def _runs(held: Any) -> list[tuple[int, int]]:
    """Tokens in runs, start and stop."""
    cuts = [0, *(np.flatnonzero(np.diff(held) != 1) + 1).tolist(), len(held)]
    return [(int(held[a]), int(held[b - 1]) + 1) for a, b in pairwise(cuts)]


class Own(nn.Module):
    """This rank's tokens of a value that all ranks have whole."""

    def __init__(self, dim: int, index: NDArray[np.int64]) -> None:
        super().__init__()
        self.dim, self.index = dim, index

    def forward(self, x: Tensor) -> Tensor:
        """Some indices of one dim."""
        return exchanges.pick(x, self.dim, self.index)


class _Total(torch.autograd.Function):
    """The sum over ranks; backward the sum of what the ranks ask for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, group: Any) -> Tensor:
        ctx.group = group
        total = x.contiguous().clone()
        with waiting():
            dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        total = gradients[0].contiguous().clone()
        with waiting():
            dist.all_reduce(total, group=ctx.group)
        return total, None


def total(x: Tensor, group: Any) -> Tensor:
    """The sum of a small tensor over ranks, on all of them."""
    made: Tensor = _Total.apply(x, group)  # type: ignore[no-untyped-call]
    return made


class Reduced(nn.Module):
    """A sum or mean over tokens, from each rank's own."""

    def __init__(self, group: Any, ranks: int, mean: bool) -> None:
        super().__init__()
        self.group, self.ranks, self.mean = group, ranks, mean

    def forward(self, x: Tensor) -> Tensor:
        """Each rank's result: that of all."""
        whole = total(x, self.group)
        return whole / self.ranks if self.mean else whole


class ContextLoss(nn.Module):
    """Cross entropy over the tokens of all ranks; the mean counts those that are not ignored, wherever they are."""

    def __init__(self, group: Any, *, ignored: int, mean: bool) -> None:
        super().__init__()
        self.group, self.ignored, self.mean = group, ignored, mean

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Scores [T of this rank, V], targets [T]: a scalar, the same on all ranks."""
        losses = nn.functional.cross_entropy(scores, targets, ignore_index=self.ignored, reduction="sum")
        whole = total(losses, self.group)
        if not self.mean:
            return whole
        count = (targets != self.ignored).sum()
        with waiting():
            dist.all_reduce(count, group=self.group)
        return whole / count

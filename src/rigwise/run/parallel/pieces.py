"""Modules that do a cut operation on a rank's piece, and the exchanges as modules of a graph."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import nn

from rigwise.run.parallel import exchanges
from rigwise.run.parallel.exchanges import Cut, pick
from rigwise.run.parallel.regather import remember
from rigwise.run.parallel.sending import sending


class Exchange(nn.Module):
    """One way of exchanges.py. again: what was gathered need not be kept (regather.py)."""

    def __init__(self, kind: str, cut: Cut, again: bool = False) -> None:
        super().__init__()
        self.kind, self.cut, self.again = kind, cut, again

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The value in its new state."""
        exchanged: torch.Tensor = getattr(exchanges, self.kind)(x, self.cut)
        if self.again:
            exchanged = exchanged.contiguous()  # as what reads it would have to make it, in a copy of its own
            remember(exchanged, x, self.cut)
        return exchanged

    def extra_repr(self) -> str:
        """For a reader of the graph."""
        return f"{self.kind} over {self.cut.ranks} ranks"


class Swap(nn.Module):
    """The way between two cuts."""

    def __init__(self, now: Cut, then: Cut) -> None:
        super().__init__()
        self.now, self.then = now, then

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The value cut along the other dim."""
        return exchanges.swap(x, self.now, self.then)

    def extra_repr(self) -> str:
        """For a reader of the graph."""
        return f"dim {self.now.dim} to {self.then.dim} over {self.now.ranks} ranks"


class Lookup(nn.Module):
    """A table of which this rank holds some rows: zeros for words that others hold, so that results can be ADDED."""

    def __init__(self, rows: NDArray[np.int64], whole: int, padding: int) -> None:
        super().__init__()
        place = torch.full((whole,), -1)
        place[torch.from_numpy(rows)] = torch.arange(len(rows))
        self.register_buffer("place", place, persistent=False)
        self.place: torch.Tensor
        self.padding = int(place[padding]) if padding >= 0 else -1

    def forward(self, table: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Table [rows, H], words [..]: [.., H]."""
        place = self.place[words]
        found = nn.functional.embedding(place.clamp(min=0), table, self.padding if self.padding >= 0 else None)
        return found.masked_fill((place < 0).unsqueeze(-1), 0.0)


class Dropout(nn.Module):
    """Dropout of a piece: the mask of the whole value is drawn, alike on all ranks, and this rank takes its part.

    shape, stride: of the whole value, as one process would draw its mask. channels: one draw for each channel.
    """

    def __init__(
        self, p: float, shape: Sequence[int], stride: Sequence[int], cut: tuple[int, NDArray[np.int64]], channels: bool
    ) -> None:
        super().__init__()
        self.p, (self.dim, self.index) = p, cut
        self.shape = [*shape[:2], *(1 for _ in shape[2:])] if channels else list(shape)
        like = torch.empty(self.shape, device="meta") if channels else torch.empty_strided(shape, stride, device="meta")
        self.stride = torch.empty_like(like).stride()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The piece with some numbers set to 0 and the others scaled."""
        if self.p == 0.0:
            return x
        mask = torch.empty_strided(self.shape, self.stride, dtype=x.dtype, device=x.device).bernoulli_(1 - self.p)
        if self.shape[self.dim] > 1:
            mask = pick(mask, self.dim, self.index)
        return x * mask.div_(1 - self.p) if self.p < 1 else x * 0.0


class Attention(nn.Module):
    """Attention with dropout on this rank's heads: as the usual one, the mask of all heads drawn alike on all ranks."""

    def __init__(self, drop: Dropout, causal: bool, scale: float | None, grouped: bool) -> None:
        super().__init__()
        self.drop, self.causal, self.scale, self.grouped = drop, causal, scale, grouped

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Q [.., L, E], k and v [.., S, E]: [.., L, E]."""
        if self.grouped:
            k, v = (t.repeat_interleave(q.shape[-3] // t.shape[-3], -3) for t in (k, v))
        scale = math.sqrt(self.scale if self.scale is not None else 1 / math.sqrt(q.shape[-1]))
        scores = (q * scale) @ (k * scale).transpose(-2, -1)
        if self.causal:
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).tril()
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        attended: torch.Tensor = self.drop(scores.softmax(-1)) @ v
        return attended


class VocabularyLoss(nn.Module):
    """Cross entropy of scores whose classes are cut: per row the largest score, the sum of exponentials and the
    target's score are exchanged, and not the scores (arXiv 1909.08053, section 3).
    """

    def __init__(self, cut: Cut, ignored: int, mean: bool) -> None:
        super().__init__()
        place = torch.full((cut.size,), -1)
        held = cut.held[cut.rank]
        place[torch.from_numpy(held)] = torch.arange(len(held))
        self.register_buffer("place", place, persistent=False)
        self.place: torch.Tensor
        self.cut, self.ignored, self.mean = cut, ignored, mean

    def forward(self, scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Scores [N, V of this rank], classes [N]: a scalar, the same on all ranks."""
        scores = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        counted = targets != self.ignored
        highest = scores.detach().amax(dim=1)
        with sending("forward", "all_reduce", highest, self.cut.ranks):
            dist.all_reduce(highest, op=dist.ReduceOp.MAX, group=self.cut.group)
        shifted = scores - highest.unsqueeze(1)
        place = self.place[torch.where(counted, targets, 0)]
        own = shifted.gather(1, place.clamp(min=0).unsqueeze(1)).squeeze(1).masked_fill(place < 0, 0.0)
        both = exchanges.add(torch.stack([shifted.exp().sum(dim=1), own]), self.cut)
        losses = (both[0].log() - both[1]).masked_fill(~counted, 0.0)
        return losses.sum() / counted.sum() if self.mean else losses.sum()

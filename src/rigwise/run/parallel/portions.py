"""Some of the samples of a micro-batch at a time, on their way to ranks that share out the layers they pass: the second
and the third way of "one weird trick" (arXiv 1404.5997, section 3).

    turns    a portion is all samples of one rank, which sends them to all others
    slices   a portion is so many samples of every rank, which all of them gather

What a portion becomes goes back to the ranks whose samples they are, and gradients go the same ways backwards. Each
exchange is started (`ask`, `give`) and waited for apart, so that it travels while another portion is worked on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from rigwise.layouts.pieces import Pass
from rigwise.run.parallel.exchanges import Cut, merged, pick
from rigwise.run.parallel.sending import sending, waiting

Tensor = torch.Tensor


@dataclass(slots=True)
class Underway:
    """An exchange that was started. kept: what it reads, which must stay until it is over."""

    work: Any
    finish: Callable[[], Tensor]
    kept: Tensor

    def wait(self) -> Tensor:
        """What it brings."""
        with waiting():
            self.work.wait()
        return self.finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class Portions:
    """How a rank's `own` samples and those of the others make portions. count: of them. Samples are dim 0 here."""

    group: dist.ProcessGroup
    ranks: int
    rank: int
    own: int
    count: int
    turns: bool

    @classmethod
    def of(cls, way: str, group: dist.ProcessGroup, ranks: int, rank: int, own: int) -> Portions:
        """Of a layout's word, "turns" or "slices": as many slices as there are ranks, or the next fewer that divide."""
        turns = way == "turns"
        count = ranks if turns else max(n for n in range(1, ranks + 1) if own % n == 0)
        return cls(group=group, ranks=ranks, rank=rank, own=own, count=count, turns=turns)

    @property
    def size(self) -> int:
        """Samples of a portion, of all ranks together."""
        return self.own if self.turns else self.own // self.count * self.ranks

    def mine(self, portion: int) -> slice:
        """Which of this rank's samples a portion has."""
        if self.turns:
            return slice(0, self.own if portion == self.rank else 0)
        each = self.own // self.count
        return slice(portion * each, (portion + 1) * each)

    def ask(self, rows: Tensor, portion: int, of: Pass) -> Underway:
        """The whole portion of rows [own, ...]."""
        part = rows[self.mine(portion)].contiguous()
        whole = rows.new_empty(self.size, *rows.shape[1:])
        if not self.turns:
            with sending(of, "all_gather", part, self.ranks, whole.numel()):
                work = dist.all_gather_single(whole, part, self.group, async_op=True)
            return Underway(work, lambda: whole, part)
        if portion == self.rank:
            whole.copy_(part)
        with sending(of, "broadcast", whole, self.ranks):
            work = dist.broadcast(whole, group=self.group, group_src=portion, async_op=True)
        return Underway(work, lambda: whole, part)

    def add(self, partial: Tensor, portion: int, of: Pass) -> Underway:
        """This rank's samples [mine, ...] of the sum over ranks of a portion's partial results."""
        whole = partial.contiguous().clone()
        if self.turns:
            with sending(of, "reduce", whole, self.ranks):
                work = dist.reduce(whole, group=self.group, group_dst=portion, async_op=True)
            return Underway(work, lambda: whole if portion == self.rank else whole[:0], whole)
        own = whole.new_empty(self.size // self.ranks, *whole.shape[1:])
        with sending(of, "reduce_scatter", whole, self.ranks):
            work = dist.reduce_scatter_single(own, whole, group=self.group, async_op=True)
        return Underway(work, lambda: own, whole)

    def give(self, piece: Tensor, portion: int, features: Cut, of: Pass) -> Underway:
        """This rank's samples [mine, ...] with all features, from what each rank has of a portion's features."""
        back = self._split(piece, portion)
        mine = self.mine(portion)
        shapes = [self._with(piece, mine.stop - mine.start, features, len(held)) for held in features.held]

        def finish(got: list[Tensor]) -> Tensor:
            return merged([part.view(shape) for part, shape in zip(got, shapes, strict=True)], features)

        return self._all_to_all(back, [torch.Size(shape).numel() for shape in shapes], finish, of)

    def take(self, rows: Tensor, portion: int, features: Cut, of: Pass) -> Underway:
        """The other way: this rank's features of a whole portion, from rows [own, ...]."""
        part = rows[self.mine(portion)]
        leaving = [pick(part, features.dim, held) for held in features.held]
        here = len(features.held[self.rank])
        amounts = [self.size if r == portion else 0 for r in range(self.ranks)] if self.turns else None
        each = amounts or [self.size // self.ranks] * self.ranks
        shapes = [self._with(rows, samples, features, here) for samples in each]

        def finish(got: list[Tensor]) -> Tensor:
            return torch.cat([part.view(shape) for part, shape in zip(got, shapes, strict=True)])

        return self._all_to_all(leaving, [torch.Size(shape).numel() for shape in shapes], finish, of)

    def _split(self, piece: Tensor, portion: int) -> list[Tensor]:
        """A portion by the ranks whose samples they are."""
        if self.turns:
            return [piece if r == portion else piece[:0] for r in range(self.ranks)]
        return list(piece.chunk(self.ranks))

    @staticmethod
    def _with(like: Tensor, samples: int, features: Cut, held: int) -> list[int]:
        shape = list(like.shape)
        shape[0], shape[features.dim] = samples, held
        return shape

    def _all_to_all(
        self, leaving: list[Tensor], coming: list[int], finish: Callable[[list[Tensor]], Tensor], of: Pass
    ) -> Underway:
        sends = [part.numel() for part in leaving]
        flat = torch.cat([part.reshape(-1) for part in leaving])
        got = flat.new_empty(sum(coming))
        with sending(of, "all_to_all", flat, self.ranks, leaving=sum(sends) - sends[self.rank]):
            work = dist.all_to_all_single(got, flat, coming, sends, group=self.group, async_op=True)
        return Underway(work, lambda: finish(list(got.split(coming))), flat)

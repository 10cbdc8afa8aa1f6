"""Pieces on their way to their mean over ranks: while one is sent to who sums it, the sum of the one before goes out.

It goes on from bucket to bucket, so that the link is idle only while the backward pass has nothing to send. A piece's
sum is awaited when the piece after it has left, or when the step's last has: so collectives come in the same order on
all ranks, whatever their speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from rigwise.run.compress.codecs import Codec
from rigwise.run.compress.pieces import Cut, piece_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A range of every shard of numbers [n], whose mean is to stand in mean [n]."""

    numbers: torch.Tensor
    mean: torch.Tensor
    cut: Cut
    where: tuple[int, int]

    def leaving(self, codec: Codec) -> torch.Tensor:
        """A message to every rank, bytes [world, size]; zero, as what is not written travels too."""
        return torch.zeros(self._shape(codec), dtype=torch.uint8, device=self.numbers.device)

    def coming(self, codec: Codec) -> torch.Tensor:
        """Room for a message from every rank, bytes [world, size]."""
        return torch.empty(self._shape(codec), dtype=torch.uint8, device=self.numbers.device)

    def _shape(self, codec: Codec) -> tuple[int, int]:
        return self.cut.world, codec.size(self.where[1] - self.where[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Underway:
    piece: Piece
    messages: torch.Tensor
    work: Any


class Flow:
    """A codec's two collectives a piece, one piece behind the other."""

    def __init__(self, codec: Codec, group: dist.ProcessGroup) -> None:
        self.codec = codec
        self.group = group
        self.rank, self.world = group.rank(), group.size()
        self._length = piece_of(codec.size)
        self._pack = codec.encode_rest if codec.feedback else codec.encode
        self._scattered: _Underway | None = None
        self._gathered: _Underway | None = None

    def send(self, numbers: torch.Tensor, mean: torch.Tensor) -> int:
        """Let numbers [n] flow to mean [n], which may be the same tensor; bytes sent. There when drain has returned.

        With feedback `numbers` is left with what was not sent.
        """
        cut = Cut(count=numbers.numel(), world=self.world, piece=self._length)
        for where in cut.pieces:
            following = self._scatter(Piece(numbers=numbers, mean=mean, cut=cut, where=where))
            self._advance()
            self._scattered = following
        return cut.sent(self.codec.size)

    def drain(self) -> None:
        """Wait until all is where it should be."""
        self._advance()
        self._scattered = None
        self._read()

    def _advance(self) -> None:
        """Send the sum of the piece that was scattered, then read the one whose sum was sent before."""
        if self._scattered:
            summed = self._gather(self._scattered)
            self._read()
            self._gathered = summed

    def _scatter(self, piece: Piece) -> _Underway:
        """Send every other rank its part."""
        leaving, coming = piece.leaving(self.codec), piece.coming(self.codec)
        for rank in range(self.world):
            if rank != self.rank:
                self._pack(piece.numbers[piece.cut.span(rank, piece.where)], leaving[rank])
        work = dist.all_to_all_single(coming.view(-1), leaving.view(-1), group=self.group, async_op=True)
        return _Underway(piece=piece, messages=coming, work=work)

    def _gather(self, came: _Underway) -> _Underway:
        """Sum what came for the own shard, and send the mean to all."""
        came.work.wait()
        piece = came.piece
        own = piece.numbers[piece.cut.span(self.rank, piece.where)]
        for rank in range(self.world):
            if rank != self.rank:
                self.codec.add(came.messages[rank], own)
        own.mul_(1 / self.world)
        leaving, coming = piece.leaving(self.codec), piece.coming(self.codec)
        self._pack(own, leaving[0])
        if self.codec.feedback:
            own.mul_(self.world)
        return _Underway(piece=piece, messages=coming, work=self._to_all(leaving, coming))

    def _to_all(self, leaving: torch.Tensor, coming: torch.Tensor) -> Any:
        """Send the first message to every rank. gloo gathers in a ring, rank after rank, and at every hop threads must
        wake; sent to each at once, the same bytes take one hop.
        """
        if leaving.device.type != "cpu":
            return dist.all_gather_single(coming.view(-1), leaving[0], group=self.group, async_op=True)
        leaving[1:] = leaving[0]
        return dist.all_to_all_single(coming.view(-1), leaving.view(-1), group=self.group, async_op=True)

    def _read(self) -> None:
        """Put the means that are under way in place."""
        if self._gathered:
            self._gathered.work.wait()
            piece = self._gathered.piece
            for rank in range(self.world):
                self.codec.decode(self._gathered.messages[rank], piece.mean[piece.cut.span(rank, piece.where)])
            self._gathered = None

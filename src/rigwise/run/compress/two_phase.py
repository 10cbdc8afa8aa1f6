"""The mean of a bucket over ranks in compressed pieces: every rank sums one shard of what all sent it, and sends the
sum to all.

A rank's own numbers are added to its shard as they are. Every rank decodes the same bytes of the same sums, so replicas
stay equal to the last bit. The order of collectives is the same on all ranks, whatever their speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import GradBucket

from rigwise.run.compress.codecs import Codec
from rigwise.run.compress.pieces import Cut, piece_of
from rigwise.run.compress.residual import Residuals

EXACT_BELOW = 4096  # numbers: smaller tensors travel as they are where errors are fed back; else training diverges


class TwoPhase:
    """A codec's way to the mean. group: of its own, as nobody else may put collectives between. whole_steps: a bucket
    is finished only when the last one of its step is.
    """

    def __init__(self, codec: Codec, group: dist.ProcessGroup, names: Mapping[int, str]) -> None:
        self.codec = codec
        self.group = group
        self.rank, self.world = group.rank(), group.size()
        self.residuals = Residuals(names)
        self.whole_steps = self.feedback = codec.feedback
        self._small: list[torch.Tensor] = []
        self._piece = piece_of(codec.size)
        self._pack = codec.encode_rest if codec.feedback else codec.encode

    def mean(self, bucket: GradBucket) -> int:
        """Replace the bucket's numbers by their mean over ranks; bytes that this rank sent."""
        if self.codec.feedback:
            return self._mean_fed_back(bucket)
        flat = bucket.buffer()
        numbers = flat.float()  # itself, where it is float32
        sent = self.exchange(numbers, numbers)
        if numbers is not flat:
            flat.copy_(numbers)
        return sent

    def _mean_fed_back(self, bucket: GradBucket) -> int:
        """The small tensors of all buckets travel in one message, beside the last bucket."""
        pairs = list(zip(bucket.parameters(), bucket.gradients(), strict=True))
        self._small += [gradient for parameter, gradient in pairs if parameter.numel() < EXACT_BELOW]
        exact = ExactMean(self._small, self.group) if bucket.is_last() and self._small else None
        sent = self._exchange_large([pair for pair in pairs if pair[0].numel() >= EXACT_BELOW])
        if exact:
            sent += exact.finish()
            self._small = []
        return sent

    def _exchange_large(self, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> int:
        if not pairs:
            return 0
        unsent = self.residuals.of([parameter for parameter, _ in pairs])
        gradients = [gradient for _, gradient in pairs]
        for part, gradient in zip(_split(unsent, gradients), gradients, strict=True):
            part.add_(gradient)
        mean = torch.empty_like(unsent)
        sent = self.exchange(unsent, mean)
        for part, gradient in zip(_split(mean, gradients), gradients, strict=True):
            gradient.copy_(part)
        return sent

    def exchange(self, numbers: torch.Tensor, mean: torch.Tensor) -> int:
        """Write the mean over ranks of numbers [n] to mean [n], which may be the same tensor; bytes sent.

        With feedback `numbers` is left with what was not sent.
        """
        cut = Cut(count=numbers.numel(), world=self.world, piece=self._piece)
        pieces = cut.pieces
        scattered: Any = self._scatter(numbers, cut, pieces[0])
        gathered: Any = None
        for number, piece in enumerate(pieces):
            following = self._scatter(numbers, cut, pieces[number + 1]) if number + 1 < len(pieces) else None
            summed = self._gather(numbers, cut, piece, scattered)
            if gathered:
                self._read(mean, cut, *gathered)
            scattered, gathered = following, (piece, summed)
        self._read(mean, cut, *gathered)
        return cut.sent(self.codec.size)

    def _scatter(self, numbers: torch.Tensor, cut: Cut, piece: tuple[int, int]) -> tuple[torch.Tensor, Any]:
        """Send every other rank its piece; what will come in, and the work that brings it."""
        leaving, coming = self._wires(piece, numbers), self._wires(piece, numbers)
        for rank in range(self.world):
            if rank != self.rank:
                self._pack(numbers[cut.span(rank, piece)], leaving[rank])
        work = dist.all_to_all_single(coming.view(-1), leaving.view(-1), group=self.group, async_op=True)
        return coming, work

    def _gather(self, numbers: torch.Tensor, cut: Cut, piece: tuple[int, int], scattered: Any) -> Any:
        """Sum what came for the own shard, and send the mean to all."""
        coming, work = scattered
        work.wait()
        own = numbers[cut.span(self.rank, piece)]
        for rank in range(self.world):
            if rank != self.rank:
                self.codec.add(coming[rank], own)
        own.mul_(1 / self.world)
        all_of_it = self._wires(piece, numbers)
        message = all_of_it[self.rank].clone()
        self._pack(own, message)
        if self.codec.feedback:
            own.mul_(self.world)
        work = dist.all_gather_single(all_of_it.view(-1), message, group=self.group, async_op=True)
        return all_of_it, work

    def _read(self, mean: torch.Tensor, cut: Cut, piece: tuple[int, int], gathered: Any) -> None:
        messages, work = gathered
        work.wait()
        for rank in range(self.world):
            self.codec.decode(messages[rank], mean[cut.span(rank, piece)])

    def _wires(self, piece: tuple[int, int], like: torch.Tensor) -> torch.Tensor:
        """A message to or from every rank, bytes [world, size]; zero, as what is not written travels too."""
        size = self.codec.size(piece[1] - piece[0])
        return torch.zeros(self.world, size, dtype=torch.uint8, device=like.device)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this rank."""
        return self.residuals.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from state_dict."""
        self.residuals.load_state_dict(state)


def _split(flat: torch.Tensor, like: list[torch.Tensor]) -> list[torch.Tensor]:
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]


class ExactMean:
    """Tensors on their way to their mean over ranks, in one message."""

    def __init__(self, tensors: list[torch.Tensor], group: dist.ProcessGroup) -> None:
        self.tensors = tensors
        self.world = group.size()
        self._together = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._work = dist.all_reduce(self._together, op=dist.ReduceOp.AVG, group=group, async_op=True)

    def finish(self) -> int:
        """Put the means in place; bytes that a ring sends for them."""
        self._work.wait()
        for part, tensor in zip(_split(self._together, self.tensors), self.tensors, strict=True):
            tensor.copy_(part)
        return ring_bytes(self._together.nbytes, self.world)


def ring_bytes(length: int, world: int) -> int:
    """Bytes that a rank sends in a ring's all-reduce of so many.

    >>> ring_bytes(1_000_000, 4)
    1500000
    """
    return 2 * (world - 1) * length // world

"""The mean of a bucket over ranks in compressed pieces: every rank sums one shard of what all sent it, and sends the
sum to all.

A rank's own numbers are added to its shard as they are. Every rank decodes the same bytes of the same sums, so replicas
stay equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.distributed as dist

from rigwise.run.compress.bucket import Bucket
from rigwise.run.compress.codecs import Codec
from rigwise.run.compress.flow import Flow
from rigwise.run.compress.residual import Residuals

EXACT_BELOW = 4096  # numbers: smaller tensors travel as they are where errors are fed back; else training diverges


class TwoPhase:
    """A codec's way to the mean. group: of its own, as nobody else may put collectives between. A bucket is finished
    only when the last one of its step is.
    """

    whole_steps = True

    def __init__(self, codec: Codec, group: dist.ProcessGroup, names: Mapping[int, str]) -> None:
        self.group = group
        self.flow = Flow(codec, group)
        self.residuals = Residuals(names)
        self.feedback = codec.feedback
        self._small: list[torch.Tensor] = []
        self._finish: list[Callable[[], object]] = []  # for each bucket under way, what is left to do

    def mean(self, bucket: Bucket) -> int:
        """Bring the bucket's numbers on the way to their mean over ranks; bytes that this rank sent. With the last
        bucket of a step, all its means are in place.
        """
        exact = self._exact(bucket) if self.feedback else None
        sent = self._fed_back(bucket) if self.feedback else self._rounded(bucket.buffer())
        if bucket.is_last():
            self.flow.drain()
            for finish in self._finish:
                finish()
            self._finish = []
            sent += exact.finish() if exact else 0
        return sent

    def exchange(self, numbers: torch.Tensor) -> None:
        """Replace numbers [n] by their mean over ranks."""
        self.flow.send(numbers, numbers)
        self.flow.drain()

    def _rounded(self, flat: torch.Tensor) -> int:
        numbers = flat.float()  # itself, where it is float32
        if numbers is not flat:
            self._finish.append(partial(flat.copy_, numbers))
        return self.flow.send(numbers, numbers)

    def _exact(self, bucket: Bucket) -> ExactMean | None:
        """The small tensors of all buckets travel in one message, beside the last bucket."""
        pairs = zip(bucket.parameters(), bucket.gradients(), strict=True)
        self._small += [gradient for parameter, gradient in pairs if parameter.numel() < EXACT_BELOW]
        if not bucket.is_last() or not self._small:
            return None
        small, self._small = self._small, []
        return ExactMean(small, self.group)

    def _fed_back(self, bucket: Bucket) -> int:
        """The large tensors, each with what was not sent of it before."""
        pairs = zip(bucket.parameters(), bucket.gradients(), strict=True)
        large = [(parameter, gradient) for parameter, gradient in pairs if parameter.numel() >= EXACT_BELOW]
        if not large:
            return 0
        unsent = self.residuals.of([parameter for parameter, _ in large])
        gradients = [gradient for _, gradient in large]
        for part, gradient in zip(_split(unsent, gradients), gradients, strict=True):
            part.add_(gradient)
        mean = in_a_row(gradients)
        if mean is None:
            mean = torch.empty_like(unsent)
            self._finish.append(partial(_place, mean, gradients))
        return self.flow.send(unsent, mean)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must keep of this rank."""
        return self.residuals.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from state_dict."""
        self.residuals.load_state_dict(state)


def _split(flat: torch.Tensor, like: list[torch.Tensor]) -> list[torch.Tensor]:
    parts = flat.split([tensor.numel() for tensor in like])
    return [part.view(tensor.shape) for part, tensor in zip(parts, like, strict=True)]


def in_a_row(gradients: list[torch.Tensor]) -> torch.Tensor | None:
    """The gradients as one tensor [n], if they are float32 and lie one behind the other in their bucket."""
    begin = gradients[0].data_ptr()
    for gradient in gradients:
        if gradient.dtype != torch.float32 or not gradient.is_contiguous() or gradient.data_ptr() != begin:
            return None
        begin += gradient.nbytes
    return gradients[0].as_strided((sum(gradient.numel() for gradient in gradients),), (1,))


def _place(mean: torch.Tensor, gradients: list[torch.Tensor]) -> None:
    for part, gradient in zip(_split(mean, gradients), gradients, strict=True):
        gradient.copy_(part)


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

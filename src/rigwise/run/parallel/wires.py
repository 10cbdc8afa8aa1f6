"""Messages between the stages of a pipeline: sent without waiting, received when they are needed, every byte counted.

The sizes are known from the capture, so that nothing but the tensors themselves travels. A send never waits: what it
sends is kept until it has gone. Over gloo all messages of a pipeline share one group and are told apart by tags; NCCL
has no tags and runs what one pair of ranks sends in order, so there each channel (layouts/messages.py) has a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.distributed as dist

from rigwise.layouts.messages import Message
from rigwise.run.parallel.cut import Value
from rigwise.run.parallel.sending import waiting


class Arrival(Protocol):
    """Tensors that are on their way."""

    def wait(self) -> list[torch.Tensor]:
        """The tensors, once they are there."""
        ...


class Wires(Protocol):
    """What carries messages."""

    def send(self, message: Message, tensors: Sequence[torch.Tensor]) -> None:
        """Start sending; the tensors must not be changed any more."""
        ...

    def expect(self, message: Message, values: Sequence[Value]) -> Arrival:
        """Start receiving tensors of these shapes."""
        ...

    def finish(self) -> None:
        """Wait until all that was sent has gone."""
        ...


@dataclass(slots=True)
class _Coming:
    buffers: list[torch.Tensor]
    works: list[Any]

    def wait(self) -> list[torch.Tensor]:
        with waiting():
            for work in self.works:
                work.wait()
        return self.buffers


@dataclass(slots=True)
class GroupWires:
    """Messages over torch.distributed. ranks: the global rank of each stage. widest: most tensors of one message.

    channels: a group for each channel, or None for one group for all (gloo). sent: bytes by kind of message so far.
    """

    ranks: tuple[int, ...]
    group: dist.ProcessGroup
    device: torch.device
    widest: int
    parts: int
    channels: dict[tuple[str, int, int], dist.ProcessGroup] | None = None
    sent: dict[str, int] = field(default_factory=lambda: {"F": 0, "B": 0})
    _going: list[tuple[Any, torch.Tensor]] = field(default_factory=list)

    def send(self, message: Message, tensors: Sequence[torch.Tensor]) -> None:
        """Start sending; what has gone meanwhile is let go."""
        self._going = [(work, tensor) for work, tensor in self._going if not work.is_completed()]
        for number, tensor in enumerate(tensors):
            whole = tensor.contiguous()
            self.sent[message.kind] += whole.nbytes
            work = dist.isend(
                whole, self.ranks[message.target], group=self._group(message), tag=self._tag(message, number)
            )
            self._going.append((work, whole))

    def expect(self, message: Message, values: Sequence[Value]) -> Arrival:
        """Start receiving."""
        buffers = [torch.empty(value.shape, dtype=value.dtype, device=self.device) for value in values]
        works = [
            dist.irecv(b, self.ranks[message.source], group=self._group(message), tag=self._tag(message, number))
            for number, b in enumerate(buffers)
        ]
        return _Coming(buffers, works)

    def finish(self) -> None:
        """Wait until all that was sent has gone."""
        for work, _ in self._going:
            work.wait()
        self._going.clear()

    def _group(self, message: Message) -> dist.ProcessGroup:
        return self.group if self.channels is None else self.channels[message.channel]

    def _tag(self, message: Message, number: int) -> int:
        """A number of its own for each tensor of a step."""
        place = (message.micro * self.parts + message.part) * 2 + (message.kind == "B")
        return place * self.widest + number


@dataclass(slots=True)
class _There:
    post: dict[Message, list[torch.Tensor]]
    message: Message

    def wait(self) -> list[torch.Tensor]:
        return self.post.pop(self.message)


@dataclass(slots=True)
class LocalWires:
    """Messages between stages of one process: for tests, and for looking at a pipeline without ranks."""

    post: dict[Message, list[torch.Tensor]] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=lambda: {"F": 0, "B": 0})

    def send(self, message: Message, tensors: Sequence[torch.Tensor]) -> None:
        """Put a copy where the other stage finds it."""
        self.post[message] = [tensor.detach().clone() for tensor in tensors]
        self.sent[message.kind] += sum(tensor.nbytes for tensor in tensors)

    def expect(self, message: Message, values: Sequence[Value]) -> Arrival:
        """Whatever is there when it is asked for."""
        return _There(self.post, message)

    def finish(self) -> None:
        """Nothing is under way."""

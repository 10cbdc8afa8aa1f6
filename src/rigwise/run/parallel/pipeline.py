"""A rank's share of a pipeline: it does the actions of a schedule (layouts/schedule.py) in their order.

Before an action the messages of the next one are already asked for, so that they travel while this one computes. A send
never waits, hence ranks wait for each other only as `walk` says that the schedule does. What a forward pass leaves for
the backward pass is let go as the schedule promises: after B, or after W where weight gradients are apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils import _pytree as pytree

from rigwise.layouts.messages import Message, frees, given, needed, parts_of
from rigwise.layouts.schedule import Action, Schedule
from rigwise.run.parallel.cut import Part, Value
from rigwise.run.parallel.later import Store, settle
from rigwise.run.parallel.wires import Arrival, Wires

Tensor = torch.Tensor
Guard = Callable[[], AbstractContextManager[Any]]


@dataclass(slots=True, kw_only=True)
class Chunk:
    """A part of the model as a rank runs it.

    module: the part's, as it may be wrapped for data parallel or sharded training. before: told of each backward pass
    on the part, with whether it is the step's last (then its gradients are complete when it ends). store: of weight
    gradients that are put off; None where a schedule has no W.
    """

    part: Part
    module: nn.Module
    before: Callable[[bool], AbstractContextManager[Any]] = lambda last: nullcontext()
    store: Store | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """What a micro-batch brings: the batch's leaves as the graph takes them, and what turns its output into its share
    of the loss (the last part calls it).
    """

    leaves: Sequence[Any]
    loss: Callable[[Any], Tensor]


@dataclass(slots=True)
class _Kept:
    """What a forward pass leaves: the tensors that arrived, and where gradients enter."""

    arrived: list[Tensor]
    edges: list[GradientEdge | None]
    loss: Tensor | None = None
    rest: list[Any] = field(default_factory=list)


class Pipeline:
    """One stage, with its chunks, of a pipeline.

    around: entered for each forward pass, with part and micro-batch (autocast, random numbers). held_most: passes whose
    activations were held at most, as in_flight counts them.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        stage: int,
        actions: Schedule,
        wires: Wires,
        *,
        out_spec: pytree.TreeSpec | None = None,
        around: Callable[[int, int], AbstractContextManager[Any]] = lambda part, micro: nullcontext(),
    ) -> None:
        self.chunks = list(chunks)
        self.stage, self.stages = stage, len(actions)
        self.actions = actions[stage]
        self.parts = parts_of(actions)
        self.frees = frees(actions)
        self.wires = wires
        self.out_spec = out_spec
        self.around = around
        self.held_most = 0
        self._kept: dict[tuple[int, int], _Kept] = {}
        self._asked: dict[Message, Arrival] = {}
        last = {(a.kind, a.chunk): a.micro for a in self.actions}
        self._last = {chunk: micro for (kind, chunk), micro in last.items() if kind == self.frees}

    def step(self, micro_batches: Sequence[MicroBatch]) -> Tensor | None:
        """All actions of a step. The sum of the losses' shares on the last stage; None elsewhere."""
        total = None
        for place in range(len(self.actions)):
            loss = self.act(place, micro_batches)
            if loss is not None:
                total = loss if total is None else total + loss
        self.wires.finish()
        return total

    def act(self, place: int, micro_batches: Sequence[MicroBatch]) -> Tensor | None:
        """The action at a place of this stage's schedule; the loss's share where it made one."""
        action = self.actions[place]
        for later in self.actions[place : place + 2]:
            self._ask(later)
        if action.kind == "F":
            return self._forward(action, micro_batches[action.micro])
        if action.kind == "B":
            self._backward(action)
        else:
            kept = self._kept.pop((action.micro, action.chunk))
            with self._guard(action):
                settle(kept.rest)
        return None

    # ---- messages

    def _values(self, action: Action) -> Sequence[Value]:
        """What an action receives: activations, or gradients of what left and carries one."""
        part = self.chunks[action.chunk].part
        return part.arrives if action.kind == "F" else [v for v in part.leaves if v.differentiable]

    def _ask(self, action: Action) -> None:
        message = needed(action, self.stage, self.stages, self.parts)
        if message is not None and message not in self._asked:
            self._asked[message] = self.wires.expect(message, self._values(action))

    def _receive(self, action: Action) -> list[Tensor]:
        message = needed(action, self.stage, self.stages, self.parts)
        return [] if message is None else self._asked.pop(message).wait()

    def _send(self, action: Action, tensors: Sequence[Tensor]) -> None:
        message = given(action, self.stage, self.stages, self.parts)
        if message is not None:
            self.wires.send(message, tensors)

    # ---- passes

    def _forward(self, action: Action, batch: MicroBatch) -> Tensor | None:
        chunk = self.chunks[action.chunk]
        arrived = self._receive(action)
        for value, tensor in zip(chunk.part.arrives, arrived, strict=True):
            tensor.requires_grad_(value.differentiable)
        with torch.enable_grad(), self.around(chunk.part.number, action.micro):
            made = chunk.module(*(batch.leaves[number] for number in chunk.part.inputs), *arrived)
            if chunk.part.number + 1 < self.parts:
                self._keep(
                    action, arrived, [t for t, v in zip(made, chunk.part.leaves, strict=True) if v.differentiable]
                )
                self._send(action, [tensor.detach() for tensor in made])
                return None
            output = made if self.out_spec is None else pytree.tree_unflatten(list(made), self.out_spec)
            loss = batch.loss(output)
        self._keep(action, arrived, [loss])
        return loss.detach()

    def _keep(self, action: Action, arrived: list[Tensor], roots: Sequence[Tensor]) -> None:
        """Hold on to where gradients enter, not to the values that were sent."""
        edges = [get_gradient_edge(tensor) if tensor.requires_grad else None for tensor in roots]
        self._kept[action.micro, action.chunk] = _Kept(arrived, edges)
        self.held_most = max(self.held_most, len(self._kept))

    def _backward(self, action: Action) -> None:
        chunk = self.chunks[action.chunk]
        key = action.micro, action.chunk
        kept = self._kept[key] if self.frees == "W" else self._kept.pop(key)
        last = chunk.part.number + 1 == self.parts
        grads: list[Tensor | None] = [None] if last else list(self._receive(action))
        roots = [(edge, grad) for edge, grad in zip(kept.edges, grads, strict=True) if edge is not None]
        with self._guard(action) if self.frees == "B" else nullcontext():
            if roots:
                torch.autograd.backward([edge for edge, _ in roots], [grad for _, grad in roots])
        back = [
            torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
            for value, tensor in zip(chunk.part.arrives, kept.arrived, strict=True)
            if value.differentiable
        ]
        self._send(action, back)
        kept.edges, kept.arrived = [], []
        if chunk.store is not None:
            kept.rest = chunk.store.take()

    def _guard(self, action: Action) -> AbstractContextManager[Any]:
        chunk = self.chunks[action.chunk]
        return chunk.before(action.micro == self._last[action.chunk])

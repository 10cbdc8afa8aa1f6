"""A rank's place in a pipeline, as `Parallel` runs it: stages, sharing of their gradients, and the loss on every rank.

When the last backward pass is over, gradients are averaged over dp x cp, in buckets that are all under way at once, and
those of tied weights added over their stages. Sharded stages (zero) exchange as fully_shard does, in the backward pass
of the last micro-batch, and under zero 2 and 3 of each; where weight gradients come late, when they are there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import fx, nn
from torch.utils import _pytree as pytree

from rigwise.errors import UsageError
from rigwise.run.clock import Clock
from rigwise.run.compress.bucket import Copied
from rigwise.run.compress.exchange import Exchange
from rigwise.run.feeding.feed import cut, size
from rigwise.run.parallel.held import Held
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.pipeline import MicroBatch
from rigwise.run.parallel.sending import sending
from rigwise.run.parallel.sharing import keep_whole, micro_batch, scatter, shard, shards
from rigwise.run.parallel.stages import Stages

_BUCKET_BYTES = 4 * 2**20


class Line:
    """This rank's stages with what they share. graph: prepared (stages.py) and changed by the other axes' passes.
    experts: names of weights that ranks of ep hold pieces of. exchange: what averages compressed gradients.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        mesh: Mesh,
        dtype: torch.dtype | None,
        clock: Clock | None,
        experts: Collection[str] = (),
        exchange: Exchange | None = None,
    ) -> None:
        self.exchange = exchange
        self.mesh, self.clock, self.experts = mesh, clock, frozenset(experts)
        self.stages = Stages(graph, mesh, mesh.layout.pipeline, dtype)
        self.sharded = bool(mesh.layout.zero) and mesh.size("dp", "cp") > 1
        self._reached: dict[nn.Module, set[Any]] = defaultdict(set)  # shards of a chunk with a gradient in this step
        self.late = mesh.layout.schedule == "zero_bubble"
        if self.sharded:
            self._refuse_twice_held()
            for number, module in enumerate(self.stages.modules):
                shard(module, mesh, [w for name, w in module.named_parameters() if name in self.experts])
                if self.late:
                    keep_whole(module)
                self.stages.wrap(number, module, partial(self._late if self.late else self._micro_batch, module))

    def _micro_batch(self, module: nn.Module, last: bool) -> AbstractContextManager[None]:
        return micro_batch(module, self.mesh.layout.zero, last)

    @contextmanager
    def _late(self, module: nn.Module, last: bool) -> Iterator[None]:
        """Around the weight gradients of a micro-batch that were put off."""
        yield
        if last or self.mesh.layout.zero > 1:
            scatter(module, self.mesh.layout.zero, last, self._reached[module])

    def book(self, book: Iterable[Held]) -> list[Held]:
        """What this rank holds, of the book of all stages."""
        held = list(book)
        made: dict[str, Held] = {}
        for module in self.stages.modules:
            names = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
            own = [piece for piece in held if piece.name in names]
            made |= {
                piece.name: piece for piece in (shards(own, module, self.mesh, self.experts) if self.sharded else own)
            }
        return [made[piece.name] for piece in held if piece.name in made]

    def _refuse_twice_held(self) -> None:
        seen: set[str] = set()
        for module in self.stages.modules:
            names = {name for name, _ in module.named_parameters()} - self.experts
            if seen & names:
                layout = self.mesh.layout
                raise UsageError(
                    f"{min(seen & names)!r} is used in two chunks of one rank, which zero {layout.zero} cannot shard",
                    rule="ZeRO shards a weight once on each rank",
                    nearest=str(layout.but(zero=0)),
                )
            seen |= names

    def step(self, inputs: Any, targets: Any) -> torch.Tensor:
        """Forward and backward over this dp rank's samples; the mean loss, on every rank of the pipeline."""
        stages, share = self.stages, size(inputs)
        micro = min(self.mesh.layout.micro, share)
        rows = [(cut(inputs, at, at + micro), cut(targets, at, at + micro)) for at in range(0, share, micro)]
        total = stages.step(
            [
                MicroBatch(leaves=pytree.tree_leaves((row, {})), loss=lambda value: value * (micro / share))
                for row in rows
            ]
        )
        self._lap("backward")
        weights = stages.weights()
        dense = [weight for name, weight in weights.items() if name not in self.experts]
        if self.exchange:
            self._average_packed(dense)
        started = [] if self.exchange else self._average(dense, "dp", "cp")
        started += self._average([weights[name] for name in weights if name in self.experts], "edp")
        for work, flat, grads in started:
            work.wait()
            for grad, mean in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
                grad.copy_(mean.view_as(grad))
        stages.tied.add(stages.weights())
        loss = self._told(total)
        self._lap("communication")
        return loss

    def _average(
        self, weights: Iterable[nn.Parameter], *axes: str
    ) -> list[tuple[Any, torch.Tensor, list[torch.Tensor]]]:
        """Start the means of all gradients over some axes, bucket by bucket; what waits for each."""
        group = self.mesh.group(*axes)
        started: list[tuple[Any, torch.Tensor, list[torch.Tensor]]] = []
        if group is None or self.sharded:
            return started
        for bucket in _buckets([w for w in weights if w.requires_grad]):
            grads = [_gradient(weight) for weight in bucket]
            flat = torch.cat([grad.reshape(-1) for grad in grads])
            with sending("gradient", "all_reduce", flat, self.mesh.size(*axes)):
                work = dist.all_reduce(flat, op=dist.ReduceOp.AVG, group=group, async_op=True)
            started.append((work, flat, grads))
        return started

    def _average_packed(self, weights: Iterable[nn.Parameter]) -> None:
        """The same in codes, one bucket after the other."""
        assert self.exchange
        many = list(_buckets([w for w in weights if w.requires_grad]))
        buckets = [Copied(own, torch.cat([_gradient(w).reshape(-1) for w in own]), own is many[-1]) for own in many]
        for bucket in buckets:
            self.exchange.average(bucket)
        for bucket in buckets:
            for weight, mean in zip(bucket.weights, bucket.gradients(), strict=True):
                _gradient(weight).copy_(mean)

    def _told(self, total: torch.Tensor | None) -> torch.Tensor:
        """The loss, from the last stage to all."""
        group = self.mesh.group("pp")
        loss = torch.zeros((), device=self.mesh.device, dtype=torch.float64) if total is None else total.double()
        if group is not None:
            dist.broadcast(loss, self.mesh.ranks("pp")[-1], group=group)
        return loss

    def _lap(self, part: str) -> None:
        if self.clock:
            self.clock.lap(part)


def _gradient(weight: torch.Tensor) -> torch.Tensor:
    """A weight's gradient; zeros where it got none."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad


def _buckets(weights: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Weights in buckets of one type."""
    bucket: list[nn.Parameter] = []
    for weight in weights:
        if bucket and (bucket[0].dtype != weight.dtype or sum(w.nbytes for w in bucket) >= _BUCKET_BYTES):
            yield bucket
            bucket = []
        bucket.append(weight)
    if bucket:
        yield bucket

"""The stages of a rank: its parts of the captured graph, the pipeline that runs them, and what they share with others.

Order: number the draws of the whole graph, cut it (balance.py says where), keep this rank's parts, join the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
from torch import fx, nn
from torch.utils import _pytree as pytree

from rigwise.layouts.layout import Layout
from rigwise.layouts.schedule import ScheduleKind, schedule
from rigwise.run.parallel.balance import mark, starts
from rigwise.run.parallel.cut import Part, cut
from rigwise.run.parallel.draws import Draws, number_draws, seed_draws
from rigwise.run.parallel.later import Store, put_off
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.nodes import measure
from rigwise.run.parallel.offload import activations_on_host
from rigwise.run.parallel.pipeline import Chunk, MicroBatch, Pipeline
from rigwise.run.parallel.recompute import recompute_graph
from rigwise.run.parallel.regather import gathering_again
from rigwise.run.parallel.tied import Tied
from rigwise.run.parallel.wires import GroupWires, LocalWires, Wires

Tensor = torch.Tensor
_ONE_WAY = ("F", "B")


def prepare(graph: fx.GraphModule, model: nn.Module, layout: Layout) -> None:
    """Ready a captured graph, in place, before any pass changes it: which chunk an operation belongs to, which draw.

    model: the person's module, between whose blocks the graph is cut. UsageError where it has fewer than chunks.
    """
    number_draws(graph)
    mark(graph, model, layout.pp, layout.vpp)


class Stages:
    """This rank's chunks of a pipeline, ready to run.

    graph: captured with the shapes of one micro-batch, prepared, and changed by the passes of the other axes.
    dtype: of autocast, or None. leaves: what leaves each part of the model.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        mesh: Mesh,
        kind: ScheduleKind,
        dtype: torch.dtype | None = None,
    ) -> None:
        layout = mesh.layout
        self.mesh, self.kind, self.dtype = mesh, kind, dtype
        self.draws = Draws()
        self.in_spec, self.out_spec = _specs(graph)
        measure(graph, mesh.device, dtype)
        parts = cut(graph, starts(graph, layout.pp * layout.vpp))
        stage = mesh.coordinate("pp")
        self.leaves = [part.leaves for part in parts]  # of other ranks' parts no more is kept: they hold weights
        self.chunks = [self._chunk(part) for part in parts if part.number % layout.pp == stage]
        lines = [_line(mesh, other) for other in range(mesh.world // layout.pp)]
        self.tied = Tied.join(parts, lines, mesh.rank) if layout.pp > 1 else Tied(groups={})
        self.wires = _wires(parts, mesh, lines)
        self.pipelines: dict[int, Pipeline] = {}

    @property
    def modules(self) -> list[fx.GraphModule]:
        """The parts that this rank holds, in the order of the model."""
        return [chunk.part.module for chunk in self.chunks]

    @property
    def is_last(self) -> bool:
        """Does this rank see the loss?"""
        return self.chunks[-1].part.number + 1 == len(self.leaves)

    def wrap(self, number: int, module: nn.Module, before: Callable[[bool], AbstractContextManager[Any]]) -> None:
        """Run a chunk through a wrapped module. before: entered for each backward pass, told if it is the last."""
        self.chunks[number].module, self.chunks[number].before = module, before

    def weights(self) -> dict[str, nn.Parameter]:
        """This rank's parameters by name, as they are after wrapping."""
        return {name: weight for chunk in self.chunks for name, weight in chunk.part.module.named_parameters()}

    def pipeline(self, micro_batches: int) -> Pipeline:
        """The pipeline for so many micro-batches a step. UsageError where the schedule does not fit them."""
        if micro_batches not in self.pipelines:
            pp, vpp = self.mesh.layout.pp, self.mesh.layout.vpp
            self.pipelines[micro_batches] = Pipeline(
                self.chunks,
                self.mesh.coordinate("pp"),
                schedule(self.kind, pp, micro_batches, vpp),
                self.wires,
                out_spec=self.out_spec,
                around=self._around,
            )
        return self.pipelines[micro_batches]

    def step(self, micro_batches: Sequence[MicroBatch]) -> Tensor | None:
        """Forward and backward of a step on this rank; the loss's sum on the last stage, None elsewhere.

        The gradients of tied weights are not added up yet: `tied.add`, when gradients are averaged.
        """
        with self.draws.step():
            return self.pipeline(len(micro_batches)).step(micro_batches)

    def _chunk(self, part: Part) -> Chunk:
        store = Store() if self.kind == "zero_bubble" else None
        if store is not None:
            put_off(part.module, store)
        seed_draws(part.module, self.draws)
        layout = self.mesh.layout
        if layout.recompute != "none":
            recompute_graph(part.module, self.draws.again)
        return Chunk(part=part, module=part.module, store=store)

    @contextmanager
    def _around(self, part: int, micro: int) -> Iterator[None]:
        cast = torch.autocast(self.mesh.device.type, dtype=self.dtype) if self.dtype is not None else nullcontext()
        layout = self.mesh.layout
        host = activations_on_host() if "activations" in layout.offload else nullcontext()
        again = gathering_again() if layout.sp == "on" else nullcontext()
        with self.draws.of(part, micro), cast, host, again:
            yield


def _specs(graph: fx.GraphModule) -> tuple[pytree.TreeSpec | None, pytree.TreeSpec | None]:
    info = getattr(graph.graph._codegen, "pytree_info", None)
    return (None, None) if info is None else (info.in_spec, info.out_spec)


def _line(mesh: Mesh, other: int) -> tuple[int, ...]:
    """The ranks of one pipeline, in the order of its stages: ranks of a stage lie side by side."""
    beside = mesh.world // mesh.layout.pp
    return tuple(stage * beside + other for stage in range(mesh.layout.pp))


def _wires(parts: Sequence[Part], mesh: Mesh, lines: Sequence[tuple[int, ...]]) -> Wires:
    group = mesh.group("pp")
    if group is None:
        return LocalWires()
    return GroupWires(
        ranks=mesh.ranks("pp"),
        group=group,
        device=mesh.device,
        widest=max(len(part.leaves) for part in parts) or 1,
        parts=len(parts),
        channels=_channels(mesh, lines) if dist.get_backend(group) == "nccl" else None,
    )


def _channels(mesh: Mesh, lines: Sequence[tuple[int, ...]]) -> dict[tuple[str, int, int], dist.ProcessGroup]:
    """A group for each kind of message and direction between neighbours; every rank makes all of them in one order."""
    pp = mesh.layout.pp
    made = {}
    for line in lines:
        for source in range(pp):
            for target in dict.fromkeys(((source + 1) % pp, (source - 1) % pp)):
                for kind in _ONE_WAY:
                    group = dist.new_group([line[source], line[target]])
                    if mesh.rank in (line[source], line[target]):
                        made[kind, source, target] = group
    return made

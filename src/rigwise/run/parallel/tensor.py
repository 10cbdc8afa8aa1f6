"""Tensor parallelism of a captured graph: weights cut, exchanges put in, operations fitted to their pieces."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import fx, nn

from rigwise.errors import UsageError
from rigwise.run.parallel.axes import Axis, indices, leaves, occurrences
from rigwise.run.parallel.capture import plant
from rigwise.run.parallel.choice import choose, forced, sequence
from rigwise.run.parallel.exchanges import Cut, pick
from rigwise.run.parallel.fitting import FITTED, Fitting
from rigwise.run.parallel.held import Held, runs_of
from rigwise.run.parallel.pieces import Exchange, Swap
from rigwise.run.parallel.portioned import ACROSS, REGION, in_portions
from rigwise.run.parallel.portions import Portions
from rigwise.run.parallel.relations import Axial, name_of, operands
from rigwise.run.parallel.states import States, Step, held_dim, trained_values


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    """The ranks that share the axes: their group, their number, and this rank's place."""

    group: dist.ProcessGroup
    ranks: int
    rank: int


def tensors_of(graph: nn.Module) -> dict[str, torch.Tensor]:
    """The parameters and buffers of a graph by name."""
    return {**dict(graph.named_parameters()), **dict(graph.named_buffers())}


def cut_graph(
    module: fx.GraphModule, axial: Axial, states: States, along: Along, again: Axis | None = None
) -> tuple[fx.GraphModule, dict[str, Held]]:
    """The graph for this rank's pieces, and the book of what it holds of each parameter and buffer. again: values that
    are gathered along it need not be kept.
    """
    return Cutter(module, axial, states, along, again).run()


def tensor_parallel(
    module: fx.GraphModule,
    along: Along,
    *,
    sequence_parallel: str = "off",
    cuts: Mapping[str, str] | None = None,
    within: set[str] | None = None,
) -> tuple[fx.GraphModule, dict[str, Held]]:
    """Share a captured graph out over some ranks: the graph of this rank, and the book of its pieces.

    cuts: module -> "columns" or "rows", as a person asks for; None chooses (choice.py). within: the only weights that
    may be cut. sequence_parallel: on or keep, what lies between cut layers is cut along the positions of a sample.
    UsageError where there is nothing to cut.
    """
    axial = Axial(module.graph)
    trained = trained_values(module.graph, tensors_of(module))
    chosen = forced(axial, cuts, along.ranks) if cuts is not None else choose(axial, along.ranks, trained, within)
    if not chosen:
        raise UsageError(
            f"nothing of the model can be shared out over {along.ranks} ranks",
            rule="tensor parallelism cuts dense layers, convolutions, attention heads and tables of at least that size",
            nearest="the same ranks as dp",
        )
    states = States(axial, chosen)
    positions = None
    if sequence_parallel != "off":
        positions = sequence(axial, states, along.ranks)
        if positions is None:
            raise UsageError(
                f"sp={sequence_parallel}, and no sum of the model is over a sequence",
                rule="sp cuts tokens",
                nearest="sp=off",
            )
        states = States(axial, [*chosen, positions])
    return cut_graph(module, axial, states, along, positions if sequence_parallel == "on" else None)


def mixed_parallel(
    module: fx.GraphModule,
    along: Along,
    within: set[str],
    portion: tuple[fx.GraphModule, Portions] | None = None,
) -> tuple[fx.GraphModule, dict[str, Held]]:
    """Some weights shared out over ranks that otherwise work on samples of their own ("one weird trick", arXiv
    1404.5997): where a cut layer begins, the inputs of all ranks are gathered; where it ends, each takes its samples'
    sums. module: captured for the samples of all ranks together. portion: the same for the samples of one portion; the
    cut layers then take one after the other. The gradients of pieces are the mean over all samples already; those of
    whole weights are left to be averaged.
    """
    graph, book = _mixed(module, along, within)
    if portion is not None:
        part, portions = portion
        in_portions(graph, _mixed(part, along, within)[0], portions, " and ".join(_blocks(within)))
    for held in book.values():
        if held.parameter is not None and not held.is_whole and held.parameter.requires_grad:
            held.parameter.register_hook(lambda gradient: gradient / along.ranks)
    return graph, book


def _blocks(within: set[str]) -> list[str]:
    """Modules of some weights."""
    return sorted({name.rpartition(".")[0] for name in within})


def _mixed(module: fx.GraphModule, along: Along, within: set[str]) -> tuple[fx.GraphModule, dict[str, Held]]:
    axial = Axial(module.graph)
    first = next(node for node in module.graph.nodes if node.op == "placeholder")
    samples = leaves(axial.dims(first)[0])
    chosen = choose(axial, along.ranks, trained_values(module.graph, tensors_of(module)), within)
    if not chosen or len(samples) != 1:
        raise UsageError(
            f"nothing of {', '.join(_blocks(within))} can be shared out over {along.ranks} ranks",
            rule="a block that is split by model has dense layers at least as wide as there are ranks",
            nearest="the same layout without blocks",
        )
    states = States(axial, chosen, samples=samples[0])
    _mark_regions(axial, states, samples[0])
    return cut_graph(module, axial, states, along)


def _mark_regions(axial: Axial, states: States, samples: Axis) -> None:
    """Number, at its operations, each run of cut layers that treat every sample by itself."""
    number: dict[fx.Node, int] = {}
    for node, mode in states.modes.items():
        if mode is None or mode is samples:
            continue
        relation = axial.relations[node]
        if any(occurrences(axes, samples) for axes in (*relation.summed, *(axes for _, axes in relation.whole))):
            node.meta[REGION] = ACROSS
            continue
        before = [
            number[source] for source in node.all_input_nodes if source in number and not states.is_partial(source)
        ]
        number[node] = node.meta[REGION] = min(before, default=max(number.values(), default=-1) + 1)


class Cutter:
    """Copies a graph node by node. new: the copy of each value as it is made, after its own exchange."""

    def __init__(
        self, module: fx.GraphModule, axial: Axial, states: States, along: Along, again: Axis | None = None
    ) -> None:
        self.again = again
        self.source, self.axial, self.states, self.along = module, axial, states, along
        tensors = tensors_of(module)
        self.trained = trained_values(module.graph, tensors)
        self.book = {name: Held.whole(name, tensor) for name, tensor in tensors.items()}
        self.root = nn.Module()
        self.graph = fx.Graph()
        self.new: dict[fx.Node, fx.Node] = {}
        self.made: dict[Step, fx.Node] = {}
        self.count = 0

    def run(self) -> tuple[fx.GraphModule, dict[str, Held]]:
        """Every node in turn."""
        for node in self.source.graph.nodes:
            if node.op == "get_attr":
                self._hold(node)
            elif node.op == "call_module":
                plant(self.root, str(node.target), self.source.get_submodule(str(node.target)))
            if node.op == "call_function" and node.target is not operator.getitem:
                before = next(reversed(self.graph.nodes), None)
                self.new[node] = self._operation(node)
                self._mark(node, before)
            else:
                self.new[node] = self._copied(node)
        self.graph.set_codegen(self.source.graph._codegen)
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph), self.book

    def _mark(self, node: fx.Node, before: fx.Node | None) -> None:
        """What was made for an operation belongs to its chunk and block."""
        marks = {key: node.meta[key] for key in ("chunk", "unit", REGION) if key in node.meta}
        for made in reversed(self.graph.nodes):
            if made is before:
                break
            made.meta = marks | made.meta

    def module(self, name: str, module: nn.Module, *given: Any) -> fx.Node:
        """A node that calls a module of ours."""
        path = f"{name}_{self.count}"
        self.count += 1
        self.root.add_module(path, module)
        return self.graph.call_module(path, given)

    def call(self, target: Callable[..., Any], *given: Any) -> fx.Node:
        """A node that calls a function."""
        return self.graph.call_function(target, given)

    def held(self, node: fx.Node, axis: Axis, dim: int, rank: int | None = None, which: int = 0) -> Any:
        """The indices of a value's dim that a rank holds; this rank's by default."""
        place = self.along.rank if rank is None else rank
        return indices(self.axial.values[node][which][dim], axis, self.along.ranks, place)

    def cut(self, node: fx.Node, axis: Axis | None, dim: int) -> Cut:
        """How a value's dim lies on the ranks; where it is exchanged whole only the ranks matter."""
        every = range(self.along.ranks)
        held = tuple(self.held(node, axis, dim, r) if axis else np.arange(0) for r in every)
        return Cut(
            dim=dim,
            size=sum(map(len, held)),
            held=held,
            group=self.along.group,
            rank=self.along.rank,
            weight=node.op == "get_attr",
        )

    # ---- values

    def _hold(self, node: fx.Node) -> None:
        """Hang this rank's piece of a parameter or buffer into the new graph's module."""
        axis, name = self.states.states[node], str(node.target)
        full = self.book[name]
        if axis is None or not full.is_whole:
            plant(self.root, name, full.parameter)  # type: ignore[arg-type]
            return
        dim = held_dim(self.axial.dims(node), axis)
        assert dim is not None
        assert full.parameter is not None
        index = self.held(node, axis, dim)
        piece = pick(full.parameter.detach(), dim, index).clone(memory_format=torch.contiguous_format)
        trained = isinstance(full.parameter, nn.Parameter)
        kept = nn.Parameter(piece, full.parameter.requires_grad) if trained else piece
        plant(self.root, name, kept)
        runs = (*full.runs[:dim], runs_of(index), *full.runs[dim + 1 :])
        self.book[name] = Held(name=name, parameter=kept, shape=full.shape, runs=runs)

    def exchanged(self, step: Step, value: fx.Node) -> fx.Node:
        """A value after an exchange, which is done once however many operations read it."""
        if step not in self.made:
            again = step.kind == "collect" and self.again is not None and step.axis is self.again
            then = self.cut(step.value, step.axis, step.dim)
            exchange = Swap(self.cut(step.value, *step.now), then) if step.now else Exchange(step.kind, then, again)
            self.made[step] = self.module(step.kind, exchange, value)
        return self.made[step]

    def _taken(self, node: fx.Node, value: fx.Node) -> fx.Node:
        """An operand in the state in which an operation takes it."""
        found = self.new[value]
        for step in self.states.conversions(node, value):
            if step.kind != "spread" or value in self.trained:
                found = self.exchanged(step, found)
        return found

    def _copied(self, node: fx.Node) -> fx.Node:
        given = {n: self._taken(node, n) if n in operands(node) else self.new[n] for n in node.all_input_nodes}
        return self.graph.node_copy(node, given.__getitem__)

    # ---- operations

    def _operation(self, node: fx.Node) -> fx.Node:
        mode = self.states.modes[node]
        if mode is None:
            return self._copied(node)
        given = {value: self._taken(node, value) for value in operands(node)}
        fit = FITTED.get(name_of(node))
        made = fit(Fitting(self, node, mode, given)) if fit else None
        if made is None:
            made = self.graph.node_copy(node, lambda n: given.get(n) or self.new[n])
        return made

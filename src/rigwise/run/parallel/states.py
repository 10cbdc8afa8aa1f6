"""How every value of a graph lies on the ranks once some axes are shared out, and which exchanges that takes.

An operation works along one shared axis (its mode) or on whole values. What comes in otherwise is converted first; what
goes out is cut along the mode, or, where the operation sums over it, ADDED at once.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import fx

from rigwise.layouts.exchange import all_gather, all_reduce, all_to_all, reduce_scatter
from rigwise.run.parallel.axes import Axis, occurrences
from rigwise.run.parallel.relations import Axial, Dims, name_of, operands, shape

Kind = Literal["spread", "add", "stack", "collect", "shard", "settle", "swap"]


def _swapped(elements: float, ranks: int) -> float:
    return float(all_to_all(elements / ranks, ranks))


_SENDS = {  # forward and backward
    "spread": (None, all_reduce),
    "add": (all_reduce, None),
    "stack": (all_gather, None),
    "collect": (all_gather, reduce_scatter),
    "shard": (None, all_gather),
    "settle": (reduce_scatter, all_gather),
    "swap": (_swapped, _swapped),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One exchange. value: what is exchanged. axis: along which it is or becomes cut; None where it is whole. now: the
    axis and dim along which it is cut before, of a swap.
    """

    kind: Kind
    value: fx.Node
    axis: Axis | None
    dim: int = -1
    now: tuple[Axis, int] | None = None


def held_dim(dims: Dims, axis: Axis) -> int | None:
    """The one dim that an axis cuts; None where none, several, or a part of one."""
    found = [(i, occurrences(d, axis)) for i, d in enumerate(dims)]
    here = [i for i, n in found if n]
    return here[0] if len(here) == 1 and dict(found)[here[0]] == 1 else None


def contains(dims: Dims, axis: Axis) -> bool:
    """Is the axis anywhere in the dims?"""
    return any(occurrences(d, axis) for d in dims)


class States:
    """The state of each value for some shared axes, those named first having the say where two meet.

    samples: the axis of the samples, where each rank comes with its own and leaves with its own; the gradients of
    weights are then left to data parallelism.
    """

    def __init__(
        self,
        axial: Axial,
        shared: Sequence[Axis],
        nodes: Sequence[fx.Node] | None = None,
        samples: Axis | None = None,
    ) -> None:
        self.axial = axial
        self.samples = samples
        self.shared = (*shared, samples) if samples else tuple(shared)
        self.modes: dict[fx.Node, Axis | None] = {}
        self.states: dict[fx.Node, Axis | None] = {}
        everything = list(nodes) if nodes is not None else list(axial.values)
        for node in everything:
            if node in axial.relations:
                self.modes[node] = self._mode(node)
        for node in everything:
            self.states[node] = self._state(node)

    def _mode(self, node: fx.Node) -> Axis | None:
        if node.target is operator.getitem:
            return None
        relation = self.axial.relations[node]
        given = [(n, dims) for n in operands(node) for dims in self.axial.values[n]]
        for axis in self.shared:
            held = [(n, dims) for n, dims in given if contains(dims, axis)]
            if not held or any(held_dim(dims, axis) is None for _, dims in held):
                continue
            if any(occurrences(axes, axis) for _, axes in relation.whole):
                continue
            summed = any(occurrences(axes, axis) for axes in relation.summed)
            outs = [held_dim(dims, axis) is not None for dims in relation.outs]
            if (summed and not any(contains(dims, axis) for dims in relation.outs)) or (not summed and all(outs)):
                return axis
        return None

    def _state(self, node: fx.Node) -> Axis | None:
        """What a value is when it is made: cut along an axis, or whole."""
        if node.op == "placeholder":
            return self._of_samples(node)
        if node.op == "get_attr":
            if any(_writes(user, node) for user in node.users):
                return None
            wanted = {self.modes.get(user) for user in node.users}
            (dims,) = self.axial.values[node]
            return next((a for a in self.shared if a in wanted and held_dim(dims, a) is not None), None)
        if node.target is operator.getitem:
            source = node.args[0]
            assert isinstance(source, fx.Node)
            return self.states.get(source)
        mode = self.modes[node]
        if mode is None or not self.is_partial(node):
            return mode
        (dims,) = self.axial.relations[node].outs
        return next((a for a in self.shared if a is not mode and held_dim(dims, a) is not None), None)

    def _of_samples(self, node: fx.Node) -> Axis | None:
        values = self.axial.values[node]
        held = self.samples is not None and bool(values) and held_dim(values[0], self.samples) is not None
        return self.samples if held else None

    def is_partial(self, node: fx.Node) -> bool:
        """Does the operation sum over the axis that it is cut along?"""
        mode, relation = self.modes.get(node), self.axial.relations.get(node)
        return mode is not None and relation is not None and any(occurrences(a, mode) for a in relation.summed)

    def conversions(self, node: fx.Node, value: fx.Node) -> tuple[Step, ...]:
        """The exchanges that bring an operand into the state in which an operation takes it."""
        mode, state = self.modes.get(node), self.states.get(value)
        if node.op == "output":
            mode = self._of_samples(value)
        if self.samples and value.op == "get_attr" and state is None:
            return ()
        if node.target is operator.getitem or state is mode is None:
            return ()
        if self.is_partial(node) and value in self.axial.relations[node].late:
            return self.late(node, value)
        (dims,) = self.axial.values[value]
        wanted = held_dim(dims, mode) if mode is not None else None
        now = held_dim(dims, state) if state is not None else -1
        assert now is not None
        if wanted is not None:
            assert mode is not None
            if state is mode:
                return ()
            if state is not None and mode is self.samples:
                return (Step("swap", value, mode, wanted, now=(state, now)),)
            first = (Step("stack", value, state, now),) if state is not None else ()
            return (*first, Step("shard", value, mode, wanted))
        if mode is None:
            return (Step("stack", value, state, now),)
        if state is not None:
            return (Step("collect", value, state, now),)
        return (Step("spread", value, None),)

    def late(self, node: fx.Node, value: fx.Node) -> tuple[Step, ...]:
        """The same for an operand that is added after the exchange."""
        return () if self.states[node] is None else (Step("spread", value, None),)

    def after(self, node: fx.Node) -> Step | None:
        """The exchange that follows an operation which sums over what was cut."""
        if not self.is_partial(node):
            return None
        state = self.states[node]
        if state is None:
            return Step("add", node, None)
        dim = held_dim(self.axial.relations[node].outs[0], state)
        assert dim is not None
        return Step("settle", node, state, dim)

    def steps(self, trained: set[fx.Node]) -> Iterator[Step]:
        """Every exchange, each once however many operations read it. trained: values that need a gradient."""
        seen = set()
        for node in self.modes:
            for value in operands(node):
                for step in self.conversions(node, value):
                    if step not in seen and (step.kind != "spread" or value in trained):
                        seen.add(step)
                        yield step
            after = self.after(node)
            if after and name_of(node) != "cross_entropy_loss":
                yield after


def _writes(user: fx.Node, value: fx.Node) -> bool:
    """Does an operation write over a buffer, otherwise than along the axis that it works on?"""
    arguments = getattr(getattr(user.target, "_schema", None), "arguments", ())
    written = [a for a, given in zip(arguments, user.args, strict=False) if given is value and a.alias_info]
    return any(a.alias_info.is_write for a in written)


def elements_sent(steps: Sequence[Step], ranks: int, trained: set[fx.Node]) -> float:
    """Elements that each rank sends forward and backward, by the laws of layouts/exchange.py."""
    total = 0.0
    for step in steps:
        size = prod(shape(step.value))
        there, back = _SENDS[step.kind]
        total += float(there(size, ranks)) if there else 0.0
        total += float(back(size, ranks)) if back and step.value in trained else 0.0
    return total


def trained_values(graph: fx.Graph, tensors: dict[str, torch.Tensor]) -> set[fx.Node]:
    """The values that a backward pass gives a gradient."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "get_attr":
            needs = tensors[str(node.target)].requires_grad
        elif node.op == "placeholder":
            value = node.meta.get("val")
            needs = isinstance(value, torch.Tensor) and value.requires_grad
        else:
            value = node.meta.get("val")
            first = value[0] if isinstance(value, (tuple, list)) and value else value
            floats = isinstance(first, torch.Tensor) and first.is_floating_point()
            needs = floats and any(n in found for n in node.all_input_nodes)
        if needs:
            found.add(node)
    return found

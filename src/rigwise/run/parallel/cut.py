"""A captured graph is cut into the parts of a pipeline, and every value that is alive across a cut travels on.

The graph is flat: placeholders (the leaves of the batch), parameters and buffers by name, operations in their order. A
part is a range of operations. What an earlier part makes and a later one uses is handed on from part to part, over as
many parts as lie between. Nothing travels that every part can make for itself: leaves of the batch, which all ranks of
a pipeline are fed, and what is made of them and of buffers alone without a product (masks, positions).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from rigwise.run.parallel.capture import plant
from rigwise.run.parallel.nodes import Facts, attribute, moved_writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A tensor that travels. differentiable: its gradient travels back."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    differentiable: bool

    @property
    def bytes(self) -> int:
        """Bytes of one of it."""
        return torch.Size(self.shape).numel() * self.dtype.itemsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the model. module: called with the batch's leaves `inputs` (by number) and then what `arrives`.

    It returns what `leaves`; the last part returns the graph's own outputs. operations: names of the graph's nodes.
    """

    number: int
    module: fx.GraphModule
    inputs: tuple[int, ...]
    arrives: tuple[Value, ...]
    leaves: tuple[Value, ...]
    operations: tuple[str, ...]


def cut(graph: fx.GraphModule, starts: Sequence[int]) -> list[Part]:
    """The parts of a graph. starts: where each part but the first begins, as a place in `operations(graph)`.

    A start inside what is written in place moves to the next place where a cut is allowed (`Facts.allowed`).
    """
    moved_writes(graph)
    facts = Facts(graph)
    ops = facts.operations
    begins = [0, *(facts.allowed(start) for start in starts), len(ops)]
    home = {node: part for part in range(len(begins) - 1) for node in ops[begins[part] : begins[part + 1]]}
    for node in ops:
        if node.target is operator.getitem:
            home[node] = home[node.args[0]]
    crossing = [[n for n in facts.crossing(place) if not _many(n)] for place in begins[1:-1]]
    parts = len(begins) - 1
    values = {n: _value(n, facts) for row in crossing for n in row}
    return [_part(graph, facts, home, number, crossing, values) for number in range(parts)]


def _many(node: fx.Node) -> bool:
    """Whether an operation makes several tensors; its members travel, not the tuple."""
    return isinstance(node.meta.get("val"), (tuple, list))


def _value(node: fx.Node, facts: Facts) -> Value:
    seen = node.meta["val"]
    return Value(
        name=node.name,
        shape=tuple(seen.shape),
        dtype=seen.dtype,
        differentiable=node in facts.differentiable,
    )


def _part(
    graph: fx.GraphModule,
    facts: Facts,
    home: Mapping[fx.Node, int],
    number: int,
    crossing: Sequence[Sequence[fx.Node]],
    values: Mapping[fx.Node, Value],
) -> Part:
    arrives = crossing[number - 1] if number else []
    leaves = crossing[number] if number < len(crossing) else None
    own = [node for node in facts.operations if home[node] == number and node not in facts.light]
    output = next(node for node in graph.graph.nodes if node.op == "output")
    wanted = set(own) | set(leaves if leaves is not None else output.all_input_nodes)
    needed = _closure(wanted, set(arrives))
    made, copies = fx.Graph(), {}
    inputs = [n for n in facts.placeholders if n in needed]
    for node in (*inputs, *arrives):
        copies[node] = made.placeholder(node.name)
        copies[node].meta = dict(node.meta)
    for node in graph.graph.nodes:
        if node in needed and node not in copies and node.op not in ("placeholder", "output"):
            copies[node] = made.node_copy(node, lambda n: copies[n])
    result: Any = output.args[0] if leaves is None else tuple(leaves)
    made.output(fx.map_arg(result, lambda n: copies[n]))
    module = fx.GraphModule(_holder(graph, made), made, "Part")
    return Part(
        number=number,
        module=module,
        inputs=tuple(facts.placeholders.index(node) for node in inputs),
        arrives=tuple(values[n] for n in arrives),
        leaves=tuple(values[n] for n in leaves or ()),
        operations=tuple(node.name for node in own),
    )


def _closure(wanted: set[fx.Node], arrived: set[fx.Node]) -> set[fx.Node]:
    """What a part needs to hold: its operations and what they read, back to what arrives."""
    needed, todo = set(), list(wanted)
    while todo:
        node = todo.pop()
        if node in needed:
            continue
        needed.add(node)
        if node not in arrived:
            todo.extend(node.all_input_nodes)
    return needed


def _holder(graph: fx.GraphModule, made: fx.Graph) -> nn.Module:
    """The modules, parameters and buffers that a part uses, the very objects, under their own names."""
    root = nn.Module()
    for target in dict.fromkeys(str(n.target) for n in made.nodes if n.op in ("get_attr", "call_module")):
        plant(root, target, attribute(graph, target))
    return root

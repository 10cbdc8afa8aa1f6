"""Layers of a cut graph that are run on one portion of the samples after the other.

In a mixed layout (tensor.py) cut layers begin where the samples of all ranks are gathered and end where each rank takes
its own again. Between the two stands one module here, which gathers a portion while it works on the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import fx, nn
from torch.autograd.function import once_differentiable

from rigwise.errors import UsageError
from rigwise.run.parallel.capture import plant
from rigwise.run.parallel.exchanges import Cut
from rigwise.run.parallel.nodes import attribute
from rigwise.run.parallel.pieces import Exchange, Swap
from rigwise.run.parallel.portions import Portions, Underway

Tensor = torch.Tensor
REGION = "by model"  # at an operation: the number of the run of cut layers that it belongs to
ACROSS = -1  # instead of a number: the operation looks at several samples together


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Where a value leaves the layers. samples: its dim. features: how its other dim is cut; None: it is a partial sum.
    Both dims as they lie once samples come first.
    """

    samples: int
    features: Cut | None


@dataclass(slots=True)
class _Run:
    """What a portion's forward pass leaves."""

    entered: list[Tensor]
    left: list[Tensor]


class Portioned(nn.Module):
    """The layers. body: for one portion; takes what enters, then the rest (weights). entries: the samples' dim of each
    value that enters.
    """

    def __init__(self, body: fx.GraphModule, portions: Portions, entries: Sequence[int], gates: Sequence[Gate]) -> None:
        super().__init__()
        self.body, self.portions = body, portions
        self.entries, self.gates = tuple(entries), tuple(gates)

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """What leaves, this rank's samples each."""
        return cast("tuple[Tensor, ...]", _InPortions.apply(self, *given))  # type: ignore[no-untyped-call]

    def ask(self, rows: Sequence[Tensor], portion: int) -> list[Underway]:
        """Start a portion's way here."""
        return [self.portions.ask(one, portion, "forward") for one in rows]

    def leave(self, portion: int, made: Sequence[Tensor]) -> list[Underway]:
        """Start its results' way to who owns the samples."""
        started = []
        for gate, value in zip(self.gates, made, strict=True):
            rows = value.detach().movedim(gate.samples, 0)
            if gate.features is None:
                started.append(self.portions.add(rows, portion, "forward"))
            else:
                started.append(self.portions.give(rows, portion, gate.features, "forward"))
        return started

    def back(self, gradients: Sequence[Tensor], portion: int) -> list[Underway]:
        """Start the way of the results' gradients, this rank's samples [own, ...] each."""
        return [
            self.portions.ask(rows, portion, "backward")
            if gate.features is None
            else self.portions.take(rows, portion, gate.features, "backward")
            for gate, rows in zip(self.gates, gradients, strict=True)
        ]

    def extra_repr(self) -> str:
        """For a reader of the graph."""
        return f"{self.portions.count} {'turns' if self.portions.turns else 'slices'}"


class _InPortions(torch.autograd.Function):
    """Forward and backward pass, portion by portion; weights take the sum of what the portions give them."""

    @staticmethod
    def forward(ctx: Any, layers: Portioned, *given: Tensor) -> tuple[Tensor, ...]:
        entering, rest = given[: len(layers.entries)], given[len(layers.entries) :]
        trains = any(ctx.needs_input_grad)
        aliases = [one.detach().requires_grad_(one.requires_grad) for one in rest]
        rows = [one.detach().movedim(dim, 0) for one, dim in zip(entering, layers.entries, strict=True)]
        runs, leaving = [], []
        coming = layers.ask(rows, 0)
        for portion in range(layers.portions.count):
            arrived = [one.wait() for one in coming]
            if portion + 1 < layers.portions.count:
                coming = layers.ask(rows, portion + 1)
            entered = [
                one.movedim(0, dim).requires_grad_(source.requires_grad)
                for one, dim, source in zip(arrived, layers.entries, entering, strict=True)
            ]
            with torch.set_grad_enabled(trains):
                left = list(layers.body(*entered, *aliases))
            leaving.append(layers.leave(portion, left))
            if trains:
                runs.append(_Run(entered, left))
        ctx.layers, ctx.runs, ctx.aliases = layers, runs, aliases
        ctx.dtypes = [gate[0] for gate in zip(*[[one.dtype for one in entering]])]
        whole = [torch.cat([one[place].wait() for one in leaving]) for place in range(len(layers.gates))]
        return tuple(one.movedim(0, gate.samples) for one, gate in zip(whole, layers.gates, strict=True))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        layers, runs, aliases = ctx.layers, ctx.runs, ctx.aliases
        rows = [grad.movedim(gate.samples, 0) for grad, gate in zip(grads, layers.gates, strict=True)]
        given: list[list[Underway]] = []
        coming = layers.back(rows, 0)
        for portion, run in enumerate(runs):
            arrived = [one.wait().movedim(0, gate.samples) for one, gate in zip(coming, layers.gates, strict=True)]
            if portion + 1 < len(runs):
                coming = layers.back(rows, portion + 1)
            pairs = [(left, grad) for left, grad in zip(run.left, arrived, strict=True) if left.requires_grad]
            wanted = [one for one in (*run.entered, *aliases) if one.requires_grad]
            torch.autograd.backward([left for left, _ in pairs], [grad for _, grad in pairs], inputs=wanted)
            given.append(
                [
                    layers.portions.add(
                        (torch.zeros_like(one) if one.grad is None else one.grad).movedim(dim, 0), portion, "backward"
                    )
                    for one, dim in zip(run.entered, layers.entries, strict=True)
                    if one.requires_grad
                ]
            )
            run.entered, run.left = [one.detach() for one in run.entered[:0]], []
        ctx.runs = []
        places = iter(range(len(given[0])))
        entering = [
            torch.cat([one[place].wait() for one in given]).movedim(0, dim)
            if needs and (place := next(places)) is not None
            else None
            for dim, needs in zip(layers.entries, ctx.needs_input_grad[1:], strict=False)
        ]
        return None, *entering, *(one.grad for one in aliases)


def in_portions(whole: fx.GraphModule, part: fx.GraphModule, portions: Portions, blocks: str) -> None:
    """Put each run of cut layers of a rank's graph into a module that takes portions, in place.

    whole: cut for the samples of all ranks together, part: the same for those of one portion. blocks: what the layers
    are called in a refusal. UsageError: layers that look at the samples of several portions together.
    """
    there, here = list(whole.graph.nodes), list(part.graph.nodes)
    if [(n.op, n.name) for n in there] != [(n.op, n.name) for n in here]:
        raise _refused(blocks, portions, "they are traced to another graph for fewer samples")
    smaller = dict(zip(there, here, strict=True))
    if any(node.meta.get(REGION) == ACROSS for node in there):
        raise _refused(blocks, portions, "they look across samples")
    for number in sorted({node.meta[REGION] for node in there if REGION in node.meta}):
        region = [node for node in there if node.meta.get(REGION) == number]
        _fold(whole, part, region, smaller, portions, f"portioned_{number}", blocks)
    whole.graph.lint()
    whole.recompile()


def _refused(blocks: str, portions: Portions, why: str) -> UsageError:
    way = "turns" if portions.turns else "slices"
    return UsageError(
        f"{blocks} split by {way}: {why}",
        rule="turns and slices run layers that treat each sample by itself",
        nearest=f"the same layout with {blocks.replace(' and ', ':model+')}:model",
    )


def _fold(
    whole: fx.GraphModule,
    part: fx.GraphModule,
    region: list[fx.Node],
    smaller: dict[fx.Node, fx.Node],
    portions: Portions,
    name: str,
    blocks: str,
) -> None:
    gathered = [node for node in region if _kind(whole, node) == "collect"]
    after: set[fx.Node] = set()
    for node in region:
        if _leaves(whole, node) or any(source in after for source in node.all_input_nodes):
            after.add(node)
    inside = [node for node in region if node not in after and node not in gathered]
    within = set(inside)
    if any(_kind(whole, node) for node in inside):
        raise _refused(blocks, portions, "between them a value is exchanged whole")
    rest = list(dict.fromkeys(n for node in inside for n in node.all_input_nodes if n not in within | set(gathered)))
    gives = [node for node in inside if any(user not in within for user in node.users)]
    exits = [user for node in gives for user in node.users if user not in within]
    if not gathered or any(n.op != "get_attr" for n in rest) or not all(_leaves(whole, node) for node in exits):
        raise _refused(blocks, portions, "they take or give values that are not the samples'")
    body = _body(
        part, [smaller[n] for n in (*gathered, *rest)], [smaller[n] for n in inside], [smaller[n] for n in gives]
    )
    entries = [attribute(whole, str(node.target)).cut.dim for node in gathered]
    gates = [_gate(whole, next(user for user in node.users if user not in within)) for node in gives]
    whole.add_module(name, Portioned(body, portions, entries, gates))
    order = {node: at for at, node in enumerate(whole.graph.nodes)}
    first = min(exits, key=order.__getitem__)
    for node in rest:
        if order[node] > order[first]:
            first.prepend(node)
    with whole.graph.inserting_before(first):
        made = whole.graph.call_module(name, (*(node.args[0] for node in gathered), *rest))
        taken = [whole.graph.call_function(_take, (made, place)) for place in range(len(gives))]
    for node, value in zip(gives, taken, strict=True):
        for user in [user for user in node.users if user not in within]:
            user.replace_all_uses_with(value)
            whole.graph.erase_node(user)
    for node in (*reversed(inside), *gathered):
        whole.graph.erase_node(node)


def _body(part: fx.GraphModule, given: list[fx.Node], inside: list[fx.Node], gives: list[fx.Node]) -> fx.GraphModule:
    """The layers as a graph of their own, for one portion."""
    graph, root = fx.Graph(), nn.Module()
    copies = {node: graph.placeholder(node.name) for node in given}
    for node in inside:
        copies[node] = graph.node_copy(node, copies.__getitem__)
        if node.op == "call_module":
            plant(root, str(node.target), attribute(part, str(node.target)))
    graph.output(tuple(copies[node] for node in gives))
    return fx.GraphModule(root, graph, "Portion")


def _kind(graph: fx.GraphModule, node: fx.Node) -> str:
    """Which exchange a node is; "" for none."""
    if node.op != "call_module":
        return ""
    module = attribute(graph, str(node.target))
    return "swap" if isinstance(module, Swap) else module.kind if isinstance(module, Exchange) else ""


def _leaves(graph: fx.GraphModule, node: fx.Node) -> bool:
    return _kind(graph, node) in ("settle", "swap")


def _gate(graph: fx.GraphModule, node: fx.Node) -> Gate:
    module = attribute(graph, str(node.target))
    if isinstance(module, Exchange):
        return Gate(samples=module.cut.dim, features=None)
    samples, features = module.then.dim, module.now
    # with the samples in front, what stood before them is one further back
    return Gate(samples=samples, features=replace(features, dim=features.dim + (features.dim < samples)))


def _take(many: Sequence[Any], place: int) -> Any:
    return many[place]

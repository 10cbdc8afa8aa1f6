"""Where a captured graph is cut: the blocks that cost counts, shared out by the law that cost reads.

A captured operation becomes an event as a trace records it (models/trace_blocks.py), so that the graph falls into the
same blocks as the model that an estimate is made of; layouts/stages.py then says how many of them each chunk holds.
FLOP are torch's own counts of the graph run without data; backward, a product costs as much again for each of its
operands that is trained or was made with trained ones.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import prod
from typing import Any

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from rigwise.layouts.stages import stages
from rigwise.models.model import Block, Model
from rigwise.models.operations import Operation
from rigwise.models.trace import unit_paths
from rigwise.models.trace_blocks import Piece, pieces_of, roles_of
from rigwise.models.trace_events import Event
from rigwise.run.parallel.capture import module_of
from rigwise.run.parallel.nodes import Dry, Facts, moved_writes, multiplies, name_of, root_of

CHUNK = "chunk"


def mark(graph: fx.GraphModule, model: nn.Module, pp: int, vpp: int = 1) -> None:
    """Write at each operation of a captured graph which chunk it belongs to; passes that copy it keep that.

    UsageError: more chunks than blocks, with the nearest that works.
    """
    moved_writes(graph)
    facts = Facts(graph)
    pieces = pieces_of(_events(graph, facts), frozenset(unit_paths(model)))
    counts = stages(_model(type(model).__name__, pieces, facts), pp, vpp)
    ends = counts.sum(axis=1).cumsum()[:-1]
    places = [_narrowest(facts, pieces[end].events) if end < len(pieces) else len(facts.operations) for end in ends]
    for at, node in enumerate(facts.operations):
        node.meta[CHUNK] = bisect_right(places, at)


def starts(graph: fx.GraphModule, chunks: int) -> list[int]:
    """Where each chunk but the first begins, as places in the graph's operations: before the first that is marked so.

    An operation that a pass put in has no mark: it stays with the one before it.
    """
    facts = Facts(graph)
    marks = list(accumulate((node.meta.get(CHUNK, 0) for node in facts.operations), max))
    return [bisect_left(marks, chunk) for chunk in range(1, chunks)]


def _narrowest(facts: Facts, events: Sequence[Event]) -> int:
    """Where fewest bytes cross, from a block's first operation to the first that has weights: what adds or reshapes
    before it may as well stand at the end of the block before.
    """
    first = min(event.sequence for event in events)
    until = min((event.sequence for event in events if event.weights), default=first)
    places = [place for place in range(first, until + 1) if facts.allowed(place) == place] or [facts.allowed(first)]
    return min(places, key=lambda place: sum(map(_bytes, facts.crossing(place))))


def _bytes(node: fx.Node) -> int:
    seen = node.meta.get("val")
    return seen.numel() * seen.element_size() if isinstance(seen, torch.Tensor) else 0


def _events(graph: fx.GraphModule, facts: Facts) -> Iterable[Event]:
    """An event for each operation that moves data; sequence: its place among the operations."""
    flops = _flops(graph)
    numbers = {id(held): n for n, held in enumerate(facts.held.values())}
    for place, node in enumerate(facts.operations):
        weights = tuple(
            sorted({numbers[id(facts.held[s])] for s in node.all_input_nodes if _is_weight(facts.held.get(s))})
        )
        if root_of(node) is not node and not flops[node] and not weights:
            continue
        lookup = name_of(node) == "embedding" and bool(weights)
        yield Event(
            path=module_of(node),
            name=name_of(node),
            sequence=place,
            kind="embedding" if lookup else "stream",
            weights=weights,
            flops=flops[node],
            flops_backward=flops[node] * _operands(node, facts),
            writes=_elements(node),
        )


def _is_weight(held: Any) -> bool:
    return isinstance(held, nn.Parameter)


def _operands(node: fx.Node, facts: Facts) -> int:
    """Operands of a product for which the backward pass makes a gradient."""
    most = 2 if multiplies(node) else 0
    return min(most, sum(s in facts.differentiable for s in node.all_input_nodes if len(_shape(s)) > 1))


def _shape(node: fx.Node) -> tuple[int, ...]:
    seen = node.meta.get("val")
    return tuple(seen.shape) if isinstance(seen, torch.Tensor) else ()


def _elements(node: fx.Node) -> float:
    return float(prod(_shape(node)))


def _flops(graph: fx.GraphModule) -> dict[fx.Node, float]:
    """FLOP of each operation forward, counted on tensors without data."""
    counted: dict[fx.Node, float] = {}

    class Counting(Dry):
        def run_node(self, n: fx.Node) -> Any:
            with FlopCounterMode(display=False) as counter:
                made = super().run_node(n)
            counted[n] = float(counter.get_total_flops())
            return made

    Counting(graph).go()
    return counted


def _model(name: str, pieces: list[Piece], facts: Facts) -> Model:
    """The blocks with their FLOP, one each, for the law that shares them out."""
    blocks = tuple(
        Block(
            name=f"{piece.unit or 'outer'}/{number}",
            operations=(
                Operation(
                    name="all",
                    kind="stream",
                    parameters=float(any(event.weights for event in piece.events)),
                    flops=sum(event.flops for event in piece.events),
                    flops_backward=sum(event.flops_backward for event in piece.events),
                ),
            ),
            boundary=piece.events[-1].writes,
            role=role,  # type: ignore[arg-type]
        )
        for number, (piece, role) in enumerate(zip(pieces, roles_of(pieces), strict=True))
    )
    return Model(name=name, family="traced", blocks=blocks)

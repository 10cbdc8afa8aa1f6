"""Which axes tensor parallelism shares out.

Weights in pairs: an axis that is the output of some weights and the input of others, with nothing between them that
needs it whole (feed-forward, attention heads, channels of two convolutions), costs one ADD forward and one backward
and cuts them all. Of those, the pairs that send least for what they cut are taken first, and no weight twice. Tables
are cut along their rows (the vocabulary), and so are logits whose loss allows it. Where a model has no pair, its
largest weights are cut along their outputs, which are STACKED.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from torch import fx

from rigwise.errors import UsageError
from rigwise.run.parallel.axes import Axes, Axis, leaves, occurrences
from rigwise.run.parallel.relations import Axial, name_of, operands, shape
from rigwise.run.parallel.states import States, contains, elements_sent, held_dim

_LEAST_ROWS = 8  # rows of a table that each rank should hold, or it is left whole
_WEIGHED = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


@dataclass(frozen=True, slots=True)
class _Use:
    """A weight of an operation: the axes of its outputs and of its inputs."""

    node: fx.Node
    weight: fx.Node
    outputs: tuple[Axis, ...]
    inputs: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    axis: Axis
    weights: frozenset[str]
    elements: int  # of the weights
    sent: float


def uses(axial: Axial) -> list[_Use]:
    """Every weight that an operation multiplies with, in the graph's order."""
    found = []
    for node, relation in axial.relations.items():
        kind = name_of(node)
        if kind == "mixture":
            _, _, up, down = operands(node)
            (width,) = relation.summed
            found += [_Use(node, up, tuple(_flat(width)), ()), _Use(node, down, (), tuple(_flat(width)))]
            continue
        if kind in _WEIGHED and len(operands(node)) > 1 and operands(node)[1].op == "get_attr":
            weight = operands(node)[1]
            outputs = relation.outs[0][-1] if kind == "linear" else relation.outs[0][1]
        elif kind == "embedding":
            weight = operands(node)[0]
            if weight.op != "get_attr":
                continue
            outputs = relation.outs[0][-1]
        else:
            continue
        inputs = [axis for axes in relation.summed for axis in _flat(axes)]
        found.append(_Use(node, weight, tuple(_flat(outputs)), tuple(inputs)))
    return found


def _flat(axes: Axes) -> Iterable[Axis]:
    """The axes of a dim, and those inside its rows of terms."""
    for axis in leaves(axes):
        if axis.terms is None:
            yield axis
        else:
            for term in axis.terms:
                yield from _flat(term)


def choose(axial: Axial, ranks: int, trained: set[fx.Node], within: set[str] | None = None) -> list[Axis]:
    """The axes to share out over some ranks. within: the weights that may be cut; None for all."""
    found = [use for use in uses(axial) if within is None or str(use.weight.target) in within]
    made = [c for axis in _pairs(found) if (c := _weigh(axial, axis, found, ranks, trained, direct=True))]
    made += [c for axis in _vocabulary(axial, found, ranks) if (c := _weigh(axial, axis, found, ranks, trained))]
    chosen = _cover(axial, made, ranks)
    if not chosen:
        singles = dict.fromkeys(axis for use in found if name_of(use.node) != "embedding" for axis in use.outputs)
        made = [c for axis in singles if (c := _weigh(axial, axis, found, ranks, trained))]
        largest = max((c.elements for c in made), default=0)
        chosen = _cover(axial, [c for c in made if 2 * c.elements > largest], ranks)
    return chosen


def forced(axial: Axial, cuts: Mapping[str, str], ranks: int) -> list[Axis]:
    """The axes for cuts that a person asks for: module or weight -> "columns" (outputs) or "rows" (inputs)."""
    found = uses(axial)
    chosen: list[Axis] = []
    for name, kind in cuts.items():
        here = [u for u in found if str(u.weight.target) in (name, f"{name}.weight")]
        if not here or kind not in ("rows", "columns"):
            known = sorted({str(u.weight.target).removesuffix(".weight") for u in found})
            raise UsageError(f"cut {name}={kind}", rule="a weight is cut by rows or columns", nearest=", ".join(known))
        axes = here[0].outputs if kind == "columns" else here[0].inputs
        wide = [axis for axis in axes if axis.size >= ranks]
        if not wide:
            raise UsageError(f"{name} over {ranks} ranks", rule="every rank holds a feature or channel of what is cut")
        chosen.append(max(wide, key=lambda axis: axis.size))
    return list(dict.fromkeys(chosen))


def _pairs(found: list[_Use]) -> list[Axis]:
    outputs = {axis for use in found if name_of(use.node) != "embedding" for axis in use.outputs}
    inputs = dict.fromkeys(axis for use in found if name_of(use.node) != "embedding" for axis in use.inputs)
    return [axis for axis in inputs if axis in outputs]


def _vocabulary(axial: Axial, found: list[_Use], ranks: int) -> list[Axis]:
    """Rows of tables that are looked up by the data, and the classes of a loss over as many words."""
    tables = [u for u in found if name_of(u.node) == "embedding" and _from_data(operands(u.node)[-1])]
    rows = dict.fromkeys(a for u in tables if len(u.inputs) == 1 for a in u.inputs if a.size >= _LEAST_ROWS * ranks)
    words = {axis.size for axis in rows}
    for node, relation in axial.relations.items():
        if name_of(node) == "cross_entropy_loss":
            rows |= dict.fromkeys(a for axes in relation.summed for a in leaves(axes) if a.size in words)
    return list(rows)


def _from_data(node: fx.Node) -> bool:
    """Does a value depend on what comes in, or is it the same in every step?"""
    seen, todo = set(), [node]
    while todo:
        here = todo.pop()
        if here.op == "placeholder":
            return True
        if here not in seen:
            seen.add(here)
            todo += here.all_input_nodes
    return False


def _weigh(
    axial: Axial, axis: Axis, found: list[_Use], ranks: int, trained: set[fx.Node], direct: bool = False
) -> _Candidate | None:
    """What an axis cuts and sends; None where it cannot be cut, or, if it has to be direct, not without stacking."""
    weights = {
        str(u.weight.target): prod(shape(u.weight)) for u in found if held_dim(axial.dims(u.weight), axis) is not None
    }
    if axis.size < ranks or not weights:
        return None
    near = [node for node, values in axial.values.items() if any(contains(dims, axis) for dims in values)]
    around = dict.fromkeys([*near, *(u for n in near for u in n.users if u in axial.values)])
    around |= dict.fromkeys(n for node in list(around) for n in node.all_input_nodes)
    order = {node: i for i, node in enumerate(axial.values)}
    states = States(axial, [axis], sorted(around, key=order.__getitem__))
    steps = [step for step in states.steps(trained) if step.value in order]
    if direct and any(step.kind not in ("spread", "add") for step in steps):
        return None
    if not any(states.modes.get(u.node) is axis for u in found):
        return None
    return _Candidate(axis, frozenset(weights), sum(weights.values()), elements_sent(steps, ranks, trained))


def _cover(axial: Axial, candidates: list[_Candidate], ranks: int) -> list[Axis]:
    """The cheapest first, no weight twice, and never two of them in one value."""
    chosen: list[Axis] = []
    taken: set[str] = set()
    for candidate in sorted(candidates, key=lambda c: c.sent / c.elements):
        if candidate.weights & taken or _meet(axial, candidate.axis, chosen):
            continue
        chosen.append(candidate.axis)
        taken |= candidate.weights
    return chosen


def _meet(axial: Axial, axis: Axis, chosen: list[Axis]) -> bool:
    return any(
        contains(dims, axis) and any(contains(dims, other) for other in chosen)
        for node, values in axial.values.items()
        if node.op != "get_attr"
        for dims in values
    )


def sequence(axial: Axial, states: States, ranks: int) -> Axis | None:
    """The axis of the positions in a sample: the one between samples and features of most values that are ADDED."""
    counts: dict[Axis, int] = {}
    for node in axial.relations:
        if states.is_partial(node) and len(shape(node)) > 2:
            for axes in axial.relations[node].outs[0][1:-1]:
                for axis in leaves(axes):
                    if axis.size >= ranks and axis.terms is None and occurrences(axes, axis) == 1:
                        counts[axis] = counts.get(axis, 0) + 1
    return max(counts, key=counts.__getitem__) if counts else None

"""What each operation of a graph does to the axes of its values: which pass through, which are summed over, which
must be whole. An operation that is not known takes whole values and gives whole ones, which is always right. Here are
the elementwise operations and those that move numbers; layers.py has those that compute over dims.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any

import torch
from torch import fx

from rigwise.run.parallel.axes import Axes, cut_row, fresh, leaves, regroup, row_of, size_of, unify

Dims = list[Axes]


@dataclass(slots=True)
class Relation:
    """An operation's axes. outs: the dims of each tensor that it gives. whole: axes of an operand that it needs whole.
    summed: axes that it sums over, so that a cut one leaves partial results. late: operands to be added to the sum
    (a bias), once and not by every rank.
    """

    outs: list[Dims]
    whole: list[tuple[fx.Node, Axes]] = field(default_factory=list)
    summed: list[Axes] = field(default_factory=list)
    late: tuple[fx.Node, ...] = ()


class Axial:
    """The axes of every value of a graph. dims: of a node's tensor, or of each where it gives several."""

    def __init__(self, graph: fx.Graph) -> None:
        self.values: dict[fx.Node, list[Dims]] = {}
        self.relations: dict[fx.Node, Relation] = {}
        constants: dict[str, list[Dims]] = {}
        for node in graph.nodes:
            if node.op == "output":
                continue
            if node.op == "get_attr":
                outs = constants.setdefault(str(node.target), _all_fresh(node))
            elif node.op == "placeholder":
                outs = _all_fresh(node)
            else:
                self.relations[node] = relation = self._relate(node)
                outs = relation.outs
            self.values[node] = outs

    def dims(self, node: fx.Node) -> Dims:
        """The dims of a node that gives one tensor."""
        (dims,) = self.values[node]
        return dims

    def _relate(self, node: fx.Node) -> Relation:
        if node.target is operator.getitem:
            source, index = node.args
            assert isinstance(source, fx.Node)
            assert isinstance(index, int)
            return Relation([self.values[source][index]])
        known = RULES.get(name_of(node))
        if known is None or any(len(self.values[n]) != 1 for n in operands(node)):
            return self._opaque(node)
        return known(self, node) or self._opaque(node)

    def _opaque(self, node: fx.Node) -> Relation:
        """Nothing is known: all whole."""
        needs = [(n, axes) for n in operands(node) for dims in self.values[n] for axes in dims]
        return Relation(_all_fresh(node), whole=needs)


def name_of(node: fx.Node) -> str:
    """The operation's name without its overload: relu for aten.relu.default."""
    packet = getattr(node.target, "overloadpacket", None)
    name = getattr(packet, "__name__", getattr(node.target, "__name__", str(node.target)))
    return str(name)


def operands(node: fx.Node) -> list[fx.Node]:
    """The nodes that give it tensors, each once."""
    return [n for n in node.all_input_nodes if shapes(n)]


def shapes(node: fx.Node) -> list[tuple[int, ...]]:
    """The shapes of the tensors that a node gives."""
    value = node.meta.get("val")
    many = value if isinstance(value, (tuple, list)) else [value]
    return [tuple(int(s) for s in v.shape) for v in many if isinstance(v, torch.Tensor)]


def shape(node: fx.Node) -> tuple[int, ...]:
    """The shape of its one tensor."""
    return shapes(node)[0]


def _all_fresh(node: fx.Node) -> list[Dims]:
    return [[fresh(size) for size in one] for one in shapes(node)]


def argument(node: fx.Node, place: int, name: str, default: Any = None) -> Any:
    """An argument by its place or its name."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


# ---- rules, by the name of the operation

Rule = Callable[[Axial, fx.Node], Relation | None]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operations of these names."""

    def register(made: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, made))
        return made

    return register


_UNARY = (
    "abs acos alias ceil celu clamp clamp_max clamp_min clone contiguous conj cos cosh detach dropout elu erf "
    "erfc exp expm1 feature_dropout floor gelu hardshrink hardsigmoid hardswish hardtanh isinf isnan leaky_relu "
    "lift_fresh_copy log log10 log1p log2 log_sigmoid logical_not logit mish nan_to_num neg ones_like reciprocal relu "
    "relu6 round rsqrt selu sigmoid sign silu sin sinh softplus softshrink softsign sqrt square tan tanh tanhshrink "
    "threshold to trunc zeros_like _to_copy full_like positive"
)
_BINARY = (
    "add addcdiv addcmul atan2 bitwise_and bitwise_or bitwise_xor div eq floor_divide fmod ge gt le lerp logical_and "
    "logical_or logical_xor lt masked_fill maximum minimum mul ne pow remainder rsub sub true_divide where __and__ "
    "__or__ type_as expand_as"
)
ELEMENTWISE = frozenset((*_UNARY.split(), *_BINARY.split()))


def _elementwise(axial: Axial, node: fx.Node) -> Relation:
    size = shape(node)
    given = [(n, axial.dims(n)) for n in operands(node)]
    if name_of(node) in ("type_as", "expand_as"):
        given = given[:1]
    outs, whole = [], []
    for dim in range(len(size)):
        back = len(size) - dim
        here = [(n, d[-back]) for n, d in given if len(d) >= back and size_of(d[-back]) == size[dim]]
        if size[dim] == 1 or not here:
            outs.append(fresh(size[dim]))
        elif all(unify(here[0][1], axes) for _, axes in here[1:]):
            outs.append(here[0][1])
        else:
            whole += here
            outs.append(fresh(size[dim]))
    return Relation([outs], whole=whole)


RULES.update(dict.fromkeys(ELEMENTWISE, _elementwise))


@rule("view", "reshape", "_unsafe_view", "flatten", "unflatten")
def _viewed(axial: Axial, node: fx.Node) -> Relation:
    """Dims in groups of equal size, each regrouped by itself."""
    source = operands(node)[0]
    dims, sizes = axial.dims(source), shape(node)
    outs: Dims = []
    whole: list[tuple[fx.Node, Axes]] = []
    i = j = 0
    while i < len(dims) or j < len(sizes):
        a, b = i, j
        i, j = min(i + 1, len(dims)), min(j + 1, len(sizes))
        while (left := prod(size_of(d) for d in dims[a:i])) != (right := prod(sizes[b:j])):
            i, j = (i + 1, j) if left < right else (i, j + 1)
        made = regroup(dims[a:i], sizes[b:j])
        if made is None:
            whole += [(source, axes) for axes in dims[a:i]]
            made = [fresh(size) for size in sizes[b:j]]
        outs += made
    return Relation([outs], whole=whole)


@rule("permute", "transpose", "t", "movedim", "swapaxes")
def _permuted(axial: Axial, node: fx.Node) -> Relation | None:
    source = operands(node)[0]
    dims = axial.dims(source)
    # the order, found by permuting a tensor whose sizes are all different
    probe = torch.empty([3 + i for i in range(len(dims))], device="meta")
    target: Any = node.target
    moved = target(probe, *node.args[1:], **node.kwargs)
    return Relation([[dims[size - 3] for size in moved.shape]])


@rule("unsqueeze", "squeeze")
def _squeezed(axial: Axial, node: fx.Node) -> Relation:
    """Dims of one come and go; the rest stay in order."""
    dims = [d for d in axial.dims(operands(node)[0]) if size_of(d) != 1]
    left = iter(dims)
    return Relation([[fresh(1) if size == 1 else next(left) for size in shape(node)]])


@rule("expand")
def _expanded(axial: Axial, node: fx.Node) -> Relation:
    dims, sizes = axial.dims(operands(node)[0]), shape(node)
    padded: list[Axes | None] = [None] * (len(sizes) - len(dims)) + list(dims)
    return Relation([[d if d is not None and size_of(d) == s else fresh(s) for d, s in zip(padded, sizes)]])


@rule("repeat")
def _repeated(axial: Axial, node: fx.Node) -> Relation:
    dims = axial.dims(operands(node)[0])
    sizes = shape(node)
    padded: Dims = [*(fresh(1) for _ in range(len(sizes) - len(dims))), *dims]
    return Relation([[[*fresh(s // size_of(d)), *d] for d, s in zip(padded, sizes, strict=True)]])


@rule("repeat_interleave")
def _interleaved(axial: Axial, node: fx.Node) -> Relation | None:
    times, dim = argument(node, 1, "repeats"), argument(node, 2, "dim")
    if not isinstance(times, int) or dim is None:
        return None
    dims = list(axial.dims(operands(node)[0]))
    dims[dim] = [*dims[dim], *fresh(times)]
    return Relation([dims])


@rule("select", "unbind")
def _selected(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    dims = list(axial.dims(source))
    taken = dims.pop(argument(node, 1, "dim", 0))
    return Relation([dims] * len(shapes(node)), whole=[(source, taken)])


def _rows(
    source: fx.Node, axes: Axes, bounds: Sequence[tuple[int, int]]
) -> tuple[list[Axes], list[tuple[fx.Node, Axes]]]:
    """The dims of runs start:stop of a dim, and what of it must be whole for that."""
    found = leaves(axes)
    if len(found) > 1:
        inner = size_of(found[1:])
        if all(start % inner == 0 and stop % inner == 0 for start, stop in bounds):
            return [[*fresh((stop - start) // inner), *found[1:]] for start, stop in bounds], [(source, found[:1])]
    made = [cut_row(axes, start, stop) for start, stop in bounds]
    if all(row is not None for row in made):
        return [row for row in made if row is not None], []
    return [fresh(stop - start) for start, stop in bounds], [(source, axes)]


def sliced(node: fx.Node) -> tuple[int, int, int, int]:
    """Dim, start, stop and step of a slice, from 0."""
    size = shape(operands(node)[0])
    dim = int(argument(node, 1, "dim", 0)) % len(size)
    start, stop, step = slice(
        argument(node, 2, "start"), argument(node, 3, "end"), argument(node, 4, "step", 1)
    ).indices(size[dim])
    return dim, start, stop, step


@rule("slice")
def _slice(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    dims = list(axial.dims(source))
    dim, start, stop, step = sliced(node)
    if (start, stop, step) == (0, size_of(dims[dim]), 1):
        return Relation([dims])
    features = dim == len(dims) - 1 or (dim == 1 and len(dims) == 4)
    if step == 1 and features:
        (dims[dim],), whole = _rows(source, dims[dim], [(start, stop)])
        return Relation([dims], whole=whole)
    taken, dims[dim] = dims[dim], fresh(shape(node)[dim])
    return Relation([dims], whole=[(source, taken)])


@rule("split", "split_with_sizes", "chunk")
def _split(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    dims = axial.dims(source)
    dim = int(argument(node, 2, "dim", 0)) % len(dims)
    ends = [0]
    for one in shapes(node):
        ends.append(ends[-1] + one[dim])
    rows, whole = _rows(source, dims[dim], list(pairwise(ends)))
    return Relation([[*dims[:dim], row, *dims[dim + 1 :]] for row in rows], whole=whole)


@rule("glu")
def _gated(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    dims = list(axial.dims(source))
    dim = int(argument(node, 1, "dim", -1)) % len(dims)
    half = size_of(dims[dim]) // 2
    (first, second), whole = _rows(source, dims[dim], [(0, half), (half, 2 * half)])
    if not whole and not unify(first, second):
        whole, first = [(source, dims[dim])], fresh(half)
    dims[dim] = first
    return Relation([dims], whole=whole)


@rule("cat", "stack")
def _joined(axial: Axial, node: fx.Node) -> Relation | None:
    joined: Any = node.args[0]
    nodes: list[fx.Node] = list(joined)
    given = [axial.dims(n) for n in nodes]
    size = shape(node)
    dim = int(argument(node, 1, "dim", 0)) % len(size)
    if name_of(node) == "cat" and any(len(d) != len(size) for d in given):
        return None
    made: Dims = []
    whole: list[tuple[fx.Node, Axes]] = []
    for place in range(len(size)):
        if place == dim:
            made.append(fresh(size[dim]) if name_of(node) == "stack" else row_of([d[dim] for d in given]))
            continue
        source = place - (name_of(node) == "stack" and place > dim)
        here = [d[source] for d in given]
        if all(unify(here[0], axes) for axes in here[1:]):
            made.append(here[0])
        else:
            whole += list(zip(nodes, here, strict=True))
            made.append(fresh(size[place]))
    return Relation([made], whole=whole)


@rule("softmax", "_softmax", "log_softmax", "_log_softmax", "cumsum", "cumprod", "logsumexp", "flip")
def _along(axial: Axial, node: fx.Node) -> Relation | None:
    source = operands(node)[0]
    dims = axial.dims(source)
    along = argument(node, 1, "dim")
    along = [along] if isinstance(along, int) else list(along)
    if len(shape(node)) != len(dims):
        return None
    return Relation([list(dims)], whole=[(source, dims[dim]) for dim in along])

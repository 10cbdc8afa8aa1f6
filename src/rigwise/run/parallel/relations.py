"""What each operation of a graph does to the axes of its values: which pass through, which are summed over, which
must be whole. An operation that is not known here takes whole values and gives whole ones, which is always right.

Shape letters: N samples, C K channels in and out, L S queries and keys, E head size, G groups.
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
        rule = _RULES.get(name_of(node))
        made = rule(self, node) if rule and all(len(self.values[n]) == 1 for n in operands(node)) else None
        return made or self._opaque(node)

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
_RULES: dict[str, Rule] = {}


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

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


_RULES.update(dict.fromkeys(ELEMENTWISE, _elementwise))


@_rule("view", "reshape", "_unsafe_view", "flatten", "unflatten")
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


@_rule("permute", "transpose", "t", "movedim", "swapaxes")
def _permuted(axial: Axial, node: fx.Node) -> Relation | None:
    source = operands(node)[0]
    dims = axial.dims(source)
    # the order, found by permuting a tensor whose sizes are all different
    probe = torch.empty([3 + i for i in range(len(dims))], device="meta")
    target: Any = node.target
    moved = target(probe, *node.args[1:], **node.kwargs)
    return Relation([[dims[size - 3] for size in moved.shape]])


@_rule("unsqueeze", "squeeze")
def _squeezed(axial: Axial, node: fx.Node) -> Relation:
    """Dims of one come and go; the rest stay in order."""
    dims = [d for d in axial.dims(operands(node)[0]) if size_of(d) != 1]
    left = iter(dims)
    return Relation([[fresh(1) if size == 1 else next(left) for size in shape(node)]])


@_rule("expand")
def _expanded(axial: Axial, node: fx.Node) -> Relation:
    dims, sizes = axial.dims(operands(node)[0]), shape(node)
    padded: list[Axes | None] = [None] * (len(sizes) - len(dims)) + list(dims)
    return Relation([[d if d is not None and size_of(d) == s else fresh(s) for d, s in zip(padded, sizes)]])


@_rule("repeat")
def _repeated(axial: Axial, node: fx.Node) -> Relation:
    dims = axial.dims(operands(node)[0])
    sizes = shape(node)
    padded: list[Axes] = [[] for _ in range(len(sizes) - len(dims))] + list(dims)
    return Relation([[*fresh(s // size_of(d)), *d] for d, s in zip(padded, sizes, strict=True)])


@_rule("repeat_interleave")
def _interleaved(axial: Axial, node: fx.Node) -> Relation | None:
    times, dim = argument(node, 1, "repeats"), argument(node, 2, "dim")
    if not isinstance(times, int) or dim is None:
        return None
    dims = list(axial.dims(operands(node)[0]))
    dims[dim] = [*dims[dim], *fresh(times)]
    return Relation([dims])


@_rule("select", "unbind")
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


@_rule("slice")
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


@_rule("split", "split_with_sizes", "chunk")
def _split(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    dims = axial.dims(source)
    dim = int(argument(node, 2, "dim", 0)) % len(dims)
    ends = [0]
    for one in shapes(node):
        ends.append(ends[-1] + one[dim])
    rows, whole = _rows(source, dims[dim], list(pairwise(ends)))
    return Relation([[*dims[:dim], row, *dims[dim + 1 :]] for row in rows], whole=whole)


@_rule("glu")
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


@_rule("cat", "stack")
def _joined(axial: Axial, node: fx.Node) -> Relation | None:
    given = [axial.dims(n) for n in node.args[0]]  # type: ignore[union-attr]
    nodes = list(node.args[0])  # type: ignore[arg-type]
    size = shape(node)
    dim = int(argument(node, 1, "dim", 0)) % len(size)
    if name_of(node) == "cat" and any(len(d) != len(size) for d in given):
        return None
    made, whole = [], []
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
    return Relation([made], whole=whole)  # type: ignore[arg-type]


@_rule("softmax", "_softmax", "log_softmax", "_log_softmax", "cumsum", "cumprod", "logsumexp", "flip")
def _along(axial: Axial, node: fx.Node) -> Relation | None:
    source = operands(node)[0]
    dims = axial.dims(source)
    along = argument(node, 1, "dim")
    along = [along] if isinstance(along, int) else list(along)
    if len(shape(node)) != len(dims):
        return None
    return Relation([list(dims)], whole=[(source, dims[dim]) for dim in along])


def reduced(node: fx.Node) -> list[int]:
    """The dims that a reduction goes over."""
    count = len(shape(operands(node)[0]))
    over = argument(node, 1, "dim")
    over = list(range(count)) if over in (None, []) else [over] if isinstance(over, int) else list(over)
    return [dim % count for dim in over]


@_rule("sum", "mean", "amax", "amin", "var", "std")
def _reduced(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    dims, over = axial.dims(source), reduced(node)
    kept = len(shape(node)) == len(dims) and bool(dims)
    outs = [fresh(1) if dim in over else axes for dim, axes in enumerate(dims) if kept or dim not in over]
    gone = [dims[dim] for dim in over]
    if name_of(node) in ("sum", "mean"):
        return Relation([outs], summed=gone)
    return Relation([outs], whole=[(source, axes) for axes in gone])


@_rule("layer_norm", "rms_norm")
def _normed(axial: Axial, node: fx.Node) -> Relation:
    source, *weights = operands(node)
    dims = axial.dims(source)
    last = len(argument(node, 1, "normalized_shape"))
    whole = [(source, axes) for axes in dims[-last:]] + [(w, axes) for w in weights for axes in axial.dims(w)]
    return Relation([list(dims)], whole=whole)


@_rule("group_norm")
def _group_normed(axial: Axial, node: fx.Node) -> Relation | None:
    source, *weights = operands(node)
    dims, groups = axial.dims(source), int(argument(node, 1, "num_groups"))
    made = regroup([dims[1]], [groups, size_of(dims[1]) // groups])
    if made is None or not all(unify(dims[1], axial.dims(w)[0]) for w in weights):
        return None
    whole = [(n, made[1]) for n in (source, *weights)] + [(source, axes) for axes in dims[2:]]
    return Relation([list(dims)], whole=whole)


@_rule("batch_norm")
def _batch_normed(axial: Axial, node: fx.Node) -> Relation | None:
    source, *others = operands(node)
    dims = axial.dims(source)
    if not all(unify(dims[1], axial.dims(n)[0]) for n in others):
        return None
    return Relation([list(dims)], whole=[(source, axes) for i, axes in enumerate(dims) if i != 1])


@_rule("embedding")
def _looked_up(axial: Axial, node: fx.Node) -> Relation | None:
    weight, index = node.args[0], node.args[1]
    assert isinstance(weight, fx.Node)
    assert isinstance(index, fx.Node)
    if argument(node, 3, "scale_grad_by_freq", False) or argument(node, 4, "sparse", False):
        return None
    rows, width = axial.dims(weight)
    return Relation([[*axial.dims(index), width]], summed=[rows])


@_rule("linear")
def _linear(axial: Axial, node: fx.Node) -> Relation | None:
    x, w, *bias = operands(node)
    dims, (outputs, inputs) = axial.dims(x), axial.dims(w)
    if bias and not unify(outputs, axial.dims(bias[0])[0]):
        return None
    if unify(dims[-1], inputs):
        return Relation([[*dims[:-1], outputs]], summed=[inputs], late=tuple(bias))
    return Relation([[*dims[:-1], outputs]], whole=[(x, dims[-1]), (w, inputs)])


@_rule("matmul", "mm", "bmm")
def _product(axial: Axial, node: fx.Node) -> Relation | None:
    first, second = node.args[0], node.args[1]
    assert isinstance(first, fx.Node)
    assert isinstance(second, fx.Node)
    a, b = axial.dims(first), axial.dims(second)
    if min(len(a), len(b)) < 2 or first is second:
        return None
    *left, rows, inner = a
    *right, other, columns = b
    if not unify(inner, other):
        return None
    outs, whole = [], []
    for back in range(max(len(left), len(right)), 0, -1):
        here = [(n, d[-back]) for n, d in ((first, left), (second, right)) if len(d) >= back and size_of(d[-back]) > 1]
        if len(here) == 2 and not unify(here[0][1], here[1][1]):
            whole += here
            here = []
        outs.append(here[0][1] if here else fresh(shape(node)[-2 - back]))
    return Relation([[*outs, rows, columns]], whole=whole, summed=[inner])


@_rule("scaled_dot_product_attention")
def _attended(axial: Axial, node: fx.Node) -> Relation | None:
    """Q [.., L, E], k [.., S, E], v [.., S, E]: heads and samples pass, the rest is whole. Query heads that share a
    key-value head lie side by side, the shared one being the slower factor.
    """
    q, k, v, *mask = operands(node)
    a, b, c = (list(axial.dims(n)) for n in (q, k, v))
    outs, whole = [*a[:-1], c[-1]], [(n, axes) for n, d in ((q, a), (k, b), (v, c)) for axes in d[-2:]]
    for dim in range(len(a) - 2):
        queries, keys, values = a[dim], b[dim], c[dim]
        if size_of(queries) != size_of(keys):
            split = regroup([queries], [size_of(keys), size_of(queries) // size_of(keys)])
            queries = split[0] if split else []
        if not (unify(queries, keys) and unify(keys, values)):
            whole += [(q, a[dim]), (k, b[dim]), (v, c[dim])]
            outs[dim] = fresh(size_of(a[dim]))
    for n in mask:
        dims = axial.dims(n)
        for back, axes in enumerate(reversed(dims), 1):
            if back <= 2 or not (size_of(axes) == 1 or unify(axes, a[-back])):
                whole.append((n, axes))
    return Relation([outs], whole=whole)


@_rule("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _convolved(axial: Axial, node: fx.Node) -> Relation | None:
    """X [N, C, ..], w [K, C / G, ..], transposed [C, K / G, ..]: channels; rows and columns are whole."""
    x, w, *bias = operands(node)
    dims, weight = axial.dims(x), axial.dims(w)
    if len(dims) != len(weight):
        return None
    transposed = "transpose" in name_of(node)
    groups = groups_of(node)
    ins, outs = (weight[0], weight[1]) if transposed else (weight[1], weight[0])
    if groups == 1:
        given, made = dims[1], outs
        aligned = unify(given, ins)
    else:
        aligned, ins, made = _in_groups(axial, dims[1], weight, groups, transposed)
    if not aligned or (bias and not unify(made, axial.dims(bias[0])[0])):
        return None
    space = [fresh(size) for size in shape(node)[2:]]
    whole = [(x, axes) for axes in dims[2:]] + [(w, axes) for axes in weight[2:]]
    return Relation([[dims[0], made, *space]], whole=whole, summed=[ins], late=tuple(bias))


def _in_groups(axial: Axial, channels: Axes, weight: Dims, groups: int, transposed: bool) -> tuple[bool, Axes, Axes]:
    """Grouped: channels in are (G, C / G), channels out (G, K / G), and the groups are the same axis."""
    split = regroup([channels], [groups, size_of(channels) // groups])
    first = regroup([weight[0]], [groups, size_of(weight[0]) // groups])
    if split is None or first is None or not unify(split[0], first[0]):
        return False, [], []
    if transposed:
        return unify(split[1], first[1]), split[1], [*split[0], *weight[1]]
    return unify(split[1], weight[1]), weight[1], weight[0]


def groups_of(node: fx.Node) -> int:
    """The groups of a convolution."""
    return int(argument(node, 6, "groups", 1))


_SPATIAL = (
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d adaptive_max_pool2d upsample_nearest1d upsample_nearest2d upsample_bilinear2d "
    "upsample_bicubic2d"
)


@_rule(*_SPATIAL.split())
def _pooled(axial: Axial, node: fx.Node) -> Relation | None:
    source = operands(node)[0]
    dims = axial.dims(source)
    if len(dims) < 3 or (name_of(node)[-2] == "2" and len(dims) != 4) or len(shapes(node)) != 1:
        return None
    space = [fresh(size) for size in shape(node)[2:]]
    return Relation([[*dims[:2], *space]], whole=[(source, axes) for axes in dims[2:]])


@_rule("pad", "constant_pad_nd")
def _padded(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    outs, whole = [], []
    for axes, size in zip(axial.dims(source), shape(node), strict=True):
        if size_of(axes) != size:
            whole.append((source, axes))
        outs.append(axes if size_of(axes) == size else fresh(size))
    return Relation([outs], whole=whole)


@_rule("cross_entropy_loss")
def _entropy(axial: Axial, node: fx.Node) -> Relation | None:
    """Scores [N, V] and classes [N], a plain mean or sum: the classes may be cut (vocabulary.py)."""
    if not plain_entropy(node):
        return None
    scores = operands(node)[0]
    return Relation([[]], whole=[(n, axial.dims(n)[0]) for n in operands(node)], summed=[axial.dims(scores)[1]])


def plain_entropy(node: fx.Node) -> bool:
    """Is it the usual loss: no weights, no smoothing, one class a row?"""
    plain = argument(node, 2, "weight") is None and argument(node, 5, "label_smoothing", 0.0) == 0.0
    given = operands(node)
    return plain and argument(node, 3, "reduction", 1) in (1, 2) and [len(shape(n)) for n in given] == [2, 1]

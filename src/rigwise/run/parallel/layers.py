"""The relations of operations that compute over dims: reductions, norms, products, convolutions, attention, losses.

Shape letters: N samples, C K channels in and out, L S queries and keys, E head size, G groups.
"""

from __future__ import annotations

from torch import fx

from rigwise.run.parallel.axes import Axes, fresh, regroup, size_of, unify
from rigwise.run.parallel.relations import Axial, Dims, Relation, argument, name_of, operands, rule, shape, shapes


def reduced(node: fx.Node) -> list[int]:
    """The dims that a reduction goes over."""
    count = len(shape(operands(node)[0]))
    over = argument(node, 1, "dim")
    over = list(range(count)) if over in (None, []) else [over] if isinstance(over, int) else list(over)
    return [dim % count for dim in over]


@rule("sum", "mean", "amax", "amin", "var", "std")
def _reduced(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    dims, over = axial.dims(source), reduced(node)
    kept = len(shape(node)) == len(dims) and bool(dims)
    outs = [fresh(1) if dim in over else axes for dim, axes in enumerate(dims) if kept or dim not in over]
    gone = [dims[dim] for dim in over]
    if name_of(node) in ("sum", "mean"):
        return Relation([outs], summed=gone)
    return Relation([outs], whole=[(source, axes) for axes in gone])


@rule("layer_norm", "rms_norm")
def _normed(axial: Axial, node: fx.Node) -> Relation:
    source, *weights = operands(node)
    dims = axial.dims(source)
    last = len(argument(node, 1, "normalized_shape"))
    whole = [(source, axes) for axes in dims[-last:]] + [(w, axes) for w in weights for axes in axial.dims(w)]
    return Relation([list(dims)], whole=whole)


@rule("group_norm")
def _group_normed(axial: Axial, node: fx.Node) -> Relation | None:
    source, *weights = operands(node)
    dims, groups = axial.dims(source), int(argument(node, 1, "num_groups"))
    made = regroup([dims[1]], [groups, size_of(dims[1]) // groups])
    if made is None or not all(unify(dims[1], axial.dims(w)[0]) for w in weights):
        return None
    whole = [(n, made[1]) for n in (source, *weights)] + [(source, axes) for axes in dims[2:]]
    return Relation([list(dims)], whole=whole)


@rule("batch_norm")
def _batch_normed(axial: Axial, node: fx.Node) -> Relation | None:
    source, *others = operands(node)
    dims = axial.dims(source)
    if not all(unify(dims[1], axial.dims(n)[0]) for n in others):
        return None
    return Relation([list(dims)], whole=[(source, axes) for i, axes in enumerate(dims) if i != 1])


@rule("embedding")
def _looked_up(axial: Axial, node: fx.Node) -> Relation | None:
    weight, index = node.args[0], node.args[1]
    assert isinstance(weight, fx.Node)
    assert isinstance(index, fx.Node)
    if argument(node, 3, "scale_grad_by_freq", False) or argument(node, 4, "sparse", False):
        return None
    rows, width = axial.dims(weight)
    return Relation([[*axial.dims(index), width]], summed=[rows])


@rule("linear")
def _linear(axial: Axial, node: fx.Node) -> Relation | None:
    x, w, *bias = operands(node)
    dims, (outputs, inputs) = axial.dims(x), axial.dims(w)
    if bias and not unify(outputs, axial.dims(bias[0])[0]):
        return None
    if unify(dims[-1], inputs):
        return Relation([[*dims[:-1], outputs]], summed=[inputs], late=tuple(bias))
    return Relation([[*dims[:-1], outputs]], whole=[(x, dims[-1]), (w, inputs)])


@rule("matmul", "mm", "bmm")
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


def attended(node: fx.Node) -> list[fx.Node]:
    """Queries, keys and values of an attention, which may be one and the same."""
    return [n for n in node.args[:3] if isinstance(n, fx.Node)]


@rule("scaled_dot_product_attention")
def _attended(axial: Axial, node: fx.Node) -> Relation | None:
    """Q [.., L, E], k [.., S, E], v [.., S, E]: heads and samples pass, the rest is whole. Query heads that share a
    key-value head lie side by side, the shared one being the slower factor.
    """
    q, k, v = attended(node)
    mask = [n for n in operands(node) if n not in (q, k, v)]
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


@rule("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
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


@rule(*_SPATIAL.split())
def _pooled(axial: Axial, node: fx.Node) -> Relation | None:
    source = operands(node)[0]
    dims = axial.dims(source)
    if len(dims) != 2 + int(name_of(node)[-2]) or len(shapes(node)) != 1:
        return None
    space = [fresh(size) for size in shape(node)[2:]]
    return Relation([[*dims[:2], *space]], whole=[(source, axes) for axes in dims[2:]])


@rule("pad", "constant_pad_nd")
def _padded(axial: Axial, node: fx.Node) -> Relation:
    source = operands(node)[0]
    outs, whole = [], []
    for axes, size in zip(axial.dims(source), shape(node), strict=True):
        if size_of(axes) != size:
            whole.append((source, axes))
        outs.append(axes if size_of(axes) == size else fresh(size))
    return Relation([outs], whole=whole)


@rule("cross_entropy_loss")
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

"""Operations that do not fit a piece as they stand: sizes in their arguments, biases, random numbers, tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from rigwise.run.parallel.axes import Axis
from rigwise.run.parallel.exchanges import Cut
from rigwise.run.parallel.layers import attended, groups_of, reduced
from rigwise.run.parallel.pieces import Attention, Dropout, Lookup, VocabularyLoss
from rigwise.run.parallel.relations import Axial, argument, name_of, operands, shape, shapes, sliced
from rigwise.run.parallel.states import States, Step, held_dim

_ATEN: Any = torch.ops.aten


class Cutter(Protocol):
    """What is asked of the one who copies the graph (tensor.py)."""

    axial: Axial
    states: States
    graph: fx.Graph
    new: dict[fx.Node, fx.Node]

    def module(self, name: str, module: nn.Module, *given: Any) -> fx.Node:
        """A node that calls a module of ours."""

    def held(self, node: fx.Node, axis: Axis, dim: int, rank: int | None = None, which: int = 0) -> NDArray[np.int64]:
        """The indices of a value's dim that a rank holds."""

    def cut(self, node: fx.Node, axis: Axis | None, dim: int) -> Cut:
        """How a value's dim lies on the ranks."""

    def exchanged(self, step: Step, value: fx.Node) -> fx.Node:
        """A value after an exchange."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """One operation that works along `mode`. given: its operands in the new graph, converted."""

    cutter: Cutter
    node: fx.Node
    mode: Axis
    given: Mapping[fx.Node, fx.Node]

    @property
    def partial(self) -> bool:
        """Does it sum over what is cut?"""
        return self.cutter.states.is_partial(self.node)

    def local(self, node: fx.Node, which: int = 0) -> list[int]:
        """The shape of this rank's piece of a value that is cut along the mode."""
        size = list(shapes(node)[which])
        dim = held_dim(self.cutter.axial.values[node][which], self.mode)
        if dim is not None:
            size[dim] = len(self.cutter.held(node, self.mode, dim, which=which))
        return size

    def copied(self, **changed: Any) -> fx.Node:
        """The operation with its operands, and some arguments (by place: a0, a1, ..) changed."""
        args = [changed.get(f"a{i}", a) for i, a in enumerate(self.node.args)]
        return self.cutter.graph.create_node(
            "call_function",
            self.node.target,
            tuple(fx.map_arg(args, self._at)),
            fx.map_arg(dict(self.node.kwargs), self._at),
        )

    def _at(self, node: fx.Node) -> fx.Node:
        if node in self.given:
            return self.given[node]
        return self.cutter.new.get(node, node)

    def call(self, target: Callable[..., Any], *given: Any) -> fx.Node:
        """Another operation instead."""
        return self.cutter.graph.call_function(target, given)

    def exchanged(self, made: fx.Node) -> fx.Node:
        """Partial results after their exchange."""
        step = self.cutter.states.after(self.node)
        assert step is not None
        return self.cutter.exchanged(step, made)


Fit = Callable[[Fitting], fx.Node | None]
FITTED: dict[str, Fit] = {}
"""By the operation's name; None from one means that the operation fits as it stands."""


def _fit(*names: str) -> Callable[[Fit], Fit]:
    def register(fit: Fit) -> Fit:
        FITTED.update(dict.fromkeys(names, fit))
        return fit

    return register


@_fit("view", "reshape", "_unsafe_view", "flatten", "unflatten")
def _reshaped(f: Fitting) -> fx.Node:
    (x,) = operands(f.node)
    return f.call(_ATEN.reshape.default, f.given[x], f.local(f.node))


@_fit("expand")
def _expanded(f: Fitting) -> fx.Node:
    (x,) = operands(f.node)
    return f.call(_ATEN.expand.default, f.given[x], f.local(f.node))


@_fit("split", "split_with_sizes", "chunk")
def _split(f: Fitting) -> fx.Node:
    (x,) = operands(f.node)
    dim = int(argument(f.node, 2, "dim", 0)) % len(shape(x))
    sizes = [f.local(f.node, which)[dim] for which in range(len(shapes(f.node)))]
    return f.call(_ATEN.split_with_sizes.default, f.given[x], sizes, dim)


@_fit("slice")
def _sliced(f: Fitting) -> fx.Node | None:
    (x,) = operands(f.node)
    dim, start, stop, step = sliced(f.node)
    if held_dim(f.cutter.axial.dims(x), f.mode) != dim:
        return f.copied()
    index = f.cutter.held(x, f.mode, dim)
    first, last = (int(np.count_nonzero(index < edge)) for edge in (start, stop))
    return f.call(_ATEN.slice.Tensor, f.given[x], dim, first, last, step)


@_fit("sum", "mixture")
def _summed(f: Fitting) -> fx.Node:
    made = f.copied()
    return f.exchanged(made) if f.partial else made


@_fit("mean")
def _averaged(f: Fitting) -> fx.Node:
    if not f.partial:
        return f.copied()
    (x,) = operands(f.node)
    over = reduced(f.node)
    kept = bool(shape(f.node)) and len(shape(f.node)) == len(shape(x))
    total = f.call(_ATEN.sum.dim_IntList, f.given[x], over, kept)
    return f.call(_ATEN.div.Tensor, f.exchanged(total), prod(shape(x)[dim] for dim in over))


@_fit("linear")
def _linear(f: Fitting) -> fx.Node:
    return _weighed(f, bias_view=None)


@_fit("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _convolved(f: Fitting) -> fx.Node:
    return _weighed(f, bias_view=[-1] + [1] * (len(shape(f.node)) - 2))


def _weighed(f: Fitting, bias_view: list[int] | None) -> fx.Node:
    """A product with a weight: where it is cut along the inputs, the bias comes after the ADD, once."""
    late = [n for n in f.cutter.axial.relations[f.node].late if f.partial]
    groups = _local_groups(f) if bias_view else 1
    changed: dict[str, Any] = {"a2": None} if late else {}
    if groups > 1 or (bias_view and groups_of(f.node) > 1):
        changed["a6"] = groups
    made = f.copied(**changed)
    if not f.partial:
        return made
    made = f.exchanged(made)
    for bias in late:
        added = f.given[bias] if bias_view is None else f.call(_ATEN.reshape.default, f.given[bias], bias_view)
        made = f.call(_ATEN.add.Tensor, made, f.call(_ATEN.type_as.default, added, made))  # autocast keeps its type
    return made


def _local_groups(f: Fitting) -> int:
    """The groups of a convolution that this rank has: fewer where the groups themselves are shared out."""
    groups = groups_of(f.node)
    x = operands(f.node)[0]
    cut = held_dim(f.cutter.axial.dims(x), f.mode) == 1 and not f.partial
    return groups * f.local(x)[1] // shape(x)[1] if cut else groups


@_fit("group_norm")
def _group_normed(f: Fitting) -> fx.Node:
    x = operands(f.node)[0]
    groups = int(argument(f.node, 1, "num_groups"))
    return f.copied(a1=groups * f.local(x)[1] // shape(x)[1])


@_fit("embedding")
def _looked_up(f: Fitting) -> fx.Node:
    if not f.partial:
        return f.copied()
    table, words = f.node.args[0], f.node.args[1]
    assert isinstance(table, fx.Node)
    assert isinstance(words, fx.Node)
    rows = f.cutter.held(table, f.mode, 0)
    lookup = Lookup(rows, shape(table)[0], int(argument(f.node, 2, "padding_idx", -1)))
    return f.exchanged(f.cutter.module("lookup", lookup, f.given[table], f.given[words]))


@_fit("dropout", "feature_dropout")
def _dropped(f: Fitting) -> fx.Node | None:
    if not argument(f.node, 2, "train"):
        return f.copied()
    drop = _mask(f, operands(f.node)[0], float(argument(f.node, 1, "p")), channels=name_of(f.node) == "feature_dropout")
    return f.cutter.module("dropout", drop, f.given[operands(f.node)[0]])


def _mask(f: Fitting, like: fx.Node, p: float, channels: bool = False, size: tuple[int, ...] | None = None) -> Dropout:
    dim = held_dim(f.cutter.axial.dims(like), f.mode)
    assert dim is not None
    whole = like.meta["val"] if size is None else torch.empty(size, device="meta")
    return Dropout(p, whole.shape, whole.stride(), (dim, f.cutter.held(like, f.mode, dim)), channels)


@_fit("scaled_dot_product_attention")
def _attended(f: Fitting) -> fx.Node:
    p = float(argument(f.node, 4, "dropout_p", 0.0))
    if p == 0.0:
        return f.copied()
    q, k, _ = attended(f.node)
    drop = _mask(f, f.node, p, size=(*shape(q)[:-1], shape(k)[-2]))
    causal, scale = bool(argument(f.node, 5, "is_causal", False)), argument(f.node, 6, "scale")
    grouped = bool(argument(f.node, 7, "enable_gqa", False))
    given = [f.given[n] for n in attended(f.node)]
    masks = [f.given[n] for n in operands(f.node) if n not in attended(f.node)]
    return f.cutter.module("attention", Attention(drop, causal, scale, grouped), *given, *masks)


@_fit("cross_entropy_loss")
def _entropy(f: Fitting) -> fx.Node:
    scores, targets = operands(f.node)
    mean, ignored = argument(f.node, 3, "reduction", 1) == 1, int(argument(f.node, 4, "ignore_index", -100))
    loss = VocabularyLoss(f.cutter.cut(scores, f.mode, 1), ignored, mean)
    return f.cutter.module("loss", loss, f.given[scores], f.given[targets])


@_fit("matmul", "mm", "bmm")
def _product(f: Fitting) -> fx.Node:
    made = f.copied()
    return f.exchanged(made) if f.partial else made

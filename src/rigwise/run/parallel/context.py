"""Context parallelism of a captured graph: each rank takes some tokens of every sample.

The axis of the tokens is followed through the graph (relations.py) from the attention's queries back to the inputs.
Every rank is given whole samples and picks its tokens; what works on a token alone works on the picked ones; attention
gathers keys and values (attending.py); what needs all tokens at once gathers them and works on the whole. Where
attention is causal, a rank holds an early and a late piece of the sequence, so that all do the same work (the zigzag of
ring attention). A rank then trains on its tokens as a data-parallel rank does on its samples: gradients are averaged
over dp x cp, and exchanges inside the graph add up what other ranks' losses ask for.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx, nn

from rigwise.errors import UsageError
from rigwise.run.parallel.attending import ContextAttention, ContextLoss, Own, Reduced
from rigwise.run.parallel.axes import Axis, leaves, occurrences, unify
from rigwise.run.parallel.capture import module_of, plant
from rigwise.run.parallel.exchanges import Cut
from rigwise.run.parallel.fitting import FITTED, Fitting
from rigwise.run.parallel.layers import plain_entropy
from rigwise.run.parallel.nodes import attribute
from rigwise.run.parallel.pieces import Exchange
from rigwise.run.parallel.relations import Axial, argument, name_of, operands, shape
from rigwise.run.parallel.states import held_dim
from rigwise.run.parallel.tensor import Along

Index = NDArray[np.int64]
_ATTENTION, _ENTROPY = "scaled_dot_product_attention", "cross_entropy_loss"


def shares(length: int, ranks: int, causal: bool) -> list[Index]:
    """The tokens of each rank: a run, or, where attention is causal, one piece from each end.

    >>> [held.tolist() for held in shares(8, 2, causal=True)]
    [[0, 1, 6, 7], [2, 3, 4, 5]]
    """
    pieces = 2 * ranks if causal else ranks
    if length % pieces:
        below = length // pieces * pieces
        raise UsageError(
            f"cp {ranks}, and a sample has {length} tokens",
            rule="context parallelism cuts tokens evenly, where causal in 2 cp pieces, an early and a late one a rank",
            nearest=" or ".join(f"{n} tokens" for n in (below, below + pieces) if n),
        )
    rows = np.split(np.arange(length), pieces)
    return [np.concatenate([rows[r], rows[-1 - r]]) if causal else rows[r] for r in range(ranks)]


def context_parallel(module: fx.GraphModule, along: Along) -> fx.GraphModule:
    """The graph for this rank's tokens; it takes whole samples and gives its loss.

    UsageError: no input has a dim of tokens that attention follows, or it does not divide.
    """
    axial = Axial(module.graph)
    for node in axial.relations:
        if name_of(node) == _ENTROPY and plain_entropy(node):
            unify(*(axial.dims(value)[0] for value in operands(node)))
    cores = [node for node in axial.relations if name_of(node) == _ATTENTION]
    axis = _tokens(axial, cores)
    if axis is None:
        raise UsageError(
            "no input of the model has tokens that an attention follows",
            rule="context parallelism cuts samples of tokens [N, S] or [N, S, H] in front of "
            "torch's scaled_dot_product_attention",
            nearest="the same ranks as dp",
        )
    causal = any(argument(node, 5, "is_causal", False) for node in cores)
    return _Rewriting(module, axial, axis, shares(axis.size, along.ranks, causal), along).run()


def _tokens(axial: Axial, cores: Sequence[fx.Node]) -> Axis | None:
    """The axis of most attentions' queries that an input has too."""
    given = [dims for node, (dims, *_) in axial.values.items() if node.op == "placeholder" and dims]
    counts: dict[Axis, int] = {}
    for node in cores:
        for axis in leaves(axial.dims(operands(node)[0])[-2]):
            if any(held_dim(dims, axis) is not None for dims in given):
                counts[axis] = counts.get(axis, 0) + 1
    return max(counts, key=counts.__getitem__) if counts else None


class _Whole:
    """Nothing is partial here: what sums over the tokens works on all of them."""

    def is_partial(self, node: fx.Node) -> bool:
        """Never."""
        return False


class _Rewriting:
    """Copies a graph node by node. local: the values that are cut along the tokens."""

    def __init__(self, module: fx.GraphModule, axial: Axial, axis: Axis, held: Sequence[Index], along: Along) -> None:
        self.source, self.axial, self.axis, self.shares, self.along = module, axial, axis, held, along
        self.states = _Whole()
        self.root, self.graph = nn.Module(), fx.Graph()
        self.new: dict[fx.Node, fx.Node] = {}
        self.local: set[fx.Node] = set()
        self.made: dict[tuple[fx.Node, str], fx.Node] = {}
        self.count = 0
        self.meta: dict[str, Any] = {}

    def run(self) -> fx.GraphModule:
        """Every node in turn."""
        for node in self.source.graph.nodes:
            self.meta = {k: v for k, v in node.meta.items() if k in ("chunk", "nn_module_stack", "unit")}
            if node.op == "get_attr":
                plant(self.root, str(node.target), attribute(self.source, str(node.target)))
            if node.op == "placeholder":
                self.new[node] = self.graph.node_copy(node)
            elif node.op == "call_function" and node.target is not operator.getitem:
                self.new[node] = self._operation(node)
            elif node.op == "output":
                self.new[node] = self.graph.node_copy(node, self.whole)
            else:
                self.new[node] = self.graph.node_copy(node, self.new.__getitem__)
                if any(source in self.local for source in node.all_input_nodes):
                    self.local.add(node)
        self.graph.set_codegen(self.source.graph._codegen)
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph)

    # ---- what Fitting asks of a cutter

    def module(self, name: str, module: nn.Module, *given: Any) -> fx.Node:
        """A node that calls a module of ours."""
        path = f"context_{name}_{self.count}"
        self.count += 1
        self.root.add_module(path, module)
        made = self.graph.call_module(path, given)
        made.meta = dict(self.meta)
        return made

    def held(self, node: fx.Node, axis: Axis, dim: int, rank: int | None = None, which: int = 0) -> Index:
        """The indices of a value's dim that a rank holds."""
        own = self.shares[self.along.rank if rank is None else rank]
        return _indices(self.axial.values[node][which][dim], axis, own)

    def cut(self, node: fx.Node, axis: Axis | None, dim: int) -> Cut:
        """How a value's dim lies on the ranks."""
        held = tuple(self.held(node, self.axis, dim, r) for r in range(self.along.ranks))
        return Cut(dim=dim, size=sum(map(len, held)), held=held, group=self.along.group, rank=self.along.rank)

    # ---- values

    def whole(self, node: fx.Node) -> fx.Node:
        """All tokens of a value."""
        if node not in self.local:
            return self.new[node]
        if (node, "whole") not in self.made:
            dim = held_dim(self.axial.dims(node), self.axis)
            assert dim is not None
            made = self.module("collect", Exchange("collect", self.cut(node, self.axis, dim)), self.new[node])
            self.made[node, "whole"] = made
        return self.made[node, "whole"]

    def own(self, node: fx.Node) -> fx.Node:
        """This rank's tokens of a value; one without tokens as it is."""
        if node in self.local or len(self.axial.values[node]) != 1:
            return self.new[node]
        dim = held_dim(self.axial.dims(node), self.axis)
        if dim is None:
            return self.new[node]
        if (node, "own") not in self.made:
            index = self.held(node, self.axis, dim)
            self.made[node, "own"] = self.module("own", Own(dim, index), self.new[node])
        return self.made[node, "own"]

    # ---- operations

    def _operation(self, node: fx.Node) -> fx.Node:
        given = operands(node)
        from_input = any(v in self.local or self._enters(v) for v in given)
        if not from_input or not (alone := self._alone(node)):
            made = self._together(node) if from_input else None
            return made or self.graph.node_copy(node, lambda n: self.whole(n) if n in given else self.new[n])
        assert alone
        self.local.add(node)
        taken = {value: self.own(value) for value in given}
        fit = FITTED.get(name_of(node))
        made = fit(Fitting(self, node, self.axis, taken)) if fit else None  # type: ignore[arg-type]
        if made is None:
            made = self.graph.node_copy(node, lambda n: taken.get(n) or self.new[n])
        made.meta |= self.meta | {k: v for k, v in node.meta.items() if k == "draw"}
        return made

    def _together(self, node: fx.Node) -> fx.Node | None:
        """An operation over all tokens that need not be gathered for it."""
        given = operands(node)
        if name_of(node) == _ATTENTION:
            return self._attention(node)
        if name_of(node) == _ENTROPY and plain_entropy(node):
            loss = ContextLoss(
                self.along.group,
                ignored=int(argument(node, 4, "ignore_index", -100)),
                mean=argument(node, 3, "reduction", 1) == 1,
            )
            return self.module("loss", loss, *(self.own(value) for value in given))
        summed = any(occurrences(axes, self.axis) for axes in self.axial.relations[node].summed)
        if name_of(node) in ("sum", "mean") and summed and held_dim(self.axial.dims(given[0]), self.axis) is not None:
            part = self.graph.node_copy(node, lambda n: self.own(n) if n in given else self.new[n])
            return self.module("reduce", Reduced(self.along.group, self.along.ranks, name_of(node) == "mean"), part)
        return None

    def _enters(self, node: fx.Node) -> bool:
        return node.op == "placeholder" and held_dim(self.axial.dims(node), self.axis) is not None

    def _alone(self, node: fx.Node) -> bool:
        """Does an operation work on each token alone?"""
        relation = self.axial.relations[node]
        needs = [axes for _, axes in relation.whole] + relation.summed
        if any(occurrences(axes, self.axis) for axes in needs):
            return False
        dims = [d for value in operands(node) for d in self.axial.values[value]]
        given = all(held_dim(d, self.axis) is not None or not _has(d, self.axis) for d in dims)
        return given and all(held_dim(out, self.axis) is not None for out in relation.outs)

    def _attention(self, node: fx.Node) -> fx.Node:
        """Queries of this rank's tokens, keys and values of all."""
        q, k, v, *masks = operands(node)
        if argument(node, 4, "dropout_p", 0.0):
            raise UsageError(
                f"attention of {module_of(node)!r} drops scores at random",
                rule="context parallelism takes attention without dropout of its own",
                nearest="dropout 0 in the attention",
            )
        for value in (q, k, v):
            if held_dim(self.axial.dims(value), self.axis) != len(shape(value)) - 2:
                raise UsageError(
                    f"attention of {module_of(node)!r} has queries, keys and values of other tokens",
                    rule="context parallelism takes attention of a sequence to itself",
                    nearest="the same ranks as dp",
                )
        core = ContextAttention(
            self.cut(k, self.axis, len(shape(k)) - 2),
            causal=bool(argument(node, 5, "is_causal", False)),
            scale=argument(node, 6, "scale"),
            grouped=bool(argument(node, 7, "enable_gqa", False)),
        )
        self.local.add(node)
        given = [self.own(value) for value in (q, k, v)] + [self.whole(mask) for mask in masks]
        self._follow(node, q)
        return self.module("attention", core, *given)

    def _follow(self, node: fx.Node, q: fx.Node) -> None:
        """The attention's own output has the tokens of its queries."""
        assert held_dim(self.axial.relations[node].outs[0], self.axis) == len(shape(q)) - 2


def _has(dims: Sequence[Sequence[Axis]], axis: Axis) -> bool:
    return any(occurrences(axes, axis) for axes in dims)


def _indices(axes: Sequence[Axis], chosen: Axis, own: Index) -> Index:
    """The indices of a dim whose axis of tokens is held as `own`."""
    sizes = [axis.size for axis in leaves(axes)]
    rows = [own if axis is chosen else np.arange(axis.size) for axis in leaves(axes)]
    held = np.zeros(1, dtype=np.int64)
    for size, row in zip(sizes, rows, strict=True):
        held = (held[:, None] * size + row[None, :]).ravel()
    assert len(held) == prod(len(row) for row in rows)
    return held

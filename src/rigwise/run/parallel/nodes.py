"""What a captured graph says of its nodes: which carry gradients, which any part can make, where it may be cut."""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

_MAY_ALIAS = {"reshape", "flatten", "contiguous", "to", "type_as", "dropout", "alpha_dropout", "feature_dropout"}
_PRODUCTS = {
    "linear", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "conv1d", "conv2d", "conv3d", "convolution",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "scaled_dot_product_attention",
}  # fmt: skip
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}


def name_of(node: fx.Node) -> str:
    """The operation's plain name: "linear" of aten.linear.default; "" where it is no registered operation."""
    return str(node.target._schema.name).split("::")[-1] if isinstance(node.target, torch._ops.OpOverload) else ""


def is_random(node: fx.Node) -> bool:
    """Whether an operation draws random numbers."""
    target = node.target
    return isinstance(target, torch._ops.OpOverload) and (
        torch.Tag.nondeterministic_seeded in target.tags or _drops(node)
    )


def _drops(node: fx.Node) -> bool:
    name = name_of(node)
    if name.rstrip("_") in ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"):
        return len(node.args) < 3 or bool(node.args[2])
    if name == "scaled_dot_product_attention":
        given = dict(zip(("query", "key", "value", "attn_mask", "dropout_p"), node.args, strict=False)) | node.kwargs
        return bool(given.get("dropout_p", 0.0))
    return False


def multiplies(node: fx.Node) -> bool:
    """Whether an operation is a matrix product, a convolution or an attention."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return node.op != "call_function" or target is not operator.getitem
    return name_of(node) in _PRODUCTS | _RECURRENT or target.overloadpacket in flop_registry


def moved_writes(graph: fx.GraphModule) -> None:
    """Take out what export adds and a part does not need, in place: its guards, and buffers copied onto themselves.

    A buffer that gets a new value is written at the end of an exported graph; here as soon as the value is there and
    the old one was read for the last time, so that the write does not hold the whole graph together.
    """
    for node in list(graph.graph.nodes):
        if node.target == "_guards_fn" or name_of(node).startswith("_assert"):
            graph.graph.erase_node(node)
        elif name_of(node) == "copy_" and not node.users and node.args[0].op == "get_attr":
            buffer, value = node.args[:2]
            if root_of(value) is buffer:
                graph.graph.erase_node(node)
            else:
                place = {other: at for at, other in enumerate(graph.graph.nodes)}
                readers = (user for user in buffer.users if user is not node)
                after = max((value, buffer, *readers), key=lambda other: place[other])
                after.append(node)


def root_of(node: Any) -> Any:
    """The node whose memory this one shows: itself, or what it is a view of."""
    while isinstance(node, fx.Node) and node.op == "call_function":
        source = _shown(node)
        if source is None:
            return node
        node = source
    return node


def _shown(node: fx.Node) -> fx.Node | None:
    """The argument that an operation's result shares memory with, if it may."""
    first = node.args[0] if node.args and isinstance(node.args[0], fx.Node) else None
    if node.target is operator.getitem:
        return first
    if not isinstance(node.target, torch._ops.OpOverload):
        return None
    schema = node.target._schema
    if name_of(node) in _MAY_ALIAS or any(r.alias_info is not None for r in schema.returns):
        return first
    return None


def written(node: fx.Node) -> Iterator[fx.Node]:
    """The arguments that an operation writes in place."""
    if name_of(node) in ("batch_norm", "instance_norm") and node.args[5]:  # their schema does not say it
        yield from (a for a in node.args[3:5] if isinstance(a, fx.Node))
    if not isinstance(node.target, torch._ops.OpOverload):
        return
    for place, argument in enumerate(node.target._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = node.args[place] if place < len(node.args) else node.kwargs.get(argument.name)
            if isinstance(value, fx.Node):
                yield value


class Facts:
    """A graph's nodes by what they are. operations: all but placeholders, parameters and the output, in order.

    differentiable: made with the help of something that is trained. light: any part can make them again for itself.
    """

    def __init__(self, graph: fx.GraphModule) -> None:
        nodes = list(graph.graph.nodes)
        self.placeholders = [node for node in nodes if node.op == "placeholder"]
        self.operations = [node for node in nodes if node.op in ("call_function", "call_module", "call_method")]
        self.held = {node: attribute(graph, str(node.target)) for node in nodes if node.op == "get_attr"}
        self._place = {node: at for at, node in enumerate(self.operations)}
        self.differentiable = self._trained()
        self._writes = {node: [root_of(v) for v in written(node)] for node in self.operations}
        self.light = self._light()
        self._closed = self._together()
        self.last_use = {node: self._last_use(node) for node in self.operations}

    def crossing(self, place: int) -> list[fx.Node]:
        """The values that travel if a part begins at a place."""
        return [n for n in self.operations[:place] if n not in self.light and self.last_use[n] >= place]

    def allowed(self, start: int) -> int:
        """The next place, from `start` on, where a part may begin."""
        ends = [end for _, end in self._closed]
        at = start
        while True:
            inside = next(((b, e) for b, e in self._closed[bisect_left(ends, at) :] if b < at <= e), None)
            if inside is None:
                return at
            at = inside[1] + 1

    def _last_use(self, node: fx.Node) -> int:
        """The place of the last operation that uses a value, itself where none does; a light one uses it where it is
        used. What the graph returns is used to the end.
        """
        last = self._place[node]
        for user in node.users:
            if user.op == "output":
                return len(self.operations)
            last = max(last, self._last_use(user) if self._follows(user) else self._place[user])
        return last

    def _follows(self, node: fx.Node) -> bool:
        """Whether an operation goes wherever it is needed: a light one, or a member of a tuple."""
        return node in self.light or node.target is operator.getitem

    def _trained(self) -> set[fx.Node]:
        found = {n for n, held in self.held.items() if isinstance(held, torch.Tensor) and held.requires_grad}
        for node in self.operations:
            if any(source in found for source in node.all_input_nodes) and _is_float(node):
                found.add(node)
        return found

    def _light(self) -> set[fx.Node]:
        """Not trained, not random, no product, nothing written; made of the batch, buffers and other light nodes."""
        touched = {root for roots in self._writes.values() for root in roots}
        sources = {n for n in self.placeholders if n not in touched}
        sources |= {n for n, h in self.held.items() if n not in touched and not isinstance(h, torch.nn.Parameter)}
        light: set[fx.Node] = set()
        for node in self.operations:
            plain = node.op == "call_function" and not self._writes[node] and root_of(node) not in touched
            if (
                plain
                and node not in self.differentiable
                and not multiplies(node)
                and not is_random(node)
                and all(source in sources or source in light for source in node.all_input_nodes)
            ):
                light.add(node)
        return light

    def _together(self) -> list[tuple[int, int]]:
        """Ranges of operations, first and last, that must stand in one part since they write to one memory.

        Memory of the graph's own: from where it is made to where it is last written. A buffer or an input that is
        written: from its first use to its last, as another part would not see the write.
        """
        ranges: dict[fx.Node, tuple[int, int]] = {}
        for node, roots in self._writes.items():
            for root in roots:
                begin, end = ranges.get(root, (self._place.get(root, self._place[node]), 0))
                ranges[root] = begin, max(end, self._place[node])
        for node in self.operations:
            for source in node.all_input_nodes:
                root = root_of(source)
                if root in ranges and root not in self._place:
                    begin, end = ranges[root]
                    ranges[root] = min(begin, self._place[node]), max(end, self._place[node])
        return sorted(ranges.values(), key=lambda pair: pair[1])


class Dry(fx.Interpreter):
    """Runs a graph without data and leaves its buffers alone."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.mode = FakeTensorMode()

    def go(self) -> Any:
        """Run; what the graph returns, flat."""
        given = [self._bare(node) for node in self.module.graph.nodes if node.op == "placeholder"]  # type: ignore[union-attr]
        with self.mode, torch.no_grad():
            return self.run(*given, enable_io_processing=False)

    def fetch_attr(self, target: str) -> Any:
        """A parameter or buffer without its data."""
        found = super().fetch_attr(target)
        return self.mode.from_tensor(found) if isinstance(found, torch.Tensor) else found

    def _bare(self, node: fx.Node) -> Any:
        seen = node.meta.get("val")
        if not isinstance(seen, torch.Tensor):
            return seen
        with self.mode:
            return torch.empty(seen.shape, dtype=seen.dtype, device=seen.device)


def measure(graph: fx.GraphModule, device: torch.device, dtype: torch.dtype | None = None) -> None:
    """Write the shape and type of every value at its node, by one forward pass without gradients on zeros.

    A real one, as ranks exchange in it: all ranks that share a micro-batch do it together. dtype: of autocast. Buffers
    are as they were afterwards.
    """

    class Measuring(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            made = super().run_node(n)
            if n.op != "output":
                n.meta["val"] = tree_map_only(torch.Tensor, lambda t: torch.empty_like(t, device="meta"), made)
            return made

    given = [
        torch.zeros(seen.shape, dtype=seen.dtype, device=device) if isinstance(seen, torch.Tensor) else seen
        for seen in (node.meta.get("val") for node in graph.graph.nodes if node.op == "placeholder")
    ]
    kept = [(buffer, buffer.clone()) for buffer in graph.buffers()]
    cast = torch.autocast(device.type, dtype=dtype) if dtype is not None else nullcontext()
    with torch.no_grad(), cast:
        Measuring(graph).run(*given, enable_io_processing=False)
        for buffer, before in kept:
            buffer.copy_(before)


def attribute(graph: fx.GraphModule, target: str) -> Any:
    """What a graph holds under a dotted name."""
    found: Any = graph
    for word in target.split("."):
        found = getattr(found, word)
    return found


def _is_float(node: fx.Node) -> bool:
    seen = node.meta.get("val")
    many = seen if isinstance(seen, (tuple, list)) else (seen,)
    return any(isinstance(v, torch.Tensor) and (v.is_floating_point() or v.is_complex()) for v in many)

"""Activations that are computed again in the backward pass instead of being kept: recompute=full and selective.

full       the blocks that follow each other (the children of a ModuleList, say) keep what enters them
selective  attention keeps what enters it: torch's own, or a softmax between two products

A block runs twice, with the random numbers of its first time; buffers that it writes are put back after the second. Its
exchanges are done again too, as the laws of cost count them. In a captured graph the blocks are runs of operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import groupby
from typing import Any

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from rigwise.errors import UsageError
from rigwise.models.trace import call, unit_paths
from rigwise.run.parallel.capture import module_of, plant
from rigwise.run.parallel.nodes import attribute, multiplies, name_of

UNIT = "unit"
_ATTENTION = "scaled_dot_product_attention"
_PRODUCTS = ("matmul", "bmm", "baddbmm", "einsum")
Contexts = Callable[[], AbstractContextManager[Any]]


def no_attention() -> UsageError:
    """What selective recomputation says where it finds nothing."""
    return UsageError(
        f"recompute=selective, and the model has no attention: no {_ATTENTION}, no softmax between two products",
        rule="selective recomputation runs attention again",
        nearest="recompute=full",
    )


def _run_again(
    function: Callable[..., Any], given: Sequence[Any], buffers: Sequence[torch.Tensor], also: Contexts = nullcontext
) -> Any:
    """Call a function now, and again in the backward pass. also: entered around the second time."""

    @contextmanager
    def second() -> Iterator[None]:
        before = [buffer.clone() for buffer in buffers]
        try:
            with also():
                yield
        finally:
            with torch.no_grad():
                for buffer, copy in zip(buffers, before, strict=True):
                    buffer.copy_(copy)

    return checkpoint(
        function, *given, use_reentrant=False, early_stop=False, context_fn=lambda: (nullcontext(), second())
    )


# ---- modules as they are


def recompute_module(model: nn.Module, kind: str) -> None:
    """Have a module's blocks, or its attention, run again in the backward pass; in place. Without blocks it is one."""
    if kind == "selective":
        plain = model.forward
        model.forward = lambda *args, **keywords: _attending_again(plain, args, keywords)
        return
    for path in [*unit_paths(model)] or [""]:
        unit = model.get_submodule(path)
        if not isinstance(unit, nn.ModuleList):
            _patch(unit)


def _patch(unit: nn.Module) -> None:
    plain = unit.forward

    def forward(*args: Any, **keywords: Any) -> Any:
        if not torch.is_grad_enabled():
            return plain(*args, **keywords)
        return _run_again(lambda *given: plain(*given, **keywords), args, [*unit.buffers()])

    unit.forward = forward


class _Seeing(TorchFunctionMode):
    """Looks out for torch's attention."""

    seen = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen |= func is nn.functional.scaled_dot_product_attention
        return func(*args, **kwargs or {})


def calls_attention(model: nn.Module, inputs: Any) -> bool:
    """Does a module call torch's attention for these inputs? One forward pass, which leaves buffers as they are."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with _Seeing() as mode, torch.no_grad():
        call(model, inputs)
        for buffer, before in buffers:
            buffer.copy_(before)
    return bool(mode.seen)


class _Attention(TorchFunctionMode):
    """Attention that runs again. seen: how often it was called."""

    seen = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is not nn.functional.scaled_dot_product_attention or not torch.is_grad_enabled():
            return func(*args, **given)
        self.seen += 1
        return _run_again(lambda *operands: func(*operands, **given), args, [])


def _attending_again(plain: Callable[..., Any], args: Any, keywords: Any) -> Any:
    with _Attention() as mode:
        made = plain(*args, **keywords)
    if not mode.seen and torch.is_grad_enabled():
        raise no_attention()
    return made


# ---- captured graphs


def mark_units(graph: fx.GraphModule, model: nn.Module, kind: str) -> None:
    """Write at each operation of a captured graph which block it runs again with; "" for none. Passes keep that."""
    paths = sorted(unit_paths(model), key=len, reverse=True)
    cores = _cores(graph) if kind == "selective" else {}
    for node in graph.graph.nodes:
        if node.op != "call_function":
            continue
        where = module_of(node)
        if kind == "selective":
            node.meta[UNIT] = cores.get(node, "")
        else:
            node.meta[UNIT] = next((p for p in paths if f"{where}.".startswith(f"{p}.")), "" if paths else "all")
    if not any(node.meta.get(UNIT) for node in graph.graph.nodes):
        raise no_attention()


def _cores(graph: fx.GraphModule) -> dict[fx.Node, str]:
    """The operations of every attention, and which one each belongs to: torch's own, or what stands between a product
    and the next one with a softmax on the way, both products included.
    """
    nodes = list(graph.graph.nodes)
    place = {node: at for at, node in enumerate(nodes)}
    found: dict[fx.Node, str] = {}
    for node in nodes:
        if name_of(node) == _ATTENTION:
            found[node] = f"attention {place[node]}"
        elif name_of(node) in ("softmax", "_softmax"):
            first, last = _product(node, lambda n: n.all_input_nodes), _product(node, lambda n: list(n.users))
            if first is not None and last is not None:
                run = (n for n in nodes[place[first] : place[last] + 1] if n.op == "call_function")
                found |= dict.fromkeys(run, f"attention {place[node]}")
    return found


def _product(start: fx.Node, ways: Callable[[fx.Node], list[fx.Node]]) -> fx.Node | None:
    """The nearest product of two values that are no weights, on one way from a node; None where there is none."""
    todo, seen = [start], {start}
    while todo:
        node = todo.pop(0)
        for other in ways(node):
            if name_of(other) in _PRODUCTS and not any(n.op == "get_attr" for n in other.all_input_nodes):
                return other
            if other not in seen and other.op == "call_function" and not multiplies(other):
                seen.add(other)
                todo.append(other)
    return None


class _Again(nn.Module):
    """A run of operations. buffers: which of the operands are buffers. also: entered around the second time."""

    def __init__(self, body: fx.GraphModule, buffers: Sequence[int], also: Callable[[], Contexts]) -> None:
        super().__init__()
        self.body, self.buffers_at, self.also = body, tuple(buffers), also

    def forward(self, *given: Any) -> Any:
        """What the run gives to the operations after it."""
        if not torch.is_grad_enabled():
            return self.body(*given)
        return _run_again(self.body, given, [given[at] for at in self.buffers_at], self.also())


def recompute_graph(graph: fx.GraphModule, also: Callable[[], Contexts] = lambda: nullcontext) -> fx.GraphModule:
    """The graph with its marked runs of operations as modules that run again in the backward pass.

    also: asked in the forward pass for what to enter around the second time. An operation that a pass put in belongs to
    the one before it.
    """
    operations = [node for node in graph.graph.nodes if node.op in ("call_function", "call_module")]
    unit = ""
    units: dict[fx.Node, str] = {}
    for node in operations:
        units[node] = unit = node.meta.get(UNIT, unit)
    runs = [(unit, list(run)) for unit, run in groupby(operations, key=units.__getitem__)]
    for number, (_, run) in enumerate((unit, run) for unit, run in runs if unit):
        _fold(graph, run, f"again_{number}", also)
    graph.graph.lint()
    graph.recompile()
    return graph


def _fold(graph: fx.GraphModule, run: list[fx.Node], name: str, also: Callable[[], Contexts]) -> None:
    """Put a run of operations into a module of the graph, in place."""
    inside = set(run)
    given = list(dict.fromkeys(n for node in run for n in node.all_input_nodes if n not in inside))
    gives = [node for node in run if any(user not in inside for user in node.users)]
    body, copies = fx.Graph(), {}
    for node in given:
        copies[node] = body.placeholder(node.name)
    root = nn.Module()
    for node in run:
        copies[node] = body.node_copy(node, copies.__getitem__)
        if node.op == "call_module":
            plant(root, str(node.target), attribute(graph, str(node.target)))
    body.output(tuple(copies[node] for node in gives))
    buffers = [at for at, node in enumerate(given) if _is_buffer(graph, node)]
    module = _Again(fx.GraphModule(root, body, "Again"), buffers, also)
    graph.add_module(name, module)
    order = {node: at for at, node in enumerate(graph.graph.nodes)}
    for node in given:
        if order[node] > order[run[0]]:
            run[0].prepend(node)  # a weight is read later than the run begins
    with graph.graph.inserting_before(run[-1].next):
        made = graph.graph.call_module(name, tuple(given))
        for place, node in enumerate(gives):
            taken = graph.graph.call_function(_take, (made, place))
            taken.meta = {key: value for key, value in node.meta.items() if key == "val"}
            node.replace_all_uses_with(taken, delete_user_cb=lambda user: user not in inside)
    for node in reversed(run):
        graph.graph.erase_node(node)


def _take(many: Sequence[Any], place: int) -> Any:
    return many[place]


def _is_buffer(graph: fx.GraphModule, node: fx.Node) -> bool:
    if node.op != "get_attr":
        return False
    held = attribute(graph, str(node.target))
    return isinstance(held, torch.Tensor) and not isinstance(held, nn.Parameter)

"""A module as a flat graph of operations, with its own parameters under their own names.

torch.export traces it with the shapes of one micro-batch; the graph trains as the module does (dropout draws, batch
norm writes its running statistics). What cannot be captured is said with the module's name, before anything starts.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from rigwise.errors import UsageError
from rigwise.models.trace import call
from rigwise.run.parallel.mixtures import call_mixtures, opaque_mixtures

_RULE = "tensor, context, expert and pipeline layouts trace the module to a graph of operations"
_OTHERWISE = "a layout of dp and zero, which runs the module as it is"
_RUNNING = (nn.LSTM, nn.GRU, nn.RNN)


@contextmanager
def _with_loss(model: nn.Module, loss: Callable[[Any, Any], torch.Tensor] | None) -> Iterator[None]:
    """The module called with (inputs, targets) gives its loss. Not a module around it: torch.export forgets a buffer
    that a module inside another one assigns anew.
    """
    if loss is None:
        yield
        return
    own, patched = model.forward, model.__dict__.get("forward")

    def forward(inputs: Any, targets: Any) -> torch.Tensor:
        return loss(call(own, inputs), targets)

    model.forward = forward
    try:
        yield
    finally:
        del model.forward
        if patched is not None:
            model.forward = patched


def capture(
    model: nn.Module, inputs: Any, *, loss: Callable[[Any, Any], torch.Tensor] | None = None, targets: Any = None
) -> fx.GraphModule:
    """The graph of a module in training mode for inputs of these shapes (a tensor, a tuple, or a dict of keywords).

    With a loss, the graph takes (inputs, targets) and gives the loss, so that a pass may fit the loss too.

    It holds the module's own Parameter and buffer objects, so training the graph trains the module; a tied weight is
    one parameter under its first name. Placeholders carry the inputs as `call` (models/trace.py) would pass them.
    Raises UsageError for what cannot be traced.
    """
    refuse_recurrent(model)
    from rigwise.run.parallel.tracer import export  # half a second and 12 MiB, which other layouts do without

    args, keywords = _arguments(inputs) if loss is None else ((inputs, targets), {})
    modes = [module.training for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]  # tracing counts a batch norm's batch
    model.train()
    try:
        with _quiet(), opaque_mixtures(model), _with_loss(model, loss):
            program = export(model, args, keywords, strict=False)
            traced = program.module(check_guards=False)
    except Exception as error:
        raise _refused(model, error) from error
    finally:
        for module, mode in zip(model.modules(), modes, strict=True):
            module.training = mode
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
    _no_symbols(model, traced)
    return _plain(model, traced)


def refuse_recurrent(model: nn.Module) -> None:
    """Refuse recurrent layers: a traced one ends the process when it is run."""
    for name, module in model.named_modules():
        if isinstance(module, _RUNNING):
            raise UsageError(
                f"{_called(name, module)} cannot be captured: a traced recurrent layer ends the process when it runs",
                rule=_RULE,
                nearest=_OTHERWISE,
            )


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    return (tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)), {}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the tracer's own reports on its failures, which are told in our words."""
    loggers = [logging.getLogger(name) for name in ("torch.fx.experimental.symbolic_shapes", "torch.export")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _refused(model: nn.Module, error: Exception) -> UsageError:
    """The failure in our words, with the innermost module of the person's that was at work."""
    where = _at_work(model, error)
    text = str(error).strip().splitlines()
    said = text[0] if text else type(error).__name__
    if isinstance(error, GuardOnDataDependentSymNode) or "data-dependent" in str(error):
        said = "what it does next depends on the values of its data (an if, a loop or an index over them)"
    return UsageError(f"{where} cannot be captured: {said}", rule=_RULE, nearest=_OTHERWISE)


def _at_work(model: nn.Module, error: BaseException) -> str:
    names = {id(module): name for name, module in model.named_modules()}
    found, step = _called("", model), error.__traceback__
    while step is not None:
        module = step.tb_frame.f_locals.get("self")
        if isinstance(module, nn.Module) and id(module) in names:
            found = _called(names[id(module)], module)
        step = step.tb_next
    return found


def _called(name: str, module: nn.Module) -> str:
    return f"module {name!r} ({type(module).__name__})" if name else f"the model ({type(module).__name__})"


def _no_symbols(model: nn.Module, traced: fx.GraphModule) -> None:
    """Refuse a number read out of a tensor: its value would have to travel between ranks."""
    for node in traced.graph.nodes:
        if node.op == "call_function" and node.target is torch.ops.aten.item.default:
            where = module_of(node)
            name = _called(where, model.get_submodule(where)) if where else _called("", model)
            raise UsageError(f"{name} reads a number out of a tensor (.item())", rule=_RULE, nearest=_OTHERWISE)


def module_of(node: fx.Node) -> str:
    """The path of the module that a node was traced in; "" for the model itself."""
    stack = node.meta.get("nn_module_stack") or {}
    path = str(next(reversed(stack.values()))[0]) if stack else ""
    return path.removeprefix("L['self']").strip(".")


def _plain(model: nn.Module, traced: fx.GraphModule) -> fx.GraphModule:
    """The graph in a module of ours: only what is used, each weight under its first name."""
    names = {id(tensor): name for name, tensor in (*model.named_buffers(), *model.named_parameters())}
    first: dict[str, fx.Node] = {}
    for node in list(traced.graph.nodes):
        if node.op == "get_attr":
            node.target = names.get(id(_attribute(traced, node.target)), node.target)
            if node.users and first.setdefault(node.target, node) is not node:
                node.replace_all_uses_with(first[node.target])
            if not node.users:
                traced.graph.erase_node(node)
    _without_writing(model, traced.graph)
    call_mixtures(model, traced.graph)
    root = nn.Module()
    for node in traced.graph.nodes:
        if node.op == "get_attr":
            plant(root, node.target, _find(model, node.target, traced))
    return fx.GraphModule(root, traced.graph)


def _without_writing(model: nn.Module, graph: fx.Graph) -> None:
    """Operations that write over their operand (relu_) give a new value instead, so that no pass has to know what lies
    where. What writes into a buffer stays; what writes into a part of another value is refused.
    """
    for node in list(graph.nodes):
        schema: Any = getattr(node.target, "_schema", None)
        written = schema and schema.arguments and schema.arguments[0].alias_info
        value: Any = node.args[0] if node.args else None
        if not written or not written.is_write or value.op == "get_attr":
            continue
        plain = getattr(torch.ops.aten, schema.name.removeprefix("aten::").removesuffix("_"), None)
        overload = getattr(plain, schema.overload_name or "default", None) if plain else None
        if overload is None or _is_seen_elsewhere(value, node):
            where = module_of(node)
            raise UsageError(
                f"{_called(where, model.get_submodule(where))} writes into a part of a tensor ({schema.name})",
                rule=_RULE,
                nearest=f"a new tensor (torch.where, torch.cat), or {_OTHERWISE}",
            )
        node.target = overload
        order = {n: i for i, n in enumerate(graph.nodes)}
        value.replace_all_uses_with(node, delete_user_cb=lambda user, at=order[node], of=order: of[user] > at)


def _is_seen_elsewhere(value: fx.Node, writer: fx.Node) -> bool:
    """Is the memory of a value, before it is written over, that of another value which is still read?"""
    schema: Any = getattr(value.target, "_schema", None)
    shared = schema and schema.returns and schema.returns[0].alias_info and value.args
    source: Any = value.args[0] if shared else None
    return isinstance(source, fx.Node) and any(user not in (value, writer) for user in source.users)


def _find(model: nn.Module, name: str, traced: fx.GraphModule) -> Any:
    try:
        return _attribute(model, name)
    except AttributeError:
        return _attribute(traced, name)  # a constant that tracing lifted out of the code


def _attribute(root: nn.Module, path: str) -> Any:
    value: Any = root
    for part in path.split("."):
        value = getattr(value, part)
    return value


def plant(root: nn.Module, path: str, value: torch.Tensor | nn.Module) -> None:
    """Hang a parameter, a buffer or a module into a tree of modules, making the way to it; an old one is replaced."""
    *way, last = path.split(".")
    for part in way:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    if hasattr(root, last):
        delattr(root, last)
    if isinstance(value, nn.Parameter):
        root.register_parameter(last, value)
    elif isinstance(value, nn.Module):
        root.add_module(last, value)
    else:
        root.register_buffer(last, value)

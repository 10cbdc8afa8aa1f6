"""A torch module, run once forward and backward on the meta device, becomes a model of exact operations.

No tensor has data: a transformer of 8 billion parameters takes seconds and no memory. The only file of this room that
knows torch, and only inside its functions.

Exact are parameters, FLOPs of products and convolutions both ways (torch's own counts), and the tensors that autograd
keeps. The rest is streams that cost the sizes of their tensors. Fused attention is one operation, dropout keeps a mask
of one byte an element. Amounts that do not grow with the samples are divided by the batch like the rest.
Recomputation that the module does itself counts as backward work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigwise.errors import LaunchError, RigwiseError, UsageError, check_whole
from rigwise.models.model import Model, Unit
from rigwise.models.python_file import blame, function_of
from rigwise.models.trace_blocks import LOSS, Recording, blocks_of, facts_of, mixtures_of
from rigwise.models.trace_closed import CLOSED, closed
from rigwise.models.trace_events import Parameter
from rigwise.models.trace_recorder import Recorder, storage_key, tensors

if TYPE_CHECKING:
    import torch

TRACE_BATCH = 2  # samples of a traced batch: batch norm wants more than one
_RETURNS = "the function returns (module, example inputs), a module with an attribute example_inputs, or rigwise.Task"


def trace_file(
    path: Path, function: str, *, seq: int | None = None, batch: int | None = None, settings: Any = ()
) -> Model:
    """The model that a function of a Python file makes.

    The function takes no arguments but settings, and returns a rigwise.Task, or a torch module with example inputs:
    (module, inputs), inputs a tensor, a tuple or a dict of them, samples along the first dim. seq replaces the length
    (dim 1) of inputs of token numbers [B, S] and of vectors [B, S, H]; batch the number of samples traced at once,
    which changes nothing in what a sample costs. Raises UsageError with file, line and message where the file's code
    fails, LaunchError where torch is missing.
    """
    check_whole(seq=seq, batch=batch)
    if find_spec("torch") is None:
        raise LaunchError("tracing a module needs torch, which is not installed", nearest="pip install 'rigwise[run]'")
    make = function_of(path, function)
    failures: list[BaseException] = []
    for place in (_on_meta, _on_fake, _on_host):
        built = False
        try:
            with place():
                module, inputs, loss, target, tokens = _asked(make(**dict(settings)), f"{path.name}:{function}", batch)
                built = True
                if seq is not None:
                    inputs, target, tokens = _with_length(inputs, seq), _with_length(target, seq), None
                return trace_module(module, inputs, loss=loss, target=target, tokens=tokens, name=path.stem)
        except RigwiseError:
            raise
        except Exception as error:
            failures.append(error)
            same = len({(type(failure), str(failure)) for failure in failures}) < len(failures)
            if same or (built and place is _on_fake):  # what cannot run without data is not built with data
                break
    raise blame(failures[0], path, f"tracing {function}") from failures[0]


def trace_module(
    module: torch.nn.Module,
    inputs: Any = None,
    *,
    input_shape: Sequence[int] | None = None,
    loss: Callable[[Any, Any], torch.Tensor] | None = None,
    target: Any = None,
    tokens: int | None = None,
    name: str = "traced",
) -> Model:
    """The model that a torch module is: run forward and backward without data.

    inputs: a tensor, a tuple or a dict of tensors with samples along the first dim; or input_shape: the shape of one
    sample of numbers. loss and target: what is trained; without them the gradient enters at every output.
    """
    import torch

    if inputs is None:
        if input_shape is None:
            raise UsageError("a module without example inputs cannot be traced", rule=_RETURNS)
        inputs = torch.empty(TRACE_BATCH, *input_shape, device="meta")
    given, wanted = _as_meta(inputs), _as_meta(target)
    first = next(tensors(_leaves(given)), None)
    if first is None or not first.dim() or not first.shape[0]:
        raise UsageError("example inputs without samples", rule="tensors with the samples along the first dim")
    with _without_data(module), torch.device(first.device):
        recording = _record(module, given, wanted, loss, float(first.shape[0]))
    blocks, tied = blocks_of(recording)
    unit, length = _unit_of(first)
    loaded = tensors((*_leaves(given), *_leaves(wanted)))
    return Model(
        name=name,
        family="traced",
        blocks=blocks,
        unit="token" if tokens else unit,
        tokens=tokens or length,
        layers=sum(block.count for block in blocks if block.role == "layer"),
        tied=tied,
        input_bytes=sum(t.numel() * t.element_size() for t in loaded) / recording.batch,
        has_batch_norm=any("batch_norm" in event.name for event in recording.events),
        source=f"traced with torch {torch.__version__}",
        reaches=(),  # a trace has operations and no wires
        **facts_of(recording),
    )


def _record(
    module: torch.nn.Module, inputs: Any, target: Any, loss: Callable[[Any, Any], torch.Tensor] | None, batch: float
) -> Recording:
    import torch
    from torch.utils.flop_counter import flop_registry

    parameters = list(module.named_parameters())
    if not parameters:
        raise UsageError("the module has no parameters", rule="there is something to train")
    weights: dict[int, frozenset[int]] = {storage_key(buffer): frozenset() for buffer in module.buffers()}
    for number, (_, parameter) in enumerate(parameters):
        weights[storage_key(parameter)] = weights.get(storage_key(parameter), frozenset()) | {number}
    recorder = Recorder(weights, parameters[0][1].element_size(), flop_registry)
    units = frozenset(unit_paths(module))
    outputs: dict[str, float] = {}
    with _listening(module, recorder, units, outputs), torch.enable_grad():
        results = call(module, inputs)
        if loss is not None:
            recorder.path.append(LOSS)
            results = loss(results, target)
        ends = [t for t in tensors(_leaves(results)) if t.requires_grad]
        if ends:
            recorder.backward = True
            torch.autograd.backward(ends, [torch.empty_like(end) for end in ends])
    kinds = {
        number: Parameter(name=name, elements=float(p.numel()), trainable=p.requires_grad)
        for number, (name, p) in enumerate(parameters)
    }
    mixtures = mixtures_of(module.named_modules())
    return Recording(recorder.finish(), kinds, units, outputs, batch, mixtures)


@contextmanager
def _listening(
    module: torch.nn.Module, recorder: Recorder, units: frozenset[str], outputs: dict[str, float]
) -> Iterator[None]:
    """Modes and hooks that tell the recorder what runs, in which module, and what autograd keeps."""
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    def number() -> int:
        return int(torch.autograd._get_sequence_nr()) - 1  # type: ignore[attr-defined]

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            node: Any = torch._C._current_autograd_node()
            sequence = node._sequence_nr() if node is not None else number() if not recorder.backward else -1
            recorder.operation(func, args, kwargs or {}, out, sequence)
            return out

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = getattr(func, "__name__", "")
            called = closed(recorder, func, name) if name in CLOSED else func
            return called(*args, **(kwargs or {}))

    def enter(path: str) -> Any:
        return lambda *_: recorder.path.append(path)

    def leave(path: str) -> Any:
        def hook(_: Any, __: Any, out: Any) -> None:
            recorder.path.pop()
            if path in units:
                outputs[path] = recorder.elements(t for t in tensors(_leaves(out)) if t.is_floating_point())

        return hook

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        recorder.kept(tensor, number())
        return tensor

    operations = Operations()  # type: ignore[no-untyped-call]
    hooks = []
    for path, child in module.named_modules():
        hooks += [child.register_forward_pre_hook(enter(path)), child.register_forward_hook(leave(path))]
    try:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), _patched(recorder), Functions(), operations:
            yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def _patched(recorder: Recorder) -> Iterator[None]:
    """The closed functions under their usual names, for callers that hide them from the mode (multi-head attention)."""
    from torch.nn import functional

    kept = {name: getattr(functional, name) for name in CLOSED}
    try:
        for name, func in kept.items():
            setattr(functional, name, closed(recorder, func, name))
        yield
    finally:
        for name, func in kept.items():
            setattr(functional, name, func)


def unit_paths(module: torch.nn.Module, prefix: str = "") -> Iterator[str]:
    """The parts of a module that follow each other as a pipeline would cut them.

    Children of a ModuleList or Sequential are units, unless they are lists of larger things themselves. Of any other
    module the children are looked through that hold a ModuleList or most of its parameters; other children with
    children of their own are units.
    """
    from torch import nn

    lists = (nn.ModuleList, nn.Sequential)
    total = sum(p.numel() for p in module.parameters())
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        grown = any(True for _ in child.children())
        whole = not isinstance(module, lists)
        if isinstance(child, lists):
            if whole or any(any(True for _ in g.children()) for g in child.children()):
                yield from unit_paths(child, f"{path}.")
            else:
                yield path
        elif not whole:
            yield path
        elif grown:
            held = sum(p.numel() for p in child.parameters())
            deep = any(isinstance(m, nn.ModuleList) and len(m) > 1 for m in child.modules())
            if deep or 2 * held > total:
                yield from unit_paths(child, f"{path}.")
            else:
                yield path


# ---- inputs


def _asked(made: Any, where: str, batch: int | None) -> tuple[Any, Any, Any, Any, int | None]:
    """Module, inputs, loss, target and tokens from what a person's function returned."""
    from torch import nn

    if all(hasattr(made, field) for field in ("model", "loss", "data", "optimizer")):
        inputs, target = _first_batch(made.data, batch or TRACE_BATCH)
        return made.model, inputs, made.loss, target, getattr(made, "tokens", 0) or None
    module, inputs = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if not isinstance(module, nn.Module):
        raise UsageError(f"{where} returned {type(made).__name__}", rule=_RETURNS)
    inputs = getattr(module, "example_inputs", None) if inputs is None else inputs
    if inputs is None:
        raise UsageError(f"{where} returned a {type(module).__name__} without example inputs", rule=_RETURNS)
    return module, _resized(inputs, 0, batch) if batch else inputs, None, None, None


def is_dataset(data: Any) -> bool:
    """Is a task's data indexed by sample (a Dataset), rather than iterated by batch?"""
    from torch.utils.data import Dataset, IterableDataset

    return not isinstance(data, IterableDataset) and (isinstance(data, Dataset) or not hasattr(data, "__iter__"))


def _first_batch(data: Any, batch: int) -> tuple[Any, Any]:
    from torch.utils.data import default_collate

    if is_dataset(data):
        found = default_collate([data[0]] * batch)
    else:
        found = next(iter(islice(iter(data), 1)), None)
        found = None if found is None else _resized(found, 0, batch)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise UsageError("the task's data gives no (input, target)", rule="data yields pairs of input and target")
    return found[0], found[1]


def _with_length(given: Any, seq: int) -> Any:
    return _mapped(
        given, lambda t: _like(t, 1, seq) if t.dim() == 3 or (t.dim() == 2 and not t.is_floating_point()) else t
    )


def _resized(given: Any, dim: int, size: int) -> Any:
    return _mapped(given, lambda t: _like(t, dim, size))


def _like(tensor: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    return tensor.new_empty([*tensor.shape[:dim], size, *tensor.shape[dim + 1 :]], device="meta")


def _mapped(given: Any, change: Callable[[Any], Any]) -> Any:
    import torch
    from torch.utils._pytree import tree_map

    return tree_map(lambda leaf: change(leaf) if isinstance(leaf, torch.Tensor) else leaf, given)


def _as_meta(given: Any) -> Any:
    return _mapped(given, lambda t: t if _has_no_data(t) else t.to("meta"))


def _leaves(given: Any) -> list[Any]:
    from torch.utils._pytree import tree_leaves

    return tree_leaves(given)


def _has_no_data(tensor: torch.Tensor) -> bool:
    from torch._subclasses.fake_tensor import FakeTensor

    return tensor.device.type == "meta" or isinstance(tensor, FakeTensor)


def call(module: Callable[..., Any], inputs: Any) -> Any:
    """The module's output: a tuple or list goes in as arguments, a mapping as keywords."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, (tuple, list)) else module(inputs)


def _unit_of(first: torch.Tensor) -> tuple[Unit, int]:
    """What a sample is: numbers [B, S] are tokens, values [B, C, H, W] an image."""
    if first.dim() == 2 and not first.is_floating_point():
        return "token", first.shape[1]
    return ("image" if first.dim() == 4 else "sample"), 1


# ---- places to build a module in


@contextmanager
def _on_meta() -> Iterator[None]:
    import torch

    with torch.device("meta"):
        yield


@contextmanager
def _on_fake() -> Iterator[None]:
    """Tensors without data that behave as those of the CPU: for modules that ask what the meta device cannot say."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    logging.getLogger("torch._subclasses.fake_tensor").setLevel(logging.CRITICAL)  # what it tells is raised, too
    fused = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)  # its recurrent kernel would hide the products inside
    try:
        with FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        torch._C._set_mkldnn_enabled(fused)


@contextmanager
def _on_host() -> Iterator[None]:
    """Real tensors, for functions that compute with what they make; the module is traced without its data."""
    yield


@contextmanager
def _without_data(module: torch.nn.Module) -> Iterator[None]:
    """The module in training mode with parameters and buffers that have no data; all is put back afterwards."""
    from torch import nn

    modes = [(child, child.training) for child in module.modules()]
    kept = [(child, dict(child._parameters), dict(child._buffers)) for child in module.modules()]
    made: dict[int, Any] = {}

    def bare(tensor: Any) -> Any:
        if tensor is None:
            return None
        if id(tensor) not in made:
            empty = tensor.detach() if _has_no_data(tensor) else tensor.detach().to("meta")
            made[id(tensor)] = nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
        return made[id(tensor)]

    try:
        module.train()
        for child, parameters, buffers in kept:
            child._parameters.update({name: bare(p) for name, p in parameters.items()})
            child._buffers.update({name: bare(b) for name, b in buffers.items()})
        yield
    finally:
        for child, parameters, buffers in kept:
            child._parameters.update(parameters)
            child._buffers.update(buffers)
        for child, mode in modes:
            child.training = mode

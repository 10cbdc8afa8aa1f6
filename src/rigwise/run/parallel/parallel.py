"""parallelize: a module made parallel as a layout says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import fx, nn

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.layouts.runnable import check_layout
from rigwise.models.trace import call
from rigwise.run.clock import Clock
from rigwise.run.compress.exchange import Exchange
from rigwise.run.compress.prepare import prepare as prepare_exchange
from rigwise.run.compress.prepare import ready
from rigwise.run.compress.two_phase import ring_bytes
from rigwise.run.feeding.feed import cut, place, size
from rigwise.run.memory import give_back, let_go
from rigwise.run.parallel.agreement import check_draws, check_models, check_samples
from rigwise.run.parallel.blocks import shared_out
from rigwise.run.parallel.capture import capture
from rigwise.run.parallel.context import context_parallel
from rigwise.run.parallel.experts import ExpertGradients, expert_parallel, leave_alone
from rigwise.run.parallel.held import Held
from rigwise.run.parallel.line import Line
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.nodes import measure
from rigwise.run.parallel.offload import activations_on_host, optimizer_on_host
from rigwise.run.parallel.probe import Probe, probe
from rigwise.run.parallel.recompute import calls_attention, mark_units, recompute_graph, recompute_module
from rigwise.run.parallel.regather import gathering_again
from rigwise.run.parallel.sharing import local, micro_batch, replicate, shard, shards
from rigwise.run.parallel.stages import prepare
from rigwise.run.parallel.tensor import Along, tensor_parallel

Loss = Callable[[Any, Any], torch.Tensor]
_AUTOCAST = {"bfloat16": torch.bfloat16}


class Parallel:
    """A module on one of many ranks.

    module: what is called; where its loss was captured with it (`whole`) it takes (inputs, targets) and gives the loss,
    otherwise it is called as the person's own. names: every key of the model's state_dict -> the name of its tensor
    (tied weights have several keys). order: all parameters of the model by name, also those of other stages. seen: what
    one forward pass showed, where a loss was given. exchange: what averages compressed gradients; layout then says
    which way they take. experts: names of weights that ranks of ep hold pieces of.
    """

    def __init__(
        self,
        module: nn.Module,
        book: Sequence[Held],
        mesh: Mesh,
        *,
        names: Mapping[str, str],
        whole: bool = False,
        seen: Probe | None = None,
        clock: Clock | None = None,
        line: Line | None = None,
        order: Sequence[str] = (),
        exchange: Exchange | None = None,
        experts: Collection[str] = (),
    ) -> None:
        self.exchange, self._experts = exchange, frozenset(experts)
        self.module, self.mesh, self.layout = module, mesh, mesh.layout
        self.names, self.whole, self.seen, self.line = names, whole, seen, line
        self.order = tuple(order)
        self._book = tuple(book)
        self._clock = clock
        self._dtype = _AUTOCAST.get(mesh.layout.precision)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """This rank's parameters under the names of the person's module, in its order."""
        for held in self._book:
            if isinstance(held.parameter, nn.Parameter):
                yield held.name, held.parameter

    def parameters(self) -> Iterator[nn.Parameter]:
        """This rank's parameters, for an optimizer."""
        return (parameter for _, parameter in self.named_parameters())

    def offload(self, optimizer: torch.optim.Optimizer) -> None:
        """Have an optimizer of these parameters keep its states where the layout says: on the host under
        offload=optimizer.
        """
        if "optimizer" in self.layout.offload:
            optimizer_on_host(optimizer)

    def held(self) -> tuple[Held, ...]:
        """Which piece of which parameter and buffer of the whole model this rank holds."""
        return self._book

    def tensors(self) -> list[torch.Tensor]:
        """This rank's memory of all parameters and buffers."""
        return [local(tensor) for tensor in (*self.module.parameters(), *self.module.buffers())]

    def take_sent(self) -> int | None:
        """Bytes of gradients that this rank sent to other copies since it was last asked, or would send in a step over
        plain DDP; None where gradients are sharded.
        """
        if self.layout.zero:
            return None
        if self.exchange:
            return self.exchange.take_sent()
        sizes = [0, 0]  # of what every replica has, and of experts
        for held in self._book:
            shared_out = bool(self.layout.by_model) and not held.is_whole
            if isinstance(held.parameter, nn.Parameter) and held.parameter.requires_grad and not shared_out:
                sizes[held.name in self._experts] += held.parameter.nbytes
        return ring_bytes(sizes[0], self.mesh.size("dp", "cp")) + ring_bytes(sizes[1], self.mesh.size("edp"))

    def close(self) -> None:
        """End the thread that averages compressed gradients."""
        if self.exchange:
            self.exchange.close()

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """The module's output for this rank's inputs, whole on all tensor ranks; backward exchanges what there is."""
        return self.module(*args, **keywords)

    def step(self, inputs: Any, targets: Any, loss: Loss) -> torch.Tensor:
        """Forward and backward over this dp rank's samples, in micro-batches; gradients are left in .grad, averaged
        over the global batch. Returns the mean loss of these samples, a scalar; its mean over dp is the batch's.
        """
        share = size(inputs)
        micro = min(self.layout.micro, share)
        if share % micro:
            raise UsageError(
                f"{share} samples in micro-batches of {micro}",
                rule="every micro-batch is full, as only then is the mean over them the mean over samples",
                nearest=f"{share // micro * micro} samples",
            )
        if self.line is not None:
            return self.line.step(inputs, targets)
        total = torch.zeros((), device=self.mesh.device)
        for begin in range(0, share, micro):
            last = begin + micro == share
            with micro_batch(self.module, self.layout.zero, last):
                kind = self.mesh.device.type
                kept = activations_on_host() if "activations" in self.layout.offload else nullcontext()
                with kept, torch.autocast(kind, dtype=self._dtype, enabled=self._dtype is not None):
                    value = self._loss(cut(inputs, begin, begin + micro), cut(targets, begin, begin + micro), loss)
                    value = value * (micro / share)
                _lap(self._clock, "forward")
                value.backward()
                if self._clock:
                    self._clock.over()
            total = total + value.detach()
        return total

    def _loss(self, inputs: Any, targets: Any, loss: Loss) -> torch.Tensor:
        if self.whole:
            value: torch.Tensor = self.module(inputs, targets)
            return value
        return loss(call(self.module, inputs), targets)


def _lap(clock: Clock | None, part: str) -> None:
    if clock:
        clock.lap(part)


def parallelize(
    model: nn.Module,
    layout: Layout | str,
    mesh: Mesh | None = None,
    *,
    inputs: Any,
    targets: Any = None,
    loss: Loss | None = None,
    cuts: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Parallel:
    """Make a module parallel on this rank; called by all ranks of torch.distributed at the same time.

    model: whole and alike on all ranks, on this rank's device. inputs: one micro-batch as it will come (a tensor, a
    tuple or a dict of tensors, samples first); with targets and loss too, the loss is fitted with the model, so that a
    vocabulary's logits stay cut. cuts: module -> "columns" or "rows", tensor cuts that a person asks for; None chooses.
    The model's own parameters are used where a rank holds them whole, and those that it holds no more, or pieces of,
    are left empty: do not use the model beside it.
    UsageError: a layout whose ranks are not there, a model that cannot be captured or has nothing to cut.
    """
    wanted = Layout.parse(layout, precision="float32") if isinstance(layout, str) else layout
    check_layout(wanted)
    where = mesh or Mesh.join(wanted)
    if wanted.compress != "none" and not wanted.zero and loss is None:
        raise UsageError(
            f"compress={wanted.compress} without a loss",
            rule="gradients are packed as they lie after a pass with inputs, targets and loss",
            nearest="parallelize(..., inputs=..., targets=..., loss=...)",
        )
    if wanted.tp > 1 or wanted.ep > 1 or wanted.zero or wanted.blocks:
        check_models(model, where)
    seen = probe(model, loss, place(inputs, where.device), place(targets, where.device)) if loss is not None else None
    tensors = [*model.parameters(), *model.buffers()]
    made = _made(model, where, inputs, targets, loss, cuts, seen, clock)
    if _is_cut(wanted):
        let_go(tensors, made.tensors())
    give_back()  # a pass that only looked leaves holes, which training would grow around
    return made


def _made(
    model: nn.Module,
    where: Mesh,
    inputs: Any,
    targets: Any,
    loss: Loss | None,
    cuts: Mapping[str, str] | None,
    seen: Probe | None,
    clock: Clock | None,
) -> Parallel:
    """What parallelize makes of a module that was looked at."""
    wanted, names = where.layout, state_names(model)
    pieces = expert_parallel(model, where) if wanted.ep > 1 else {}
    module, book = _cut(model, where, inputs, targets, loss, cuts)
    book = [held.inside(pieces[held.name]) if held.name in pieces else held for held in book]
    if wanted.pp > 1:
        return _piped(model, module, book, where, names, seen, clock, pieces)
    experts = [parameter for name, parameter in module.named_parameters() if name in pieces]
    exchange = None
    if where.size("dp", "cp") > 1:
        if wanted.zero:
            module = shard(module, where, experts)
            book = shards(book, module, where, pieces)
        else:
            exchange = _exchange(where, clock)
            module = _replicas(module, experts, where, seen, clock, exchange)
    whole = _is_cut(wanted) and loss is not None
    made = Parallel(
        module, book, where, names=names, whole=whole, seen=seen, clock=clock, exchange=exchange, experts=pieces
    )
    if exchange and loss is not None:
        made.layout = _prepared(made, exchange, inputs, targets, loss)
    return made


def _replicas(
    module: nn.Module,
    experts: Sequence[nn.Parameter],
    mesh: Mesh,
    seen: Probe | None,
    clock: Clock | None,
    exchange: Exchange | None,
) -> nn.Module:
    """Copies over dp x cp, but for experts and blocks that are shared out; as it is where nothing else is trained."""
    cut = set(getattr(module, "_ddp_params_and_buffers_to_ignore", ()))
    if cut and not any(p.requires_grad for name, p in module.named_parameters() if name not in cut):
        return module
    changed = bool(seen.changed) if seen else any(True for _ in module.buffers())
    unused = seen.unused if seen else ()
    if experts:
        leave_alone(module, experts)
    made = replicate(module, mesh, changed=changed, unused=unused, clock=clock, exchange=exchange)
    if experts:
        ExpertGradients(experts, mesh, made)
    return made


def _piped(
    model: nn.Module,
    graph: nn.Module,
    book: Sequence[Held],
    mesh: Mesh,
    names: Mapping[str, str],
    seen: Probe | None,
    clock: Clock | None,
    experts: Collection[str],
) -> Parallel:
    """A rank's stages of a pipeline."""
    assert isinstance(graph, fx.GraphModule)
    packed = mesh.layout.compress != "none" and not mesh.layout.zero
    exchange = Exchange(mesh.device) if packed else None
    line = Line(graph, mesh, _AUTOCAST.get(mesh.layout.precision), clock, experts, exchange)
    if exchange:
        own = {name: weight for name, weight in line.stages.weights().items() if name not in experts}
        ready(exchange, mesh.layout.compress, own, mesh.ranks("dp", "cp"))
    return Parallel(
        nn.ModuleList(line.stages.modules),
        line.book(book),
        mesh,
        names=names,
        whole=True,
        seen=seen,
        line=line,
        order=[name for name, _ in model.named_parameters()],
        exchange=exchange,
        experts=experts,
    )


def _exchange(mesh: Mesh, clock: Clock | None) -> Exchange | None:
    if mesh.layout.compress == "none":
        return None
    return Exchange(mesh.device, handed=lambda last: _lap(clock, "backward") if last else None)


def _prepared(made: Parallel, exchange: Exchange, inputs: Any, targets: Any, loss: Loss) -> Layout:
    """The layout with the way that gradients take; the model is left as it was."""
    where = made.mesh.device
    first, wanted = place(inputs, where), place(targets, where)

    def rehearse() -> None:
        buffers = [(buffer, buffer.clone()) for buffer in made.module.buffers()]
        made.step(first, wanted, loss)
        made.module.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)

    trained = {name: parameter for name, parameter in made.named_parameters() if parameter.requires_grad}
    way = prepare_exchange(exchange, made.layout.compress, trained, made.mesh.ranks("dp", "cp"), rehearse)
    return made.layout.but(compress=way)


def state_names(model: nn.Module) -> dict[str, str]:
    """Every key of a module's state_dict, and the first name of the tensor that it stands for."""
    first = {id(tensor): name for name, tensor in (*model.named_buffers(), *model.named_parameters())}
    return {key: first.get(id(tensor), key) for key, tensor in model.state_dict(keep_vars=True).items()}


def _is_cut(layout: Layout) -> bool:
    return layout.tp > 1 or layout.pp > 1 or layout.cp > 1


def _cut(
    model: nn.Module, mesh: Mesh, inputs: Any, targets: Any, loss: Loss | None, cuts: Mapping[str, str] | None
) -> tuple[nn.Module, list[Held]]:
    """The module that this rank runs, and its book, in the order of the model's own parameters and buffers."""
    tensors: dict[str, torch.Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    by_model = shared_out(model, mesh, inputs)
    if by_model is not None:
        module, book = by_model
        return module, [book.get(name) or Held.whole(name, tensor) for name, tensor in tensors.items()]
    if not _is_cut(mesh.layout):
        kind = mesh.layout.recompute
        if kind == "selective" and not calls_attention(model, place(inputs, mesh.device)):
            graph = capture(model, place(inputs, mesh.device))
            mark_units(graph, model, kind)
            return recompute_graph(graph), [Held.whole(name, tensor) for name, tensor in tensors.items()]
        if kind != "none":
            recompute_module(model, kind)
        return model, [Held.whole(name, tensor) for name, tensor in tensors.items()]
    layout = mesh.layout
    if loss is None and (layout.pp > 1 or layout.cp > 1):
        raise UsageError(
            f"layout {layout} without a loss",
            rule="stages of a pipeline, and ranks with parts of a sequence, need the loss beside the model",
            nearest="parallelize(..., inputs=..., targets=..., loss=...)",
        )
    check_samples((inputs, targets), mesh)
    graph = capture(model, inputs, loss=loss, targets=targets)
    check_draws(graph, mesh)
    if layout.recompute != "none":
        mark_units(graph, model, layout.recompute)
    if layout.pp > 1:
        prepare(graph, model, layout)
    if layout.cp > 1:
        graph = context_parallel(graph, _along(mesh, "cp"))
    if layout.tp == 1:
        return _again(graph, layout), [Held.whole(name, tensor) for name, tensor in tensors.items()]
    if layout.cp > 1:
        measure(graph, mesh.device)
    module, book = tensor_parallel(graph, _along(mesh, "tp"), sequence_parallel=layout.sp, cuts=cuts)
    module.to(mesh.device)
    return _again(module, layout), [book.get(name) or Held.whole(name, tensor) for name, tensor in tensors.items()]


def _again(graph: fx.GraphModule, layout: Layout) -> fx.GraphModule:
    """What is run again in the backward pass; a pipeline's parts see to it themselves."""
    if layout.pp > 1:
        return graph
    if layout.recompute != "none":
        recompute_graph(graph)
    if layout.sp == "on":
        plain = graph.forward

        def forward(*args: Any) -> Any:
            with gathering_again():
                return plain(*args)

        graph.forward = forward
    return graph


def _along(mesh: Mesh, axis: str) -> Along:
    group = mesh.group(axis)
    assert group is not None
    return Along(group=group, ranks=mesh.degree(axis), rank=mesh.coordinate(axis))

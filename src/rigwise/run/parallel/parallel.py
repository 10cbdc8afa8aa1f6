"""parallelize: a module made parallel as a layout says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.models.trace import call
from rigwise.run.clock import Clock
from rigwise.run.feeding.feed import cut, place, size
from rigwise.run.parallel.capture import capture
from rigwise.run.parallel.held import Held
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.probe import Probe, probe
from rigwise.run.parallel.sharing import micro_batch, replicate, shard, shards
from rigwise.run.parallel.tensor import Along, tensor_parallel

Loss = Callable[[Any, Any], torch.Tensor]
_AUTOCAST = {"bfloat16": torch.bfloat16}


class Parallel:
    """A module on one of many ranks.

    module: what is called; where its loss was captured with it (`whole`) it takes (inputs, targets) and gives the loss,
    otherwise it is called as the person's own. names: every key of the model's state_dict -> the name of its tensor
    (tied weights have several keys). seen: what one forward pass showed, where a loss was given.
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
    ) -> None:
        self.module, self.mesh, self.layout = module, mesh, mesh.layout
        self.names, self.whole, self.seen = names, whole, seen
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

    def held(self) -> tuple[Held, ...]:
        """Which piece of which parameter and buffer of the whole model this rank holds."""
        return self._book

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
        total = torch.zeros((), device=self.mesh.device)
        for begin in range(0, share, micro):
            last = begin + micro == share
            with micro_batch(self.module, self.layout.zero, last):
                kind = self.mesh.device.type
                with torch.autocast(kind, dtype=self._dtype, enabled=self._dtype is not None):
                    value = self._loss(cut(inputs, begin, begin + micro), cut(targets, begin, begin + micro), loss)
                    value = value * (micro / share)
                _lap(self._clock, "forward")
                value.backward()
                _lap(self._clock, "communication" if last and self.layout.dp * self.layout.cp > 1 else "backward")
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
    The model's own parameters are used where a rank holds them whole, so do not use the model beside it.
    UsageError: a layout whose ranks are not there, a model that cannot be captured or has nothing to cut.
    """
    wanted = Layout.parse(layout, precision="float32") if isinstance(layout, str) else layout
    where = mesh or Mesh.join(wanted)
    seen = probe(model, loss, place(inputs, where.device), place(targets, where.device)) if loss is not None else None
    names = state_names(model)
    module, book = _cut(model, where, inputs, targets, loss, cuts)
    if where.size("dp", "cp") > 1:
        if wanted.zero:
            module = shard(module, where)
            book = shards(book, module, where)
        else:
            changed = bool(seen.changed) if seen else any(True for _ in module.buffers())
            module = replicate(module, where, changed=changed, unused=bool(seen and seen.unused), clock=clock)
    whole = _is_cut(wanted) and loss is not None
    return Parallel(module, book, where, names=names, whole=whole, seen=seen, clock=clock)


def state_names(model: nn.Module) -> dict[str, str]:
    """Every key of a module's state_dict, and the first name of the tensor that it stands for."""
    first = {id(tensor): name for name, tensor in (*model.named_buffers(), *model.named_parameters())}
    return {key: first.get(id(tensor), key) for key, tensor in model.state_dict(keep_vars=True).items()}


def _is_cut(layout: Layout) -> bool:
    return layout.tp > 1


def _cut(
    model: nn.Module, mesh: Mesh, inputs: Any, targets: Any, loss: Loss | None, cuts: Mapping[str, str] | None
) -> tuple[nn.Module, list[Held]]:
    """The module that this rank runs, and its book, in the order of the model's own parameters and buffers."""
    tensors: dict[str, torch.Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    if not _is_cut(mesh.layout):
        return model, [Held.whole(name, tensor) for name, tensor in tensors.items()]
    graph = capture(model, inputs, loss=loss, targets=targets)
    group = mesh.group("tp")
    assert group is not None
    along = Along(group=group, ranks=mesh.degree("tp"), rank=mesh.coordinate("tp"))
    module, book = tensor_parallel(graph, along, sequence_parallel=mesh.layout.sp != "off", cuts=cuts)
    return module, [book.get(name) or Held.whole(name, tensor) for name, tensor in tensors.items()]

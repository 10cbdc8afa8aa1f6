"""What a trace records of a torch module, and how it becomes operations. Plain numbers: no torch in here.

Amounts of an event are of the whole traced batch; `operation_of` divides them by it. Shape letters as in operations.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from rigwise.models import operations
from rigwise.models.operations import Conv, Kind, Operation


@dataclass(slots=True, kw_only=True)
class Event:
    """One call of an aten operation forward, with what its backward pass turned out to do.

    path: the module it ran in ("layers.0.attention"). weights: the parameters it uses, by number. sequence: the number
    that autograd gave it. saved in elements of the activation type, saved_bytes in bytes.
    """

    path: str
    name: str
    sequence: int
    kind: Kind = "stream"
    batch: float = 1.0
    m: float = 0.0
    n: float = 0.0
    k: float = 0.0
    v: float = 0.0
    kv_heads: float = 0.0
    conv: Conv | None = None
    window: Conv | None = None
    causal: bool = False
    weights: tuple[int, ...] = ()
    matrix: int | None = None  # the parameter that is the matrix of a linear or the bank of a convolution
    steps: int = 1
    flops: float = 0.0
    reads: float = 0.0
    writes: float = 0.0
    kernels: int = 1
    saved: float = 0.0
    saved_bytes: float = 0.0
    kept: float = 0.0
    closed: bool = False  # stands for all that ran inside it: what is saved there is not listed one by one
    flops_backward: float = 0.0
    reads_backward: float = 0.0
    writes_backward: float = 0.0
    kernels_backward: int = 0

    def absorb(self, other: Event) -> None:
        """Add another call of the same operation on the same weights: the next time step, or a use again."""
        self.steps += other.steps
        for field in ("flops", "reads", "writes", "kernels", "saved", "saved_bytes", "kept"):
            setattr(self, field, getattr(self, field) + getattr(other, field))
        for field in ("flops_backward", "reads_backward", "writes_backward", "kernels_backward"):
            setattr(self, field, getattr(self, field) + getattr(other, field))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the traced module."""

    name: str
    elements: float
    trainable: bool


def operation_of(
    event: Event, prefix: str, parameters: Mapping[int, Parameter], fresh: Collection[int], batch: float
) -> list[Operation]:
    """The operations of an event, for one sample: one, and a second for trainable parameters beside a frozen matrix.

    fresh: the numbers of the parameters that are counted here, and not before in the block. prefix: what of the
    module's path belongs to the block.
    """
    trainable = _trains(event, parameters) if event.weights else True
    made = _SHAPES.get(event.kind, _stream)(event, batch, trainable)
    inside = event.path.removeprefix(prefix).lstrip(".")
    plain = event.kind in ("linear", "conv", "embedding", "attention")
    name = inside if plain and inside else ".".join(filter(None, (inside, event.name)))
    used = [parameters[number] for number in event.weights if number in fresh]
    beside = sum(p.elements for p in used if p.trainable != trainable)
    made = replace(
        made,
        name=name,
        flops=event.flops / batch,
        flops_backward=event.flops_backward / batch,
        parameters=sum(p.elements for p in used) - beside,
        trainable=trainable,
        saved=event.saved / batch,
        saved_bytes=event.saved_bytes / batch,
        kept=event.kept / batch,
    )
    if not event.kernels_backward:
        made = replace(made, reads_backward=0.0, writes_backward=0.0, kernels_backward=0, input_gradient=False)
    rest = idle(f"{name}.{'frozen' if trainable else 'trainable'}", beside, not trainable)
    return [made, rest] if beside else [made]


def idle(name: str, parameters: float, trainable: bool) -> Operation:
    """Parameters without any work: they only take memory."""
    made = operations.stream(name, reads=0.0, writes=0.0, reads_backward=0.0, writes_backward=0.0, kernels=0)
    return replace(made, parameters=parameters, trainable=trainable, kernels_backward=0)


def _trains(event: Event, parameters: Mapping[int, Parameter]) -> bool:
    if event.matrix is not None and event.matrix in parameters:
        return parameters[event.matrix].trainable
    return any(parameters[number].trainable for number in event.weights if number in parameters)


def _passes(event: Event) -> int:
    return round(event.flops_backward / event.flops) if event.flops else 0


def _linear(event: Event, batch: float, trainable: bool) -> Operation:
    passes = _passes(event)
    made = operations.linear(
        "",
        m=event.m / batch,
        n=event.n,
        k=event.k,
        batch=event.batch,
        steps=event.steps,
        trainable=trainable,
        input_gradient=passes > int(trainable),
    )
    return replace(made, kernels_backward=passes)


def _bmm(event: Event, batch: float, _: bool) -> Operation:
    made = operations.bmm("", batch=event.batch / batch, m=event.m, n=event.n, k=event.k, saved=0.0, split="none")
    return replace(_times(made, event.steps), core=False)


def _attention(event: Event, batch: float, _: bool) -> Operation:
    heads, kv_heads = event.batch / batch, event.kv_heads / batch
    made = operations.attention(
        "", heads=heads, kv_heads=kv_heads, m=event.m, n=event.n, k=event.k, v=event.v, causal=event.causal
    )
    return replace(_times(made, event.steps), split="none")


def _conv(event: Event, batch: float, trainable: bool) -> Operation:
    assert event.conv is not None
    passes = _passes(event)
    made = operations.conv("", event.conv, input_gradient=passes > int(trainable))
    return replace(_times(made, event.steps), kernels_backward=passes)


def _embedding(event: Event, batch: float, _: bool) -> Operation:
    made = operations.embedding("", rows=event.k, width=event.n, lookups=event.m / batch, split="none")
    return _times(made, event.steps)


def _stream(event: Event, batch: float, _: bool) -> Operation:
    made = operations.stream(
        "",
        reads=event.reads / batch,
        writes=event.writes / batch,
        reads_backward=event.reads_backward / batch,
        writes_backward=event.writes_backward / batch,
        kernels=event.kernels,
        kernels_backward=event.kernels_backward,
    )
    return replace(made, window=event.window)


def _times(made: Operation, steps: int) -> Operation:
    if steps == 1:
        return made
    return replace(
        made,
        steps=steps,
        reads=made.reads * steps,
        writes=made.writes * steps,
        reads_backward=made.reads_backward * steps,
        writes_backward=made.writes_backward * steps,
    )


_SHAPES = {"linear": _linear, "bmm": _bmm, "attention": _attention, "conv": _conv, "embedding": _embedding}

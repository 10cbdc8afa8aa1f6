"""Listens to the aten operations of one forward and one backward pass and writes events.

Knows tensors only by what they say of themselves (shape, dtype, storage), so that torch need not be imported here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from rigwise.models.operations import Conv, Kind
from rigwise.models.trace_events import Event

_PRODUCTS = {"mm": (0, 1), "addmm": (1, 2), "bmm": (0, 1), "baddbmm": (1, 2), "addbmm": (1, 2)}
_POOLINGS = {f"{kind}_pool{dims}d{form}" for kind in ("avg", "max") for dims in "123" for form in ("", "_with_indices")}
_CONVOLUTIONS = {"convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution"}
_NO_SEQUENCE = 2**63  # autograd's number of a node that has no forward operation: a parameter's gradient arrives


class Recorder:
    """Events of a forward pass, and what the backward pass adds to them.

    weights: storage -> numbers of the parameters in it; a storage made only of parameters and buffers is one too.
    item: bytes of an element of the parameters. flops: torch's own FLOP count, for operations not known here.
    """

    def __init__(self, weights: Mapping[int, frozenset[int]], item: int, flops: Any) -> None:
        self.events: list[Event] = []
        self.path: list[str] = [""]
        self.backward = False
        self.item = item
        self._weights = dict(weights)
        self._flops = flops
        self._sequences: list[int] = []
        self._alive: dict[int, Any] = {}
        self._saved: set[int] = set()
        self._late: list[tuple[int, int, Any]] = []
        self._region: Event | None = None
        self._last: Event | None = None

    # ---- called by the modes

    def operation(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any, sequence: int) -> None:
        """An aten operation has run. sequence: autograd's number of the node it belongs to."""
        inputs, outputs = list(tensors((*args, *kwargs.values()))), list(tensors((out,)))
        name = func.__name__.split(".")[0]
        for tensor in outputs:
            self._alive.setdefault(_key(tensor), tensor)
        if is_view(func, inputs, outputs):
            return
        if self.backward:
            self._backward(name, func, args, kwargs, inputs, outputs, sequence)
        else:
            self._forward(name, func, args, kwargs, inputs, outputs, sequence)

    def kept(self, tensor: Any, sequence: int) -> None:
        """Autograd keeps a tensor for the backward pass."""
        key = _key(tensor)
        self._alive.setdefault(key, tensor)
        if key in self._weights or key in self._saved or (self._region is not None and self._region.closed):
            return
        self._saved.add(key)
        self._late.append((sequence, key, tensor))

    @contextmanager
    def region(self, event: Event) -> Iterator[None]:
        """All that runs inside is one event; what it keeps is what the event says."""
        self._region = event
        place = len(self.events)
        try:
            yield
        finally:
            self._region = None
            if len(self.events) == place:
                self._append(event)

    @property
    def inside(self) -> bool:
        """Whether a closed event is open, or the backward pass runs."""
        return self._region is not None or self.backward

    def keep_once(self, tensor: Any) -> float:
        """Elements that a closed event keeps of a tensor, of a view all that it looks into: none if somebody keeps it
        already."""
        key = _key(tensor)
        self._alive.setdefault(key, tensor)
        if key in self._saved or key in self._weights:
            return 0.0
        self._saved.add(key)
        return float(tensor.untyped_storage().nbytes() / min(self.item, tensor.element_size()))

    def finish(self) -> tuple[Event, ...]:
        """All events, each with what it keeps."""
        for sequence, _, tensor in self._late:
            event = self._of(sequence)
            size = tensor.untyped_storage().nbytes()
            if tensor.is_floating_point():
                event.saved += size / min(self.item, tensor.element_size())
            else:
                event.saved_bytes += size
        return tuple(self.events)

    def elements(self, given: Iterable[Any]) -> float:
        """Elements of the activation type that hold the tensors; weights do not count."""
        return sum(self._size(t) for t in given if _key(t) not in self._weights)

    # ---- inside

    def _size(self, tensor: Any) -> float:
        wide = tensor.element_size()
        size = min(tensor.numel() * wide, tensor.untyped_storage().nbytes())
        return float(size / (min(self.item, wide) if tensor.is_floating_point() else self.item))

    def _forward(
        self,
        name: str,
        func: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: list[Any],
        outputs: list[Any],
        sequence: int,
    ) -> None:
        own = [self._weights.get(_key(tensor)) for tensor in inputs]
        used = frozenset[int]().union(*(numbers for numbers in own if numbers))
        if inputs and all(numbers is not None for numbers in own):
            for tensor in outputs:
                self._weights.setdefault(_key(tensor), used)
            used = frozenset()  # counted where it meets an activation
        event = Event(path=self.path[-1], name=name, sequence=sequence, weights=tuple(sorted(used)))
        event.flops = self._work(name, func, args, kwargs, outputs)
        event.reads = self.elements(inputs) * (2 if "batch_norm" in name else 1)
        event.writes = self.elements(outputs)
        if self._region is not None:
            self._inside(event)
            return
        self._shape(event, args, inputs, outputs)
        self._append(event)

    def _inside(self, event: Event) -> None:
        region = self._region
        assert region is not None
        region.flops += event.flops
        region.weights = tuple(sorted({*region.weights, *event.weights}))
        if not self.events or self.events[-1] is not region:
            region.sequence = event.sequence
            self._append(region)

    def _append(self, event: Event) -> None:
        if self._sequences and event.sequence < self._sequences[-1]:
            event.sequence = self._sequences[-1]
        self.events.append(event)
        self._sequences.append(event.sequence)

    def _of(self, sequence: int) -> Event:
        """The first event of a node, or the last one before it."""
        place = bisect_right(self._sequences, sequence) - 1
        while place > 0 and self._sequences[place - 1] == self._sequences[place] == sequence:
            place -= 1
        return self.events[max(place, 0)]

    def _backward(
        self,
        name: str,
        func: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        inputs: list[Any],
        outputs: list[Any],
        sequence: int,
    ) -> None:
        if not self.events:
            return
        event = self._of(sequence) if 0 <= sequence < _NO_SEQUENCE else self._last or self.events[-1]
        self._last = event
        event.flops_backward += self._work(name, func, args, kwargs, outputs)
        event.kernels_backward += 1
        event.reads_backward += self.elements(inputs) * (2 if "batch_norm" in name else 1)
        event.writes_backward += self.elements(outputs)

    def _work(self, name: str, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: list[Any]) -> float:
        if name in _PRODUCTS:
            a, b = (args[place].shape for place in _PRODUCTS[name])
            return float(2.0 * prod(a) * b[-1])
        if name in _CONVOLUTIONS:
            return float(conv_of(args).flops * args[0].shape[0])
        if name == "convolution_backward":
            # gradient, input, weight, bias sizes, stride, padding, dilation, transposed, output padding, groups, mask
            shape = conv_of((args[1], args[2], None, *args[4:10]))
            return float(shape.flops * args[1].shape[0] * (int(args[10][0]) + int(args[10][1])))
        count = self._flops.get(func.overloadpacket)
        return (
            float(count(*args, **kwargs, out_val=outputs[0] if len(outputs) == 1 else tuple(outputs))) if count else 0.0
        )

    def _shape(self, event: Event, args: Sequence[Any], inputs: list[Any], outputs: list[Any]) -> None:
        """The shape letters of what the laws know as more than a stream."""
        if event.name in _PRODUCTS:
            left, right = (args[place] for place in _PRODUCTS[event.name])
            self._product(event, left, right)
        elif event.name in _CONVOLUTIONS:
            event.kind, event.conv = "conv", conv_of(args)
            event.matrix = self._number(args[1])
        elif event.name in _POOLINGS:
            event.window = _window_of(args)
        elif event.name == "embedding" and self._number(args[0]) is not None:
            event.kind, event.matrix = "embedding", self._number(args[0])
            event.k, event.n = map(float, args[0].shape)
            event.m = float(args[1].numel())

    def _product(self, event: Event, left: Any, right: Any) -> None:
        banks = float(prod(left.shape[:-2]))
        m, k, n = float(left.shape[-2]), float(left.shape[-1]), float(right.shape[-1])
        matrix = self._number(right)
        if matrix is None and self._number(left) is not None:
            matrix, m, n = self._number(left), n, m  # weights times activations: the same product the other way round
        kind: Kind = "bmm" if matrix is None else "linear"
        event.kind, event.matrix, event.batch, event.m, event.n, event.k = kind, matrix, banks, m, n, k

    def _number(self, tensor: Any) -> int | None:
        numbers = self._weights.get(_key(tensor))
        return min(numbers) if numbers else None


def tensors(given: Iterable[Any]) -> Iterator[Any]:
    """The tensors in arguments, lists and tuples opened."""
    for value in given:
        if isinstance(value, (list, tuple)):
            yield from tensors(value)
        elif hasattr(value, "untyped_storage"):
            yield value


def storage_key(tensor: Any) -> int:
    """What tells storages apart while they live; views share one."""
    return int(tensor.untyped_storage()._cdata)


_key = storage_key


def is_view(func: Any, inputs: list[Any], outputs: list[Any]) -> bool:
    """Whether an operation moves nothing: its outputs are its inputs seen otherwise, or empty space."""
    if not outputs or func.__name__.split(".")[0].startswith(("empty", "new_empty")):
        return True
    if func._schema.is_mutable:
        return False
    known = {_key(tensor) for tensor in inputs}
    return all(_key(tensor) in known for tensor in outputs)


def _window_of(args: Sequence[Any]) -> Conv:
    """Where a pooling looks, from the arguments of aten's: input, kernel, stride (the kernel's by default), padding."""
    source, kernel = args[:2]
    size = tuple(source.shape[-len(kernel) :])
    stride = tuple(args[2]) if len(args) > 2 and args[2] else tuple(kernel)
    pad = tuple(args[3]) if len(args) > 3 else (0,)
    c = source.shape[-len(kernel) - 1]
    wide = [tuple(n) * (len(size) // len(n)) for n in (kernel, stride, pad)]
    return Conv(c=c, k=c, size=size, kernel=wide[0], stride=wide[1], pad=wide[2], groups=c)


def conv_of(args: Sequence[Any]) -> Conv:
    """The geometry from the arguments of aten.convolution: input, weight, bias, stride, padding and so on."""
    source, weight, _, stride, pad, dilation, transposed, output_pad, groups = args[:9]
    dims = len(weight.shape) - 2
    wide = [tuple(n) * (dims // len(n)) for n in (stride, pad, dilation, output_pad)]
    return Conv(
        c=source.shape[1],
        k=weight.shape[1] * groups if transposed else weight.shape[0],
        size=tuple(source.shape[2:]),
        kernel=tuple(weight.shape[2:]),
        stride=wide[0],
        pad=wide[1],
        dilation=() if set(wide[2]) == {1} else wide[2],
        groups=groups,
        transposed=transposed,
        output_pad=wide[3] if any(wide[3]) else (),
    )

"""What an aten operation is, in the letters of the laws: kind, pass and sizes, read from its arguments.

Shape letters as in models/operations.py. A product is told by the layer that it belongs to: x (M x K) times weights
(K x N); its passes are told apart by which operand is transposed. The amount of a stream is what it reads and writes,
in elements of four bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from rigwise.models.operations import Conv
from rigwise.models.trace_recorder import conv_of, is_view, tensors

_ELEMENT = 4  # bytes
_PLACES = {"mm": (0, 1), "addmm": (1, 2)}
_BATCHED = {"bmm": (0, 1), "baddbmm": (1, 2)}


@dataclass(frozen=True, slots=True)
class Seen:
    """One operation. kind: product, batched, conv, attention, recurrent, embedding, or the name of a stream. which:
    forward, backward, input or weight; "" where the kind has one pass only. sizes: by letter."""

    kind: str
    which: str
    sizes: tuple[tuple[str, float], ...]


def seen(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any) -> Seen | None:
    """What ran; None for a view, which moves nothing."""
    inputs, outputs = list(tensors((*args, *kwargs.values()))), list(tensors((out,)))
    if is_view(func, inputs, outputs):
        return None
    name = func.__name__.split(".")[0]
    for starts, read in _READERS.items():
        if name.startswith(starts):
            return read(name, args)
    return Seen(name, "", (("amount", _amount(inputs) + _amount(outputs)),))


def _amount(given: Sequence[Any]) -> float:
    """Elements of four bytes; of an expanded tensor those that are there."""
    return float(sum(min(t.numel() * t.element_size(), t.untyped_storage().nbytes()) for t in given)) / _ELEMENT


def _sizes(**sizes: float) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(value)) for name, value in sizes.items())


def _product(name: str, args: Sequence[Any]) -> Seen:
    left, right = (args[place] for place in _PLACES[name])
    rows, inner, columns = left.shape[0], left.shape[1], right.shape[1]
    if left.stride(0) == 1 < left.stride(1):
        return Seen("product", "weight", _sizes(m=inner, n=rows, k=columns))
    if right.stride(0) == 1 < right.stride(1):
        return Seen("product", "forward", _sizes(m=rows, n=columns, k=inner))
    return Seen("product", "input", _sizes(m=rows, n=inner, k=columns))


def _batched(name: str, args: Sequence[Any]) -> Seen:
    left, right = (args[place] for place in _BATCHED[name])
    return Seen("batched", "", _sizes(b=left.shape[0], m=left.shape[1], n=right.shape[2], k=left.shape[2]))


def conv_sizes(shape: Conv, batch: float) -> dict[str, float]:
    """The sizes that a convolution's time goes by.

    b images; c, k channels a group; g groups; p positions of the output, s of the input, of an image; r taps.
    """
    return {
        "b": float(batch),
        "c": float(shape.c // shape.groups),
        "k": float(shape.k // shape.groups),
        "g": float(shape.groups),
        "p": float(prod(shape.out)),
        "s": float(prod(shape.size)),
        "r": float(prod(shape.kernel)),
    }


def _conv(name: str, args: Sequence[Any]) -> Seen:
    if name == "convolution_backward":
        shape, batch, asked = conv_of((args[1], args[2], None, *args[4:10])), args[1].shape[0], args[10][0]
        return Seen("conv", "backward" if asked else "weight", _sizes(**conv_sizes(shape, batch)))
    return Seen("conv", "forward", _sizes(**conv_sizes(conv_of(args), args[0].shape[0])))


def _attention(name: str, args: Sequence[Any]) -> Seen:
    back = name.endswith("backward")
    queries, keys = args[int(back)], args[int(back) + 1]
    causal = any(value for value in args if isinstance(value, bool))
    sizes = _sizes(b=prod(queries.shape[:-2]), m=queries.shape[-2], n=keys.shape[-2], k=queries.shape[-1])
    return Seen("causal attention" if causal else "attention", "backward" if back else "forward", sizes)


def _recurrent(name: str, args: Sequence[Any]) -> Seen:
    steps, batch, inputs = args[0].shape
    sizes = _sizes(b=batch, t=steps, n=args[2].shape[1], k=inputs)
    return Seen("recurrent", "backward" if name.endswith("backward") else "forward", sizes)


def _embedding(name: str, args: Sequence[Any]) -> Seen:
    lookups = args[1].numel()
    if name == "embedding":
        return Seen("embedding", "forward", _sizes(m=lookups, n=args[0].shape[1], k=args[0].shape[0]))
    return Seen("embedding", "backward", _sizes(m=lookups, n=args[0].shape[-1], k=args[2]))


_READERS: Mapping[str, Callable[[str, Sequence[Any]], Seen]] = {
    "mm": _product,
    "addmm": _product,
    "bmm": _batched,
    "baddbmm": _batched,
    "convolution": _conv,
    "_scaled_dot_product": _attention,
    "mkldnn_rnn_layer": _recurrent,
    "embedding": _embedding,
}

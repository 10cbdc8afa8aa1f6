"""The passes of an operation by measured rates (measured.py), for a rank's share of its shape.

What a stream is called in the rates, forward and backward, is in data/measured.csv; one that is not there goes by the
curve of all streams. ratio: what its backward pass moves against its forward pass; what a trace counts beyond that is
gradients that meet and are added.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.measured import Rates
from rigwise.layouts.shares import Share
from rigwise.models.model import Block
from rigwise.models.operations import Operation

Floats = NDArray[np.float64]
Three = tuple[Floats, Floats, Floats]  # forward, input gradient, weight gradient
_GATES = 4.0  # of an LSTM, the recurrent cell that is measured
_ZERO = np.zeros(())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    forward: tuple[tuple[str, float], ...]
    backward: tuple[tuple[str, float], ...]
    ratio: float


def rated(o: Operation, part: Share, micro: Floats, rates: Rates) -> Three | None:
    """Seconds of an operation's passes; None for a kind that was not measured."""
    return _LAWS[o.kind](o, part, micro, rates)


def inside_cells(block: Block) -> frozenset[str]:
    """Names of the streams of a block that a recurrent kernel does within: those of modules that step in time."""
    modules = {
        o.name.split("/")[0].removesuffix("state") for o in block.operations if o.kind == "linear" and o.steps > 1
    }
    return frozenset(
        o.name
        for o in block.operations
        if o.kind == "stream" and any(o.name.startswith(f"{name.rstrip('.')}." if name else "cell") for name in modules)
    )


def optimizer_seconds(block: Block, name: str, shrink: ArrayLike, rates: Rates) -> Floats | None:
    """Seconds that an optimizer takes for the tensors of a block; shrink: by how much a rank's tensors are smaller."""
    curve = rates.curve("optimizer", name)
    if curve is None:
        return None
    sizes = [size for o in block.operations if o.trainable for size in _tensors(o)]
    return np.asarray(sum((curve.seconds(n=size / np.asarray(shrink)) for size in sizes), start=_ZERO))


def optimizer_call(name: str, rates: Rates) -> float:
    """Seconds of an optimizer's step that are there whatever it steps."""
    curve = rates.curves.get(("optimizer call", name))
    return float(curve.constants[0]) if curve else 0.0


def _tensors(o: Operation) -> list[float]:
    """Elements of the tensors of an operation: a matrix or a kernel bank, and its bias; a norm has two alike."""
    main = o.batch * o.k * o.n if o.kind in ("linear", "embedding") else float(o.conv.weights) if o.conv else 0.0
    if not o.parameters:
        return []
    if main and o.parameters >= main:
        return [size for size in (main, o.parameters - main) if size]
    return [o.parameters / 2] * 2 if "norm" in o.name else [o.parameters]


def _linear(o: Operation, part: Share, micro: Floats, rates: Rates) -> Three | None:
    b, m, n, k = o.batch / part.batch, o.m * micro / part.m, o.n / part.n, o.k / part.k
    if o.steps > 1:
        return _recurrent(o, m, n, k, rates)
    curves = [rates.curve("product", which) for which in ("forward", "input", "weight")]
    if any(curve is None for curve in curves):
        return None
    forward, back, weight = (b * curve.seconds(m=m, n=n, k=k) for curve in curves if curve)
    summing = rates.curve("sum") if o.parameters > o.batch * o.k * o.n else None
    return forward, back, weight + (summing.seconds(amount=m * n) if summing else 0.0)


def _recurrent(o: Operation, m: Floats, n: Floats, k: Floats, rates: Rates) -> Three | None:
    """The product's share of the layer that it belongs to, which runs as one kernel."""
    there, back = rates.curve("recurrent", "forward"), rates.curve("recurrent", "backward")
    if there is None or back is None:
        return None
    hidden = n / _GATES
    share = k / (k + hidden)
    forward, backward = (share * curve.seconds(b=m, t=o.steps, n=hidden, k=k) for curve in (there, back))
    return forward, backward / 2, backward / 2


def _bmm(o: Operation, part: Share, micro: Floats, rates: Rates) -> Three | None:
    curve = rates.curve("batched")
    if curve is None:
        return None
    b, m, n, k = o.batch * micro / part.batch, o.m / part.m, o.n, o.k
    return curve.seconds(b=b, m=m, n=n, k=k), curve.seconds(b=b, m=m, n=k, k=n), curve.seconds(b=b, m=k, n=n, k=m)


def _attention(o: Operation, part: Share, micro: Floats, rates: Rates) -> Three | None:
    kind = "causal attention" if o.causal else "attention"
    there, back = rates.curve(kind, "forward"), rates.curve(kind, "backward")
    if there is None or back is None:
        return None
    sizes: dict[str, ArrayLike] = {"b": o.batch * micro / part.batch, "m": o.m / part.m, "n": o.n, "k": o.k}
    return there.seconds(**sizes), back.seconds(**sizes), _ZERO


def _conv(o: Operation, part: Share, micro: Floats, rates: Rates) -> Three | None:
    curves = [rates.curve("conv", which) for which in ("forward", "backward", "weight")]
    if o.conv is None or any(curve is None for curve in curves):
        return None
    shape = o.conv
    sizes: dict[str, ArrayLike] = {
        "b": micro,
        "c": shape.c / shape.groups / part.k,
        "k": shape.k / shape.groups / part.n,
        "g": float(shape.groups),
        "p": float(np.prod(shape.out)),
        "s": float(np.prod(shape.size)),
        "r": float(np.prod(shape.kernel)),
    }
    forward, both, weight = (curve.seconds(**sizes) for curve in curves if curve)
    weight = np.minimum(weight, both)
    return forward, both - weight, weight


def _embedding(o: Operation, part: Share, micro: Floats, rates: Rates) -> Three | None:
    there, back = rates.curve("embedding", "forward"), rates.curve("embedding", "backward")
    if there is None or back is None:
        return None
    sizes: dict[str, ArrayLike] = {"m": o.m * micro / part.m, "n": o.n, "k": o.k / part.weights}
    return there.seconds(**sizes), _ZERO, back.seconds(**sizes)


def _stream(o: Operation, part: Share, micro: Floats, rates: Rates) -> Three | None:
    word = _words().get(o.name.split(".")[-1].split("/")[0])
    twice = 2.0 if "batch_norm" in o.name else 1.0  # a trace counts the two readings of a batch norm
    scale = micro / part.stream
    own, back = o.reads / twice + o.writes, o.reads_backward / twice + o.writes_backward
    met = max(0.0, back - own * word.ratio) if word else 0.0
    if word is None:
        name = o.name.split(".")[-1].split("/")[0]
        word = _Word(forward=((name, 1.0),), backward=((name, 1.0),), ratio=1.0)
    forward = _summed(word.forward, scale * own, o.kernels, rates)
    backward = _summed(word.backward, scale * (back - met), o.kernels_backward, rates)
    adding = _summed((("add", 1.0),), scale * met, 1, rates) if met else _ZERO
    if forward is None or backward is None or adding is None:
        return None
    return forward, backward + adding, _ZERO


def _summed(words: tuple[tuple[str, float], ...], amount: Floats, kernels: int, rates: Rates) -> Floats | None:
    """Seconds of `kernels` equal calls that move `amount` in all; of several words each its share of the amount."""
    if not kernels or not np.any(amount):
        return _ZERO
    curves = [(rates.curve(name), share) for name, share in words]
    calls = max(1, kernels if len(words) == 1 else 1)
    found = _ZERO
    for curve, share in curves:
        if curve is None:
            return None
        found = found + calls * curve.seconds(amount=share * amount / calls)
    return found


@cache
def _words() -> Mapping[str, _Word]:
    text = files("rigwise.cost").joinpath("data/measured.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {
        row["word"]: _Word(
            forward=_shares(row["forward"]), backward=_shares(row["backward"]), ratio=float(row["ratio"])
        )
        for row in rows
    }


def _shares(text: str) -> tuple[tuple[str, float], ...]:
    pairs = (word.partition(":") for word in text.split())
    return tuple((name, float(share or 1.0)) for name, _, share in pairs)


_Law = Callable[[Operation, Share, Floats, Rates], Three | None]
_LAWS: Mapping[str, _Law] = {
    "linear": _linear,
    "bmm": _bmm,
    "attention": _attention,
    "conv": _conv,
    "stream": _stream,
    "embedding": _embedding,
}

"""Compute: device seconds of an operation and of a block on one rank, for one micro-batch.

Host time (the thread that launches) is in cost/host.py; what ranks exchange is in cost/exchange.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rigwise.cost.arrays import total
from rigwise.cost.convolution import PASSES, Convs, conv_seconds
from rigwise.cost.efficiencies import StackEfficiencies, Value
from rigwise.cost.ledger import heard, summed, tell, told
from rigwise.cost.matmul import Engine, attention_seconds, gemm_seconds, misalignment
from rigwise.cost.measured import Rates
from rigwise.cost.rated import inside_cells, rated
from rigwise.layouts.layout import LayoutTable
from rigwise.layouts.shares import Share, share
from rigwise.models.model import Block
from rigwise.models.operations import Operation

Floats = NDArray[np.float64]
_EXPERTS = frozenset({"expert", "expert_column", "expert_row"})
_FLOAT = 4.0  # bytes of a float32
_AT_ONCE = 4096  # convolutions times layouts that one call works on: more would not stay in the caches


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """Device seconds of the three passes of an operation, arrays that broadcast to the table."""

    forward: Floats
    input: Floats
    weight: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The device as the laws see it: an engine for the products' precision, one for everything else.

    summed: bytes of memory traffic a trained weight and micro-batch that adding gradients up costs. rates: what was
    measured on this very machine, which goes before the laws.
    """

    product: Engine
    other: Engine
    stack: StackEfficiencies
    summed: Floats
    rates: Rates | None = None
    known: dict[tuple[object, ...], Passes] = field(default_factory=dict, compare=False)  # equal work is costed once


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTimes:
    """Device seconds of one repetition of a block for one micro-batch, and the kernels that the host launches.

    core: forward seconds of the attention core, which selective recomputation adds to the backward pass.
    """

    forward: Floats
    backward: Floats
    core: Floats
    kernels: float
    kernels_backward: float
    kernels_core: float


@told("operation")
def passes(operation: Operation, table: LayoutTable, on: Machine) -> Passes:
    """Device seconds of one operation under every layout: the law of its kind at the rank's share of its shape."""
    key = (id(table), _work(operation))
    if key not in on.known:
        micro, part = table.micro.astype(np.float64), share(operation, table)
        timed = rated(operation, part, micro, on.rates) if on.rates else None
        if timed:
            on.known[key] = Passes(forward=timed[0], input=timed[1], weight=timed[2])
            return on.known[key]
        found = _LAWS[operation.kind](operation, part, micro, table, on)
        on.known[key] = _slowed(found, on.stack.experts) if operation.split in _EXPERTS else found
    return on.known[key]


@lru_cache(maxsize=4096)
def _work(operation: Operation) -> Operation:
    """An operation without its name: those that do the same are equal."""
    return replace(operation, name="")


def _slowed(one: Passes, factor: Value) -> Passes:
    return Passes(forward=one.forward * factor, input=one.input * factor, weight=one.weight * factor)


@told("device")
def block_times(block: Block, table: LayoutTable, on: Machine) -> BlockTimes:
    """The sum over a block's operations."""
    within = inside_cells(block) if on.rates else frozenset[str]()
    done = [(o, passes(o, table, on)) for o in block.operations if o.name not in within]
    back = [(o, "input", o.input_gradient, t.input) for o, t in done]
    back += [(o, "weight", o.trainable, t.weight) for o, t in done]
    return BlockTimes(
        forward=summed(*((f"{o.name}, forward", 1, t.forward) for o, t in done)),
        backward=summed(*((f"{o.name}, {which}", needed, seconds) for o, which, needed, seconds in back)),
        core=total(t.forward for o, t in done if o.core),
        kernels=float(sum(o.kernels * (1 if within else o.steps) for o, _ in done)),
        kernels_backward=float(sum(o.kernels_backward * (1 if within else o.steps) for o, _ in done)),
        kernels_core=float(sum(o.kernels for o in block.operations if o.core)),
    )


def prepare(blocks: Iterable[Block], table: LayoutTable, on: Machine) -> None:
    """Works out the convolutions of blocks that share a table, many in a call; `passes` then finds them.

    Where somebody listens each is left to be told of alone.
    """
    if heard() or on.rates:
        return
    found = {(id(table), _work(o)): o for block in blocks for o in block.operations if o.kind == "conv"}
    missing = {key: o for key, o in found.items() if key not in on.known}
    together = max(1, _AT_ONCE // np.broadcast(table.micro, table.tp).size)
    keys = list(missing)
    for start in range(0, len(keys), together):
        some = keys[start : start + together]
        on.known.update(zip(some, _convs([missing[key] for key in some], table, on), strict=True))


@told("linear")
def _linear(o: Operation, part: Share, micro: Floats, table: LayoutTable, on: Machine) -> Passes:
    """Rows of a plain layer are the samples' rows; rows of a recurrent step are the samples."""
    b, m, n, k = o.batch / part.batch, o.m * micro / part.m, o.n / part.n, o.k / part.k
    engine = on.product if o.split != "vocab" else on.other
    slow = misalignment(n, engine.eff.misaligned_linear, engine) * misalignment(k, engine.eff.misaligned_linear, engine)
    weights = o.batch * o.k * o.n / part.weights
    unpack = (on.stack.dequantise if o.packed_bits else 0.0) * weights / on.other.bandwidth
    summing = on.summed * weights / on.other.bandwidth
    often = o.steps * slow
    return Passes(
        forward=summed(("product", often, gemm_seconds(b, m, n, k, engine)), ("unpacking", o.steps, unpack)),
        input=summed(("product", often, gemm_seconds(b, m, k, n, engine)), ("unpacking", o.steps, unpack)),
        weight=summed(("product", often, gemm_seconds(b, k, n, m, engine)), ("gradient sums", 1, summing)),
    )


@told("bmm")
def _bmm(o: Operation, part: Share, micro: Floats, table: LayoutTable, on: Machine) -> Passes:
    e = on.other.eff
    b = o.batch * micro / part.batch
    m, n, k = o.m / part.m, o.n, o.k
    slow = misalignment(min(o.n, o.k), e.misaligned_bmm, on.other) / e.bmm
    return Passes(
        forward=summed(("product", slow, gemm_seconds(b, m, n, k, on.other))),
        input=summed(("product", slow, gemm_seconds(b, m, k, n, on.other))),
        weight=summed(("product", slow, gemm_seconds(b, k, n, m, on.other))),
    )


def _attention(o: Operation, part: Share, micro: Floats, table: LayoutTable, on: Machine) -> Passes:
    heads = o.batch * micro / part.batch
    forward, backward = attention_seconds(heads, o.m / part.m, o.n, o.k, on.other, causal=o.causal)
    return Passes(forward=forward, input=backward, weight=np.zeros(()))


def _conv(o: Operation, part: Share, micro: Floats, table: LayoutTable, on: Machine) -> Passes:
    return _convs([o], table, on)[0]


def _convs(found: Sequence[Operation], table: LayoutTable, on: Machine) -> list[Passes]:
    """Convolutions together: one call of the law a pass, with an axis for the convolutions before the table's."""
    parts = [share(o, table) for o in found]
    figures = [getattr(on.product.eff, each.name) for each in fields(on.product.eff)]
    figures += [table.micro, on.product.rate, on.product.vector, on.product.bandwidth, on.product.processors]
    dims = max(np.ndim(figure) for figure in figures)
    shapes = Convs.of([o.conv for o in found if o.conv is not None], behind=dims)
    cuts = [np.stack(np.broadcast_arrays(*(getattr(part, key) for part in parts))) for key in ("n", "k")]
    wide = [cut.reshape(len(found), *(1,) * (dims + 1 - cut.ndim), *cut.shape[1:]) for cut in cuts]
    micro = table.micro.astype(np.float64)
    seconds = [conv_seconds(shapes, micro, which, on.product, *wide) for which in PASSES]
    return [Passes(forward=f, input=i, weight=w) for f, i, w in zip(*seconds, strict=True)]


@told("stream")
def _stream(o: Operation, part: Share, micro: Floats, table: LayoutTable, on: Machine) -> Passes:
    """Bytes over bandwidth, never faster than the launch floor: t = x bytes/BW + kernels x t_kernel."""
    e = on.other
    factor = (on.stack.core if o.core else on.stack.stream) * np.where(table.fused, 1.0, on.stack.stream_unfused)
    if e.activation < _FLOAT:
        factor = factor * on.stack.mixed
    scale = factor * e.activation * micro / part.stream / e.bandwidth
    tell(bytes=factor * e.activation * micro / part.stream * (o.reads + o.writes), factor=factor, bandwidth=e.bandwidth)
    tell(bytes_back=factor * e.activation * micro / part.stream * (o.reads_backward + o.writes_backward))
    tell(kernels=o.kernels, kernels_back=o.kernels_backward, t_kernel=e.eff.kernel_s)
    return Passes(
        forward=scale * (o.reads + o.writes) + o.kernels * e.eff.kernel_s,
        input=scale * (o.reads_backward + o.writes_backward) + o.kernels_backward * e.eff.kernel_s,
        weight=np.zeros(()),
    )


@told("embedding")
def _embedding(o: Operation, part: Share, micro: Floats, table: LayoutTable, on: Machine) -> Passes:
    """A gather forward; backward a scatter-add, which only trained tables pay."""
    e = on.other
    scale = e.activation * micro / part.stream / e.bandwidth
    tell(
        bytes=e.activation * micro / part.stream * (o.reads + o.writes), bandwidth=e.bandwidth, t_kernel=e.eff.kernel_s
    )
    tell(bytes_back=e.activation * micro / part.stream * (o.reads_backward + o.writes_backward))
    return Passes(
        forward=scale * (o.reads + o.writes) + e.eff.kernel_s,
        input=np.zeros(()),
        weight=scale * (o.reads_backward + o.writes_backward) + e.eff.kernel_s,
    )


_Law = Callable[[Operation, Share, Floats, LayoutTable, Machine], Passes]
_LAWS: Mapping[str, _Law] = {
    "linear": _linear,
    "bmm": _bmm,
    "attention": _attention,
    "conv": _conv,
    "stream": _stream,
    "embedding": _embedding,
}

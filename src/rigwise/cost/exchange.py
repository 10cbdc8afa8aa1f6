"""What ranks exchange while a block runs: tensor, context and expert parallel traffic of one micro-batch.

Tensor parallel (Megatron-LM, arXiv 1909.08053): every row-split product ends in an all-reduce of its output forward,
and every column-split group in an all-reduce of its input gradient backward; the vocabulary split of embedding and
logits likewise (layouts/traffic.py). Sequence parallelism replaces each all-reduce by a reduce-scatter and an
all-gather, which move the same bytes, and gathers once more backward unless the gathered input is kept (arXiv
2205.05198). Context parallel passes keys and values around a ring. Experts receive tokens by an all-to-all and return
them by another, forward and backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.arrays import total
from rigwise.cost.collective import Group, Wires, all_reduce_seconds, all_to_all_seconds, gather_seconds, group
from rigwise.cost.ledger import heard, summed, told
from rigwise.hardware.cluster import Cluster
from rigwise.layouts.layout import RECOMPUTE, SEQUENCE, LayoutTable
from rigwise.layouts.traffic import Passage, passages, tensor_sums
from rigwise.models.model import Block
from rigwise.models.operations import Operation

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockExchange:
    """Seconds that one repetition of a block exchanges for one micro-batch, and how many collectives it starts."""

    tensor: Floats
    context: Floats
    expert: Floats
    collectives: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The groups of a layout on a cluster: tensor ranks lie side by side, then context, data, pipeline."""

    tensor: Group
    context: Group
    expert: Group
    data: Group
    expert_data: Group
    sharing: Group
    copies: Group


def groups(cluster: Cluster, table: LayoutTable) -> Groups:
    """The groups of every axis."""
    t, c, d, e = (np.asarray(axis, dtype=np.float64) for axis in (table.tp, table.cp, table.dp, table.ep))
    s = np.asarray(table.sharing, dtype=np.float64)
    return Groups(
        tensor=group(cluster, t, 1.0),
        context=group(cluster, c, t),
        expert=group(cluster, e, t),
        data=group(cluster, d * c, t),
        sharing=group(cluster, s, t),
        copies=group(cluster, d * c / s, t * s),
        expert_data=group(cluster, np.maximum(d * c / e, 1.0), t * e),
    )


def block_exchange(
    block: Block, table: LayoutTable, among: Groups, over: Wires, activation: float, apart: ArrayLike = 0
) -> BlockExchange:
    """The three kinds of traffic of a block, forward and backward and again where the forward pass is recomputed.

    apart: 0 where the ranks work on the same samples; otherwise the portions in which a block that is split by model
    gathers the samples of all.
    """
    micro = table.micro / table.cp
    again = 2.0 + (table.recompute == RECOMPUTE.index("full")) * (block.role == "layer")
    if np.any(np.asarray(apart)):
        ways = list(passages(block.operations))
        tensor, count = _passed(ways, micro * activation, among.tensor, over), len(ways) * np.asarray(apart)
        none = np.zeros(())
        return BlockExchange(tensor=tensor, context=none, expert=none, collectives=count * (table.tp > 1))
    alone = not heard() and all(np.all(axis == 1) for axis in (table.tp, table.cp, table.ep))
    if alone:
        return BlockExchange(**dict.fromkeys(("tensor", "context", "expert", "collectives"), np.zeros(())))
    sums = list(tensor_sums(block.operations))
    parts = [(f"{s.name} {s.of}", again - 1 if s.repeated else 1.0, s.elements, s.of == "backward") for s in sums]
    count = total(times for _, times, *_ in parts)
    return BlockExchange(
        tensor=_tensor(parts, micro * activation, table, among.tensor, over),
        context=_context(block, table, among.context, over, activation, again),
        expert=_expert(block, table, among.expert, over, activation, again),
        collectives=count * (table.tp > 1),
    )


@told("tensor exchange")
def _tensor(
    parts: Sequence[tuple[str, ArrayLike, float, bool]],
    bytes_each: ArrayLike,
    table: LayoutTable,
    among: Group,
    over: Wires,
) -> Floats:
    """The additions after products (name, how often, elements a sample, of an input's gradients) among tensor ranks."""
    each = np.asarray(bytes_each, dtype=np.float64)
    return summed(*((name, times, _added(size * each, back, table, among, over)) for name, times, size, back in parts))


@told("tensor exchange")
def _passed(ways: Sequence[Passage], bytes_each: ArrayLike, among: Group, over: Wires) -> Floats:
    """The exchanges of a block that is split by model, whose ranks come with samples of their own."""
    each = np.asarray(bytes_each, dtype=np.float64)
    return summed(*((f"{way.name} {way.of}", 1, _way(way, each, among, over)) for way in ways))


def _way(way: Passage, each: Floats, among: Group, over: Wires) -> Floats:
    if way.collective == "all_to_all":
        return all_to_all_seconds(way.elements * each / among.ranks, among, over)
    return gather_seconds(way.elements * each, among, over)


@told("addition")
def _added(size: Floats, back: bool, table: LayoutTable, among: Group, over: Wires) -> Floats:
    """An all-reduce, or with sequence parallelism a scatter and a gather. back: of an input's gradients; that input is
    gathered again where it was not kept.
    """
    cut = table.sp > SEQUENCE.index("off")
    again = (table.sp == SEQUENCE.index("on")) * back
    return summed(
        ("all-reduce", ~cut, all_reduce_seconds(size, among, over)),
        ("reduce-scatter and all-gather", 2 * cut, gather_seconds(size, among, over)),
        ("input gathered again", again, gather_seconds(size, among, over)),
    )


@told("context exchange")
def _context(block: Block, table: LayoutTable, among: Group, over: Wires, activation: float, again: Floats) -> Floats:
    """Keys and values once around the ring forward, with their gradients backward: 2 and 4 times their bytes."""
    cores = [o for o in block.operations if o.kind == "attention" or o.name.endswith("scores")]
    if not cores:
        return np.zeros(())
    size = sum(_keys_and_values(o) for o in cores) * activation * table.micro / table.tp
    return summed(("keys and values around the ring", (again + 1) * (size > 0), gather_seconds(size, among, over)))


def _keys_and_values(o: Operation) -> float:
    """Elements of keys and values of one attention core; fused attention reads queries, keys and values."""
    queries = o.batch * o.m * o.k
    return max(o.reads - queries, 0.0) if o.kind == "attention" else 2 * max(o.reads - queries, 0.0)


@told("expert exchange")
def _expert(block: Block, table: LayoutTable, among: Group, over: Wires, activation: float, again: Floats) -> Floats:
    """Tokens go out to their experts and come back, in each pass.

    Where the sequence is cut, each tensor rank sends its own tokens; elsewhere all of them send the same.
    """
    sent = max((o.batch * o.m * o.k for o in block.operations if o.split == "expert_column"), default=0.0)
    if not sent and not heard():
        return np.zeros(())
    cut = table.cp * np.where(table.sp > SEQUENCE.index("off"), table.tp, 1)
    size = sent * activation * table.micro / cut
    return summed(("tokens to their experts and back", 2 * again * (sent > 0), all_to_all_seconds(size, among, over)))

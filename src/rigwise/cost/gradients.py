"""What the replicas exchange each step: gradients, and under ZeRO and FSDP the weights themselves.

    zero 0   all-reduce of the gradients
    zero 1   reduce-scatter of the gradients, all-gather of the stepped weights
    zero 2   the reduce-scatter in every micro-batch, the all-gather once
    zero 3   gathers of the weights forward and backward and the reduce-scatter, in every micro-batch

With hybrid sharding (shard) these go on among the ranks that share a copy, and each rank's gradients are added over the
copies once a step (arXiv 2304.11277, section 3.2.2).

Source: ZeRO (arXiv 1910.02054, section 7); compressed exchange scales the bytes (1-bit and 8-bit gradients: Seide 2014,
arXiv 1511.04561; PowerSGD: arXiv 1905.13727). Left out: the time of packing and unpacking.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rigwise.cost.collective import Group, Wires, all_reduce_seconds, gather_seconds
from rigwise.cost.exchange import Groups
from rigwise.cost.ledger import summed, told
from rigwise.cost.memory import Elements
from rigwise.layouts.layout import COMPRESS, LOW_RANK, LayoutTable
from rigwise.layouts.precision import Bytes

Floats = NDArray[np.float64]
_SCALE = 4 / 4096  # bytes a gradient: a float32 for every block of 4096
_COMPRESSED_BYTES = {"bf16": 2.0, "8bit": 1 + _SCALE, "8bit-dynamic": 1 + _SCALE, "1bit": 1 / 8 + _SCALE}
_BYTES = np.array([_COMPRESSED_BYTES.get(way, np.inf) for way in COMPRESS])  # auto: legal only in a run


def summed_bytes(table: LayoutTable, sizes: Bytes, micros: Floats) -> Floats:
    """Bytes of memory traffic a weight and micro-batch that adding up gradients over micro-batches costs.

    Where they are summed in their own type of g bytes, each micro-batch but the first reads sum and addend and writes
    the sum: 3 g (m-1)/m. A sum in a wider type is kept apart from the addend and is written by the first one too:
    w + 2 g, with weights of w bytes. Sharded gradients (zero 2 and up) are summed in shards.
    """
    shared = np.where(table.zero >= 2, table.sharing, 1)
    own = 3 * sizes.gradient * (micros - 1) / micros
    return np.asarray(np.where(sizes.gradient > sizes.weight, sizes.weight + 2 * sizes.gradient, own) / shared)


@told("replicated exchange")
def gradient_seconds(
    held: Elements, table: LayoutTable, sizes: Bytes, micros: Floats, among: Groups, over: Wires
) -> Floats:
    """Seconds of the exchange of zero 0, 1 and 2, none of it hidden yet."""
    factors = 4 * LOW_RANK * held.sides / np.maximum(held.dense_trained, 1)  # float32, rows and columns of two matrices
    fewest = np.where(table.compress == COMPRESS.index("powersgd"), factors, _BYTES[table.compress])
    sent = np.minimum(sizes.gradient, fewest)
    dense = _exchange(held.dense_trained, sent, table, sizes, micros, among, over)
    apart = replace(among, data=among.expert_data, sharing=among.expert_data)
    no_copies = replace(table, shard=np.zeros_like(table.shard))  # all ranks that hold the same experts share them
    expert = _exchange(held.expert_trained, sent, no_copies, sizes, micros, apart, over)
    return summed(("gradients", 1, dense), ("experts' gradients", held.expert_trained > 0, expert))


@told("sharded exchange")
def sharded_seconds(
    held: Elements, table: LayoutTable, layers: Floats, sizes: Bytes, micros: Floats, among: Groups, over: Wires
) -> Floats:
    """Seconds of zero 3: weights gathered forward and backward, gradients scattered, in every micro-batch.

    layers: in how many pieces, each with its own latency.
    """

    def pass_of(elements: Floats, size: Floats, group: Group, frozen: Floats) -> Floats:
        return gather_seconds((elements * size + frozen) / layers, group, over)

    none, often = np.zeros(()), micros * layers
    experts = often * (held.expert > 0)
    return summed(
        ("weights gathered", 2 * often, pass_of(held.dense, sizes.weight, among.sharing, held.bits / 8)),
        ("gradients scattered", often, pass_of(held.dense_trained, sizes.gradient, among.sharing, none)),
        ("added over copies", table.shard > 0, _over_copies(held.dense_trained * sizes.gradient, table, among, over)),
        ("experts gathered", 2 * experts, pass_of(held.expert, sizes.weight, among.expert_data, none)),
        (
            "experts' gradients scattered",
            experts,
            pass_of(held.expert_trained, sizes.gradient, among.expert_data, none),
        ),
    )


def _over_copies(size: Floats, table: LayoutTable, among: Groups, over: Wires) -> Floats:
    """Hybrid sharding: each rank's part of the gradients added over the copies, once a step."""
    return np.asarray(all_reduce_seconds(size / table.sharing, among.copies, over))


@told("exchange")
def _exchange(
    elements: Floats, sent: Floats, table: LayoutTable, sizes: Bytes, micros: Floats, among: Groups, over: Wires
) -> Floats:
    often = np.where(table.zero == 2, micros, 1.0) * (table.zero > 0)
    return summed(
        ("all-reduce of gradients", table.zero == 0, all_reduce_seconds(elements * sent, among.data, over)),
        ("reduce-scatter of gradients", often, gather_seconds(elements * sent, among.sharing, over)),
        ("added over copies", (table.zero > 0) & (table.shard > 0), _over_copies(elements * sent, table, among, over)),
        ("all-gather of weights", table.zero > 0, gather_seconds(elements * sizes.weight, among.sharing, over)),
    )

"""The conditions that rules.py names and explains: what a table of layouts must meet, as arrays that broadcast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rigwise.hardware.cluster import Cluster
from rigwise.layouts.choice import can_be_split
from rigwise.layouts.layout import (
    COMPRESS,
    OFFLOAD,
    OVERLAP,
    PRECISIONS,
    RECOMPUTE,
    SCHEDULES,
    SEQUENCE,
    Layout,
    LayoutTable,
)
from rigwise.models.model import Model
from rigwise.models.operations import Operation

Bools = NDArray[np.bool_]


def narrowest(model: Model) -> int:
    """The least features or channels of an operation that tensor parallelism cuts; 1 where it cuts none."""
    widths = [width for o, _ in model.operations() for width in _cut_widths(o)]
    return int(min(widths, default=1))


def _cut_widths(o: Operation) -> list[float]:
    if o.split in ("column", "vocab", "expert_column"):
        return [o.conv.k if o.conv else o.k if o.kind == "embedding" else o.n]
    if o.split in ("row", "expert_row"):
        return [o.conv.c if o.conv else o.k]
    return []


def micros(table: LayoutTable, batch: int) -> NDArray[np.int64]:
    """Micro-batches that a rank takes in a step."""
    return batch // (table.dp * table.micro)


def always(table: LayoutTable) -> Bools:
    """A rule that does not apply: true, in a shape that broadcasts to the table."""
    return np.ones((1,) * len(table.shape), dtype=np.bool_)


def divides(amount: int | None, degree: NDArray[np.int64], table: LayoutTable) -> Bools:
    """The degree divides the amount, where the model has one."""
    return always(table) if amount is None else np.asarray(amount % degree == 0)


def kv_heads(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Key-value heads are shared out evenly, or copied evenly where they are fewer than the ranks."""
    if model.kv_heads is None:
        return always(table)
    return np.asarray((model.kv_heads % table.tp == 0) | (table.tp % model.kv_heads == 0))


def width(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Models without heads: a feature or channel for every rank in each layer that is cut."""
    return np.asarray(table.tp <= narrowest(model)) if model.heads is None else always(table)


def context(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Context parallelism: a sequence of tokens, cut evenly, whose tokens do not wait for each other."""
    if model.unit != "token" or in_turn(model):
        return np.asarray(table.cp == 1)
    return np.asarray((table.cp == 1) | (model.tokens % (_pieces(model) * table.cp) == 0))


def in_turn(model: Model) -> bool:
    """Whether a token waits for the one before it: a recurrent network."""
    return any(o.steps > 1 for o, _ in model.operations())


def _pieces(model: Model) -> int:
    """Pieces of the sequence a context rank holds: two where attention is causal, one from each end, for balance."""
    return 2 if any(o.causal for o, _ in model.operations()) else 1


def sequence(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Sequence parallelism: a sequence of tokens, cut evenly over several tensor-parallel ranks."""
    if model.unit != "token":
        return np.asarray(table.sp == SEQUENCE.index("off"))
    return np.asarray(
        (table.sp == SEQUENCE.index("off")) | ((table.tp > 1) & (model.tokens % (table.tp * table.cp) == 0))
    )


def experts(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Expert parallelism: experts shared out evenly, over ranks that divide into such groups."""
    if not model.experts:
        return np.asarray(table.ep == 1)
    return np.asarray((model.experts % table.ep == 0) & ((table.dp * table.cp) % table.ep == 0))


def hybrid(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Groups of equally many ranks that share a copy, of a model that is sharded."""
    divides = (table.dp * table.cp) % np.maximum(table.shard, 1) == 0
    return np.asarray((table.shard == 0) | ((table.zero > 0) & divides))


def zero_pipeline(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """ZeRO-2 only without a pipeline."""
    return np.asarray((table.zero != 2) | (table.pp == 1))


def overlap(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """A tensor exchange is hidden only where there is one; hiding gradients, the default, asks for nothing."""
    tensor = np.array(["tp" in word for word in OVERLAP])
    return np.asarray(~tensor[table.overlap] | (table.tp > 1))


def offload(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Offloading only over a known link to host memory."""
    linked = cluster.node.host_link is not None
    return always(table) if linked else np.asarray(table.offload == OFFLOAD.index("none"))


def compress(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Gradients are compressed only where they are exchanged."""
    return np.asarray((table.compress == COMPRESS.index("none")) | (table.dp * table.cp > 1))


def compress_whole(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """8 and 1 bit only where each rank has the whole gradient."""
    return np.asarray((table.compress <= COMPRESS.index("bf16")) | (table.zero == 0))


def scheduled(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """A schedule besides 1f1b only for a pipeline of one chunk a stage."""
    return np.asarray((table.schedule == SCHEDULES.index("1f1b")) | ((table.pp > 1) & (table.vpp == 1)))


def zero_bubble(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Zero-bubble only where weights and gradients are whole."""
    return np.asarray((table.schedule != SCHEDULES.index("zero_bubble")) | (table.zero < 2))


def compress_settled(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """The way that gradients travel is known."""
    return np.asarray(table.compress != COMPRESS.index("auto"))


def precision(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """The device computes in the type."""
    supported = np.array([name in cluster.device.peak for name in PRECISIONS])
    return np.asarray(supported[table.precision])


def selective(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Selective recomputation only where there is an attention core."""
    if any(o.core for o, _ in model.operations()):
        return always(table)
    return np.asarray(table.recompute != RECOMPUTE.index("selective"))


def lost_blocks(layout: Layout | LayoutTable, model: Model) -> list[str]:
    """Names in the per-block choice that are no block of the model, or cannot be split as it says."""
    known, cut = {b.name for b in model.blocks}, set(can_be_split(model))
    return sorted(name for name, choice in layout.blocks if name not in (known if choice == "data" else cut))


def blocks(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """The per-block choice names blocks that can be split so."""
    return always(table) & (not lost_blocks(table, model))


def block_width(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Blocks split by model leave every data and tensor rank an output feature."""
    least = narrowest_block(table, model)
    return always(table) if least is None else np.asarray(table.dp * table.tp <= least)


def narrowest_block(layout: Layout | LayoutTable, model: Model) -> int | None:
    """The least output features of a block that the per-block choice splits by model; None where it splits none."""
    chosen = {name for name, choice in layout.blocks if choice != "data"}
    cut = (o.n for b in model.blocks if b.name in chosen for o in b.operations if o.split == "column" and o.n)
    return min((int(n) for n in cut), default=None)

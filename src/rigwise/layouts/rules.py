"""Which layouts are legal, as a table of rules, each with its reason.

One table serves the search (which prunes by it), the command line (which explains by it) and the runtime (which refuses
by it). Every rule is an array function: the columns of a LayoutTable broadcast, and a rule that reads only degrees is
worked out once for all options.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster
from rigwise.layouts import conditions, nearby, stages
from rigwise.layouts.choice import can_be_split
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.models.model import Model

Bools = NDArray[np.bool_]
Holds = Callable[[LayoutTable, Model, Cluster, int], Bools]
Tells = Callable[[Layout, Model, Cluster, int], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One condition that a layout must meet.

    why: the rule and its reason, in words. holds: which layouts of a table meet it, an array that broadcasts to
    table.shape. tells: what is wrong with one that does not, with its numbers. instead: a way out that changes no key
    of the layout, "" where there is none.
    """

    name: str
    why: str
    holds: Holds
    tells: Tells
    instead: Tells = lambda layout, model, cluster, batch: ""

    def says(self, layout: Layout, model: Model, cluster: Cluster, batch: int) -> tuple[str, str]:
        """What is wrong with a layout that breaks the rule, and the nearest thing that works ("" for none)."""
        found = nearest(layout, model, cluster, batch)
        ways = [nearby.changes(layout, found) if found else "", self.instead(layout, model, cluster, batch)]
        return self.tells(layout, model, cluster, batch), " or ".join(filter(None, ways))


def legal(table: LayoutTable, model: Model, cluster: Cluster, batch: int) -> Bools:
    """Which layouts of the table every rule allows, shape table.shape. batch: samples a step, all devices together."""
    by_shape: dict[tuple[int, ...], Bools] = {}
    for rule in RULES:
        holds = np.asarray(rule.holds(table, model, cluster, batch))
        by_shape[holds.shape] = by_shape[holds.shape] & holds if holds.shape in by_shape else holds
    every = np.ones(table.shape, dtype=np.bool_)
    for holds in by_shape.values():
        every &= holds
    return every


def broken(layout: Layout, model: Model, cluster: Cluster, batch: int) -> tuple[Rule, ...]:
    """The rules that a layout breaks, in the order of RULES."""
    table = LayoutTable.of([layout])
    return tuple(rule for rule in RULES if not np.all(rule.holds(table, model, cluster, batch)))


def check(layout: Layout, model: Model, cluster: Cluster, batch: int) -> None:
    """Raise UsageError for the first rule that a layout breaks: its numbers, the rule, the nearest that works."""
    for rule in broken(layout, model, cluster, batch):
        says, near = rule.says(layout, model, cluster, batch)
        raise UsageError(says, rule=rule.why, nearest=near)


def nearest(layout: Layout, model: Model, cluster: Cluster, batch: int) -> Layout | None:
    """The legal layout that changes the asked one least; None where no layout of this cluster is legal."""
    return nearby.nearest(layout, model, cluster, batch, legal)


def _width_tells(layout: Layout, model: Model, cluster: Cluster, batch: int) -> str:
    least = conditions.narrowest(model)
    if least == 1:
        return f"tp {layout.tp}, and {model.name} has no layer that tensor parallelism cuts"
    return f"tp {layout.tp}, and the narrowest layer of {model.name} that it cuts has {least}"


def _context_tells(layout: Layout, model: Model, cluster: Cluster, batch: int) -> str:
    if model.unit != "token":
        return f"cp {layout.cp}, and a sample of {model.name} is no sequence of tokens"
    if conditions.in_turn(model):
        return f"cp {layout.cp}, and {model.name} takes its tokens in turn"
    return f"cp {layout.cp}, and a sample of {model.name} has {model.tokens} tokens"


def _sequence_tells(layout: Layout, model: Model, cluster: Cluster, batch: int) -> str:
    if model.unit != "token":
        return f"sp {layout.sp}, and a sample of {model.name} is no sequence of tokens"
    if layout.tp == 1:
        return f"sp {layout.sp} with tp 1"
    return f"sp {layout.sp} with tp {layout.tp} x cp {layout.cp}, and a sample has {model.tokens} tokens"


def _experts_tell(layout: Layout, model: Model, cluster: Cluster, batch: int) -> str:
    if not model.experts:
        return f"ep {layout.ep}, and {model.name} has no experts"
    return f"ep {layout.ep}, with {model.experts} experts and dp {layout.dp} x cp {layout.cp} ranks to hold them"


def _units_tell(layout: Layout, model: Model, cluster: Cluster, batch: int) -> str:
    chunks = f"pp {layout.pp}" + (f" x vpp {layout.vpp} = {layout.pp * layout.vpp} chunks" if layout.vpp > 1 else "")
    return f"{chunks}, and {model.name} has {model.units} layers"


def _batch_instead(layout: Layout, model: Model, cluster: Cluster, batch: int) -> str:
    piece = layout.dp * layout.micro
    below, above = batch // piece * piece, -(-batch // piece) * piece
    return f"batch {above}" if not below or above - batch < batch - below else f"batch {below}"


def _interleave_instead(layout: Layout, model: Model, cluster: Cluster, batch: int) -> str:
    piece = layout.dp * layout.micro * layout.pp
    return f"batch {max(1, round(batch / piece)) * piece}"


RULES: tuple[Rule, ...] = (
    Rule(
        name="devices",
        why="a layout takes one rank for each device",
        holds=lambda t, m, c, b: np.asarray(t.ranks == c.devices),
        tells=lambda x, m, c, b: f"{nearby.degrees(x)} = {x.ranks} ranks, the cluster has {c.devices}",
    ),
    Rule(
        name="batch",
        why="every data-parallel rank takes the same number of samples, at least one",
        holds=lambda t, m, c, b: np.asarray(b % t.dp == 0),
        tells=lambda x, m, c, b: f"batch {b} does not divide by dp {x.dp}",
        instead=_batch_instead,
    ),
    Rule(
        name="micro",
        why="a rank's samples are a whole number of micro-batches",
        holds=lambda t, m, c, b: np.asarray(b % (t.dp * t.micro) == 0),
        tells=lambda x, m, c, b: f"batch {b} does not divide by dp {x.dp} x micro {x.micro} = {x.dp * x.micro}",
        instead=_batch_instead,
    ),
    Rule(
        name="heads",
        why="tensor parallelism gives every rank whole attention heads, the same number",
        holds=lambda t, m, c, b: conditions.divides(m.heads, t.tp, t),
        tells=lambda x, m, c, b: f"tp {x.tp}, and {m.name} has {m.heads} attention heads",
    ),
    Rule(
        name="kv_heads",
        why="key-value heads are shared out evenly, or copied evenly where they are fewer than the ranks",
        holds=conditions.kv_heads,
        tells=lambda x, m, c, b: f"tp {x.tp}, and {m.name} has {m.kv_heads} key-value heads",
    ),
    Rule(
        name="width",
        why="tensor parallelism leaves every rank at least one feature or channel of each layer that it cuts",
        holds=conditions.width,
        tells=_width_tells,
    ),
    Rule(
        name="ffn",
        why="tensor parallelism cuts the feed-forward layer evenly",
        holds=lambda t, m, c, b: conditions.divides(m.ffn, t.tp, t),
        tells=lambda x, m, c, b: f"tp {x.tp}, and the feed-forward layer of {m.name} is {m.ffn} wide",
    ),
    Rule(
        name="units",
        why="every stage, and every interleaved chunk of one, holds at least one layer",
        holds=lambda t, m, c, b: np.asarray((t.pp * t.vpp == 1) | (t.pp * t.vpp <= stages.most_chunks(m))),
        tells=_units_tell,
    ),
    Rule(
        name="vpp",
        why="only a pipeline of several stages can be interleaved",
        holds=lambda t, m, c, b: np.asarray((t.vpp == 1) | (t.pp > 1)),
        tells=lambda x, m, c, b: f"vpp {x.vpp} with pp 1",
    ),
    Rule(
        name="interleave",
        why="an interleaved pipeline takes its micro-batches in groups of pp",
        holds=lambda t, m, c, b: np.asarray((t.vpp == 1) | (conditions.micros(t, b) % t.pp == 0)),
        tells=lambda x, m, c, b: (
            f"vpp {x.vpp} and {b // (x.dp * x.micro)} micro-batches, which pp {x.pp} does not divide"
        ),
        instead=_interleave_instead,
    ),
    Rule(
        name="schedule",
        why="a schedule is of a pipeline of several stages; interleaved ones (vpp) are 1f1b",
        holds=conditions.scheduled,
        tells=lambda x, m, c, b: f"schedule {x.schedule} with pp {x.pp}" + (f" x vpp {x.vpp}" if x.vpp > 1 else ""),
    ),
    Rule(
        name="schedule_zero",
        why="zero_bubble makes weight gradients late, when ZeRO-2 and 3 have scattered them already",
        holds=conditions.zero_bubble,
        tells=lambda x, m, c, b: f"schedule zero_bubble with zero {x.zero}",
    ),
    Rule(
        name="cp",
        why="context parallelism cuts tokens evenly, where causal in 2 cp pieces, an early and a late one a rank; "
        "tokens that wait for each other cannot be cut",
        holds=conditions.context,
        tells=_context_tells,
    ),
    Rule(
        name="sp",
        why="sequence parallelism cuts tokens evenly over the tensor-parallel ranks, of which it needs several",
        holds=conditions.sequence,
        tells=_sequence_tells,
    ),
    Rule(
        name="ep",
        why="expert parallelism shares out experts evenly, inside the dp x cp ranks",
        holds=conditions.experts,
        tells=_experts_tell,
    ),
    Rule(
        name="zero",
        why="ZeRO shards over data- and context-parallel ranks, of which it needs several",
        holds=lambda t, m, c, b: np.asarray((t.zero == 0) | (t.dp * t.cp > 1)),
        tells=lambda x, m, c, b: f"zero {x.zero} with dp 1",
    ),
    Rule(
        name="shard",
        why="hybrid sharding shares a copy out over some of the data- and context-parallel ranks, equally many each",
        holds=conditions.hybrid,
        tells=lambda x, m, c, b: f"shard {x.shard} with zero {x.zero}, and dp {x.dp} x cp {x.cp}",
    ),
    Rule(
        name="zero_pipeline",
        why="a stage adds up gradients over micro-batches, which ZeRO-2 would scatter in each of them: DeepSpeed "
        "refuses it, while ZeRO-3 (FSDP) in each stage is what torchtitan runs",
        holds=conditions.zero_pipeline,
        tells=lambda x, m, c, b: f"zero 2 with pp {x.pp}",
    ),
    Rule(
        name="overlap",
        why="only several tensor-parallel ranks have an exchange to hide",
        holds=conditions.overlap,
        tells=lambda x, m, c, b: f"overlap {x.overlap} with tp 1",
    ),
    Rule(
        name="offload",
        why="offloading needs a device with memory of its own and a link to the host's",
        holds=conditions.offload,
        tells=lambda x, m, c, b: f"offload {x.offload}, and {c.device.full_name} has no known link to host memory",
    ),
    Rule(
        name="compress",
        why="only several data- or context-parallel ranks have gradients to exchange",
        holds=conditions.compress,
        tells=lambda x, m, c, b: f"compress {x.compress} with dp 1",
    ),
    Rule(
        name="compress_whole",
        why="8-bit and 1-bit gradients carry a scale or an error of the whole gradient, which ZeRO cuts",
        holds=conditions.compress_whole,
        tells=lambda x, m, c, b: f"compress {x.compress} with zero {x.zero}",
    ),
    Rule(
        name="compress_settled",
        why="auto is settled by a run, which tries the link; a plan takes one way",
        holds=conditions.compress_settled,
        tells=lambda x, m, c, b: "compress auto",
    ),
    Rule(
        name="precision",
        why="the device computes in the layout's type",
        holds=conditions.precision,
        tells=lambda x, m, c, b: f"precision {x.precision}, and {c.device.full_name} has {', '.join(c.device.peak)}",
    ),
    Rule(
        name="recompute",
        why="selective recomputation runs the attention core again",
        holds=conditions.selective,
        tells=lambda x, m, c, b: f"recompute selective, and {m.name} has no attention",
    ),
    Rule(
        name="blocks",
        why="a per-block choice names a block of the model; by model is split what has weights cut along their outputs",
        holds=conditions.blocks,
        tells=lambda x, m, c, b: f"{m.name} has no such block {', '.join(map(repr, conditions.lost_blocks(x, m)))}",
        instead=lambda x, m, c, b: f"one of {', '.join(can_be_split(m))}" if can_be_split(m) else "",
    ),
    Rule(
        name="blocks_whole",
        why="a block that is split by model is shared out over the data-parallel ranks: ZeRO has no copies to cut",
        holds=lambda t, m, c, b: np.asarray((t.zero == 0) | (set(dict(t.blocks).values()) <= {"data"})),
        tells=lambda x, m, c, b: f"zero {x.zero} with blocks split by model",
    ),
    Rule(
        name="block_width",
        why="a block that is split by model leaves every data and tensor rank at least one output",
        holds=conditions.block_width,
        tells=lambda x, m, c, b: (
            f"dp {x.dp} x tp {x.tp} = {x.dp * x.tp} ranks share {conditions.narrowest_block(x, m)} outputs of a block"
        ),
    ),
)
"""The rules in the order in which a reader would ask: the ranks, the batch, each axis, the options."""

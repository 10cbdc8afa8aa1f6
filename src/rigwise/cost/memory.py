"""Memory of one rank by part, at the peak of a step, in bytes.

    weights      elements x bytes of the computing copy, /d under zero 3
    gradients    trainable elements x bytes, /d from zero 2
    optimizer    trainable elements x (state + float32 master copy), /d from zero 1
    activations  what the forward pass keeps, of every micro-batch in flight
    temporary    the largest operation's gradients, a recomputed layer, zero 3's two gathered layers
    buffers      communication buffers of a distributed run
    context      the device's context and libraries

d = dp x cp ranks share a replica's states (experts: d / ep). In flight on stage i of p: min(m, p - i) micro-batches,
interleaved in v pieces min(m v, 2(p - i - 1) + (v - 1) p + 1) pieces of 1/v. Left out: fragmentation beyond a constant
share. Sources: ZeRO (arXiv 1910.02054); Korthikanti et al. (arXiv 2205.05198) for activations and pieces in flight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from rigwise.cost.arrays import Floats, largest, total
from rigwise.cost.efficiencies import StackEfficiencies, Value
from rigwise.cost.ledger import summed, tell, told
from rigwise.cost.stageplan import StagePlan
from rigwise.layouts.layout import OFFLOAD, RECOMPUTE, SEQUENCE, LayoutTable
from rigwise.layouts.precision import Bytes
from rigwise.layouts.schedule import in_flight
from rigwise.layouts.shares import share
from rigwise.models.model import Block
from rigwise.models.operations import Operation

PARTS = ("weights", "gradients", "optimizer", "activations", "temporary", "buffers", "context")


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """Weights of one kind of block on one rank, in elements: dense, experts, and of both those that are trained."""

    dense: Floats
    expert: Floats
    dense_trained: Floats
    expert_trained: Floats
    bits: Floats  # stored bits a frozen quantised element, summed; 0 where none
    sides: Floats  # rows + columns of the trained matrices, summed: what a factored optimizer keeps an element of
    matrix: Floats  # their elements x smaller side, summed: what a matrix optimizer multiplies through


ELEMENTS = tuple(field.name for field in fields(Elements))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Activations of one kind of block for one micro-batch on one rank, bytes."""

    saved: Floats  # after the layout's recomputation
    whole: Floats  # without it: what recomputing one repetition brings back
    working: Floats  # the largest operation's tensors in the backward pass


def elements(block: Block, table: LayoutTable) -> Elements:
    """Weights that a rank holds of one repetition of a block."""
    sums = {
        "dense": np.zeros(()),
        "expert": np.zeros(()),
        "dense_trained": np.zeros(()),
        "expert_trained": np.zeros(()),
    }
    bits = sides = matrix = np.zeros(())
    for o in block.operations:
        if not o.parameters:
            continue
        here = o.parameters / share(o, table).weights
        where = "expert" if o.split in ("expert_column", "expert_row") else "dense"
        if o.weight_bits is not None:
            bits = bits + here * o.weight_bits
            continue
        sums[where] = sums[where] + here
        if o.trainable:
            sums[f"{where}_trained"] = sums[f"{where}_trained"] + here
            part = share(o, table)
            rows, columns, count = o.k / part.k, o.n / part.n, o.batch / part.batch
            sides = sides + count * (rows + columns)
            matrix = matrix + count * rows * columns * np.minimum(rows, columns)
    return Elements(**sums, bits=bits, sides=sides, matrix=matrix)


def kept(block: Block, table: LayoutTable, sizes: Bytes) -> Kept:
    """Activations that a rank keeps of one repetition of a block for one micro-batch.

    A product keeps its input in the type in which it multiplies: of float8 one byte, as Transformer Engine does.
    """
    micro = table.micro.astype(np.float64)
    act = sizes.activation
    all_of_it = light = working = np.zeros(())
    for o in block.operations:
        part = share(o, table)
        input_bytes = sizes.product if o.kind == "linear" and o.split != "vocab" else act
        saved = (o.saved * input_bytes + o.saved_bytes) / part.saved
        all_of_it = all_of_it + saved
        light = light + (o.kept * act / part.saved if o.core else saved)
        working = np.maximum(working, _working(o) * act / part.stream)
    along = np.where(table.sp > SEQUENCE.index("off"), table.tp, 1) * table.cp
    entry = block.boundary * act / along if block.role == "layer" else all_of_it
    chosen = np.where(
        table.recompute == RECOMPUTE.index("none"),
        all_of_it,
        np.where(table.recompute == RECOMPUTE.index("selective"), light, np.minimum(entry, all_of_it)),
    )
    return Kept(saved=micro * chosen, whole=micro * all_of_it, working=micro * working)


def _working(o: Operation) -> float:
    """Elements alive at once in the backward pass of an operation: gradient in, gradient out."""
    return o.writes + o.writes_backward


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLaw:
    """All that the memory of a stage is made of, worked out once a kind of block."""

    table: LayoutTable
    plan: StagePlan
    sizes: Bytes
    stack: StackEfficiencies
    state_bytes: float
    side_bytes: float  # of a factored optimizer's state, a row or column of a matrix
    micros: Floats
    on_gpu: bool
    context: Value  # bytes of the device's context and libraries
    weights: tuple[Elements, ...]
    acts: tuple[Kept, ...]
    tied: Floats  # elements on a rank that two blocks count and one tensor holds, where both are on one stage
    tied_trained: Floats  # of these the trained ones

    def held(self, counts: Floats, attribute: str, skip: frozenset[int] = frozenset()) -> Floats:
        """Elements of weights on a stage; skip: kinds of block that are left out."""
        sums: Floats = np.zeros(())
        for j, here in enumerate(self.weights):
            if j not in skip:
                sums = sums + counts[..., j] * getattr(here, attribute)
        if not attribute.startswith("dense"):
            return sums
        both = np.ones(counts.shape[:-1])
        for role in ("first", "last"):
            both = both * np.any([counts[..., j] > 0 for j, kind in enumerate(self.plan.kinds) if kind.role == role], 0)
        return sums - both * (self.tied_trained if attribute == "dense_trained" else self.tied)

    def stages(self) -> Iterator[dict[str, Floats]]:
        """Bytes by part on each different stage."""
        for position, counts in self.plan.stages():
            yield self._stage(position, counts)

    def total(self) -> Floats:
        """Bytes on the fullest stage."""
        return largest(total(parts.values()) for parts in self.stages())

    @told("memory")
    def _stage(self, position: Floats, counts: Floats) -> dict[str, Floats]:
        t, z, b = self.table, self.table.zero, self.sizes
        d = (t.dp * t.cp).astype(np.float64)
        e = d / np.minimum(t.ep, d)
        dense, expert, dense_t, expert_t, bits = (
            self.held(counts, key) for key in ("dense", "expert", "dense_trained", "expert_trained", "bits")
        )
        first, second, third = (np.where(z >= s, d, 1.0) for s in (1, 2, 3))
        first_e, second_e, third_e = (np.where(z >= s, e, 1.0) for s in (1, 2, 3))
        layer = largest(w.dense + w.expert for w in self.weights)
        gathered = largest(
            b.weight * (w.dense + w.expert) + w.bits / 8 + b.gradient * (w.dense_trained + w.expert_trained)
            for w in self.weights
        )
        states = self.state_bytes + b.master
        sides = self.side_bytes * self.held(counts, "sides")
        off = [(t.offload >> bit) & 1 for bit in range(3)]
        weights = b.weight * (dense / third + expert / third_e) + bits / 8 / third
        activations = self._activations(position, counts)
        parts = {
            "weights": np.where(off[0], np.minimum(weights, 2 * layer * b.weight), weights),
            "gradients": b.gradient * (dense_t / second + expert_t / second_e),
            "optimizer": np.where(off[2], 0.0, states * (dense_t / first + expert_t / first_e) + sides / first),
            "activations": np.where(off[1], activations / np.maximum(self.units(counts), 1) * 2, activations),
            "temporary": self._temporary(counts) + np.where(z >= 3, 2 * gathered, 0.0),
        }
        tell(W=dense + expert, W_t=dense_t + expert_t, experts=expert, b_w=b.weight, b_g=b.gradient, b_o=states)
        tell(d=d, zero=z, e=e, m=self.micros, slack=self.stack.memory_slack, context=self.context)
        parts |= {
            "buffers": self.stack.memory_buffers * (t.ranks > 1) * self.on_gpu,
            "context": self.context + self.stack.memory_slack * total(parts.values()),
        }
        return {key: np.asarray(value, dtype=np.float64) for key, value in parts.items()}

    def units(self, counts: Floats) -> Floats:
        """Repetitions of layers on a stage."""
        return total(counts[..., j] for j, kind in enumerate(self.plan.kinds) if kind.role == "layer")

    @told("activations")
    def _activations(self, position: Floats, counts: Floats) -> Floats:
        t = self.table
        live = in_flight("interleaved", position, t.pp, self.micros, t.vpp)
        return summed(
            *(
                (kind.name, counts[..., j] * (live if kind.role != "last" else 1.0), act.saved)
                for j, (kind, act) in enumerate(zip(self.plan.kinds, self.acts, strict=True))
            )
        )

    def _temporary(self, counts: Floats) -> Floats:
        """The largest operation's tensors; with full recomputation also one layer's activations brought back."""
        held = [(counts[..., j] > 0, act) for j, act in enumerate(self.acts)]
        working = largest(here * act.working for here, act in held)
        back = largest(here * (act.whole - act.saved) for here, act in held)
        return np.where(self.table.recompute == RECOMPUTE.index("none"), working, working + back)


assert [OFFLOAD.index(word) for word in ("weights", "activations", "optimizer")] == [1, 2, 4], "words are bit masks"

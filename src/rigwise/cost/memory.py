"""Memory of one rank by part, at the peak of a step, in bytes.

    weights        elements x bytes of the held copy, /d under zero 3; 16-bit copies that autocast makes
    gradients      trainable elements x bytes, /d from zero 2
    optimizer      trainable elements x (state + float32 master copy), /d from zero 1
    activations    what the forward pass keeps, of every micro-batch in flight
    temporary      what only the peak instant needs
    buffers        communication buffers of a distributed run
    fragmentation  what the caching allocator reserves beyond that
    context        the device's context and libraries

The peak is the largest of four instants, not a sum of maxima:

    loss    all activations, the bytes of the logits
    layer   all activations, the largest operation's gradients, a recomputed layer
    end     all gradients, one layer's tensors
    step    all gradients, what the optimizer takes besides

Gradients are there at the first two where software keeps them, or from a second micro-batch on; some software scatters
them with the last micro-batch only and holds them whole until then. A packed weight is unpacked beside what its product
works on. The caching allocator cannot give pieces that the backward pass has freed to the long ones of the step, so
what the step takes counts at every instant, but not in what is told of tensors alone. Zero 3 has two gathered blocks
beside all but the last. d = dp x cp ranks share a replica's states
(under hybrid sharding `shard` of them; experts: d / ep). In flight on stage i of p:
min(m, p - i) micro-batches, interleaved in v pieces min(m v, 2(p - i - 1) + (v - 1) p + 1) pieces of 1/v; gpipe m;
zero_bubble min(m, p). Left out: the allocator's rounding of a tensor (to 512 bytes, above 1 MiB to blocks of 2 MiB, at
most 20 MiB for one below 10 MiB), which is small against the constant share. Sources: ZeRO (arXiv 1910.02054);
Korthikanti et al. (arXiv 2205.05198) for activations and pieces in flight; layouts/states.toml for what software holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from math import prod

import numpy as np

from rigwise.convolution.blocks import blocked
from rigwise.cost.arrays import Floats, largest, total
from rigwise.cost.efficiencies import StackEfficiencies, Value
from rigwise.cost.ledger import summed, tell, told
from rigwise.cost.stageplan import StagePlan
from rigwise.cost.walk import Walk, fuller, fullest
from rigwise.layouts.layout import OFFLOAD, RECOMPUTE, SEQUENCE, LayoutTable
from rigwise.layouts.precision import Bytes, States
from rigwise.layouts.schedule import ScheduleKind, in_flight
from rigwise.layouts.shares import share
from rigwise.models.model import Block
from rigwise.models.operations import Operation

PARTS = ("weights", "gradients", "optimizer", "activations", "temporary", "buffers", "fragmentation", "context")


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
    logits: Floats  # elements of the logits, whose bytes are the stack's
    unpacked: Floats  # bytes of a packed output projection as it multiplies, beside the logits' gradients


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
            if not o.trainable:
                continue
        sums[where] = sums[where] + here
        if o.trainable:
            sums[f"{where}_trained"] = sums[f"{where}_trained"] + here
            part = share(o, table)
            rows, columns, count = o.k / part.k, o.n / part.n, o.batch / part.batch
            sides = sides + count * (rows + columns)
            matrix = matrix + count * rows * columns * np.minimum(rows, columns)
    return Elements(**sums, bits=bits, sides=sides, matrix=matrix)


def kept(block: Block, table: LayoutTable, sizes: Bytes, apart: float = 0.0) -> Kept:
    """Activations that a rank keeps of one repetition of a block for one micro-batch.

    A product keeps its input in the type in which it multiplies: of float8 one byte, as Transformer Engine does.
    apart: share of the elementwise work that is done by one elementary kernel after the other, each keeping its own
    tensors.
    """
    micro = table.micro.astype(np.float64)
    act = sizes.activation
    alone = np.maximum(apart, 1.0 - table.fused)
    all_of_it = light = working = logits = unpacked = np.zeros(())
    for o in block.operations:
        part = share(o, table)
        if is_loss(o):
            logits = logits + o.saved / part.saved
            continue
        input_bytes = sizes.product if o.kind == "linear" and o.split != "vocab" else act
        saved = (o.saved * input_bytes + o.saved_bytes) / part.saved
        if o.saved_apart:
            saved = saved + alone * o.saved_apart * act / part.stream
        all_of_it = all_of_it + saved
        light = light + (o.kept * act / part.saved if o.core else saved)
        whole = o.parameters * act / part.weights if o.packed_bits else 0.0
        if o.kind == "linear" and o.split == "vocab":  # the logits' gradients are counted with them
            unpacked = np.maximum(unpacked, whole)
        else:
            working = np.maximum(working, micro * _working(o) * act / part.stream + whole)
    along = np.where(table.sp > SEQUENCE.index("off"), table.tp, 1) * table.cp
    entry = block.boundary * act / along if block.role == "layer" else all_of_it
    chosen = np.where(
        table.recompute == RECOMPUTE.index("none"),
        all_of_it,
        np.where(table.recompute == RECOMPUTE.index("selective"), light, np.minimum(entry, all_of_it)),
    )
    return Kept(
        saved=micro * chosen, whole=micro * all_of_it, working=working, logits=micro * logits, unpacked=unpacked
    )


def is_loss(o: Operation) -> bool:
    """Whether an operation is the cross entropy over a vocabulary."""
    return o.kind == "stream" and o.split == "vocab"


def _working(o: Operation) -> float:
    """Elements alive at once in the backward pass of an operation: gradient in, gradient out."""
    return o.writes + o.writes_backward


def held_at_once(table: LayoutTable, position: Floats, micros: Floats) -> Floats:
    """Micro-batches in flight on the stages at these positions, by each layout's own schedule."""
    kinds: tuple[ScheduleKind, ...] = ("interleaved", "gpipe", "zero_bubble")  # in the order of SCHEDULES
    return np.choose(table.schedule, [in_flight(kind, position, table.pp, micros, table.vpp) for kind in kinds])


@dataclass(frozen=True, kw_only=True)
class MemoryLaw:
    """All that the memory of a stage is made of, worked out once a kind of block."""

    table: LayoutTable
    plan: StagePlan
    sizes: Bytes
    stack: StackEfficiencies
    states: States
    state_bytes: Floats | float
    side_bytes: float  # of a factored optimizer's state, a row or column of a matrix
    micros: Floats
    on_gpu: bool
    context: Value  # bytes of the device's context and libraries
    weights: tuple[Elements, ...]
    acts: tuple[Kept, ...]
    tied: Floats  # elements on a rank that two blocks count and one tensor holds, where both are on one stage
    tied_trained: Floats  # of these the trained ones
    walks: tuple[Walk, ...] = ()  # of a device that gives back at once what is freed
    heap: tuple[float, float, float] | None = None  # of its allocator, as Profile has it

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
        """Bytes by part on each different stage, at its peak."""
        for stage in self.plan.stages():
            inside = self._stage(*stage)
            outside = {
                "buffers": self._buffers,
                "fragmentation": self._holes(inside),
                "context": self.context,
            }
            yield {key: np.asarray(value, dtype=np.float64) for key, value in (inside | outside).items()}

    @cached_property
    def whole(self) -> Floats:
        """Bytes on the fullest stage, as the device counts them."""
        stages = [self._stage(*stage) for stage in self.plan.stages()]
        inside = largest(total(one.values()) + self._holes(one) for one in stages)
        return np.asarray(inside + (self._buffers + self.context))

    def _holes(self, inside: Mapping[str, Floats]) -> Floats:
        """What the allocator holds beyond tensors; by what was measured on this machine where it was."""
        if self.heap is None:
            return np.asarray(self.stack.memory_slack * total(inside.values()))
        moving = total(inside[key] for key in ("gradients", "activations", "temporary"))
        return np.asarray(self.heap[0] + self.heap[1] * moving + self.heap[2] * self._blocks)

    @cached_property
    def _blocks(self) -> Floats:
        """Bytes of blocks of the greatest convolution."""
        return largest([np.zeros(()), *(_blocked(o, self.table) for kind in self.plan.kinds for o in kind.operations)])

    def tensors(self) -> Floats:
        """Of the bytes on the fullest stage those of tensors, as torch.cuda.max_memory_allocated tells them."""
        return largest(total(self._stage(*stage, alone=True).values()) for stage in self.plan.stages())

    def reserved(self) -> Floats:
        """Of the bytes on the fullest stage those that the allocator holds, as torch.cuda.max_memory_reserved does."""
        return np.asarray(self.whole - self.context - self._buffers)

    @cached_property
    def _buffers(self) -> Floats:
        """Of the communicators, one for each way in which the ranks are grouped; and of gradients in buckets."""
        t = self.table
        groups = sum(np.where(axis > 1, 1.0, 0.0) for axis in (t.dp, t.tp, t.pp, t.cp, t.ep))
        bucket = self.states.bucket * ((t.zero == 1) | (t.zero == 2)) * (t.dp > 1)
        return np.asarray((self.stack.memory_buffers * groups + bucket) * self.on_gpu)

    @told("memory")
    def _stage(self, position: Floats, counts: Floats, alone: bool = False) -> dict[str, Floats]:
        """Bytes of tensors by part; alone: all that is alive at one instant, and nothing that is only reserved."""
        z, b, d = self.table.zero, self.sizes, self._copies
        dense, expert, dense_t, expert_t, bits = (
            self.held(counts, key) for key in ("dense", "expert", "dense_trained", "expert_trained", "bits")
        )
        (first, first_e), (second, second_e), (third, third_e) = self._cuts
        states = self.state_bytes + b.master
        weights = b.weight * (dense / third + expert / third_e) + bits / 8 / third
        if self.states.weight != 2.0:
            weights = weights + (b.held_weight - b.weight) * (dense_t / third + expert_t / third_e)
        gradients = b.held_gradient * (dense_t / second + expert_t / second_e)
        if self.states.whole:
            added_up = (z >= 3) & (d > 1) & (self.micros > 1)
            gradients = np.where(added_up, b.held_gradient * (dense + expert), gradients)
        stepped = dense_t / first + expert_t / first_e
        optimizer = states * stepped
        if self.side_bytes:
            optimizer = optimizer + self.side_bytes * self.held(counts, "sides") / first
        activations = self._activations(position, counts)
        off = [(self.table.offload >> bit) & 1 for bit in range(3)] if self.table.offload.any() else [0, 0, 0]
        if self.table.offload.any():
            activations = np.where(off[1], activations / np.maximum(self.units(counts), 1) * 2, activations)
            weights = np.where(off[0], np.minimum(weights, 2 * self._largest * b.weight), weights)
            optimizer = np.where(off[2], 0.0, optimizer)
        copies = np.where(z >= 3, 2 * self._gathered * (d > 1), b.cast * (dense_t + expert_t))
        logits, layers = self._working(counts)
        walked = self._walked(counts, gradients, copies)
        parts = walked or self._peak(gradients, activations, copies, logits, layers)
        parts |= {"weights": weights, "optimizer": optimizer}
        tell(W=dense + expert, W_t=dense_t + expert_t, b_w=b.weight, b_g=b.held_gradient, b_o=states, d=d, zero=z)
        tell(slack=self.stack.memory_slack, context=self.context)
        if self.states.step and not walked:
            step = stepped * b.step * (1 - off[2])
            beyond = gradients + step - parts["gradients"] - parts["activations"]
            parts["temporary"] = np.maximum(parts["temporary"], beyond) if alone else parts["temporary"] + step
        return parts

    @cached_property
    def _copies(self) -> Floats:
        """Ranks that have the same dense weights, sharded or not."""
        return (self.table.dp * self.table.cp).astype(np.float64)

    @cached_property
    def _cuts(self) -> tuple[tuple[Floats, Floats], ...]:
        """Over how many ranks optimizer states, gradients and weights are shared out: the dense ones', the experts'."""
        shared, of_experts = (
            self.table.sharing.astype(np.float64),
            self._copies / np.minimum(self.table.ep, self._copies),
        )
        cut = [self.table.zero >= stage for stage in (1, 2, 3)]
        return tuple((np.where(on, shared, 1.0), np.where(on, of_experts, 1.0)) for on in cut)

    def _walked(self, counts: Floats, gradients: Floats, copies: Floats) -> dict[str, Floats] | None:
        """The fullest instant of a step on a CPU: in the backward pass, or while the optimizer steps the largest
        tensor, of which it makes as many copies as it has states."""
        if not self.walks:
            return None
        grads, acts, works = fullest(self.walks, counts)
        kept = (self.micros > 1) | (self.table.dp > 1)  # the exchange's buckets stay, and gradients lie in them
        there = np.where(kept, gradients, grads)
        stepping = largest(np.where(counts[..., j] > 0, one, 0.0) for j, one in enumerate(self.steps))
        instant = fuller((there, acts, works + copies), (gradients, np.zeros(()), stepping + copies))
        return dict(zip(("gradients", "activations", "temporary"), instant, strict=True))

    @cached_property
    def steps(self) -> tuple[Floats, ...]:
        """Bytes that the optimizer takes besides for the largest tensor of each kind of block: with two moments a
        copy of each, of one moment and less none (torch.optim's single-tensor steps)."""
        state = np.asarray(self.state_bytes)
        sizes = [[o.parameters for o in kind.operations if o.trainable] for kind in self.plan.kinds]
        return tuple(np.where(state > self.sizes.weight, state, 0.0) * max(one, default=0.0) for one in sizes)

    def _peak(
        self, gradients: Floats, activations: Floats, copies: Floats, logits: Floats, layers: Floats
    ) -> dict[str, Floats]:
        """Gradients, activations and what else is there at the fullest of the first three instants."""
        during = copies + np.maximum(logits, layers)
        if self.states.kept:
            return {"gradients": gradients, "activations": activations, "temporary": during}
        there = np.where(self.micros > 1, gradients, 0.0)
        inside = there + activations + during >= gradients + copies + layers
        return {
            "gradients": np.where(inside, there, gradients),
            "activations": np.where(inside, activations, 0.0),
            "temporary": np.where(inside, during, copies + layers),
        }

    @cached_property
    def _largest(self) -> Floats:
        """Elements of the largest block."""
        return largest(w.dense + w.expert for w in self.weights)

    @cached_property
    def _gathered(self) -> Floats:
        """The largest block that zero 3 gathers: its weights, and the gradients before they are scattered."""
        b = self.sizes
        return largest(
            b.weight * (w.dense + w.expert) + w.bits / 8 + b.gradient * (w.dense_trained + w.expert_trained)
            for w in self.weights
        )

    def units(self, counts: Floats) -> Floats:
        """Repetitions of layers on a stage."""
        return total(counts[..., j] for j, kind in enumerate(self.plan.kinds) if kind.role == "layer")

    @told("activations")
    def _activations(self, position: Floats, counts: Floats) -> Floats:
        t = self.table
        live = held_at_once(t, position, self.micros)
        return summed(
            *(
                (kind.name, counts[..., j] * (live if kind.role != "last" else 1.0), act.saved)
                for j, (kind, act) in enumerate(zip(self.plan.kinds, self.acts, strict=True))
            )
        )

    def _working(self, counts: Floats) -> tuple[Floats, Floats]:
        """Bytes of the logits at the loss; and of the backward pass of the layer that takes most.

        That is its largest operation's tensors; with full recomputation also one layer's activations brought back.
        """
        size = self.stack.memory_loss if self.states.loss is None else self.states.loss
        held = [(counts[..., j] > 0, act) for j, act in enumerate(self.acts)]
        logits = total(here * (size * act.logits + act.unpacked) for here, act in held)
        working = largest(here * act.working for here, act in held)
        back = largest(here * (act.whole - act.saved) for here, act in held)
        return logits, np.where(self.table.recompute == RECOMPUTE.index("none"), working, working + back)


def _blocked(o: Operation, table: LayoutTable) -> Floats:
    if o.conv is None:
        return np.zeros(())
    part, shape = share(o, table), o.conv
    return blocked(
        b=table.micro,
        c=shape.c / shape.groups / part.k,
        k=shape.k / shape.groups / part.n,
        g=shape.groups,
        p=prod(shape.out),
        s=prod(shape.size),
        r=prod(shape.kernel),
    )


assert [OFFLOAD.index(word) for word in ("weights", "activations", "optimizer")] == [1, 2, 4], "words are bit masks"

"""The step: every law put together for a table of layouts. Seconds by part, which add up to the step.

Letters: m micro-batches a step, p stages, v pieces a stage (where they differ, as many as would be of the largest's
size), d ranks that share a replica's gradients.

    one micro-batch on a stage   t = compute + recompute + host + exchanges       (a stage: the sum over its blocks)
    pipeline                     m t_max + (sum of all stages - t_max) / v        (1F1B, GPipe; interleaved; v = 3 for
                                                                                  zero-bubble, layouts/schedule.py)
    gradients                    what the backward pass of the last micro-batch does not hide
    optimizer                    its bytes over the memory's bandwidth
    allocator                    a ((f - 0.9) / 0.1)^2 of all that, f > 0.9 of the memory full (above 1: as at 1)

Left out: pipeline sends on links above a few GB/s, which overlap (measured: leaving them out predicts better),
stragglers; cost/loader.py adds what the step waits for its data. A plan's best layout is walked event by event
(cost/timeline.py).
Sources: Narayanan et al. (arXiv 2104.04473) for the pipeline; ZeRO and FSDP (arXiv 1910.02054, 2304.11277).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rigwise.cost.arrays import Floats, largest, total
from rigwise.cost.block import BLOCK_PARTS, block_parts, links, tensor_exposed, waited
from rigwise.cost.collective import Wires, send_seconds, wires
from rigwise.cost.compute import Machine, prepare
from rigwise.cost.efficiencies import Efficiencies
from rigwise.cost.exchange import Groups, groups
from rigwise.cost.gradients import gradient_seconds, sharded_seconds
from rigwise.cost.ledger import heard, summed, tell, told
from rigwise.cost.memory import ELEMENTS, Elements, MemoryLaw
from rigwise.cost.rated import optimizer_call, optimizer_seconds
from rigwise.cost.replicas import one_interpreter, replicate_seconds
from rigwise.cost.stageplan import StagePlan
from rigwise.hardware.cluster import Cluster
from rigwise.layouts.choice import by_model
from rigwise.layouts.layout import OFFLOAD, OVERLAP, SCHEDULES, LayoutTable

_BACKWARD = 2 / 3  # share of a micro-batch's work that its backward pass is: two products of three a weight
PARTS = (
    *BLOCK_PARTS,
    "pipeline_exchange",
    "bubble",
    "gradient_exchange",
    "optimizer",
    "offload",
    "allocator",
)
NEAR_FULL = 0.9  # share of a device's memory below which the caching allocator finds room at once


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLaw:
    """What the step is made of: the cluster, the efficiencies, and each kind of block worked out."""

    table: LayoutTable
    plan: StagePlan
    cluster: Cluster
    eff: Efficiencies
    machine: Machine
    memory: MemoryLaw
    micros: Floats
    optimizer_bytes: float  # traffic of one parameter's step
    matrix_flops: float  # FLOP of a step for each element and each of its matrix's smaller side
    input_bytes: float = 0.0  # of one sample
    optimizer: str = ""

    @told("step")
    def parts(self) -> Mapping[str, Floats]:
        """Seconds by part, all but the allocator's; their sum times 1 + crowding is the step."""
        over = wires(self.cluster, self.eff)
        among = groups(self.cluster, self.table)
        stage, whole = self._stages()
        slowest = {key: self.micros * seconds for key, seconds in stage.items()}
        late = self.table.schedule == SCHEDULES.index("zero_bubble")
        ramp = {key: (whole[key] - stage[key]) / np.where(late, 3.0, self.plan.pieces) for key in stage}
        for exchanged in (slowest, ramp):
            exchanged["tensor_exchange"] = exchanged["tensor_exchange"] * tensor_exposed(self.table, self.eff)
        busy = total(stage[key] for key in ("compute", "recompute", "host"))
        one_process = self.eff.stack.one_process
        return slowest | {
            "host": slowest["host"] + self.host_fixed(),
            "pipeline_exchange": self._sends(over),
            "bubble": (self.table.pp > 1) * summed(*((key, 1, seconds) for key, seconds in ramp.items())),
            "gradient_exchange": self._replicas(over) if one_process else self._gradients(among, over, busy),
            "optimizer": self._optimizer(),
            "offload": self._offload(busy),
        }

    @told("allocator")
    def crowding(self) -> Floats:
        """Share of a step that the allocator adds where memory is nearly full: it frees what it caches, waits for the
        device, and asks again. Source: PyTorch's CUDA caching allocator; the exponent is an estimate."""
        if self.cluster.device.kind == "cpu":
            return np.zeros(())
        full, a = self.memory.whole / self.cluster.device.memory, self.eff.device.allocator
        tell(full=full, a=a)
        return np.asarray(a * np.clip((full - NEAR_FULL) / (1 - NEAR_FULL), 0.0, 1.0) ** 2)

    def kinds(self) -> list[dict[str, Floats]]:
        """Seconds by part of each kind of block, once."""
        prepare([kind for kind in self.plan.kinds if not by_model(kind, self.table)], self.table, self.machine)
        eff = one_interpreter(self.eff, self.table)
        joined = None if heard() else links(self.cluster, self.table, eff)  # of all blocks, where none tells its own
        return [block_parts(kind, self.table, self.machine, self.cluster, eff, joined) for kind in self.plan.kinds]

    def _stages(self) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Seconds by part of one micro-batch on the slowest stage, and summed over all stages."""
        per_kind = self.kinds()
        whole = {key: total(self.plan.whole[j] * kind[key] for j, kind in enumerate(per_kind)) for key in BLOCK_PARTS}
        best: dict[str, Floats] = {}
        longest: Floats = np.zeros(())
        for _, counts in self.plan.stages():
            stage = on_stage(counts, per_kind)
            seconds = total(stage[key] for key in BLOCK_PARTS)
            slower = seconds > longest
            best = {key: np.where(slower, stage[key], best[key]) if best else stage[key] for key in stage}
            longest = np.maximum(seconds, longest)
        return best, whole

    def least(self) -> Floats:
        """Seconds of work and pipeline that every step takes, whatever its states and however its gradients travel.

        Reads degrees and micro-batches only. Left out: all that comes on top, from adding gradients up to the
        allocator. What the slowest stage hides of its exchange is no more than what any stage does.
        """
        unsummed = replace(self, machine=replace(self.machine, summed=np.zeros(()), known={}))
        hidden = 1 - np.min(tensor_exposed(self.table, self.eff))
        each = [(total(kind[key] for key in BLOCK_PARTS), kind["tensor_exchange"]) for kind in unsummed.kinds()]
        counts = [counts for _, counts in self.plan.stages()]
        slowest, most = (
            largest(total(c[..., j] * kind[i] for j, kind in enumerate(each)) for c in counts) for i in (0, 1)
        )
        stage = slowest - hidden * most
        whole = total(self.plan.whole[j] * (busy - hidden * moved) for j, (busy, moved) in enumerate(each))
        late = self.table.schedule == SCHEDULES.index("zero_bubble")
        ramp = (whole - stage) / np.where(late, 3.0, self.plan.pieces)
        return np.asarray(self.micros * stage + (self.table.pp > 1) * ramp)

    def host_fixed(self) -> Floats:
        """Seconds of the host that a step takes whatever its kernels, and each micro-batch."""
        stack, share = self.eff.stack, self.eff.device.host_fixed
        return share * (stack.host_step_s + self.micros * self.table.vpp * stack.host_micro_s)

    @told("sends")
    def _sends(self, over: Wires) -> Floats:
        """Activations and their gradients between stages: hidden on a fast link, paid in full on a slow one."""
        layers = [b for b in self.plan.kinds if b.role == "layer"]
        element = self.machine.other.activation
        cut = self.table.cp * np.where(self.table.sp > 0, self.table.tp, 1)
        size = max((b.boundary for b in layers), default=0.0) * element * self.table.micro / cut
        apart = self.table.tp * self.table.cp * self.table.dp
        far = apart * self.table.pp > self.cluster.node.fast_domain
        sharing = np.minimum(apart, self.cluster.node.fast_domain)
        reach = np.where(far, over.network / sharing, over.inside)
        exposed = 1 / (1 + (reach / self.eff.slow_link) ** 2)
        seconds = send_seconds(size, far, sharing, over) * 2 * self.micros * self.table.vpp
        tell(exposed=exposed, size=size)
        return np.where(self.table.pp > 1, exposed * seconds, 0.0)

    def _most(self, attribute: str, replicated: bool = False) -> Floats:
        """Elements of weights on the stage that holds most of them; replicated: only of blocks that ranks share."""
        kinds = enumerate(self.plan.kinds)
        skip = frozenset(j for j, kind in kinds if replicated and by_model(kind, self.table))
        per_stage = [self.memory.held(counts, attribute, skip) for _, counts in self.plan.stages()]
        return largest(per_stage)

    def _replicas(self, over: Wires) -> Floats:
        """The exchange of one process that drives all devices: weights go out, gradients come back, nothing hides."""
        weights = self._most("dense") * self.memory.sizes.weight
        tensors = total(
            self.plan.whole[j] * sum(o.parameters > 0 for o in kind.operations)
            for j, kind in enumerate(self.plan.kinds)
        )
        samples = self.table.micro * self.table.dp * self.micros
        reach = self.cluster.node.host_link.bandwidth if self.cluster.node.host_link else np.inf
        scattered = np.where(self.table.dp > 1, self.input_bytes * samples / reach, 0.0)
        return replicate_seconds(weights, tensors, self.table.dp, over, self.eff.stack.host_kernel_s) + scattered

    @told("gradients")
    def _gradients(self, among: Groups, over: Wires, busy: Floats) -> Floats:
        held = Elements(**{key: self._most(key, True) for key in ELEMENTS})
        exchanged = gradient_seconds(held, self.table, self.memory.sizes, self.micros, among, over)
        hideable = self.eff.stack.overlap_dp * ((self.table.overlap & OVERLAP.index("dp")) > 0)
        passes = np.where(self.table.zero == 2, self.micros, 1.0)  # backward passes that have an exchange to hide
        hidden = hideable * np.minimum(exchanged, passes * busy * _BACKWARD)
        layers = np.maximum(largest(self.memory.units(counts) for _, counts in self.plan.stages()), 1.0)
        pieces = layers * self.eff.stack.sharded_pieces
        gathered = sharded_seconds(held, self.table, pieces, self.memory.sizes, self.micros, among, over)
        power = self.eff.stack.sharded_power
        work = busy * self.micros
        together = (work**power + gathered**power) ** (1 / power) - work
        sharded = self.table.zero >= 3
        tell(busy=work, power=power, hideable=hideable)
        return summed(
            ("exchanged", ~sharded, exchanged),
            ("exchanged", sharded, gathered),
            ("hidden under work", -1, np.where(sharded, gathered - together, hidden)),
            ("waited for each other", self.table.dp * self.table.cp > 1, waited(work, self.eff)),
        )

    def _held(self, which: str, stage: int) -> Floats:
        """Elements on a rank of the fullest stage of what ZeRO shards from `stage` on; which: "" or "_trained"."""
        sharded, d = self.table.zero >= stage, self.table.sharing
        copies = np.maximum(self.table.dp * self.table.cp / self.table.ep, 1.0)  # ranks that hold the same experts
        dense = self._most(f"dense{which}") / np.where(sharded, d, 1)
        return dense + self._most(f"expert{which}") / np.where(sharded, copies, 1.0)

    @told("optimizer")
    def _optimizer(self) -> Floats:
        """Its bytes over the memory's bandwidth, and where it multiplies whole matrices, their FLOP over the rate."""
        traffic = self.optimizer_bytes * self.eff.stack.optimizer_traffic
        if (timed := self._timed_optimizer()) is not None:
            return timed
        trained = self._held("_trained", 1)
        moved = trained * traffic / self.machine.other.bandwidth
        shared = np.where(self.table.zero >= 1, self.table.sharing, 1)
        flop = self.matrix_flops * self._most("matrix") / shared
        tell(trained=trained, traffic=traffic, bandwidth=self.machine.other.bandwidth, flop=flop)
        return summed(("states and weights", 1, moved), ("whole matrices", 1, flop / self.machine.other.rate))

    def _timed_optimizer(self) -> Floats | None:
        """Tensor by tensor, where the machine's rates are measured."""
        if self.machine.rates is None:
            return None
        shrink = np.where(self.table.zero >= 1, self.table.sharing, 1) * self.table.tp
        each = [optimizer_seconds(kind, self.optimizer, shrink, self.machine.rates) for kind in self.plan.kinds]
        if any(seconds is None for seconds in each):
            return None
        known = [seconds for seconds in each if seconds is not None]
        stages = [
            total(counts[..., j] * seconds for j, seconds in enumerate(known)) for _, counts in self.plan.stages()
        ]
        return largest(stages) + optimizer_call(self.optimizer, self.machine.rates)

    @told("offload")
    def _offload(self, busy: Floats) -> Floats:
        """Traffic to host memory and back over the device's own link, less what overlaps with work.

        Weights come for the forward and for the backward pass of each micro-batch, activations go and come back, the
        optimizer's states come for the step and go back.
        """
        t, node = self.table, self.cluster.node
        reach = node.host_link.bandwidth if node.host_link else np.inf
        off = [(t.offload >> bit) & 1 for bit in range(len(OFFLOAD).bit_length() - 1)]
        acts = total(np.max(self.plan.counts[..., j], axis=-1) * act.saved for j, act in enumerate(self.memory.acts))
        per_micro = off[0] * 2 * self._held("", 3) * self.memory.sizes.weight + off[1] * 2 * acts
        once = off[2] * self._held("_trained", 1) * 2 * (self.memory.state_bytes + self.memory.sizes.master)
        seconds = (per_micro * self.micros + once) / reach
        share = self.eff.stack.overlap_offload
        hidden = share * np.minimum(busy * self.micros, seconds)
        tell(per_micro=per_micro, once=once, reach=reach, hidden=hidden)
        return np.asarray((seconds - hidden) * (t.offload > 0))


def on_stage(counts: Floats, per_kind: Sequence[Mapping[str, Floats]]) -> dict[str, Floats]:
    """Seconds by part of one micro-batch on a stage that holds `counts` of each kind of block."""
    return {key: total(counts[..., j] * kind[key] for j, kind in enumerate(per_kind)) for key in BLOCK_PARTS}

"""A block on one rank, one micro-batch: device, host and exchange put together, by part.

Exchanges inside a block stand on the critical path and add to the device's work; the host sets the pace of the forward
and of the backward pass apart (cost/host.py), and launches ahead while either runs.
"""

from __future__ import annotations

import numpy as np

from rigwise.cost.arrays import Floats, total
from rigwise.cost.collective import Wires, wires
from rigwise.cost.compute import BlockTimes, Machine, block_times
from rigwise.cost.efficiencies import Efficiencies
from rigwise.cost.exchange import BlockExchange, Groups, block_exchange, groups
from rigwise.cost.host import launch_seconds, with_host
from rigwise.cost.ledger import summed, tell, told
from rigwise.hardware.cluster import Cluster
from rigwise.layouts.choice import by_model, portions, table_for
from rigwise.layouts.layout import OVERLAP, RECOMPUTE, LayoutTable
from rigwise.models.model import Block

_ENGINE = 0.5  # time of a launch from the framework's backward engine over one from Python
BLOCK_PARTS = ("compute", "recompute", "host", "tensor_exchange", "context_exchange", "expert_exchange")


@told("block")
def block_parts(
    block: Block,
    table: LayoutTable,
    machine: Machine,
    cluster: Cluster,
    eff: Efficiencies,
    joined: tuple[Groups, Wires] | None = None,
) -> dict[str, Floats]:
    """Seconds of one repetition of a block for one micro-batch by part. joined: what `links` says of the table.

    Beside the parts: "forward", its forward pass alone, and "forward_share", what share of the exchanges it has.
    """
    seen = table_for(block, table)
    among, over = joined if joined and seen is table else links(cluster, seen, eff)
    device = block_times(block, seen, machine)
    apart = portions(block, table) if by_model(block, table) else 0
    moved = block_exchange(block, seen, among, over, machine.other.activation, apart)
    tensor, expert = moved.tensor, moved.expert * (1 - eff.stack.overlap_ep)
    if np.any(np.asarray(apart) > 1):
        tensor = _portioned(tensor, device, np.asarray(apart))
    if eff.measured is not None and np.any(moved.collectives):
        tensor = _met(tensor, device.forward + device.backward, moved.collectives, eff)
    tell(expert_exposed=1 - eff.stack.overlap_ep)
    again = np.where(
        seen.recompute == RECOMPUTE.index("full"),
        device.forward if block.role == "layer" else 0.0,
        np.where(seen.recompute == RECOMPUTE.index("selective"), device.core, 0.0),
    )
    passes = 2.0 + (seen.recompute == RECOMPUTE.index("full")) * (block.role == "layer")
    context = _ring_exposed(moved.context, device, passes, seen)
    exchanges = total((tensor, context, expert))
    forward, backward = _host(block, device, moved, exchanges / passes, passes, again, seen, eff)
    return {
        "compute": device.forward + device.backward,
        "recompute": again,
        "host": forward + backward,
        "tensor_exchange": tensor,
        "context_exchange": context,
        "expert_exchange": expert,
        "forward": device.forward + forward + exchanges / passes,
        "forward_share": 1 / passes,
    }


@told("meetings")
def _met(exchanged: Floats, work: Floats, exchanges: Floats, eff: Efficiencies) -> Floats:
    """Exchanges with equal work between them, and what ranks wait for each other at each: measured on this machine;
    elsewhere it is part of what is fitted to whole steps.
    """
    each = waited(work / np.maximum(exchanges, 1.0), eff)
    return summed(("exchanged", 1, exchanged), ("waited for each other", exchanges, each))


def waited(work: Floats, eff: Efficiencies) -> Floats:
    """Seconds that ranks wait for each other at an exchange after so much work of their own; 0 where nobody measured
    it."""
    return np.zeros(()) if eff.measured is None else eff.measured.waited(np.asarray(work, dtype=np.float64))


@told("ring")
def _ring_exposed(context: Floats, device: BlockTimes, passes: Floats, table: LayoutTable) -> Floats:
    """What of the ring of keys and values the attention over those that are there does not hide.

    Of c pieces c-1 are under way while another is worked on; the backward pass works twice as long as the forward one.
    """
    hiding = device.core * (passes + 1) * (table.cp - 1) / table.cp
    return summed(("exchanged", 1, context), ("hidden under attention", -1, np.minimum(context, hiding)))


@told("portions")
def _portioned(exchanged: Floats, device: BlockTimes, count: Floats) -> Floats:
    """What of the exchanges the layers do not hide that take their inputs in portions.

    While one portion is worked on, the next arrives and the one before leaves: all but one portion's share of either
    can be hidden. Left out: what smaller products lose.
    """
    hidden = np.minimum(exchanged, device.forward + device.backward) * (count - 1) / count
    return summed(("exchanged", 1, exchanged), ("hidden under the layers", -1, hidden))


def links(cluster: Cluster, table: LayoutTable, eff: Efficiencies) -> tuple[Groups, Wires]:
    """The groups of every axis of a table, and what joins their ranks."""
    return groups(cluster, table), wires(cluster, eff)


def tensor_exposed(table: LayoutTable, eff: Efficiencies) -> Floats:
    """Share of the tensor exchange that no computation hides; apart from the parts, as a layout chooses it."""
    hidden = eff.stack.overlap_tp * ((table.overlap & OVERLAP.index("tp")) > 0)
    return np.asarray(1 - hidden, dtype=np.float64)


def _host(
    block: Block,
    device: BlockTimes,
    moved: BlockExchange,
    exchanged: Floats,
    passes: Floats,
    again: Floats,
    table: LayoutTable,
    eff: Efficiencies,
) -> tuple[Floats, Floats]:
    """Seconds by which the launching thread makes the forward and the backward pass longer.

    exchanged: seconds of exchange a pass, of `passes` (two, and one more where the forward pass is run again). The
    backward pass is launched by the framework's own engine.
    """
    stack, power = eff.stack, np.minimum(eff.device.host_power, eff.stack.host_power)
    repeats = np.where(
        table.recompute == RECOMPUTE.index("full"),
        device.kernels if block.role == "layer" else 0.0,
        np.where(table.recompute == RECOMPUTE.index("selective"), device.kernels_core, 0.0),
    )
    met = moved.collectives / passes
    forward = launch_seconds(device.kernels, met, table.tp, stack.host_kernel_s, stack.host_collective_s)
    backward = launch_seconds(
        device.kernels_backward * _ENGINE + repeats,
        met * (passes - 1),
        table.tp,
        stack.host_kernel_s,
        stack.host_collective_s,
    )
    there, back = device.forward + exchanged, device.backward + again + exchanged * (passes - 1)
    return with_host(there, forward, power) - there, with_host(back, backward, power) - back

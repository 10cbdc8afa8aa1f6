"""What a machine for the brain is asked for: a network to cost, and how much of it a second.

cells     a Purkinje cell as a network, as the article has it: many operations for a message
events    every spike through a synapse updates its state, as spiking simulators have it: few
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.distributions import Distribution
from rigwise.brain.emulation import HIGH, LOW, event_driven, human, human_sums, storage, synapse_cost
from rigwise.brain.estimate import BrainEstimate
from rigwise.brain.mapping import PURKINJE, network
from rigwise.brain.quantity import Quantity, spread
from rigwise.errors import UsageError
from rigwise.models.model import Block, Model
from rigwise.models.operations import forward_only, stream

Floats = NDArray[np.float64]
SHAPES = ("cells", "events")
_EVENTS = 2.0**26  # synapse events of one sample: enough that launching a kernel does not count
_ELEMENT = 2.0  # bytes of an element where the events are costed, in a type of 16 bit
ASKED = "asked for by the user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """model: one sample of it is `flops`, costed `micro` at a time. needed: FLOP/s, and its draws; memory: bytes held,
    and its draws. read: bytes/s that cells read of what they hold, and its draws; 0 where the model has them already.
    bytes_per_flop: what leaves a device for each FLOP, and its draws.
    """

    shape: str
    model: Model
    micro: int
    flops: float
    bytes_per_flop: float
    bytes_per_flop_drawn: Floats
    needed: float
    needed_drawn: Floats
    memory: float
    memory_drawn: Floats
    read: float
    read_drawn: Floats
    source: str

    @property
    def quantity(self) -> Quantity:
        """FLOP/s needed."""
        return spread(self.needed, self.needed_drawn, "FLOP/s", self.source)

    @property
    def exchange(self) -> Quantity:
        """Bytes/s between devices."""
        drawn = self.needed_drawn * self.bytes_per_flop_drawn
        return spread(self.needed * self.bytes_per_flop, drawn, "byte/s", self.source)

    @property
    def reading(self) -> Quantity:
        """Bytes/s read of what is held."""
        return spread(self.read, self.read_drawn, "byte/s", self.source)

    @property
    def held(self) -> Quantity:
        """Bytes held."""
        return spread(self.memory, self.memory_drawn, "byte", self.source)


def work(
    shape: str, brain: BrainEstimate, flops: float | None = None, own: Mapping[str, float] = MappingProxyType({})
) -> Work:
    """The work of a shape. flops: FLOP/s to sustain instead of the estimate's. own: inputs of the events, as
    emulation.human_sums has them. Raises UsageError for another shape."""
    if flops is not None and not (isfinite(flops) and flops > 0):
        raise UsageError(f"{flops:g} FLOP/s", rule="a rate above 0")
    if shape == "cells":
        return _cells(brain, flops)
    if shape == "events":
        return _by_events(brain, flops, own)
    raise UsageError(f"shape {shape!r}", rule=f"one of {', '.join(SHAPES)}")


def _cells(brain: BrainEstimate, flops: float | None) -> Work:
    model, at = network(PURKINJE, forward=True), brain.quantities
    needed, memory = (at[name].value or 0.0 for name in ("flops", "memory"))
    apart = 1.0 - brain.points["local_share"]
    scale = 1.0 if flops is None else flops / needed
    return Work(
        shape="cells",
        model=model,
        micro=64,
        flops=model.flops,
        bytes_per_flop=apart * (at["exchange"].value or 0.0) / needed,
        bytes_per_flop_drawn=_apart(brain) * brain.drawn["exchange"] / brain.drawn["flops"],
        needed=needed * scale,
        needed_drawn=brain.drawn["flops"] if flops is None else np.full(brain.draws, flops),
        memory=memory * scale,
        memory_drawn=brain.drawn["memory"] * scale,
        read=(at["bandwidth"].value or 0.0) * scale,
        read_drawn=brain.drawn["bandwidth"] * scale,
        source=at["flops"].source if flops is None else ASKED,
    )


def _apart(brain: BrainEstimate) -> Floats:
    """Draws of the share of messages that leave their device."""
    return np.broadcast_to(1.0 - brain.samples["local_share"], brain.draws)


def _by_events(brain: BrainEstimate, flops: float | None, own: Mapping[str, float]) -> Work:
    """Alpha synapses at the low end, Tsodyks-Markram ones and stepped neurons at the high end."""
    sums = human_sums("event", own)
    on = sums.on
    low, high = event_driven(on, sums.low), event_driven(on, sums.high)
    rng = np.random.default_rng([brain.seed, 4])
    between = Distribution(kind="loguniform", low=low, high=high).draw(brain.draws, rng)
    held = Distribution(kind="loguniform", low=storage(on, *LOW), high=storage(on, *HIGH)).draw(brain.draws, rng)
    middle, room = sqrt(low * high), sqrt(storage(on, *LOW) * storage(on, *HIGH))
    scale = 1.0 if flops is None else flops / middle
    each, state = sums.low.synapse, synapse_cost(LOW[0], "bytes")
    moved = _EVENTS * state / _ELEMENT
    update = forward_only(stream("events", reads=moved, writes=moved, reads_backward=0, writes_backward=0))
    block = Block(name="events", operations=(update,), boundary=_EVENTS)
    return Work(
        shape="events",
        model=Model(name="events", family="mlp", blocks=(block,), layers=1),
        micro=64,
        flops=_EVENTS * each,
        bytes_per_flop=(1.0 - brain.points["local_share"]) * brain.points["bytes_per_message"] / each,
        bytes_per_flop_drawn=_apart(brain) * brain.samples["bytes_per_message"] / each,
        needed=middle * scale,
        needed_drawn=between if flops is None else np.full(brain.draws, flops),
        memory=room * scale,
        memory_drawn=held * scale,
        read=0.0,
        read_drawn=np.zeros(brain.draws),
        source=human()["source"] if flops is None else ASKED,
    )

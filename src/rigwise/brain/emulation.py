"""State of Brain Emulation 2025: what simulating neurons and synapses costs, organism by organism, from its own tables.

    time stepped   synapses x FLOP/s of a synapse model + neurons x FLOP/s of a neuron model
    event driven   spikes through synapses x FLOP an event + neurons x (FLOP/s, or rate x FLOP a spike)
    storage        synapses x bytes + neurons x bytes

The low end takes alpha synapses and leaky integrate-and-fire neurons, the high end Tsodyks-Markram synapses and
Hodgkin-Huxley neurons of 5 compartments, which are stepped in time even where synapses are not. Left out: growth,
modulators, glia. Source: data repository of the report, CC BY 4.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rigwise.brain.tables import table

LOW, HIGH = ("alpha", "lif"), ("tsodyks_markram", "hh5")
HUMAN = "human (brain)"
GAPS = {
    "event": "the published high end leaves the neurons out, which the other organisms' have (mouse: 3.10e14) and "
    "human cortex alone has (1.46e17); with them it is 3.8e17",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Organism:
    """A nervous system. firing: Hz of every neuron."""

    name: str
    neurons: float
    synapses: float
    firing: float

    @classmethod
    def of(cls, row: Mapping[str, str]) -> Organism:
        """From a row of data/organisms.csv."""
        sizes = {name: float(row[column]) for name, column in (("neurons", "neurons"), ("synapses", "synapses"))}
        return cls(name=row["organism"], firing=float(row["firing_hz"]), **sizes)


def time_stepped(on: Organism, synapse: str, neuron: str) -> float:
    """FLOP/s where every synapse and neuron is stepped."""
    return on.synapses * synapse_cost(synapse, "flops_per_s") + on.neurons * _neuron(neuron, "flops_per_s")


def event_driven(on: Organism, synapse: str, neuron: str) -> float:
    """FLOP/s where a synapse works only when a spike arrives; a neuron without a cost a spike is stepped."""
    per_spike = _neuron(neuron, "flop_per_spike")
    neurons = on.neurons * (on.firing * per_spike if per_spike else _neuron(neuron, "flops_per_s"))
    return on.synapses * on.firing * synapse_cost(synapse, "flop_per_event") + neurons


def storage(on: Organism, synapse: str, neuron: str) -> float:
    """Bytes of state."""
    return on.synapses * synapse_cost(synapse, "bytes") + on.neurons * _neuron(neuron, "bytes")


def synapse_cost(name: str, column: str) -> float:
    """A figure of a synapse model: flops_per_s, flop_per_event or bytes."""
    return float(next(row for row in table("synapse_models") if row["id"] == name)[column])


def _neuron(name: str, column: str) -> float:
    return float(next(row for row in table("neuron_models") if row["id"] == name)[column])


def human() -> Mapping[str, str]:
    """The row of the human brain."""
    return next(row for row in table("organisms") if row["organism"] == HUMAN)


def sobe_methods(sets: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """The two estimates of the human brain, as methods.py lists them. sets: inputs of one's own by method."""
    row = human()
    made = []
    for key, name, law in (
        ("time", "time stepped", time_stepped),
        ("event", "event driven", event_driven),
    ):
        own = sets.get(f"sobe_2025_{key}", {})
        on = Organism.of(row)
        on = replace(on, **{name: own.get(name, getattr(on, name)) for name in ("neurons", "synapses", "firing")})
        made.append(
            {
                "key": f"sobe_2025_{key}",
                "name": f"State of Brain Emulation, {name}",
                "source": row["source"],
                "published": (float(row[f"{key}_low"]), float(row[f"{key}_high"])),
                "computed": (law(on, *LOW), law(on, *HIGH)),
                "memory": storage(on, *HIGH),
                "gap": GAPS.get(key, ""),
                "inputs": {
                    "neurons": (on.neurons, "count"),
                    "synapses": (on.synapses, "count"),
                    **({"firing": (on.firing, "Hz")} if key == "event" else {}),
                },
            }
        )
    return made

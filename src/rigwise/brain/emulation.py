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
from types import MappingProxyType
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one synapse and one neuron cost. synapse: FLOP/s, or FLOP an event. neuron: FLOP/s; spike: FLOP a spike, 0
    for a neuron that is stepped in time even where synapses are not."""

    synapse: float
    neuron: float
    spike: float = 0.0

    @classmethod
    def of(cls, kind: str, synapse: str, neuron: str) -> Costs:
        """Of two models, stepped in time ("time") or driven by events ("event")."""
        if kind == "time":
            return cls(synapse=synapse_cost(synapse, "flops_per_s"), neuron=_neuron(neuron, "flops_per_s"))
        spike = _neuron(neuron, "flop_per_spike")
        stepped = 0.0 if spike else _neuron(neuron, "flops_per_s")
        return cls(synapse=synapse_cost(synapse, "flop_per_event"), neuron=stepped, spike=spike)


def time_stepped(on: Organism, costs: Costs) -> float:
    """FLOP/s where every synapse and neuron is stepped."""
    return on.synapses * costs.synapse + on.neurons * costs.neuron


def event_driven(on: Organism, costs: Costs) -> float:
    """FLOP/s where a synapse works only when a spike arrives; a neuron without a cost a spike is stepped."""
    return on.synapses * on.firing * costs.synapse + on.neurons * (costs.neuron + on.firing * costs.spike)


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


_LAWS = {"time": time_stepped, "event": event_driven}
_UNITS = {"time": "FLOP/s", "event": "FLOP"}


def sobe_methods(sets: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    """The two estimates of the human brain, as methods.py lists them. sets: inputs of one's own by method."""
    return [_method(kind, sets.get(f"sobe_2025_{kind}", {})) for kind in _LAWS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A brain, and what its synapses and neurons cost at the low and at the high end. inputs: each with its unit."""

    on: Organism
    low: Costs
    high: Costs
    inputs: Mapping[str, tuple[float, str]]


def human_sums(kind: str, own: Mapping[str, float] = MappingProxyType({})) -> Sums:
    """The human brain, stepped in time ("time") or driven by events ("event"), with inputs of one's own by name."""
    on = Organism.of(human())
    ends = {"low": Costs.of(kind, *LOW), "high": Costs.of(kind, *HIGH)}
    inputs = {"neurons": (on.neurons, "count"), "synapses": (on.synapses, "count")}
    inputs |= {"firing": (on.firing, "Hz")} if kind == "event" else {}
    for end, costs in ends.items():
        inputs[f"synapse_{end}"] = costs.synapse, _UNITS[kind]
        inputs[f"neuron_{end}"] = (costs.spike, "FLOP") if costs.spike else (costs.neuron, "FLOP/s")
    inputs = {name: (own.get(name, value), unit) for name, (value, unit) in inputs.items()}
    for end, costs in ends.items():
        neuron = "spike" if costs.spike else "neuron"
        ends[end] = replace(costs, **{"synapse": inputs[f"synapse_{end}"][0], neuron: inputs[f"neuron_{end}"][0]})
    firing = inputs["firing"][0] if kind == "event" else on.firing
    sized = replace(on, neurons=inputs["neurons"][0], synapses=inputs["synapses"][0], firing=firing)
    return Sums(on=sized, inputs=inputs, **ends)


def _method(kind: str, own: Mapping[str, float]) -> dict[str, Any]:
    row, law, sums = human(), _LAWS[kind], human_sums(kind, own)
    return {
        "key": f"sobe_2025_{kind}",
        "name": f"State of Brain Emulation, {law.__name__.replace('_', ' ')}",
        "source": row["source"],
        "published": (float(row[f"{kind}_low"]), float(row[f"{kind}_high"])),
        "computed": (law(sums.on, sums.low), law(sums.on, sums.high)),
        "memory": storage(sums.on, *HIGH),
        "gap": GAPS.get(kind, ""),
        "inputs": sums.inputs,
    }

"""What the cells of a brain ask of a machine: FLOP/s, memory, bandwidth and messages, as array functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.mapping import dendrite_flops, other_flops, weights
from rigwise.brain.parameters import Parameter, Values

Floats = NDArray[np.float64]
CORTICAL = "cortical_dendrites"  # what the bound leaves out that is a term and not a factor
UNITS = {"flops": "FLOP/s", "memory": "byte", "bandwidth": "byte/s", "messages": "1/s", "exchange": "byte/s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A type of cell: the region and the names of its inputs."""

    name: str
    region: str
    count: str
    inputs: str
    reach: str
    dendrites: str
    outputs: str
    rate: str
    always: bool = True  # whether its dendrite's filter is in the bound


KINDS = tuple(
    Kind(name=name, region=region, count=count, inputs=inputs, reach=f"{filt}_reach", dendrites=f"{filt}_dendrites",
         outputs=outputs, rate=f"{filt}_rate", always=always)
    for name, region, count, inputs, filt, outputs, always in (
        ("purkinje", "cerebellum", "purkinje_cells", "purkinje_inputs", "purkinje", "purkinje_outputs", True),
        ("granule", "cerebellum", "granule_cells", "granule_inputs", "granule", "granule_outputs", True),
        ("cortex", "cerebral cortex", "cortex_cells", "synapses_per_neuron", "cortex", "synapses_per_neuron", False),
        ("other", "elsewhere", "other_cells", "synapses_per_neuron", "cortex", "synapses_per_neuron", False),
    )
)  # fmt: skip


def omissions(known: Mapping[str, Parameter]) -> list[str]:
    """What the bound leaves out and can be switched in."""
    return [CORTICAL, *(name for name, parameter in known.items() if parameter.group == "omitted")]


def evaluation(kind: Kind, values: Values, include: Sequence[str] = ()) -> Floats:
    """FLOP of one evaluation of one cell, arrays broadcast."""
    v = {key: values[getattr(kind, key)] for key in ("inputs", "reach", "dendrites")}
    steps, ops = values["time_steps"], values["ops_per_weight"]
    flops = other_flops(v["inputs"], steps, ops)
    if kind.always or CORTICAL in include:
        flops = flops + dendrite_flops(v["inputs"], v["reach"], v["dendrites"], steps, ops)
    return flops


def factor(values: Values, include: Sequence[str]) -> Floats:
    """What the switched-in omissions multiply the bound by."""
    product = np.ones(())
    for name in include:
        product = product * (1.0 if name == CORTICAL else values[name])
    return np.asarray(product)


def flops(values: Values, include: Sequence[str] = ()) -> dict[str, Floats]:
    """FLOP/s of each type of cell: count x rate x FLOP of an evaluation x what is switched in.

    >>> from rigwise.brain.parameters import points, shipped
    >>> terms = flops(points(shipped()))
    >>> f"{sum(terms.values()):.4g}"
    '1.075e+21'
    """
    times = factor(values, include)
    return {
        kind.name: np.asarray(values[kind.count] * values[kind.rate] * times * evaluation(kind, values, include))
        for kind in KINDS
    }


def demands(values: Values, include: Sequence[str] = ()) -> dict[str, Floats]:
    """The whole brain's FLOP/s, bytes held, bytes/s read, messages/s and bytes/s between cells, arrays broadcast.

    memory = sum over cells of bytes x (weights + N T);  bandwidth = sum of their rate x bytes, each read once a time;
    messages = rate x outputs;  exchange = messages x bytes of a message. Left out: caches that keep a weight for the
    next evaluation, cells that stay silent. Source: the sizes of the network, as models/ counts them.
    """
    memory = bandwidth = messages = np.zeros(())
    for kind in KINDS:
        wide = kind.always or CORTICAL in include
        reach, dendrites = (values[kind.reach], values[kind.dendrites]) if wide else (0.0, 0.0)
        inputs, steps = values[kind.inputs], values["time_steps"]
        held = weights(inputs, reach, dendrites, steps) + np.asarray(inputs * steps)
        held = np.asarray(values[kind.count] * held * values["bytes_per_value"])
        memory, bandwidth = memory + held, bandwidth + np.asarray(held * values[kind.rate])
        messages = messages + np.asarray(values[kind.count] * values[kind.rate] * values[kind.outputs])
    total = sum(flops(values, include).values(), start=np.zeros(()))
    return {
        "flops": np.asarray(total),
        "memory": memory,
        "bandwidth": bandwidth,
        "messages": messages,
        "exchange": np.asarray(messages * values["bytes_per_message"]),
    }

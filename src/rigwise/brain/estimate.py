"""The estimate: cells x evaluations a second x FLOP of one evaluation, by type of cell, with its spread over the inputs.

It is a lower bound: what the article leaves out can be switched in, one by one. Beside FLOP/s stand the memory that
holds the weights and the window, the bandwidth that reads them every evaluation, and the messages between cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.mapping import dendrite_flops, other_flops, weights
from rigwise.brain.parameters import Parameter, Values, draw, parameters, points
from rigwise.brain.quantity import Quantity, spread
from rigwise.errors import check_whole, not_found

Floats = NDArray[np.float64]
DRAWS, MOST_DRAWS = 100_000, 5_000_000
SOURCE = "Dettmers 2015, The Brain vs Deep Learning Part I; how its factors are multiplied is our reconstruction"
CORTICAL = "cortical_dendrites"  # what the bound leaves out that is a term and not a factor
_UNITS = {"flops": "FLOP/s", "memory": "byte", "bandwidth": "byte/s", "messages": "1/s", "exchange": "byte/s"}


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
    always: bool = True  # whether its dendrite's filter is in the bound


KINDS = tuple(
    Kind(name=name, region=region, count=count, inputs=inputs, reach=f"{filt}_reach", dendrites=f"{filt}_dendrites",
         outputs=outputs, always=always)
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
    return np.asarray(np.prod([np.asarray(values[name]) for name in include if name != CORTICAL], axis=0)) if any(
        name != CORTICAL for name in include
    ) else np.ones(())  # fmt: skip


def flops(values: Values, include: Sequence[str] = ()) -> dict[str, Floats]:
    """FLOP/s of each type of cell: count x rate x FLOP of an evaluation x what is switched in.

    >>> from rigwise.brain.parameters import points, shipped
    >>> terms = flops(points(shipped()))
    >>> f"{sum(terms.values()):.4g}"
    '1.075e+21'
    """
    times = values["rate"] * factor(values, include)
    return {kind.name: np.asarray(values[kind.count] * times * evaluation(kind, values, include)) for kind in KINDS}


def demands(values: Values, include: Sequence[str] = ()) -> dict[str, Floats]:
    """The whole brain's FLOP/s, bytes held, bytes/s read, messages/s and bytes/s between cells, arrays broadcast.

    memory = sum over cells of bytes x (weights + N T);  bandwidth = rate x memory, each number read once an evaluation;
    messages = rate x outputs;  exchange = messages x bytes of a message. Left out: caches that keep a weight for the
    next evaluation, cells that stay silent. Source: the sizes of the network, as models/ counts them.
    """
    memory = messages = np.zeros(())
    for kind in KINDS:
        wide = kind.always or CORTICAL in include
        reach, dendrites = (values[kind.reach], values[kind.dendrites]) if wide else (0.0, 0.0)
        inputs, steps = values[kind.inputs], values["time_steps"]
        held = weights(inputs, reach, dendrites, steps) + np.asarray(inputs * steps)
        memory = memory + values[kind.count] * held * values["bytes_per_value"]
        messages = messages + np.asarray(values[kind.count] * values["rate"] * values[kind.outputs])
    total = sum(flops(values, include).values(), start=np.zeros(()))
    return {
        "flops": np.asarray(total),
        "memory": memory,
        "bandwidth": np.asarray(memory * values["rate"]),
        "messages": messages,
        "exchange": np.asarray(messages * values["bytes_per_message"]),
    }


@dataclass(frozen=True, kw_only=True)
class BrainEstimate:
    """The answer. include: what was switched in beyond the bound. samples: inputs as drawn, by name."""

    parameters: Mapping[str, Parameter]
    include: tuple[str, ...]
    draws: int
    seed: int
    samples: Mapping[str, Floats]

    @cached_property
    def points(self) -> dict[str, float]:
        """The inputs' point values."""
        return points(self.parameters)

    @cached_property
    def drawn(self) -> dict[str, Floats]:
        """The demands, one entry a draw."""
        return {name: np.broadcast_to(v, self.draws) for name, v in demands(self.samples, self.include).items()}

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """flops, memory, bandwidth, messages and exchange of the whole brain."""
        at = demands(self.points, self.include)
        return {name: spread(float(at[name]), self.drawn[name], _UNITS[name], SOURCE) for name in at}

    @cached_property
    def terms(self) -> dict[str, Quantity]:
        """FLOP/s of each type of cell."""
        at, drawn = flops(self.points, self.include), flops(self.samples, self.include)
        return {name: spread(float(at[name]), drawn[name], "FLOP/s", SOURCE) for name in at}

    @property
    def is_lower_bound(self) -> bool:
        """Whether anything that the article names is still left out."""
        return set(self.include) < set(omissions(self.parameters))

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an estimate."""
        from rigwise.brain.limits import CANNOT_SAY
        from rigwise.brain.sensitivity import sobol, tornado

        return {
            "draws": self.draws,
            "seed": self.seed,
            "include": list(self.include),
            "left_out": [name for name in omissions(self.parameters) if name not in self.include],
            "lower_bound": self.is_lower_bound,
            **{name: quantity.to_dict() for name, quantity in self.quantities.items()},
            "terms": {
                kind.name: {**self.terms[kind.name].to_dict(), "region": kind.region,
                            "flop_per_evaluation": float(evaluation(kind, self.points, self.include))}
                for kind in KINDS
            },
            "tornado": [bar.to_dict() for bar in tornado(self)],
            "sobol": [share.to_dict() for share in sobol(self)],
            "parameters": {name: parameter.to_dict() for name, parameter in self.parameters.items()},
            "cannot_say": list(CANNOT_SAY),
        }  # fmt: skip


def estimate(
    *,
    sets: Mapping[str, float | str] | Sequence[str] = (),
    include: Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
) -> BrainEstimate:
    """The estimate for inputs of which some may be set. include: omissions to switch in; "all" takes every one.

    Raises NotFoundError for an unknown input or omission and UsageError for a value that cannot be.
    """
    check_whole(least=100, most=MOST_DRAWS, draws=draws)
    check_whole(least=0, seed=seed)
    known = parameters(sets)
    every = omissions(known)
    for name in include:
        if name not in every and name != "all":
            raise not_found("omission", name, every, hint=", ".join(["all", *every]))
    chosen = tuple(name for name in every if "all" in include or name in include)
    samples = draw(known, draws, np.random.default_rng(seed))
    return BrainEstimate(parameters=known, include=chosen, draws=draws, seed=seed, samples=samples)

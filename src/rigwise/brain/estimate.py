"""The estimate: cells x evaluations a second x FLOP of one evaluation, by type of cell, with its spread.

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

from rigwise.brain.caveats import CANNOT_SAY
from rigwise.brain.demands import KINDS, UNITS, demands, evaluation, flops, omissions
from rigwise.brain.parameters import Parameter, as_words, draw, parameters, points
from rigwise.brain.quantity import Quantity, spread
from rigwise.brain.sensitivity import Bar, Share, sobol, tornado
from rigwise.errors import check_whole, not_found

Floats = NDArray[np.float64]
DRAWS, MOST_DRAWS = 100_000, 5_000_000
SOURCE = "Dettmers 2015, The Brain vs Deep Learning Part I; how its factors are multiplied is our reconstruction"


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
        return {name: spread(float(at[name]), self.drawn[name], UNITS[name], SOURCE) for name in at}

    @cached_property
    def terms(self) -> dict[str, Quantity]:
        """FLOP/s of each type of cell."""
        at, drawn = flops(self.points, self.include), flops(self.samples, self.include)
        return {name: spread(float(at[name]), drawn[name], "FLOP/s", SOURCE) for name in at}

    @cached_property
    def bars(self) -> list[Bar]:
        """The tornado: FLOP/s with one input at its ends, the widest first."""
        return tornado(self.parameters, self.include)

    @cached_property
    def shares(self) -> list[Share]:
        """Each input's share of the variance of log10 FLOP/s, the largest first."""
        return sobol(self.parameters, self.include, self.seed)

    @property
    def is_lower_bound(self) -> bool:
        """Whether anything that the article names is still left out."""
        return set(self.include) < set(omissions(self.parameters))

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an estimate."""
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
            "tornado": [bar.to_dict() for bar in self.bars],
            "sobol": [share.to_dict() for share in self.shares],
            "parameters": {name: parameter.to_dict() for name, parameter in self.parameters.items()},
            "cannot_say": list(CANNOT_SAY),
        }  # fmt: skip


def estimate(
    *,
    sets: Mapping[str, float | str] | Sequence[str] = (),
    include: str | Sequence[str] = (),
    draws: int = DRAWS,
    seed: int = 0,
) -> BrainEstimate:
    """The estimate for inputs of which some may be set. include: omissions to switch in; "all" takes every one.

    Raises NotFoundError for an unknown input or omission and UsageError for a value that cannot be.
    """
    check_whole(least=100, most=MOST_DRAWS, draws=draws)
    check_whole(least=0, seed=seed)
    known, wanted = parameters(sets), as_words(include)
    every = omissions(known)
    for name in wanted:
        if name not in every and name != "all":
            raise not_found("omission", name, every, hint=", ".join(["all", *every]))
    chosen = tuple(name for name in every if "all" in wanted or name in wanted)
    samples = draw(known, draws, np.random.default_rng(seed))
    return BrainEstimate(parameters=known, include=chosen, draws=draws, seed=seed, samples=samples)

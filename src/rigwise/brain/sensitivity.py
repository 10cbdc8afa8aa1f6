"""Which input moves the answer: one at a time (tornado), and shares of the variance (Sobol).

    S_i  = Var(E[Y | X_i]) / Var(Y)         what is left of the spread when X_i alone is random
    ST_i = E[Var(Y | X_not_i)] / Var(Y)     what X_i takes part in, its interactions included

Y is log10 of FLOP/s, as the spread is over orders of magnitude. Estimators: Saltelli et al. 2010 for S_i, Jansen 1999
for ST_i (Comput. Phys. Commun. 181:259). They take independent samples A and B, and A with its column i from B.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.demands import demands
from rigwise.brain.parameters import Parameter, draw, points

Floats = NDArray[np.float64]
Columns = Mapping[str, Floats]
_SAMPLES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """FLOP/s with one input at its 10th and at its 90th percentile, the others at their point values."""

    name: str
    low: float
    high: float
    at_low: float
    at_high: float

    @property
    def swing(self) -> float:
        """How many times one end's answer is the other's."""
        return max(self.at_low, self.at_high) / min(self.at_low, self.at_high)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a bar."""
        return {**asdict(self), "swing": self.swing}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """An input's share of the variance: alone, and with all in which it takes part."""

    name: str
    first: float
    total: float

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a share."""
        return asdict(self)


def tornado(inputs: Mapping[str, Parameter], include: Sequence[str] = ()) -> list[Bar]:
    """One bar an input that is not fixed and counts, the widest first."""
    bars, at_points = [], points(inputs)
    for name, parameter in inputs.items():
        ends = [parameter.spread.quantile(share) for share in (0.1, 0.9)]
        at = [float(demands(at_points | {name: end}, include)["flops"]) for end in ends]
        if at[0] != at[1]:
            bars.append(Bar(name=name, low=ends[0], high=ends[1], at_low=at[0], at_high=at[1]))
    return sorted(bars, key=lambda bar: -bar.swing)


def sobol(
    inputs: Mapping[str, Parameter], include: Sequence[str] = (), seed: int = 0, samples: int = _SAMPLES
) -> list[Share]:
    """The shares of log10 FLOP/s, the largest total first."""
    rng = np.random.default_rng([seed, 1])
    counts = [bar.name for bar in tornado(inputs, include)]
    a, b = (draw(inputs, samples, rng) for _ in range(2))

    def model(columns: Columns) -> Floats:
        return np.asarray(np.log10(demands({**a, **columns}, include)["flops"]))

    found = indices(model, _only(a, counts), _only(b, counts))
    return sorted(found, key=lambda share: -share.total)


def _only(columns: Columns, names: list[str]) -> Columns:
    return {name: columns[name] for name in names}


def indices(model: Callable[[Columns], Floats], a: Columns, b: Columns) -> list[Share]:
    """First-order and total indices of a model whose inputs a and b are two independent samples, a column an input.

    >>> rng = np.random.default_rng(0)
    >>> a, b = ({"x": rng.normal(size=20000), "y": rng.normal(size=20000)} for _ in range(2))
    >>> [round(share.first, 1) for share in indices(lambda v: 2 * v["x"] + v["y"], a, b)]
    [0.8, 0.2]
    """
    at_a, at_b = model(a), model(b)
    middle = np.concatenate([at_a, at_b]).mean()
    at_a, at_b = at_a - middle, at_b - middle
    variance = float(np.concatenate([at_a, at_b]).var())
    out = []
    for name in a:
        mixed = model({**a, name: b[name]}) - middle
        first = float(np.mean(at_b * (mixed - at_a))) / variance if variance else 0.0
        total = float(np.mean((at_a - mixed) ** 2)) / 2 / variance if variance else 0.0
        out.append(Share(name=name, first=first, total=total))
    return out

"""Distributions of an input: what is drawn, and the quantile of each.

    fixed        the value alone
    uniform      between low and high
    loguniform   between low and high, every factor of two alike
    lognormal    low and high are its 10th and 90th percentile

A log-normal is what a product of many small unknowns tends to; a uniform one says that only the ends are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log
from statistics import NormalDist
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from rigwise.errors import UsageError

Floats = NDArray[np.float64]
Kind = Literal["fixed", "uniform", "loguniform", "lognormal"]
_Z = NormalDist().inv_cdf(0.9)  # 1.2816: from the middle of a normal to its 90th percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A kind and its two ends. Raises UsageError for ends that are the wrong way round or have no logarithm.

    >>> Distribution(kind="lognormal", low=50, high=1000).quantile(0.5).__round__(1)
    223.6
    """

    kind: Kind
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise UsageError(f"a distribution {self.kind!r}", rule=f"one of {', '.join(get_args(Kind))}")
        if not self.low <= self.high or (self.kind.startswith("log") and self.low <= 0):
            raise UsageError(
                f"a {self.kind} range from {self.low:g} to {self.high:g}",
                rule="the low end first, and above 0 where the range is logarithmic",
            )

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """`count` independent draws."""
        if self.kind == "fixed":
            return np.full(count, float(self.low))
        if self.kind == "uniform":
            return rng.uniform(self.low, self.high, count)
        low, high = log(self.low), log(self.high)
        if self.kind == "loguniform":
            return np.asarray(np.exp(rng.uniform(low, high, count)))
        return np.asarray(np.exp(rng.normal((low + high) / 2, (high - low) / (2 * _Z), count)))

    def quantile(self, share: float) -> float:
        """The value below which `share` of the draws lie."""
        if self.kind == "fixed":
            return float(self.low)
        if self.kind == "uniform":
            return self.low + share * (self.high - self.low)
        low, high = log(self.low), log(self.high)
        if self.kind == "loguniform":
            return exp(low + share * (high - low))
        return exp((low + high) / 2 + NormalDist().inv_cdf(share) * (high - low) / (2 * _Z))

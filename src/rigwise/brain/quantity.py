"""Quantity: a figure with its spread, its unit and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """value: from the point values of the inputs; p10, p50, p90: percentiles over the draws of the inputs.

    The value need not be the median: a published figure takes the inputs that its author took.
    """

    value: float | None
    p10: float | None
    p50: float | None
    p90: float | None
    unit: str
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a quantity."""
        return {name: getattr(self, name) for name in ("value", "p10", "p50", "p90", "unit", "source")}


def spread(value: float | None, draws: ArrayLike, unit: str, source: str) -> Quantity:
    """The quantity of a point value and its draws.

    >>> spread(2.0, [1.0, 2.0, 3.0], "s", "a stopwatch").p90
    2.8
    """
    p10, p50, p90 = (float(x) for x in np.percentile(np.asarray(draws, dtype=np.float64), [10, 50, 90]))
    return Quantity(value=value, p10=p10, p50=p50, p90=p90, unit=unit, source=source)


def known(value: float, unit: str, source: str) -> Quantity:
    """A figure without spread: counted, or taken as given."""
    return Quantity(value=value, p10=value, p50=value, p90=value, unit=unit, source=source)

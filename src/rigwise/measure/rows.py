"""Row: one thing timed, before it becomes a Measurement with the machine's name on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """metric: of measurements/record.py. kind, which, sizes: what was timed (reading.py). value: the median, in the
    metric's unit. spread: of the middle 80 % of its times, over the median; None of fewer than 3, or of nothing but 0.
    times: how many.
    """

    kind: str
    value: float
    metric: str = "kernel_s"
    which: str = ""
    sizes: Mapping[str, float] = field(default_factory=dict)
    spread: float | None = None
    times: int = 1

    @property
    def key(self) -> tuple[object, ...]:
        """What two ranks that timed the same thing agree on."""
        return self.metric, self.kind, self.which, tuple(sorted(self.sizes.items()))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "metric": self.metric,
            "kind": self.kind,
            "which": self.which,
            "sizes": dict(self.sizes),
            "value": self.value,
            "spread": self.spread,
            "times": self.times,
        }


def row(kind: str, seconds: Sequence[float], which: str = "", **sizes: float) -> Row:
    """The row of some times of one thing.

    >>> row("product", [2.0, 1.0, 3.0], "forward", m=4.0).value
    2.0
    """
    spread, middle = None, median(seconds)
    if len(seconds) > 2 and middle > 0:
        deciles = quantiles(seconds, n=10, method="inclusive")
        spread = (deciles[-1] - deciles[0]) / middle
    return Row(kind=kind, which=which, sizes=sizes, value=middle, spread=spread, times=len(seconds))


def together(ranks: Sequence[Sequence[Row]]) -> list[Row]:
    """What ranks found that measured at once, as one: the mean of each thing over the ranks.

    >>> [r.value for r in together([[row("x", [1.0])], [row("x", [3.0])]])]
    [2.0]
    """
    if len(ranks) == 1:
        return list(ranks[0])
    others = [{r.key: r for r in rows} for rows in ranks[1:]]
    found = []
    for first in ranks[0]:
        same = [first, *(rows[first.key] for rows in others if first.key in rows)]
        spreads = [r.spread for r in same if r.spread is not None]
        found.append(
            Row(
                kind=first.kind,
                which=first.which,
                sizes=first.sizes,
                metric=first.metric,
                value=sum(r.value for r in same) / len(same),
                spread=max(spreads) if spreads else None,
                times=first.times,
            )
        )
    return found

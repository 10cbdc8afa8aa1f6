"""Do predictions order cards as measurements do? Rank correlation over the devices that measured the same training.

A group is one source's rows that differ in the device alone: family, model, precision, metric, number of devices, and
how it was timed (a source that changed its program is two). Where a source measured a device several times (batches,
links), the best figure counts, measured and predicted alike: the order of cards is that of what each can do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from rigwise.calibration.outcomes import Outcome

_FAMILIES = ("vision", "bert", "llm")
_SLOW = ("ms", "s", "step_s", "hours")  # metrics of which less is better
_TIMED = re.compile(r"(?:median|mean) of \d+ iterations")
_CLEAR = 1.05  # cards whose measured figures differ by less nearly tie: one card measured twice differs by as much


@dataclass(frozen=True, slots=True, kw_only=True)
class CardOrder:
    """Devices of one group. correlation: Spearman's, of predicted and measured order, ties and all.

    group: source, model, precision, metric, number of devices, how timed. clear: pairs of devices whose measured
    figures differ by more than 5 %; kept: those that are predicted in this order; missed: the others, the slower first,
    with what the slower was measured and predicted at over the faster.
    """

    group: tuple[str, ...]
    devices: tuple[str, ...]
    correlation: float
    clear: int
    kept: int
    missed: tuple[tuple[str, str, float, float], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("source", "model", "precision", "metric", "devices", "timed")
        said = dict(zip(names, self.group, strict=True))
        return {
            **said,
            "cards": list(self.devices),
            "rank_correlation": self.correlation,
            "clear_pairs": self.clear,
            "in_order": self.kept,
        }


def card_orders(outcomes: Iterable[Outcome], least: int = 5) -> list[CardOrder]:
    """The groups with at least `least` devices, the worst order first; rows that do not count are left out."""
    groups: dict[tuple[str, ...], dict[str, tuple[float, float]]] = {}
    for outcome in outcomes:
        row = outcome.row
        known_both = outcome.predicted is not None and row.value is not None
        if outcome.flag or not known_both or row.family not in _FAMILIES:
            continue
        timed = _TIMED.search(row.notes)
        key = (row.prefix, row.model, row.precision, row.metric, str(row.n_devices), timed.group() if timed else "")
        power = -1.0 if row.metric in _SLOW else 1.0
        measured, predicted = (row.value or 0.0) ** power, (outcome.predicted or 0.0) ** power
        known = groups.setdefault(key, {}).get(outcome.device, (measured, predicted))
        groups[key][outcome.device] = max(known[0], measured), max(known[1], predicted)
    found = [_order(key, rows) for key, rows in groups.items() if len(rows) >= least]
    return sorted(found, key=lambda order: order.correlation)


def _order(group: tuple[str, ...], rows: dict[str, tuple[float, float]]) -> CardOrder:
    measured, predicted = (ranks([row[i] for row in rows.values()]) for i in (0, 1))
    pairs = [sorted(pair, key=lambda name: rows[name]) for pair in combinations(rows, 2)]
    clear = [(slow, fast) for slow, fast in pairs if rows[fast][0] > _CLEAR * rows[slow][0]]
    kept = [(slow, fast) for slow, fast in clear if rows[slow][1] < rows[fast][1]]
    missed = [(s, f, rows[s][0] / rows[f][0], rows[s][1] / rows[f][1]) for s, f in clear if (s, f) not in kept]
    return CardOrder(
        group=group,
        devices=tuple(rows),
        correlation=_pearson(measured, predicted),
        clear=len(clear),
        kept=len(kept),
        missed=tuple(missed),
    )


def ranks(values: list[float]) -> list[float]:
    """Places from 0, those that are equal sharing the middle of theirs.

    >>> ranks([3.0, 1.0, 3.0])
    [1.5, 0.0, 1.5]
    """
    return [sum(v < value for v in values) + (sum(v == value for v in values) - 1) / 2 for value in values]


def _pearson(one: list[float], other: list[float]) -> float:
    mean = (len(one) - 1) / 2
    both = sum((a - mean) * (b - mean) for a, b in zip(one, other, strict=True))
    spread = (sum((a - mean) ** 2 for a in one) * sum((b - mean) ** 2 for b in other)) ** 0.5
    return both / spread if spread else 1.0

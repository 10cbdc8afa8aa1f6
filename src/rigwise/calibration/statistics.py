"""The figures that sum up outcomes, each by its name: errors, sweeps, intervals, memory, the order of cards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rigwise.calibration import oneshot
from rigwise.calibration.cards import pairs, share
from rigwise.calibration.groups import grouped
from rigwise.calibration.outcomes import Floats, Outcome, Sweep, sweep_summary, sweeps

ENOUGH = 30  # rows of a group from which the share inside its intervals tells something
_LOW = -0.10  # a memory this much below the measured one would have been believed in vain

Statistic = Callable[[Sequence[Outcome]], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A group of predicted rows and the share of them inside their 80 % interval."""

    group: tuple[str, ...]
    rows: int
    inside: float


def errors(outcomes: Sequence[Outcome]) -> Floats:
    """predicted/measured - 1 of the predicted rows."""
    return np.array([o.error for o in outcomes if o.predicted is not None], dtype=np.float64)


def mean(outcomes: Sequence[Outcome]) -> float | None:
    """Mean of |predicted/measured - 1|."""
    return _of(np.mean, outcomes)


def median(outcomes: Sequence[Outcome]) -> float | None:
    """Median of |predicted/measured - 1|."""
    return _of(np.median, outcomes)


def largest(outcomes: Sequence[Outcome]) -> float | None:
    """Largest |predicted/measured - 1|."""
    return _of(np.max, outcomes)


def _of(what: Callable[[Floats], np.floating], outcomes: Sequence[Outcome]) -> float | None:
    found = errors(outcomes)
    return float(what(np.abs(found))) if len(found) else None


def after_one_row(outcomes: Sequence[Outcome], *, alike: bool = False) -> float | None:
    """Median error once one row of the same source, stack and device is known, by the law of `--like`.

    Each row in turn is the known one. alike: of the same model in the same precision as well.
    """
    try:
        return oneshot.after_one_row(outcomes, alike=alike)[0].after
    except ValueError:  # no group has rows enough
        return None


def too_low(outcomes: Sequence[Outcome]) -> float | None:
    """Share of rows that are predicted more than 10 % too low."""
    found = errors(outcomes)
    return float((found < _LOW).mean()) if len(found) else None


def shares(outcomes: Sequence[Outcome], *keys: str) -> list[Share]:
    """The share inside the 80 % interval of each group, by default of each family and regime."""
    found = []
    for group, members in grouped(outcomes, *(keys or ("family", "regime"))).items():
        done = [o for o in members if o.predicted is not None]
        if done:
            found.append(Share(group=group, rows=len(done), inside=sum(o.inside for o in done) / len(done)))
    return found


def lowest_inside(outcomes: Sequence[Outcome]) -> float | None:
    """The smallest share inside among the families and regimes that have enough rows."""
    return min((s.inside for s in judged_shares(outcomes)), default=None)


def highest_inside(outcomes: Sequence[Outcome]) -> float | None:
    """The largest share inside among the families and regimes that have enough rows."""
    return max((s.inside for s in judged_shares(outcomes)), default=None)


def judged_shares(outcomes: Sequence[Outcome]) -> list[Share]:
    """The shares inside of the families and regimes that have enough rows."""
    return [s for s in shares(outcomes) if s.rows >= ENOUGH]


def in_order(outcomes: Sequence[Outcome]) -> float | None:
    """Share of pairs of cards whose order is right: see cards.py."""
    return share(pairs(outcomes))


def _sweep(what: str, which: str) -> Callable[[Sequence[Sweep]], float | None]:
    def figure(found: Sequence[Sweep]) -> float | None:
        value: float | None = sweep_summary(found)[what][which]
        return value

    return figure


SWEEPS: Mapping[str, Callable[[Sequence[Sweep]], float | None]] = {
    "mean regret": _sweep("regret", "mean"),
    "max regret": _sweep("regret", "max"),
    "rank correlation": _sweep("rank_correlation", "mean"),
}
"""The figures of layout sweeps, by sweeps."""

_ROWS: Mapping[str, Statistic] = {
    "mean": mean,
    "median": median,
    "max": largest,
    "median after one row": after_one_row,
    "median after one row of its model": partial(after_one_row, alike=True),
    "share over 10% too low": too_low,
    "lowest share inside": lowest_inside,
    "highest share inside": highest_inside,
    "pairs in order": in_order,
}
EXTREMES = ("lowest share inside", "highest share inside")
"""Figures of the worst group of a kind."""


def figure_of(name: str, outcomes: Sequence[Outcome]) -> float | None:
    """The figure of some rows by its name; None where they do not tell it.

    >>> figure_of("mean regret", []) is None
    True
    """
    return SWEEPS[name](sweeps(outcomes)) if name in SWEEPS else _ROWS[name](outcomes)

"""One row fixes a stack: how far off the other rows of a group are before and after one of them is known.

A group is the step rows of one source, stack, kind of row and device. Each row in turn is taken as the one that its
user measured; it corrects the others by the law of cost/likeness.py, as `--like` does: those of its own model and in
its own precision by more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import stack_of
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.spread import EVERY
from rigwise.cost.interval import Z80, spread, stack_doubts, step_classes
from rigwise.cost.likeness import Run, learn
from rigwise.measurements.tables import RATES, Row

Floats = NDArray[np.float64]
LEAST = 3  # rows of a group: one that is known, and two to see whether they agree
_FAMILY = "transformer"  # of the models that the rows train


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterOne:
    """Errors |predicted/measured - 1| of a group's rows before and after another row of it is known: medians and means
    over all pairs, each row counting once. inside: share of the measured values in the 80 % interval that is left."""

    group: str
    rows: int
    before: float
    after: float
    mean_before: float
    mean_after: float
    inside: float

    def to_dict(self) -> dict[str, Any]:
        """The group for JSON."""
        return {
            "group": self.group,
            "rows": self.rows,
            "median_error_before": self.before,
            "median_error_after": self.after,
            "mean_error_before": self.mean_before,
            "mean_error_after": self.mean_after,
            "inside_interval": self.inside,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A row of a group. sign: -1 where its metric is a rate."""

    error: float
    sign: int
    model: str
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """ln(predicted/measured) of each row in its own metric and, of each, after each other row."""

    before: Floats  # [rows]
    after: Floats  # [rows, rows - 1]
    left: Floats  # [rows, rows - 1]: standard deviation that is left


def after_one_row(
    outcomes: Iterable[Outcome], *, families: Sequence[str] = ("llm",), known: bool = False, alike: bool = False
) -> tuple[AfterOne, tuple[AfterOne, ...]]:
    """What one row is worth, over all groups of at least three rows and in each of them.

    outcomes: rows and what was predicted for them, by a fit that did not see their stack. known: whether it did; the
    doubts are then those of the stack, else those of any stack. alike: whether the row is of the same model in the same
    precision as those that it corrects. Rows that do not count, are refused or whose figure is no step's are left out.
    Raises ValueError where no group is left.
    """
    groups: dict[tuple[str, ...], list[_Row]] = defaultdict(list)
    for outcome in outcomes:
        row, error = outcome.row, log_error(outcome)
        if row.family in families and error is not None:
            key: tuple[str, ...] = (row.prefix, stack_of(row)[0], outcome.device or row.device, row.family)
            key = (*key, row.model, row.precision) if alike else key
            groups[key].append(_Row(error=error, sign=_sign(row), model=row.model, precision=row.precision))
    found = {
        key: _pairs(rows, key[1] if known else EVERY) for key, rows in sorted(groups.items()) if len(rows) >= LEAST
    }
    if not found:
        raise ValueError(f"no group of {LEAST} rows of one source, stack and device")
    each = tuple(_summary(", ".join((*key[:3], *key[4:])), [pairs]) for key, pairs in found.items())
    return _summary("all", list(found.values())), each


def log_error(outcome: Outcome) -> float | None:
    """ln(measured/predicted) of the seconds of a step, None where the row is no step's or does not count."""
    row, predicted = outcome.row, outcome.predicted
    if outcome.flag or not predicted or not row.value or row.metric in ("peak_mem_gib", "bus_gb_s"):
        return None
    return log(row.value / predicted) * _sign(row)


def _sign(row: Row) -> int:
    return -1 if row.metric in RATES else 1


def _pairs(rows: Sequence[_Row], stack: str) -> _Pairs:
    errors, sign = (np.array([getattr(row, key) for row in rows]) for key in ("error", "sign"))
    same = [
        np.array([[getattr(a, key) == getattr(b, key) for b in rows] for a in rows]) for key in ("model", "precision")
    ]
    table = np.array([[_learnt(stack, model, precision) for precision in (False, True)] for model in (False, True)])
    share, left = np.moveaxis(table[same[0].astype(int), same[1].astype(int)], -1, 0)
    after = -sign[:, None] * (errors[:, None] - share * errors[None, :])
    others = ~np.eye(len(rows), dtype=bool)
    shape = len(rows), len(rows) - 1
    return _Pairs(before=-sign * errors, after=after[others].reshape(shape), left=left[others].reshape(shape))


def _learnt(stack: str, model: bool, precision: bool) -> tuple[float, float]:
    """By which share of a known row's error another is shifted, and what is left open: of one model, one precision."""
    doubts = stack_doubts(stack, spread(step_classes(_FAMILY, stack), "source" if stack == EVERY else "device"))
    other = {thing if model or thing != "model" else "another model": s for thing, s in doubts.items()}
    other = {thing if precision or thing != "precision" else "another precision": s for thing, s in other.items()}
    return learn([Run(error=1.0, doubts=doubts)], other)


def _summary(name: str, found: Sequence[_Pairs]) -> AfterOne:
    before = np.abs(np.expm1(np.concatenate([pairs.before for pairs in found])))
    after = np.concatenate([np.abs(np.expm1(pairs.after)).ravel() for pairs in found])
    weight = np.concatenate([np.full(pairs.after.size, 1 / pairs.after.shape[1]) for pairs in found])
    inside = np.concatenate([(np.abs(pairs.after) <= Z80 * pairs.left).ravel() for pairs in found])
    return AfterOne(
        group=name,
        rows=len(before),
        before=float(np.median(before)),
        after=_median(after, weight),
        mean_before=float(before.mean()),
        mean_after=float(np.average(after, weights=weight)),
        inside=float(np.average(inside, weights=weight)),
    )


def _median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, summed[-1] / 2)])

"""What a back-test found: one outcome a row, summaries of many, and how well layouts are ranked."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.measurements.tables import Row

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One row of the table, measured beside predicted, both in the row's metric. predicted is None where it is refused.

    why: the refusal in words. reason: the rule behind it, by which refusals are counted. device: as it was resolved.
    """

    row: Row
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    basis: str = ""
    why: str = ""
    reason: str = ""
    device: str = ""

    @property
    def flag(self) -> str:
        """Why the row does not count in the headline: "derived", "suspect", "unverified", or "" if it does."""
        if self.row.derived_from:
            return "derived"
        if self.row.suspect:
            return "suspect"
        return "unverified" if self.row.remembered else ""

    @property
    def error(self) -> float:
        """predicted/measured - 1; nan for a refused row."""
        if self.predicted is None or not self.row.value:
            return math.nan
        return self.predicted / self.row.value - 1

    @property
    def inside(self) -> bool:
        """Whether the measured value lies in the interval."""
        if self.low is None or self.high is None or self.row.value is None:
            return False
        return self.low <= self.row.value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Errors |predicted/measured - 1| of some rows; None where nothing was predicted.

    signed: mean of predicted/measured - 1. inside: share of the predicted rows in their 80 % interval.
    """

    rows: int
    supported: int
    mean: float | None = None
    median: float | None = None
    maximal: float | None = None
    signed: float | None = None
    inside: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The summary for JSON."""
        return {
            "rows": self.rows,
            "supported": self.supported,
            "mean_error": self.mean,
            "median_error": self.median,
            "max_error": self.maximal,
            "signed_error": self.signed,
            "inside_interval": self.inside,
        }


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """Errors over some outcomes."""
    done = [o for o in outcomes if o.predicted is not None]
    if not done:
        return Summary(rows=len(outcomes), supported=0)
    errors = np.array([o.error for o in done])
    return Summary(
        rows=len(outcomes),
        supported=len(done),
        mean=float(np.abs(errors).mean()),
        median=float(np.median(np.abs(errors))),
        maximal=float(np.abs(errors).max()),
        signed=float(errors.mean()),
        inside=sum(o.inside for o in done) / len(done),
    )


def summaries(outcomes: Iterable[Outcome], key: Callable[[Outcome], str]) -> dict[str, Summary]:
    """A summary for each value of a key, in the key's order."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[key(outcome)].append(outcome)
    return {name: summarise(groups[name]) for name in sorted(groups)}


def refusals(outcomes: Iterable[Outcome]) -> list[tuple[str, int]]:
    """Reasons for refused rows with their counts, the most frequent first."""
    return Counter(o.reason or o.why for o in outcomes if o.predicted is None).most_common()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Runs of one model on one machine that differ only in their layout.

    rank: Spearman's correlation of predicted and measured step times, None under three layouts or where all times are
    equal. regret: measured time of the layout that is predicted fastest over the best measured time, minus 1.
    """

    what: str
    layouts: int
    rank: float | None
    regret: float

    def to_dict(self) -> dict[str, Any]:
        """The sweep for JSON."""
        return {
            "what": self.what,
            "layouts": self.layouts,
            "rank_correlation": self.rank,
            "regret": self.regret,
        }


_SAME = (
    "prefix",
    "model",
    "params",
    "layers",
    "hidden",
    "heads",
    "vocab",
    "seq_len",
    "precision",
    "device",
    "n_devices",
    "devices_per_node",
    "intra_link",
    "inter_link",
    "global_batch",
    "flash_attention",
)
_LAYOUT = ("dp", "tp", "pp", "vpp", "cp", "ep", "zero_stage_or_fsdp", "micro_batch", "recompute")


def sweeps(outcomes: Iterable[Outcome]) -> list[Sweep]:
    """The sweeps among measured step times that count; a layout that was run several times counts once, by its mean."""
    groups: dict[Hashable, dict[Hashable, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        row = outcome.row
        if row.metric == "step_s" and row.headline and outcome.predicted is not None:
            same = tuple(getattr(row, key) for key in _SAME)
            groups[same][tuple(getattr(row, key) for key in _LAYOUT)].append(outcome)
    return [_sweep(list(layouts.values())) for layouts in groups.values() if len(layouts) > 1]


def _sweep(layouts: list[list[Outcome]]) -> Sweep:
    row = layouts[0][0].row
    measured = np.array([np.mean([o.row.value or math.nan for o in runs]) for runs in layouts])
    predicted = np.array([np.mean([o.predicted for o in runs if o.predicted is not None]) for runs in layouts])
    return Sweep(
        what=f"{row.prefix}: {row.model}, {row.n_devices} x {row.device}, batch {row.global_batch}",
        layouts=len(layouts),
        rank=spearman(predicted, measured),
        regret=float(measured[int(np.argmin(predicted))] / measured.min() - 1),
    )


def spearman(x: Floats, y: Floats) -> float | None:
    """Spearman's rank correlation, ties sharing their mean rank; None under three values or where one side is flat.

    >>> spearman(np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 30.0]))
    1.0
    """
    if len(x) < 3:
        return None
    ranks = _ranks(x), _ranks(y)
    if np.ptp(ranks[0]) == 0 or np.ptp(ranks[1]) == 0:
        return None
    return float(round(np.corrcoef(*ranks)[0, 1], 12))


def _ranks(values: Floats) -> Floats:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return np.asarray((last - (count - 1) / 2)[place], dtype=np.float64)


def sweep_summary(found: Sequence[Sweep]) -> Mapping[str, Any]:
    """Rank correlation and regret over all sweeps, and each sweep; the figures are None where there is no sweep."""
    ranks = [s.rank for s in found if s.rank is not None]
    regrets = [s.regret for s in found]
    return {
        "groups": len(found),
        "rank_correlation": {"groups": len(ranks), **_spread(ranks)},
        "regret": _spread(regrets),
        "by_group": [s.to_dict() for s in found],
    }


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    if not values:
        return {"mean": None, "median": None, "min": None, "max": None}
    return {
        "mean": float(np.mean(values)),
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }

"""The figures of another tool beside ours, on exactly the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rigwise.calibration.outcomes import Outcome, Summary, summarise, sweep_summary, sweeps

SETS: Mapping[str, str] = {
    "Table 5 of Megatron-LM": "seqsel_tab5",
    "vTrain, several nodes": "ground_truth_multi",
    "vTrain, one node": "ground_truth_single",
}
"""Rows that another tool predicts as well: how they are called, and the word in their source that marks them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Ours and a peer's figures on the same rows. sweeps: how many; regret and rank: the means over them."""

    rows: str
    who: str
    summary: Summary
    sweeps: int
    regret: float | None
    worst: float | None
    rank: float | None

    def to_dict(self) -> dict[str, Any]:
        """The figures for JSON."""
        return {
            "rows": self.rows,
            "who": self.who,
            **self.summary.to_dict(),
            "sweeps": self.sweeps,
            "mean_regret": self.regret,
            "max_regret": self.worst,
            "rank_correlation": self.rank,
        }


def beside(outcomes: Sequence[Outcome], seconds: Mapping[str, float], peer: str) -> list[Beside]:
    """Both tools on each set of rows that the peer predicts and we do. seconds: the peer's step times by row."""
    ours = [o for o in outcomes if o.row.id in seconds and o.predicted is not None and o.row.metric == "step_s"]
    found = []
    for name, word in SETS.items():
        rows = [o for o in ours if word in o.row.source]
        if rows:
            theirs = [replace(o, predicted=seconds[o.row.id], low=None, high=None) for o in rows]
            found += [_beside(name, "rigwise", rows), _beside(name, peer, theirs)]
    return found


def _beside(rows: str, who: str, outcomes: Sequence[Outcome]) -> Beside:
    ranking = sweep_summary(sweeps(outcomes))
    return Beside(
        rows=rows,
        who=who,
        summary=summarise(outcomes),
        sweeps=ranking["groups"],
        regret=ranking["regret"]["mean"],
        worst=ranking["regret"]["max"],
        rank=ranking["rank_correlation"]["mean"],
    )

"""The whole back-test: every row predicted with constants fitted without its like, and held against the aims.

cross_validate() -> Validation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rigwise.calibration.aims import Judged, aims
from rigwise.calibration.backtest import Report, name_of, predict_rows, rows_of
from rigwise.calibration.cards import Pair, pairs, share
from rigwise.calibration.composed import Depths, composed, depths
from rigwise.calibration.crossed import cross_validated
from rigwise.calibration.figures import SCHEMES, Outcomes, judge
from rigwise.calibration.groups import grouped
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.peers import Beside, beside
from rigwise.measurements import published
from rigwise.measurements.tables import Row

PEER = "Calculon"


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Outcomes by what the constants were fitted without, and what follows from them.

    schemes: by the keys of figures.SCHEMES, each in the order of the rows. crossed: whether the constants were fitted
    anew for each group that is left out; if not, all schemes hold the predictions of the shipped constants.
    """

    table: str
    schemes: Outcomes
    crossed: bool

    @property
    def report(self) -> Report:
        """The back-test with the constants as shipped."""
        return Report(table=self.table, outcomes=tuple(self.schemes["shipped"]), seconds=0.0)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The rows of the tables."""
        return tuple(o.row for o in self.schemes["shipped"])

    @cached_property
    def depths(self) -> list[Depths]:
        """What sweeps over depth show of each source."""
        return depths(self.rows)

    @cached_property
    def composed(self) -> frozenset[str]:
        """The ids of the rows that were composed."""
        return composed(self.rows)

    @cached_property
    def aims(self) -> list[Judged]:
        """Each aim that has rows among these, with what is reached."""
        judged = (judge(aim, self.schemes, self.composed) for aim in aims())
        return [j for j in judged if j.rows and any(f.value is not None for f in j.figures)]

    @cached_property
    def peers(self) -> list[Beside]:
        """The peer's figures beside ours on the same rows."""
        return beside(self.counted("layout"), published.peer_seconds(PEER.lower()), PEER)

    @cached_property
    def pairs(self) -> list[Pair]:
        """Pairs of cards on one network, devices left out."""
        return pairs(self.counted("device"))

    @cached_property
    def _families(self) -> Mapping[tuple[str, str], list[Outcome]]:
        return {
            (scheme, family): members
            for scheme in self.schemes
            for (family,), members in grouped(self.counted(scheme), "family").items()
        }

    def counted(self, scheme: str, family: str = "") -> list[Outcome]:
        """The outcomes of a scheme that count in the headline; of one family, by its title, or of all."""
        if family:
            return self._families.get((scheme, family), [])
        return [o for o in self.schemes[scheme] if not o.flag]

    def to_dict(self) -> dict[str, Any]:
        """The validation for --json: the report of the shipped constants, and the aims beside it."""
        return {
            **{key: value for key, value in self.report.to_dict().items() if key != "seconds"},
            "crossed": self.crossed,
            "composed": sorted(self.composed),
            "aims": [judged.to_dict() for judged in self.aims],
            "peers": [entry.to_dict() for entry in self.peers],
            "cards": {
                "pairs": len(self.pairs),
                "in_order": share(self.pairs),
                "bandwidth_alone": share(self.pairs, "bandwidth"),
            },
        }


def cross_validate(
    path: str | Path | None = None, progress: Callable[[str, int, int], None] | None = None
) -> Validation:
    """Back-test a table, or the tables that rigwise carries.

    path: a CSV as for `validate`; its rows are no part of the fit, so the shipped constants predict them under every
    scheme. None: the carried tables, with constants fitted anew for each group that is left out. progress is called
    with (what, done, all). Raises NotFoundError or UsageError for a table that cannot be read.
    """
    rows, name = rows_of(path), name_of(path)
    if path is None:
        return Validation(table=name, schemes=cross_validated(rows, progress), crossed=True)
    told = (lambda done, total: progress("rows predicted", done, total)) if progress else None
    outcomes = tuple(predict_rows(rows, told))
    return Validation(table=name, schemes=dict.fromkeys(SCHEMES, outcomes), crossed=False)

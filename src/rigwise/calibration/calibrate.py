"""calibrate(tables): the constants of cost/data/efficiencies.toml fitted anew, with the error before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase
from rigwise.calibration.crossvalidate import left_out
from rigwise.calibration.fit import Fit, fit
from rigwise.calibration.sample import sample
from rigwise.calibration.sensitivity import residuals
from rigwise.calibration.spread import link_spreads, memory_spreads, spreads
from rigwise.calibration.write import written
from rigwise.errors import UsageError
from rigwise.measurements import published
from rigwise.measurements.tables import read_table

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupError:
    """Median error |measured/predicted - 1| of a group of rows, before and after; bias: positive where slower."""

    group: str
    rows: int
    before: float
    after: float
    bias: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A fit beside the cases it saw, and what it leaves open on those it did not see."""

    cases: tuple[Case, ...]
    fit: Fit
    spreads: Mapping[str, float]  # by stack, from cases that the fit did not see
    memory_spreads: Mapping[str, float]  # by stack, from models and devices that were left out
    link_spreads: Mapping[str, float]  # by kind of link, from devices that were left out

    def groups(self) -> list[GroupError]:
        """Errors by source, metric, and one device or several."""
        members: dict[str, list[int]] = defaultdict(list)
        for i, case in enumerate(self.cases):
            if np.isfinite(self.fit.before[i]) and np.isfinite(self.fit.after[i]):
                several = isinstance(case, StepCase) and case.machine.cluster.devices > 1
                members[f"{case.row.prefix} {case.row.metric}{' on several' if several else ''}"].append(i)
        return [
            GroupError(
                group=group,
                rows=len(rows),
                before=_median(np.abs(self.fit.before[rows])),
                after=_median(np.abs(self.fit.after[rows])),
                bias=_median(self.fit.after[rows]),
            )
            for group, rows in sorted(members.items())
        ]

    def text(self) -> str:
        """The data file with the fitted values in it."""
        shipped = files("rigwise.cost").joinpath("data/efficiencies.toml").read_text("utf-8")
        fitted = zip((c.path for c in self.fit.constants), self.fit.values.tolist(), strict=True)
        open_ = ((("stack", stack, "spread"), value) for stack, value in self.spreads.items())
        peaks = ((("stack", stack, "memory_spread"), value) for stack, value in self.memory_spreads.items())
        links = ((("link", kind, "spread"), value) for kind, value in self.link_spreads.items())
        return written(shipped, [*fitted, *open_, *peaks, *links])

    def to_dict(self) -> dict[str, Any]:
        """The calibration for --json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "rows": len(self.cases),
            "rounds": self.fit.rounds,
            "freedom": self.fit.freedom,
            "spreads": dict(self.spreads),
            "memory_spreads": dict(self.memory_spreads),
            "link_spreads": dict(self.link_spreads),
            "groups": [
                {"group": g.group, "rows": g.rows, "before": g.before, "after": g.after, "bias": g.bias}
                for g in self.groups()
            ],
            "constants": [
                {"name": c.name, "prior": c.prior, "value": float(value)}
                for c, value in zip(self.fit.constants, self.fit.values, strict=True)
            ],
        }


def calibrate(
    tables: Sequence[str | Path] = (), *, rounds: int = 4, progress: Callable[[str], None] | None = None
) -> Calibration:
    """Fit the constants to the rows of measured tables; the same tables give the same constants.

    tables: CSVs in the columns of measurements/tables.py; none: those that rigwise carries. Raises NotFoundError or
    UsageError for a table that cannot be read, and UsageError where no row can be asked.
    """
    if rounds < 1:
        raise UsageError(f"rounds {rounds}", rule="a fit takes at least one round")
    cases, others = sample(row for table in tables or published.tables() for row in read_table(table))
    if not cases:
        raise UsageError("no row of the tables can be asked", rule="primary, trusted rows that the laws can predict")
    found = fit(cases, rounds=rounds, progress=progress)
    by_device = left_out(cases, found, range(len(cases)), "device")
    return Calibration(
        cases=tuple(cases),
        fit=found,
        spreads=spreads(others, residuals(others, found.tables)),
        memory_spreads=memory_spreads(cases, by_device),
        link_spreads=link_spreads(cases, by_device),
    )


def _median(values: NDArray[np.float64]) -> float:
    return float(np.expm1(np.median(values)))

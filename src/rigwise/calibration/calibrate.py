"""calibrate(tables): the constants of cost/data/efficiencies.toml fitted anew, with the error before and after."""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase
from rigwise.calibration.crossvalidate import cross_validate
from rigwise.calibration.fit import Fit, fit
from rigwise.calibration.regimes import seen, spreads_of
from rigwise.calibration.sample import sample, set_aside
from rigwise.calibration.spread import EVERY, Shares, shares, steps
from rigwise.calibration.write import Path as Path3
from rigwise.calibration.write import Written, written
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
    """A fit beside the cases it saw, and what it leaves open on those it did not see. tables: of one's own, by name;
    none: those that rigwise carries. left_out: ids of the rows that neither fit nor judge, by the reason."""

    cases: tuple[Case, ...]
    fit: Fit
    spreads: Mapping[str, Mapping[str, float]]  # by class and novelty, see regimes.py
    sources: Sequence[str]
    measured: Mapping[str, Sequence[str]]  # devices by stack
    shares: Shares | None = None  # what the stacks' spreads are made of
    tables: tuple[str, ...] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)

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
        open_: list[tuple[Path3, Written]] = [
            (("spread", name, novelty), value) for name, own in self.spreads.items() for novelty, value in own.items()
        ]
        open_ += [(("measured", "stacks", stack), devices) for stack, devices in self.measured.items()]
        open_ += [(("measured", "", "sources"), self.sources)]
        if self.shares is not None:
            open_ += [(("stack", stack, "within"), value) for stack, value in self.shares.within.items()]
            pooled = ("devices", "models", "precisions")
            open_ += [(("stack", EVERY, part), float(getattr(self.shares, part))) for part in pooled]
        text = written(shipped, [*fitted, *open_])
        return text if not self.tables else _of_tables(text, self.tables)

    def to_dict(self) -> dict[str, Any]:
        """The calibration for --json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "rows": len(self.cases),
            "rounds": self.fit.rounds,
            "freedom": self.fit.freedom,
            "tables": list(self.tables),
            "left_out": {why: list(ids) for why, ids in self.left_out.items()},
            "spreads": {name: dict(own) for name, own in self.spreads.items()},
            "shares": None if self.shares is None else asdict(self.shares),
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
    rows = [row for table in tables or published.tables() for row in read_table(table)]
    cases, others = sample(rows)
    if not cases:
        raise UsageError("no row of the tables can be asked", rule="primary, trusted rows that the laws can predict")
    found = fit(cases, rounds=rounds, progress=progress)
    every = [*cases, *others]
    left = cross_validate(every, found, range(len(cases)), progress)
    sources, measured = seen(every)
    return Calibration(
        cases=tuple(cases),
        fit=found,
        spreads=spreads_of(every, left),
        sources=sources,
        measured=measured,
        shares=shares(steps(every, left["device"])),
        tables=tuple(Path(table).name for table in tables),
        left_out=set_aside(rows),
    )


def _of_tables(text: str, tables: Sequence[str]) -> str:
    """The data file saying that it was fitted to tables of one's own: what they do not determine is as shipped."""
    shipped = str(tomllib.loads(text)["provenance"])
    told = f"rigwise calibrate {' '.join(tables)}; what their rows do not determine, as shipped: {shipped}"
    return text.replace(f"provenance = {json.dumps(shipped)}", f"provenance = {json.dumps(told)}")


def _median(values: NDArray[np.float64]) -> float:
    return float(np.expm1(np.median(values)))

"""The back-test: every row of a measured table predicted, and how far off.

    validate(path) -> Report

A row is read (measurements/), turned into a case (cases.py), predicted (predict.py) and compared in its own metric. A
row that cannot be read, understood or estimated is refused with the reason; nothing stops the table.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rigwise.calibration.cardorder import CardOrder, card_orders
from rigwise.calibration.cases import Case, case_of
from rigwise.calibration.impossible import marked
from rigwise.calibration.machines import device_of
from rigwise.calibration.outcomes import Outcome, Summary, refusals, summaries, summarise, sweep_summary, sweeps
from rigwise.calibration.predict import Predictor
from rigwise.errors import RigwiseError, UsageError
from rigwise.measurements import published
from rigwise.measurements.tables import Row, read_table

SCHEMA_VERSION = 1
ROW_COLUMNS = ("id", "metric", "measured", "predicted", "low", "high", "why", "flag", "basis")
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a back-test found. Headline figures count a run once: derived, suspect and unverified rows stand apart."""

    table: str
    outcomes: tuple[Outcome, ...]
    seconds: float

    @cached_property
    def counted(self) -> tuple[Outcome, ...]:
        """The rows that count in the headline."""
        return tuple(o for o in self.outcomes if not o.flag)

    @property
    def headline(self) -> Summary:
        """Errors over the rows that count."""
        return summarise(self.counted)

    @property
    def supported(self) -> int:
        """Rows of the whole table that were predicted."""
        return sum(o.predicted is not None for o in self.outcomes)

    @cached_property
    def orders(self) -> list[CardOrder]:
        """How well cards are ordered: groups of rows that differ in the device alone, the worst first."""
        return card_orders(self.outcomes)

    @property
    def refused_share(self) -> float:
        """Share of the whole table that was refused."""
        return 1 - self.supported / len(self.outcomes) if self.outcomes else 0.0

    def by(self, what: str) -> dict[str, Summary]:
        """Summaries of the rows that count by "source", "family", "device" or "metric"; "flag" of those that do not.

        Raises UsageError for another word.
        """
        if what == "flag":
            return summaries((o for o in self.outcomes if o.flag), _KEYS["flag"])
        if what not in _KEYS:
            raise UsageError(f"no summary by {what!r}", rule=f"by {', '.join(_KEYS)}")
        return summaries(self.counted, _KEYS[what])

    @property
    def refusals(self) -> list[tuple[str, int]]:
        """Reasons for refusing rows of the whole table, with counts."""
        return refusals(self.outcomes)

    @cached_property
    def ranking(self) -> Mapping[str, Any]:
        """How well layouts are ranked: see outcomes.sweep_summary."""
        return sweep_summary(sweeps(self.outcomes))

    def rows(self, what: str) -> list[list[str]]:
        """The summaries by a word as plain text cells, for a printed table."""
        return [[name, *_cells(summary)] for name, summary in self.by(what).items()]

    def to_dict(self) -> dict[str, Any]:
        """The report for --json."""
        return {
            "schema_version": SCHEMA_VERSION,
            "table": self.table,
            "rows": len(self.outcomes),
            "supported": self.supported,
            "refused": len(self.outcomes) - self.supported,
            "seconds": self.seconds,
            "headline": self.headline.to_dict(),
            **{f"by_{what}": _dicts(self.by(what)) for what in ("source", "family", "device", "metric")},
            "flagged": _dicts(self.by("flag")),
            "refusals": [{"why": why, "rows": count} for why, count in self.refusals],
            "layouts": dict(self.ranking),
            "cards": [order.to_dict() for order in self.orders],
        }


HEADER = ("", "rows", "supported", "mean", "median", "max", "signed", "inside")
_KEYS: Mapping[str, Callable[[Outcome], str]] = {
    "source": lambda o: o.row.prefix,
    "family": lambda o: o.row.family,
    "device": lambda o: o.device or o.row.device or "not said",
    "metric": lambda o: o.row.metric,
    "flag": lambda o: o.flag,
}


def _dicts(found: Mapping[str, Summary]) -> dict[str, Any]:
    return {name: summary.to_dict() for name, summary in found.items()}


def _cells(summary: Summary) -> list[str]:
    shares = (summary.mean, summary.median, summary.maximal, summary.signed, summary.inside)
    printed = [_percent(value, signed=index == 3) for index, value in enumerate(shares)]
    return [str(summary.rows), str(summary.supported), *printed]


def _percent(value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "unknown"
    return f"{value:+.1%}" if signed else f"{value:.1%}"


def validate(
    path: str | Path | None = None, rows_out: str | Path | None = None, progress: Progress | None = None
) -> Report:
    """Predict every row of a table of measurements and compare.

    path: CSV in the columns of measurements/tables.py; None: the tables that rigwise carries. rows_out: where to write
    one line a row (written aside and renamed). progress(done, all) is called now and then. Raises NotFoundError or
    UsageError for a table that cannot be read, and UsageError for a place that cannot be written, before any work
    is done.
    """
    rows = rows_of(path)
    if rows_out is not None:
        _check_place(Path(rows_out))
    start = time.perf_counter()
    outcomes = predict_rows(rows, progress)
    report = Report(table=name_of(path), outcomes=tuple(outcomes), seconds=time.perf_counter() - start)
    if rows_out is not None:
        write_rows(Path(rows_out), outcomes)
    return report


def rows_of(path: str | Path | None) -> Sequence[Row]:
    """The rows of a table, or of all that rigwise carries."""
    return published.rows() if path is None else read_table(path)


def name_of(path: str | Path | None) -> str:
    """What a report calls the table."""
    return "the tables that rigwise carries" if path is None else str(path)


def predict_rows(rows: Sequence[Row], progress: Progress | None = None) -> list[Outcome]:
    """One outcome a row, in the rows' order; models, clusters and questions that rows share are worked out once."""
    rows = marked(rows)
    parents = {row.id: row for row in rows}
    cases = [_case(row, parents) for row in rows]
    predictor = Predictor(case for case in cases if not isinstance(case, RigwiseError))
    outcomes = []
    for number, (row, case) in enumerate(zip(rows, cases, strict=True), start=1):
        outcomes.append(_outcome(row, case, predictor))
        if progress and (number % 100 == 0 or number == len(rows)):
            progress(number, len(rows))
    return outcomes


def _case(row: Row, parents: Mapping[str, Row]) -> Case | RigwiseError:
    try:
        return case_of(row, parents.get(row.derived_from))
    except RigwiseError as refusal:
        return refusal


def _outcome(row: Row, case: Case | RigwiseError, predictor: Predictor) -> Outcome:
    if isinstance(case, RigwiseError):
        return _refused(row, case)
    try:
        prediction = predictor.predict(case)
    except RigwiseError as refusal:
        return _refused(row, refusal)
    return Outcome(
        row=row,
        predicted=prediction.value,
        low=prediction.low,
        high=prediction.high,
        basis=prediction.basis,
        device=case.device,
    )


def _refused(row: Row, refusal: RigwiseError) -> Outcome:
    return Outcome(row=row, why=str(refusal), reason=refusal.rule or refusal.says, device=_device(row))


def _device(row: Row) -> str:
    try:
        return device_of(row.device).name
    except RigwiseError:
        return row.device


def write_rows(path: Path, outcomes: Sequence[Outcome]) -> None:
    """One CSV line a row, in the columns ROW_COLUMNS; the file is written aside and renamed.

    Raises UsageError where the place cannot be written.
    """
    aside = ""
    try:
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(ROW_COLUMNS)
            writer.writerows(_line(outcome) for outcome in outcomes)
        Path(aside).replace(path)
    except OSError as refused:
        if aside:
            Path(aside).unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {refused.strerror}") from None


def _line(outcome: Outcome) -> list[str]:
    numbers = (outcome.row.value, outcome.predicted, outcome.low, outcome.high)
    cells = ["" if value is None else f"{value:.6g}" for value in numbers]
    return [outcome.row.id, outcome.row.metric, *cells, outcome.why, outcome.flag, outcome.basis]


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder", rule="the name of a CSV file")
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: no folder {path.parent}", rule="a folder that exists")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write {path}: folder {path.parent} is not writable")

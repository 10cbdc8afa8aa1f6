"""Runs of one's own in a measured table: what they say of a question (cost/likeness.py)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, hypot
from pathlib import Path

import numpy as np

from rigwise.calibration.cases import StepCase, case_of
from rigwise.calibration.oneshot import log_error
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.patterns import said, spread_of
from rigwise.calibration.predict import Predictor
from rigwise.cost.bound import check_possible
from rigwise.cost.efficiencies import efficiencies
from rigwise.cost.interval import doubts
from rigwise.cost.likeness import RUN, Run
from rigwise.errors import RigwiseError, UsageError
from rigwise.measurements.tables import Row

_NAMED = 3  # reasons that are told, the commonest


def runs_of(rows: Sequence[Row], stack: str) -> tuple[list[Run], Counter[str]]:
    """The steps among rows as runs under a software stack, and how many rows are left out by the reason: those that
    cannot be predicted, do not count, or are quicker than their arithmetic."""
    found, refused = _cases(rows, stack)
    predictor, runs = Predictor(found), []
    for case in found:
        try:
            runs.append(_run(case, predictor))
        except RigwiseError as why:
            refused[why.says] += 1
    return runs, refused


def not_taken(path: str | Path, rows: int, refused: Counter[str], runs: Sequence[Run]) -> list[str]:
    """In words which of a table's rows are left out. UsageError where no run is left."""
    if not runs:
        reason, count = refused.most_common(1)[0] if refused else ("it is empty", 0)
        raise UsageError(f"no row of {path} is a step that can be predicted: {reason} ({count} of {rows} rows)")
    return [f"{path}: {count} of {rows} rows not taken: {why}" for why, count in refused.most_common(_NAMED)]


def _cases(rows: Sequence[Row], stack: str) -> tuple[list[StepCase], Counter[str]]:
    parents = {row.id: row for row in rows}
    found, refused = [], Counter[str]()
    for row in rows:
        try:
            case = case_of(row, parents.get(row.derived_from))
        except RigwiseError as why:
            refused[why.says] += 1
            continue
        if not isinstance(case, StepCase) or row.metric == "peak_mem_gib":
            refused["no time or rate of a training step"] += 1
        elif flag := Outcome(row=row).flag:
            refused[f"{flag} rows do not count"] += 1
        else:
            assumed = tuple(name for name in case.assumed if name != "stack")
            found.append(replace(case, stack=stack, assumed=assumed))
    return found, refused


def _run(case: StepCase, predictor: Predictor) -> Run:
    predicted = predictor.predict(case).value
    error = log_error(Outcome(row=case.row, predicted=predicted))
    if error is None:
        raise UsageError(f"{case.row.metric} of a step", rule="a time or a rate above 0")
    cluster, model = case.machine.cluster, case.subject.model
    eff, precision = efficiencies(cluster.device, case.stack), case.layouts[0].precision
    seconds = float(np.max(predictor.step(case).seconds)) * exp(error)
    check_possible(seconds, model, cluster, case.batch, precision, case.row.id)
    unknown = doubts(model, cluster, eff, precision)
    told = f"{case.row.id}: {model.name} on {cluster.devices} x {cluster.device.name}, x{exp(error):.3g}"
    return Run(
        error=error,
        doubts=with_assumed(unknown, case.assumed),
        says=f"{told}; {said(case.assumed)}" if case.assumed else told,
    )


def with_assumed(doubts: Mapping[str, float], assumed: tuple[str, ...]) -> dict[str, float]:
    """The doubts of a run whose settings were not all told: what was assumed is the run's own."""
    return {**doubts, RUN: hypot(doubts[RUN], spread_of(assumed))}

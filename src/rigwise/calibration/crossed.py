"""Outcomes with constants fitted without a row's layout, device or source, beside those of the shipped constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rigwise.calibration.backtest import predict_rows
from rigwise.calibration.cases import Case, case_of
from rigwise.calibration.crossvalidate import left_out
from rigwise.calibration.fit import fit
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.patterns import spread_of
from rigwise.calibration.regimes import classes_of, doubted
from rigwise.calibration.sample import sample
from rigwise.cost.interval import Z80, spread
from rigwise.measurements.tables import RATES, Row

Told = Callable[[str, int, int], None]
SCHEMES = ("layout", "device", "source")
_ROUNDS = 1  # the shipped constants are where a fit of these rows ended: a step finds the place again


def cross_validated(rows: Sequence[Row], progress: Told | None = None) -> Mapping[str, tuple[Outcome, ...]]:
    """Outcomes by what was left out of the fit: "layout", "device", "source", and "shipped" for nothing.

    Each in the order of the rows, its interval that of a case that is new in what was left out. Rows that do not
    count, or that were refused, are as the shipped constants have them.
    """
    told = (lambda done, total: progress("rows predicted", done, total)) if progress else None
    shipped = tuple(predict_rows(rows, told))
    judged = [case for o in shipped if (case := _case(o)) is not None]
    place = {case.row.id: i for i, case in enumerate(judged)}
    asked = [case for case in sample(rows)[0] if case.row.id in place]
    found = fit(asked, rounds=_ROUNDS)
    fitted = [place[case.row.id] for case in asked]
    crossed = {}
    for number, scheme in enumerate(SCHEMES):
        if progress:
            progress("ways to leave rows out", number, len(SCHEMES))
        errors = dict(zip(place, left_out(judged, found, fitted, scheme).tolist(), strict=True))
        widths = {case.row.id: _width(case, scheme) for case in judged}
        crossed[scheme] = tuple(_moved(o, errors.get(o.row.id, math.nan), widths.get(o.row.id, 1.0)) for o in shipped)
    if progress:
        progress("ways to leave rows out", len(SCHEMES), len(SCHEMES))
    return {**crossed, "shipped": shipped}


def _case(outcome: Outcome) -> Case | None:
    if outcome.predicted is None or outcome.flag:
        return None
    return case_of(outcome.row)


def _width(case: Case, scheme: str) -> float:
    """The factor from a prediction to the ends of its interval, where the case is new in what was left out."""
    return math.exp(Z80 * math.hypot(spread(classes_of(case), scheme), spread_of(doubted(case))))


def _moved(outcome: Outcome, error: float, width: float) -> Outcome:
    """The outcome with a prediction that misses by `error`, ln(measured/predicted) in time's direction."""
    if not math.isfinite(error) or not outcome.predicted or not outcome.row.value:
        return outcome
    predicted = outcome.row.value * math.exp(error if outcome.row.metric in RATES else -error)
    return replace(outcome, predicted=predicted, low=predicted / width, high=predicted * width)

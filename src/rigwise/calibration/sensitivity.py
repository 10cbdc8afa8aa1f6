"""How far each case is from its prediction, and how that moves with each constant.

Cases of one device family, stack and kinds of link are moved by the same constants: these are given as candidates (the
value itself, then each constant a little higher), so that the laws answer for all of them at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case
from rigwise.calibration.constants import Constant, names_of, read, touches, with_values
from rigwise.calibration.predict import Predictor
from rigwise.cost.efficiencies import using
from rigwise.errors import RigwiseError
from rigwise.measurements.tables import RATES

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
_STEP = 0.04  # of a logarithm, for the slopes


def residuals(cases: Sequence[Case], tables: Mapping[str, Any]) -> Floats:
    """ln(measured/predicted) of each case in time's direction, with these tables; nan where the laws refuse."""
    with using(tables):
        predictor = Predictor(cases)
        return np.array([np.max(_residual(case, predictor)) for case in cases])


def candidate_residuals(
    cases: Sequence[Case], tables: Mapping[str, Any], constants: Sequence[Constant], values: Floats
) -> Floats:
    """The same for P candidates of all constants at once, values of shape (P, K): shape (P, cases)."""
    found = np.full((len(values), len(cases)), np.nan)
    for members, moving in _alike(cases, constants):
        columns = [values[:, k, None] for k in moving]
        found[:, members] = _of_group(cases, members, tables, [constants[k] for k in moving], columns, len(values))
    return found


def chosen_residuals(
    cases: Sequence[Case], tables: Mapping[str, Any], constants: Sequence[Constant], values: Floats, which: Places
) -> Floats:
    """Residuals where each case has its own candidate: values of shape (P, K), which[i] < P of case i."""
    found = np.full(len(cases), np.nan)
    for members, moving in _alike(cases, constants):
        used, place = np.unique(which[members], return_inverse=True)
        columns = [values[used, k, None] for k in moving]
        errors = _of_group(cases, members, tables, [constants[k] for k in moving], columns, len(used))
        found[members] = errors[place, np.arange(len(members))]
    return found


def sensitivities(
    cases: Sequence[Case], tables: Mapping[str, Any], constants: Sequence[Constant]
) -> tuple[Floats, Floats]:
    """Residuals, and their slopes against the logarithms of the constants, shape (cases, constants)."""
    errors, slopes = np.full(len(cases), np.nan), np.zeros((len(cases), len(constants)))
    for members, moving in _alike(cases, constants):
        here = [constants[k] for k in moving]
        logs = np.log([read(tables, constant.path) for constant in here])
        moved = logs + _STEP * np.vstack([np.zeros(len(here)), np.eye(len(here))])
        columns = [np.exp(moved[:, k, None]) for k in range(len(here))]
        found = _of_group(cases, members, tables, here, columns, len(moved))
        errors[members] = found[0]
        slopes[np.ix_(members, moving)] = ((found[1:] - found[0]) / _STEP).T
    return errors, np.nan_to_num(slopes)


def _alike(cases: Sequence[Case], constants: Sequence[Constant]) -> list[tuple[list[int], list[int]]]:
    """Cases that the same constants move, by their places, with the places of these constants."""
    groups: dict[object, list[int]] = defaultdict(list)
    for i, case in enumerate(cases):
        names = names_of(case)
        groups[type(case), case.row.metric == "peak_mem_gib", *names.values()].append(i)
    return [
        (members, [k for k, one in enumerate(constants) if any(touches(one, cases[i]) for i in members[:1])])
        for members in groups.values()
    ]


def _of_group(
    cases: Sequence[Case],
    members: Sequence[int],
    tables: Mapping[str, Any],
    constants: Sequence[Constant],
    columns: Sequence[Floats],
    candidates: int,
) -> Floats:
    """Residuals of some cases for candidates of some constants, shape (P, members)."""
    found = np.full((candidates, len(members)), np.nan)
    with using(with_values(tables, constants, columns)):
        predictor = Predictor(cases[i] for i in members)
        for column, i in enumerate(members):
            found[:, column] = _residual(cases[i], predictor)
    return found


def _residual(case: Case, predictor: Predictor) -> Floats:
    measured = case.row.value
    try:
        predicted = predictor.values(case)
    except RigwiseError:
        return np.array(np.nan)
    if not measured or not np.all(predicted > 0):
        return np.array(np.nan)
    return np.asarray(np.log(measured / predicted) * (-1 if case.row.metric in RATES else 1))

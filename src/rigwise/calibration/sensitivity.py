"""How far each case is from its prediction, and how that moves with each constant.

Cases of one device family, stack and kinds of link are moved by the same constants: these are given as candidates (the
value itself, then each constant a little higher), so that the laws answer for all of them at once. The groups are
shared out over the cores.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case
from rigwise.calibration.constants import Constant, names_of, read, touches
from rigwise.calibration.predict import Predictor
from rigwise.calibration.workers import Job, done, residual
from rigwise.cost.efficiencies import using

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
_STEP = 0.04  # of a logarithm, for the slopes


def residuals(cases: Sequence[Case], tables: Mapping[str, Any]) -> Floats:
    """ln(measured/predicted) of each case in time's direction, with these tables; nan where the laws refuse."""
    with using(tables):
        predictor = Predictor(cases)
        return np.array([np.max(residual(case, predictor)) for case in cases])


def candidate_residuals(
    cases: Sequence[Case], tables: Mapping[str, Any], constants: Sequence[Constant], values: Floats
) -> Floats:
    """The same for P candidates of all constants at once, values of shape (P, K): shape (P, cases)."""
    groups = _alike(cases, constants)
    jobs = [_job(cases, tables, constants, group, values[:, group.moving]) for group in groups]
    found = np.full((len(values), len(cases)), np.nan)
    for group, errors in zip(groups, done(jobs), strict=True):
        found[:, group.members] = errors
    return found


def chosen_residuals(
    cases: Sequence[Case], tables: Mapping[str, Any], constants: Sequence[Constant], values: Floats, which: Places
) -> Floats:
    """Residuals where each case has its own candidate: values of shape (P, K), which[i] < P of case i."""
    groups = _alike(cases, constants)
    used = [np.unique(which[group.members], return_inverse=True) for group in groups]
    jobs = [
        _job(cases, tables, constants, group, values[some][:, group.moving])
        for group, (some, _) in zip(groups, used, strict=True)
    ]
    found = np.full(len(cases), np.nan)
    for group, (_, place), errors in zip(groups, used, done(jobs), strict=True):
        found[group.members] = errors[place, np.arange(len(group.members))]
    return found


def sensitivities(
    cases: Sequence[Case], tables: Mapping[str, Any], constants: Sequence[Constant]
) -> tuple[Floats, Floats]:
    """Residuals, and their slopes against the logarithms of the constants, shape (cases, constants)."""
    groups = _alike(cases, constants)
    logs = np.log([read(tables, constant.path) for constant in constants])
    jobs = []
    for group in groups:
        apart = _STEP * np.vstack([np.zeros(len(group.moving)), np.eye(len(group.moving))])
        jobs.append(_job(cases, tables, constants, group, np.exp(logs[group.moving] + apart)))
    errors, slopes = np.full(len(cases), np.nan), np.zeros((len(cases), len(constants)))
    for group, found in zip(groups, done(jobs), strict=True):
        errors[group.members] = found[0]
        slopes[np.ix_(group.members, group.moving)] = ((found[1:] - found[0]) / _STEP).T
    return errors, np.nan_to_num(slopes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Places of cases that the same constants move, and of these constants."""

    members: list[int]
    moving: list[int]


def _alike(cases: Sequence[Case], constants: Sequence[Constant]) -> list[_Group]:
    """The groups of the cases."""
    groups: dict[object, list[int]] = defaultdict(list)
    for i, case in enumerate(cases):
        names = names_of(case)
        groups[type(case), case.row.metric == "peak_mem_gib", *names.values()].append(i)
    return [
        _Group(members=members, moving=[k for k, one in enumerate(constants) if touches(one, cases[members[0]])])
        for members in groups.values()
    ]


def _job(
    cases: Sequence[Case], tables: Mapping[str, Any], constants: Sequence[Constant], group: _Group, values: Floats
) -> Job:
    """The group's residuals for P candidates of the constants that move it, values of shape (P, moving)."""
    return Job(
        cases=[cases[i] for i in group.members],
        tables=tables,
        constants=[constants[k] for k in group.moving],
        columns=[values[:, k, None] for k in range(len(group.moving))],
        candidates=len(values),
    )

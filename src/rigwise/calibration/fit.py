"""The fit: the constants of cost/data/efficiencies.toml from measured tables.

    minimise  sum_i w_i rho(ln(measured_i / predicted_i) / s_i) + sum_k away_k^2

over the logarithms of the constants, by damped Gauss-Newton steps; rho is soft-L1; away_k are the priors
(constants.py). s_i is how far rows of the same source and stack scatter (mixtures of experts apart), told anew each
round, so that a table of careful runs is not outvoted by a longer one of quick ones. Rows that differ only in repeats
or depth share a weight:
w_i = 1 / sqrt(rows of the group). Source: robust regression as in Huber 1964. What is fitted, and how far, is in
data/fitted.toml.
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase
from rigwise.calibration.constants import Constant, Prior, Tables, constants_of, prior_of, read, with_values
from rigwise.calibration.sensitivity import candidate_residuals, sensitivities
from rigwise.cost.efficiencies import shipped

Floats = NDArray[np.float64]
_SCALES = (0.04, 0.30)  # soft-L1: errors above the scale count by their size, not by its square
_REACH = 0.4  # of a logarithm: the longest step that is believed
_SHARES = np.array([0.5, 0.25, 0.1, 0.0])  # of a step that went too far, tried at once
_DONE = 1e-3  # a round that lowers the loss by less than this share is the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What a fit found. before, after: ln(measured/predicted) a case, nan where it was refused; a positive one means
    slower than predicted, for rates too. slopes: of after, against the logarithms of the constants. freedom: how many
    constants the evidence determined, the rest being held by their priors."""

    constants: tuple[Constant, ...]
    values: Floats
    tables: Tables
    before: Floats
    after: Floats
    slopes: Floats
    weights: Floats
    scales: Floats
    rounds: int
    freedom: float


def fit(cases: Sequence[Case], *, rounds: int = 6, progress: Callable[[str], None] | None = None) -> Fit:
    """Fit the constants to cases. progress is told each round's loss."""
    tables: Tables = copy.deepcopy(shipped())  # where the last fit ended: a good place to begin, and no prior
    constants = constants_of(cases)
    prior, weights = prior_of(constants), weights_of(cases)
    logs = np.log([read(tables, c.path) for c in constants])
    errors, slopes = sensitivities(cases, tables, constants)
    before, done, scales = errors, 0, scales_of(cases, errors)
    for done in range(1, rounds + 1):
        scales = scales_of(cases, errors)
        loss = loss_of(errors, weights, scales, prior.away(logs))
        step = np.clip(newton_step(slopes, errors, weights, scales, prior, logs), -_REACH, _REACH)
        there = bounded(constants, logs + step)
        tables = with_values(tables, constants, np.exp(there).tolist())
        errors, slopes = sensitivities(cases, tables, constants)
        now = loss_of(errors, weights, scales, prior.away(there))
        if now > loss:  # too long a step: the best of shorter ones
            there = _shorter(cases, tables, constants, logs, step, weights, scales, prior)
            tables = with_values(tables, constants, np.exp(there).tolist())
            errors, slopes = sensitivities(cases, tables, constants)
            now = loss_of(errors, weights, scales, prior.away(there))
        if progress:
            progress(f"round {done}: loss {loss:.1f} -> {now:.1f}")
        logs = there
        if loss - now < _DONE * loss:
            break
    return Fit(
        constants=constants,
        values=np.exp(logs),
        tables=tables,
        before=before,
        after=errors,
        slopes=slopes,
        weights=weights,
        scales=scales,
        rounds=done,
        freedom=freedom(slopes, errors, weights, scales, prior),
    )


def weights_of(cases: Iterable[Case]) -> Floats:
    """One over the root of the size of a case's group, so that a table of repeats counts as its variety does."""
    groups = [_group(case) for case in cases]
    size = Counter(groups)
    return np.array([size[group] ** -0.5 for group in groups])


def _group(case: Case) -> tuple[object, ...]:
    row = case.row
    if isinstance(case, StepCase):
        shape = case.subject.model.hidden, case.layouts[0].tp, case.layouts[0].micro
        return row.prefix, row.metric, case.device, case.machine.cluster.nodes > 1, shape
    return row.prefix, row.metric, case.device, row.precision


def scales_of(cases: Sequence[Case], errors: Floats) -> Floats:
    """How far rows of a case's source, stack and metric scatter: half as much again as their median error."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, case in enumerate(cases):
        mixture = isinstance(case, StepCase) and bool(case.subject.model.experts)
        groups[case.row.prefix, case.stack, case.row.metric, mixture].append(i)
    scales = np.full(len(cases), _SCALES[1])
    for places in groups.values():
        known = np.abs(errors[places])[np.isfinite(errors[places])]
        if len(known):
            scales[places] = np.clip(1.5 * np.median(known), *_SCALES)
    return scales


def loss_of(errors: Floats, weights: Floats, scales: Floats, away: Floats) -> float:
    """What is minimised."""
    known = np.isfinite(errors)
    rho = 2 * (np.sqrt(1 + (errors[known] / scales[known]) ** 2) - 1)
    return float((weights[known] * rho).sum() + (away**2).sum())


def normal_equations(
    slopes: Floats, errors: Floats, weights: Floats, scales: Floats, prior: Prior, logs: Floats
) -> tuple[Floats, Floats]:
    """Curvature and downhill direction of the loss around errors, the robust weights held."""
    known = np.isfinite(errors)
    s = scales[known]
    robust = weights[known] / np.sqrt(1 + (errors[known] / s) ** 2) / s**2
    j, e = slopes[known], errors[known]
    return (j.T * robust) @ j + prior.rows.T @ prior.rows, -(j.T * robust) @ e - prior.rows.T @ prior.away(logs)


def newton_step(slopes: Floats, errors: Floats, weights: Floats, scales: Floats, prior: Prior, logs: Floats) -> Floats:
    """The Gauss-Newton step of the logarithms."""
    return np.asarray(np.linalg.solve(*normal_equations(slopes, errors, weights, scales, prior, logs)))


def freedom(slopes: Floats, errors: Floats, weights: Floats, scales: Floats, prior: Prior) -> float:
    """Effective number of fitted constants: the trace of the share of the curvature that the evidence gives."""
    whole, _ = normal_equations(slopes, errors, weights, scales, prior, np.zeros(slopes.shape[1]))
    evidence = whole - prior.rows.T @ prior.rows
    return float(np.trace(np.linalg.solve(whole, evidence)))


def bounded(constants: Sequence[Constant], logs: Floats) -> Floats:
    """Logarithms within the constants' bounds; any leading dims."""
    low, high = (np.log([max(getattr(c, end), 1e-30) for c in constants]) for end in ("low", "high"))
    return np.clip(logs, low, high)


def _shorter(
    cases: Sequence[Case],
    tables: Tables,
    constants: Sequence[Constant],
    logs: Floats,
    step: Floats,
    weights: Floats,
    scales: Floats,
    prior: Prior,
) -> Floats:
    """The best of some shares of a step."""
    tried = bounded(constants, logs + _SHARES[:, None] * step)
    found = candidate_residuals(cases, tables, constants, np.exp(tried))
    losses = [loss_of(errors, weights, scales, prior.away(there)) for errors, there in zip(found, tried, strict=True)]
    return np.asarray(tried[int(np.argmin(losses))])

"""The fit: the constants of cost/data/efficiencies.toml from measured tables.

    minimise  sum_i w_i rho(ln(measured_i / predicted_i) / s) + sum_k (ln(c_k / prior_k) / sigma_k)^2

over the logarithms of the constants c_k, by damped Gauss-Newton steps; rho is soft-L1, s its scale; the priors are
data/priors.toml. Rows that the laws do not let a constant touch (another device family, stack or kind of link) are not
asked again for it. Rows that differ only in repeats or depth share a weight: w_i = 1 / sqrt(rows of the group). Source:
robust regression as in Huber 1964. What is fitted, and how far, is in data/fitted.toml.
"""

from __future__ import annotations

import copy
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, KernelCase, StepCase, TransferCase
from rigwise.calibration.predict import Predictor
from rigwise.cost.efficiencies import family_of, shipped, using
from rigwise.errors import RigwiseError
from rigwise.measurements.tables import RATES

Floats = NDArray[np.float64]
Tables = dict[str, Any]
SCALE = 0.15  # soft-L1: errors above this count by their size, not by its square
_STEP = 0.04  # of a logarithm, for the slopes
_REACH = 0.25  # of a logarithm: the longest step that is believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One number that is fitted. path: layer, name and key in the data file. prior, sigma: see the module."""

    path: tuple[str, str, str]
    prior: float
    sigma: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """As a person would write it."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What a fit found. before, after: ln(measured/predicted) a case, nan where it was refused; a positive one means
    slower than predicted, for rates too."""

    constants: tuple[Constant, ...]
    values: Floats
    tables: Tables
    before: Floats
    after: Floats
    rounds: int


def fit(cases: Sequence[Case], *, rounds: int = 6, progress: Callable[[str], None] | None = None) -> Fit:
    """Fit the constants to cases. progress is told each round's loss."""
    tables = copy.deepcopy(shipped())  # where the last fit ended: a good place to begin, and no prior
    constants = tuple(constants_of(_data("priors"), cases))
    touched = [np.array([_touches(c, case) for case in cases]) for c in constants]
    weights = _weights(cases)
    logs = np.log([_get(tables, c.path) for c in constants])
    priors = np.log([c.prior for c in constants])
    sigma = np.array([c.sigma for c in constants])
    before = errors = residuals(cases, tables)
    loss = _loss(errors, weights, (logs - priors) / sigma)
    done = 0
    for done in range(1, rounds + 1):
        slopes = _slopes(cases, tables, constants, logs, touched, errors)
        step = _gauss_newton(slopes, errors, weights, logs, priors, sigma)
        logs, tables, errors, now = _line_search(cases, constants, logs, step, weights, priors, sigma, loss)
        if progress:
            progress(f"round {done}: loss {loss:.1f} -> {now:.1f}")
        if loss - now < 1e-3 * loss:
            break
        loss = now
    return Fit(constants=constants, values=np.exp(logs), tables=tables, before=before, after=errors, rounds=done)


def _data(name: str) -> Tables:
    return tomllib.loads(files("rigwise.calibration").joinpath(f"data/{name}.toml").read_text("utf-8"))


def constants_of(tables: Mapping[str, Any], cases: Sequence[Case]) -> Iterator[Constant]:
    """The constants that the cases can say something about, with the priors that `tables` give them."""
    rules = _data("fitted")["constant"]
    spoken = {layer: {name for case in cases for name in _names(case)[layer]} for layer in ("device", "stack", "link")}
    for rule in rules:
        layer, name, key = rule["path"]
        default = tables[layer]["modern" if layer == "stack" else "default"]
        names = sorted(spoken[layer] & set(tables[layer])) if name == "*" else [name]
        for one in names:
            value = tables[layer][one].get(key, default[key])
            if value > 0:
                yield Constant(
                    path=(layer, one, key),
                    prior=value,
                    sigma=rule["sigma"],
                    low=rule.get("low", 0.0),
                    high=rule.get("high", np.inf),
                )


def residuals(cases: Sequence[Case], tables: Mapping[str, Any]) -> Floats:
    """ln(measured/predicted) of each case in time's direction, with these tables; nan where the laws refuse."""
    with using(tables):
        predictor = Predictor(cases)
        return np.array([_residual(case, predictor) for case in cases])


def _residual(case: Case, predictor: Predictor) -> float:
    try:
        predicted = predictor.predict(case).value
    except RigwiseError:
        return np.nan
    if not predicted > 0 or not case.row.value:
        return np.nan
    return float(np.log(case.row.value / predicted)) * (-1 if case.row.metric in RATES else 1)


def _names(case: Case) -> dict[str, set[str]]:
    """The names of each layer whose constants move a case."""
    device = case.on if isinstance(case, KernelCase) else case.machine.cluster.device
    links = set()
    if not isinstance(case, KernelCase):
        node = case.machine.cluster.node
        links = {node.link.kind} | ({node.nic.kind} if node.nic and case.machine.cluster.nodes > 1 else set())
    return {"device": {family_of(device)}, "stack": {case.stack}, "link": set(links)}


def _touches(constant: Constant, case: Case) -> bool:
    layer, name, key = constant.path
    if isinstance(case, TransferCase):
        return (layer == "link" or key == "network") and name in {"default", *_names(case)[layer]}
    if key.startswith("memory"):
        return name in _names(case)[layer] and case.row.metric == "peak_mem_gib"
    if layer == "device" and (case.row.metric == "peak_mem_gib"):
        return False
    if layer == "link":
        return isinstance(case, StepCase) and case.machine.cluster.devices > 1 and name in _names(case)[layer]
    return name == "default" or name in _names(case)[layer]


def _weights(cases: Iterable[Case]) -> Floats:
    """One over the size of a case's group, so that a table of repeats counts as its different measurements do."""
    groups = [_group(case) for case in cases]
    size = Counter(groups)
    return np.array([size[group] ** -0.5 for group in groups])


def _group(case: Case) -> tuple[object, ...]:
    row = case.row
    if isinstance(case, StepCase):
        shape = case.subject.model.hidden, case.layouts[0].tp, case.layouts[0].micro
        return row.prefix, row.metric, case.device, case.machine.cluster.nodes > 1, shape
    return row.prefix, row.metric, case.device, case.row.precision


def _loss(errors: Floats, weights: Floats, away: Floats) -> float:
    known = np.isfinite(errors)
    rho = 2 * (np.sqrt(1 + (errors[known] / SCALE) ** 2) - 1)
    return float((weights[known] * rho).sum() + (away**2).sum())


def _slopes(
    cases: Sequence[Case],
    tables: Tables,
    constants: Sequence[Constant],
    logs: Floats,
    touched: Sequence[NDArray[np.bool_]],
    errors: Floats,
) -> Floats:
    """D error / d ln c by a small step up, asked only of the cases that a constant touches."""
    slopes = np.zeros((len(cases), len(constants)))
    for k, constant in enumerate(constants):
        where = np.flatnonzero(touched[k] & np.isfinite(errors))
        if not len(where):
            continue
        moved = _with(tables, [constant], [logs[k] + _STEP])
        slopes[where, k] = (residuals([cases[int(i)] for i in where], moved) - errors[where]) / _STEP
    return np.nan_to_num(slopes)


def _gauss_newton(
    slopes: Floats, errors: Floats, weights: Floats, logs: Floats, priors: Floats, sigma: Floats
) -> Floats:
    known = np.isfinite(errors)
    robust = weights[known] / np.sqrt(1 + (errors[known] / SCALE) ** 2) / SCALE**2
    j, e = slopes[known], errors[known]
    left = (j.T * robust) @ j + np.diag(1 / sigma**2)
    right = -(j.T * robust) @ e - (logs - priors) / sigma**2
    return np.clip(np.linalg.solve(left, right), -_REACH, _REACH)


def _line_search(
    cases: Sequence[Case],
    constants: Sequence[Constant],
    logs: Floats,
    step: Floats,
    weights: Floats,
    priors: Floats,
    sigma: Floats,
    loss: float,
) -> tuple[Floats, Tables, Floats, float]:
    """The first of ever shorter steps that lowers the loss; the last one tried where none does."""
    low, high = (np.log([max(getattr(c, end), 1e-30) for c in constants]) for end in ("low", "high"))
    for share in (1.0, 0.5, 0.25, 0.1, 0.0):
        there = np.clip(logs + share * step, low, high)
        tables = _with(copy.deepcopy(shipped()), constants, there)
        errors = residuals(cases, tables)
        now = _loss(errors, weights, (there - priors) / sigma)
        if now < loss or share == 0.0:
            return there, tables, errors, now
    raise AssertionError("the last share takes everything")


def _get(tables: Mapping[str, Any], path: tuple[str, str, str]) -> float:
    layer, name, key = path
    default = tables[layer]["modern" if layer == "stack" else "default"]
    return float(tables[layer][name].get(key, default[key]))


def _with(tables: Tables, constants: Sequence[Constant], logs: Sequence[float] | Floats) -> Tables:
    changed = copy.deepcopy(tables)
    for constant, log in zip(constants, logs, strict=True):
        layer, name, key = constant.path
        changed[layer][name][key] = float(np.exp(log))
    return changed

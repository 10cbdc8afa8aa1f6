"""Cross-validation: what each row's prediction would be, had the fit never seen its layout, its device or its source.

    scheme   left out together
    layout   rows of one source with the same model size and degrees; for a single operation, its shape
    device   rows of one device (language models: of one model on one device)
    family   rows of one device family
    source   rows of one source

For each group left out the constants are solved anew from the rest, by Gauss-Newton steps on the residuals and slopes
of the whole fit (the logarithms of predictions are close to linear in those of the constants), and the rows left out
are then predicted exactly, by the laws with those constants.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, KernelCase, StepCase
from rigwise.calibration.constants import names_of, prior_of
from rigwise.calibration.fit import Fit, bounded, newton_step
from rigwise.calibration.sensitivity import chosen_residuals

Floats = NDArray[np.float64]
SCHEMES = ("layout", "device", "family", "source")
_FOLDS = 10  # layouts are many: left out in as many folds
_PASSES = 4  # of robust re-weighting


def group_of(case: Case, scheme: str) -> Hashable:
    """What a case is left out together with."""
    row = case.row
    if scheme == "source":
        return row.prefix
    if scheme == "family":
        return names_of(case)["device"]
    if scheme == "device":
        if isinstance(case, StepCase) and row.family == "llm":
            model = case.subject.model
            return case.device, model.name, model.hidden, model.layers
        return case.device
    if isinstance(case, StepCase):
        a = case.layouts[0]
        return row.prefix, case.device, case.subject.model.hidden, a.dp, a.tp, a.pp, a.cp, a.ep, a.zero
    return (row.prefix, row.model) if isinstance(case, KernelCase) else (row.prefix, case.device, row.notes)


def left_out(cases: Sequence[Case], found: Fit, fitted: Sequence[int], scheme: str) -> Floats:
    """ln(measured/predicted) of each case with constants fitted without its group.

    cases: all that are judged; fitted: the places among them of the cases of the fit, in its order.
    """
    folds = _folds(cases, scheme)
    seen = folds[np.asarray(fitted)]
    logs = np.log(found.values)
    solved = np.array([_without(found, seen != fold, logs) for fold in range(folds.max() + 1)])
    return chosen_residuals(cases, found.tables, found.constants, np.exp(solved), folds)


def _folds(cases: Sequence[Case], scheme: str) -> NDArray[np.int64]:
    """The fold of each case; groups in the order in which they come, so that folds are the same twice."""
    number: dict[Hashable, int] = {}
    for case in cases:
        number.setdefault(group_of(case, scheme), len(number))
    folds = np.array([number[group_of(case, scheme)] for case in cases])
    return folds % _FOLDS if scheme == "layout" else folds


def _without(found: Fit, keep: NDArray[np.bool_], logs: Floats) -> Floats:
    """Logarithms of the constants from the cases that are kept."""
    prior, here = prior_of(found.constants), logs
    for _ in range(_PASSES):
        errors = found.after + found.slopes @ (here - logs)
        step = newton_step(found.slopes[keep], errors[keep], found.weights[keep], found.scales[keep], prior, here)
        here = bounded(found.constants, here + step)
    return here


def cross_validate(
    cases: Sequence[Case], found: Fit, fitted: Sequence[int], progress: Callable[[str], None] | None = None
) -> Mapping[str, Floats]:
    """Errors left out by each scheme; see left_out."""
    errors = {}
    for scheme in SCHEMES:
        errors[scheme] = left_out(cases, found, fitted, scheme)
        if progress:
            progress(f"left out by {scheme}: median {np.nanmedian(np.abs(errors[scheme])):.1%}")
    return errors

"""How far steps and peaks of memory of a stack and collectives of a link are from their prediction: their spreads.

From cases that the fit did not see: the quantile below which 80 % of |ln(measured/predicted)| lie, as the standard
deviation of a normal law that has it there. A kind of link with few cases is pooled with all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase, TransferCase
from rigwise.cost.interval import Z80

_FEWEST = 10  # cases of a stack from which its own spread is told
_SURE = 0.05  # no stack and no link is known better than this
_ENOUGH = 30  # cases of a kind of link, or peaks of memory of a stack, from which on its own spread alone counts


def spreads(cases: Sequence[Case], errors: NDArray[np.float64]) -> Mapping[str, float]:
    """Standard deviation by stack, for stacks with enough steps among the cases."""
    groups: dict[str, list[float]] = defaultdict(list)
    for case, error in zip(cases, errors, strict=True):
        if isinstance(case, StepCase) and case.row.metric != "peak_mem_gib" and np.isfinite(error):
            groups[case.stack].append(abs(float(error)))
    return {
        stack: max(float(np.quantile(found, 0.8)) / Z80, _SURE)
        for stack, found in sorted(groups.items())
        if len(found) >= _FEWEST
    }


def memory_spreads(cases: Sequence[Case], errors: NDArray[np.float64]) -> Mapping[str, float]:
    """Standard deviation of peaks of memory by stack, from cases that the fit of the others did not see.

    Of stacks with enough cases; "modern", where the default of all stacks stands, has that of all together. Empty where
    there is no peak.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for case, error in zip(cases, errors, strict=True):
        if isinstance(case, StepCase) and case.row.metric == "peak_mem_gib" and np.isfinite(error):
            found[case.stack].append(abs(float(error)))
    together = [error for errors in found.values() for error in errors]
    own = {stack: _width(errors) for stack, errors in sorted(found.items()) if len(errors) >= _ENOUGH}
    return {**own, "modern": _width(together)} if together else {}


def link_spreads(cases: Sequence[Case], errors: NDArray[np.float64]) -> Mapping[str, float]:
    """Standard deviation by kind of link, from all-reduces on devices that the fit of the others did not see.

    "default", for kinds without cases, is the widest. Empty where there is no all-reduce.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for case, error in zip(cases, errors, strict=True):
        if isinstance(case, TransferCase) and case.between == "all" and np.isfinite(error):
            found[case.wire].append(abs(float(error)))
    return _pooled(found) if found else {}


def _pooled(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Each kind's spread, drawn to that of all kinds as far as it has too few cases; the widest for the rest."""
    everything = _width([error for errors in found.values() for error in errors])
    kinds = {}
    for kind, errors in sorted(found.items()):
        own = min(len(errors) / _ENOUGH, 1.0)
        kinds[kind] = float(np.sqrt(own * _width(errors) ** 2 + (1 - own) * everything**2))
    return {"default": max(kinds.values()), **kinds}


def _width(errors: Sequence[float]) -> float:
    return max(float(np.quantile(errors, 0.8)) / Z80, _SURE)

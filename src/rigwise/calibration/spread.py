"""How far steps and peaks of memory of a software stack are from their prediction: the spread of its intervals.

From cases that the fit did not see: the quantile below which 80 % of |ln(measured/predicted)| lie, as the standard
deviation of a normal law that has it there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase
from rigwise.cost.interval import Z80

_POOLED = "modern"  # where the spread of stacks with few cases stands
_FEWEST = 10  # steps of a stack from which its own spread is told
_FEWEST_PEAKS = 30  # peaks of memory likewise: they come from few sources
_SURE = 0.05  # no stack is known better than this


def spreads(cases: Sequence[Case], errors: NDArray[np.float64]) -> Mapping[tuple[str, str], float]:
    """Standard deviation by stack and key: `spread` of step times, for stacks with enough steps among the cases;
    `memory_spread` of peaks of memory likewise, and of all stacks together where the default stands."""
    times: dict[str, list[float]] = defaultdict(list)
    peaks: dict[str, list[float]] = defaultdict(list)
    for case, error in zip(cases, errors, strict=True):
        if isinstance(case, StepCase) and np.isfinite(error):
            groups = peaks if case.row.metric == "peak_mem_gib" else times
            groups[case.stack].append(abs(float(error)))
    together = {_POOLED: [error for found in peaks.values() for error in found]}
    return {
        **{(stack, "spread"): sigma for stack, sigma in _sigmas(times, _FEWEST)},
        **{(stack, "memory_spread"): sigma for stack, sigma in _sigmas(peaks, _FEWEST_PEAKS)},
        **{(stack, "memory_spread"): sigma for stack, sigma in _sigmas(together, _FEWEST)},
    }


def _sigmas(groups: Mapping[str, list[float]], fewest: int) -> Iterator[tuple[str, float]]:
    for stack, found in sorted(groups.items()):
        if len(found) >= fewest:
            yield stack, max(float(np.quantile(found, 0.8)) / Z80, _SURE)

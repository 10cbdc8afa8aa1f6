"""How far steps of a software stack are from their prediction: the spread that makes its intervals.

From cases that the fit did not see: the quantile below which 80 % of |ln(measured/predicted)| lie, as the standard
deviation of a normal law that has it there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase
from rigwise.cost.interval import Z80

_FEWEST = 10  # cases of a stack from which its own spread is told
_SURE = 0.05  # no stack is known better than this


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

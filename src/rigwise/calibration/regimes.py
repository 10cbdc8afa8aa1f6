"""Spreads: how far a prediction of a kind is off, by what about the case is new to the fit.

A regime is what was left out together (crossvalidate.py): a case is new in its layout, its device, its device's family
or its source. A class is what the case is about: its software stack, and wider, its family of models or the kind of a
single operation. The spread of a class in a regime is the standard deviation s whose interval exp(-+1.28 hypot(s, a))
holds 80 % of the left-out cases, a being what the case's own assumptions add. A class with fewer than 30 cases takes
the next wider one's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, KernelCase, StepCase, TransferCase
from rigwise.calibration.patterns import spread_of
from rigwise.cost.efficiencies import current, efficiencies
from rigwise.cost.interval import EVERYTHING, Z80, memory_classes, step_classes

Floats = NDArray[np.float64]
FEWEST = 30  # cases from which a class's own spread is told
SURE = 0.047  # nothing is known better than to 6 % to either side
_INSIDE = 0.8
_OF_MEMORY = frozenset({"batch", "layout", "dims", "recompute", "stack"})
_HALVINGS = 40


def classes_of(case: Case) -> tuple[str, ...]:
    """The classes of a case, the narrowest first."""
    if isinstance(case, KernelCase):
        kind = "convolution" if case.conv else "product"
        return f"{kind}_{case.which if case.conv else case.precision}", kind, "operation"
    if isinstance(case, TransferCase):
        return f"transfer_{case.wire}" if case.between == "all" else "copy", "transfer"
    if case.row.metric == "peak_mem_gib":
        return memory_classes(case.stack, case.machine.cluster)
    return step_classes(case.subject.model.family, case.stack, case.machine.cluster)


def spreads_of(cases: Sequence[Case], errors: Mapping[str, Floats]) -> dict[str, dict[str, float]]:
    """Spread by class and regime; errors: ln(measured/predicted) of each case, by regime it was left out by."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, case in enumerate(cases):
        for name in (*classes_of(case), *((EVERYTHING,) if _is_step(case) else ())):
            members[name].append(i)
    found: dict[str, dict[str, float]] = {}
    for name, places in sorted(members.items()):
        assumed = np.array([spread_of(doubted(cases[i])) for i in places])
        if len(places) >= FEWEST or name == EVERYTHING:
            found[name] = {regime: max(covering(left[places], assumed), SURE) for regime, left in errors.items()}
    return found


def doubted(case: Case) -> frozenset[str]:
    """The assumptions of a case that make its figure less sure: memory does not mind all of them."""
    assumed = frozenset(case.assumed)
    return _OF_MEMORY & assumed if case.row.metric == "peak_mem_gib" else assumed


def seen(cases: Sequence[Case]) -> tuple[list[str], dict[str, list[str]]]:
    """The sources of cases, and the devices that steps were measured on by stack."""
    stacks: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        if _is_step(case):
            stacks[case.stack].add(case.device)
    return sorted({case.row.prefix for case in cases}), {name: sorted(found) for name, found in sorted(stacks.items())}


def novelty_of(case: Case) -> str:
    """What about a case the constants in use never saw."""
    known = current()["measured"]
    if case.row.prefix not in known["sources"] or "stack" in case.assumed:
        return "source"
    device = case.on if isinstance(case, KernelCase) else case.machine.cluster.device
    return efficiencies(device, case.stack).novelty if _is_step(case) else "layout"


def _is_step(case: Case) -> bool:
    return isinstance(case, StepCase) and case.row.metric != "peak_mem_gib"


def covering(errors: Floats, assumed: Floats) -> float:
    """The standard deviation that, with what each case assumes, holds 80 % of the errors, and the next one's as often.

    Of n errors that are 0.8 (n + 1), as one that is still to come may lie anywhere among them (split conformal
    prediction, arXiv 1612.01404).

    >>> covering(np.linspace(-1.0, 1.0, 101), np.zeros(101)).__round__(3)
    0.64
    """
    known = np.isfinite(errors)
    size, extra = np.abs(errors[known]) / Z80, assumed[known]
    wanted = min(ceil(_INSIDE * (len(size) + 1) - 1e-9), len(size))
    if not len(size) or (size <= extra).sum() >= wanted:
        return 0.0
    low, high = 0.0, float(size.max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if (size <= np.hypot(middle, extra)).sum() >= wanted else (middle, high)
    return high

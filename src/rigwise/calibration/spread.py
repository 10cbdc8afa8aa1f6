"""How far steps of a stack and collectives of a link are from their prediction: the spread that makes their intervals.

From cases that the fit did not see: the quantile below which 80 % of |ln(measured/predicted)| lie, as the standard
deviation of a normal law that has it there. Of that spread one part is common to all runs of a stack and source, one
to those on one device, one is a run's own; the parts are told from how runs of one group lie around the group's median,
and how the medians of devices lie around their own. A kind of link with few cases is pooled with all of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase, TransferCase
from rigwise.cost.interval import Z80

_FEWEST = 10  # cases of a stack from which its own spread is told
_SURE = 0.05  # no stack and no link is known better than this
_ENOUGH = 30  # cases of a kind of link from which on its own spread alone counts
_GROUP = 5  # runs of one source, stack, kind of row and device that tell how they lie around their median
EVERY = "modern"  # the stack whose values are those of all stacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What runs share that stand for one factor of a stack."""

    source: str
    stack: str
    family: str
    device: str


def spreads(cases: Sequence[Case], errors: NDArray[np.float64]) -> Mapping[str, float]:
    """Standard deviation by stack, for stacks with enough steps among the cases."""
    groups: dict[str, list[float]] = defaultdict(list)
    for case, error in zip(cases, errors, strict=True):
        if isinstance(case, StepCase) and case.row.metric != "peak_mem_gib" and np.isfinite(error):
            groups[case.stack].append(abs(float(error)))
    return {stack: _width(found) for stack, found in sorted(groups.items()) if len(found) >= _FEWEST}


def steps(cases: Sequence[Case], errors: Sequence[float] | NDArray[np.float64]) -> dict[Group, NDArray[np.float64]]:
    """ln(measured/predicted) of the steps by source, stack, kind of row and device, in the order of the groups."""
    groups: dict[Group, list[float]] = defaultdict(list)
    for case, error in zip(cases, errors, strict=True):
        if isinstance(case, StepCase) and case.row.metric != "peak_mem_gib" and np.isfinite(error):
            row = case.row
            groups[Group(source=row.prefix, stack=case.stack, family=row.family, device=case.device)].append(
                float(error)
            )
    return {group: np.array(groups[group]) for group in sorted(groups, key=str)}


def within(groups: Mapping[Group, NDArray[np.float64]]) -> Mapping[str, float]:
    """By stack, how far its runs lie around the median of their group; "modern" stands for the runs of all stacks."""
    apart: dict[str, list[float]] = defaultdict(list)
    for group, errors in groups.items():
        if len(errors) >= _GROUP:
            around = _around(errors)
            apart[group.stack] += around
            apart[EVERY] += around if group.stack != EVERY else []
    return {stack: max(_quantile(found), _SURE / 2) for stack, found in sorted(apart.items()) if len(found) >= _FEWEST}


def between_devices(groups: Mapping[Group, NDArray[np.float64]]) -> float | None:
    """How far the medians of devices lie around those of their source, stack and kind of row; None where too few."""
    medians: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for group, errors in groups.items():
        if len(errors) >= _GROUP:
            medians[group.source, group.stack, group.family].append(float(np.median(errors)))
    apart = [a for found in medians.values() if len(found) > 1 for a in _around(np.array(found))]
    return _quantile(apart) if len(apart) >= _FEWEST else None


def _around(values: NDArray[np.float64]) -> list[float]:
    """Distances from the median, made larger for what the median took from them."""
    return list(np.abs(values - np.median(values)) * np.sqrt(len(values) / (len(values) - 1)))


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
    return max(_quantile(errors), _SURE)


def _quantile(distances: Sequence[float]) -> float:
    return float(np.quantile(distances, 0.8)) / Z80

"""What the spread of a stack's steps (regimes.py) is made of.

One part is common to all its runs, one to those on one device, of one model, in one precision, and one is a run's own.
They are told, from cases that the fit did not see, by how runs lie around the median of their group, and the medians of
devices around theirs: the distance below which 80 % lie, as the standard deviation of a normal law that has it there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, StepCase
from rigwise.cost.interval import Z80

_FEWEST = 10  # cases of a stack from which its own spread is told
_GROUP = 5  # runs of one source, stack, kind of row and device that tell how they lie around their median
_FEW = 3  # and of one model or precision as well
EVERY = "modern"  # the stack whose values are those of all stacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A step that was measured, what it shares with others, and error: ln(measured/predicted) of its seconds."""

    source: str
    stack: str
    kind: str  # of row: llm, bert, vision
    device: str
    model: str
    precision: str
    error: float

    @property
    def group(self) -> tuple[str, ...]:
        """What stands for one factor of a stack."""
        return self.source, self.stack, self.kind, self.device


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """What a stack's spread is made of, as standard deviations. within: by stack, how far runs lie around the median of
    their group. Of that, in all stacks together, models and precisions: what runs of one model, of one precision share.
    devices: how far the medians of devices lie around those of their source."""

    within: Mapping[str, float]
    devices: float
    models: float
    precisions: float


def steps(cases: Sequence[Case], errors: Sequence[float] | NDArray[np.float64]) -> list[Seen]:
    """The steps among cases that could be predicted."""
    return [
        Seen(
            source=case.row.prefix,
            stack=case.stack,
            kind=case.row.family,
            device=case.device,
            model=case.row.model,
            precision=case.layouts[0].precision,
            error=float(error),
        )
        for case, error in zip(cases, errors, strict=True)
        if isinstance(case, StepCase) and case.row.metric != "peak_mem_gib" and np.isfinite(error)
    ]


def shares(seen: Sequence[Seen]) -> Shares | None:
    """What the spread of stacks is made of; None where too few steps were seen.

    A thing's variance is what knowing it takes from the variance inside groups, alone and beside the other thing.
    """
    alone = _around_medians(seen, lambda one: one.group, _GROUP)
    medians = defaultdict(list)
    for group, errors in _grouped(seen, lambda one: one.group, _GROUP).items():
        medians[group[:-1]].append(float(np.median(errors)))
    apart = [a for found in medians.values() if len(found) > 1 for a in _apart(found)]
    told = {
        words: [a for found in _around_medians(seen, _sharing(words), _FEW).values() for a in found]
        for words in ((), ("model",), ("precision",), ("model", "precision"))
    }
    if min(len(apart), *map(len, told.values())) < _FEWEST:
        return None
    v = {words: _quantile(found) ** 2 for words, found in told.items()}
    model = (v[()] - v["model",] + v["precision",] - v["model", "precision"]) / 2
    precision = (v[()] - v["precision",] + v["model",] - v["model", "precision"]) / 2
    by_stack: dict[str, list[float]] = defaultdict(list)
    for group, distances in alone.items():
        by_stack[group[1]] += distances
        by_stack[EVERY] += distances if group[1] != EVERY else []
    return Shares(
        within={stack: _quantile(found) for stack, found in sorted(by_stack.items()) if len(found) >= _FEWEST},
        devices=_quantile(apart),
        models=float(np.sqrt(max(model, 0.0))),
        precisions=float(np.sqrt(max(precision, 0.0))),
    )


def _sharing(words: tuple[str, ...]) -> Callable[[Seen], tuple[str, ...]]:
    return lambda one: (*one.group, *(str(getattr(one, word)) for word in words))


def _grouped(
    seen: Iterable[Seen], key: Callable[[Seen], tuple[str, ...]], least: int
) -> dict[tuple[str, ...], list[float]]:
    """Errors by key, of keys that enough steps have, in the keys' order."""
    groups: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for one in seen:
        groups[key(one)].append(one.error)
    return {group: groups[group] for group in sorted(groups) if len(groups[group]) >= least}


def _around_medians(
    seen: Iterable[Seen], key: Callable[[Seen], tuple[str, ...]], least: int
) -> dict[tuple[str, ...], list[float]]:
    return {group: _apart(errors) for group, errors in _grouped(seen, key, least).items()}


def _apart(values: Sequence[float]) -> list[float]:
    """Distances from the median, made larger for what the median took from them."""
    return list(np.abs(np.array(values) - np.median(values)) * np.sqrt(len(values) / (len(values) - 1)))


def _quantile(distances: Sequence[float]) -> float:
    return float(np.quantile(distances, 0.8)) / Z80

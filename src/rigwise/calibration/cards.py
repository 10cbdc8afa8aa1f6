"""Does it tell which card is faster? Pairs of devices that one source measured on one network in one precision.

Only single devices; a device with several runs of a network counts once, by the mean of their logarithms. A pair whose
measured speeds differ by no more than CLEAR says nothing and is left out. A tie in what is predicted is half right.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from rigwise.calibration.cases import stack_of
from rigwise.calibration.outcomes import Outcome
from rigwise.errors import RigwiseError
from rigwise.hardware.catalog import device as catalogue_device
from rigwise.measurements.tables import RATES, Row

CLEAR = 1.1  # times as fast: less is within what two runs of one card differ
_RUNS = ("ms", "step_s", "images_per_s", "tokens_per_s_per_gpu")
_NETS = ("vision", "bert", "llm")
_FRAMEWORK = re.compile("pytorch|tensorflow|mxnet|caffe2", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two devices on one network. measured: how many times as fast the faster one is.

    order, bandwidth: 1 where the prediction, or the memory's bandwidth alone, has them in the measured order, 0.5 for a
    tie, 0 where it has them the wrong way round.
    """

    source: str
    model: str
    faster: str
    slower: str
    measured: float
    predicted: float
    order: float
    bandwidth: float


def pairs(outcomes: Iterable[Outcome]) -> list[Pair]:
    """All pairs that differ by more than CLEAR, in the order of source, network and names."""
    groups: dict[Hashable, dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        row = outcome.row
        if row.n_devices == 1 and row.metric in _RUNS and row.family in _NETS and outcome.predicted and row.value:
            groups[_same(row)][outcome.device].append(outcome)
    found = [
        _pair(members[one], members[other])
        for members in groups.values()
        for one, other in combinations(sorted(members), 2)
    ]
    return sorted((p for p in found if p is not None), key=lambda p: (p.source, p.model, p.faster, p.slower))


def _same(row: Row) -> Hashable:
    """What two rows share that compare two cards: a fixed batch only where seconds of a batch are told."""
    batch = None if row.metric in RATES else row.micro_batch
    framework = _FRAMEWORK.search(row.text)
    named = framework.group().lower() if framework else ""
    return row.prefix, named, stack_of(row)[0], row.model, row.precision, row.metric, row.seq_len, batch


def _pair(one: list[Outcome], other: list[Outcome]) -> Pair | None:
    first, second = _speeds(one), _speeds(other)
    if first[0] < second[0]:
        one, other, first, second = other, one, second, first
    if first[0] - second[0] <= math.log(CLEAR):
        return None
    row = one[0].row
    return Pair(
        source=row.prefix,
        model=row.model,
        faster=one[0].device,
        slower=other[0].device,
        measured=math.exp(first[0] - second[0]),
        predicted=math.exp(first[1] - second[1]),
        order=_order(first[1], second[1]),
        bandwidth=_order(_bandwidth(one[0].device), _bandwidth(other[0].device)),
    )


def _speeds(runs: list[Outcome]) -> tuple[float, float]:
    """Mean logarithms of the measured and of the predicted speed."""
    sign = 1 if runs[0].row.metric in RATES else -1
    measured = [sign * math.log(o.row.value or math.nan) for o in runs]
    predicted = [sign * math.log(o.predicted or math.nan) for o in runs]
    return sum(measured) / len(runs), sum(predicted) / len(runs)


def _order(faster: float, slower: float) -> float:
    """
    >>> _order(2.0, 1.0), _order(1.0, 1.0), _order(1.0, 2.0)
    (1.0, 0.5, 0.0)
    """
    if math.isclose(faster, slower, rel_tol=1e-9):
        return 0.5
    return 1.0 if faster > slower else 0.0


def _bandwidth(name: str) -> float:
    try:
        return catalogue_device(name).bandwidth
    except RigwiseError:
        return math.nan


def share(found: Iterable[Pair], of: str = "order") -> float | None:
    """Share of the pairs in the right order; of: "order" (the prediction) or "bandwidth"."""
    values = [float(getattr(pair, of)) for pair in found]
    return sum(values) / len(values) if values else None


def by_source(found: Iterable[Pair]) -> Mapping[str, list[Pair]]:
    """The pairs by their source."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair in found:
        groups[pair.source].append(pair)
    return dict(sorted(groups.items()))

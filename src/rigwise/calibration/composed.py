"""Rows that were composed and not measured: how they give themselves away, and what they count for.

A step that was really measured scatters by a percent from run to run. Where the steps of a source lie on a straight
line over the number of layers to a few millionths, each was put together from one profiled layer, and all rows of a
cell (width, tensor degree, micro-batch) say one thing: they count as one row.

    t(L) = a + b L        a: seconds of what is not a layer; b: seconds of a layer; L: layers
    deviation = max |t / (a + b L) - 1| over the depths of a sweep, a and b by least squares

Leaves out: compositions that are not linear in depth. Source: the check is ours, on the tables we carry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rigwise.calibration.outcomes import Outcome
from rigwise.measurements.tables import Row

STRAIGHT = 1e-4  # no clock repeats a training step so closely
_FEWEST = 10  # sweeps over depth from which a source is judged
_DEPTHS = 3  # two points always lie on a line
_KEPT = ("hidden", "heads", "seq_len", "precision", "device", "n_devices", "dp", "tp", "pp", "micro_batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """What a source's sweeps over depth show: median deviation from a line, and the share of sweeps below STRAIGHT."""

    source: str
    rows: int
    cells: int
    sweeps: int
    deviation: float
    straight: float

    @property
    def composed(self) -> bool:
        """Whether the rows can only have been put together."""
        return self.sweeps >= _FEWEST and self.deviation < STRAIGHT


def depths(rows: Iterable[Row]) -> list[Depths]:
    """Each source with sweeps of three depths or more, in the order of their names; a source is a file or a page."""
    sources: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.metric == "step_s" and row.layers and row.value and row.headline:
            sources[source_of(row)].append(row)
    found = [_depths(source, members) for source, members in sorted(sources.items())]
    return [d for d in found if d is not None]


def composed(rows: Sequence[Row]) -> frozenset[str]:
    """The ids of the rows of composed sources."""
    sources = {d.source for d in depths(rows) if d.composed}
    return frozenset(row.id for row in rows if source_of(row) in sources)


def source_of(row: Row) -> str:
    """The file or page that a row was read from, without the place in it."""
    return row.source.partition(" [")[0]


def cell(row: Row) -> Hashable:
    """What all composed rows that come from one profiled layer share."""
    return source_of(row), row.hidden, row.tp, row.micro_batch


def effective(outcomes: Iterable[Outcome], ids: frozenset[str]) -> list[Outcome]:
    """The outcomes with one for each cell of composed rows, that of the middle error; ids: the composed rows."""
    kept, cells = [], defaultdict(list)
    for outcome in outcomes:
        if outcome.row.id in ids and outcome.predicted is not None:
            cells[cell(outcome.row)].append(outcome)
        else:
            kept.append(outcome)
    return kept + [_middle(members) for members in cells.values()]


def _middle(members: list[Outcome]) -> Outcome:
    return sorted(members, key=lambda o: (o.error, o.row.id))[(len(members) - 1) // 2]


def _depths(source: str, rows: Sequence[Row]) -> Depths | None:
    sweeps: dict[Hashable, dict[int, float]] = defaultdict(dict)
    for row in rows:
        micros = (row.global_batch or 0) / ((row.micro_batch or 1) * (row.dp or 1))
        sweeps[(*(getattr(row, key) for key in _KEPT), micros)][row.layers or 0] = row.value or 0.0
    deviations = np.array([_deviation(sweep) for sweep in sweeps.values() if len(sweep) >= _DEPTHS])
    if not len(deviations):
        return None
    return Depths(
        source=source,
        rows=len(rows),
        cells=len({cell(row) for row in rows}),
        sweeps=len(deviations),
        deviation=float(np.median(deviations)),
        straight=float((deviations < STRAIGHT).mean()),
    )


def _deviation(sweep: dict[int, float]) -> float:
    """The largest share by which a time misses the line through the times over depth.

    >>> _deviation({12: 1.2, 16: 1.6, 20: 2.0}) < 1e-12, round(_deviation({12: 1.2, 16: 1.7, 20: 2.0}), 3)
    (True, 0.041)
    """
    layers, seconds = np.array(list(sweep)), np.array(list(sweep.values()))
    line = np.polyval(np.polyfit(layers, seconds, 1), layers)
    return float(np.abs(seconds / line - 1).max())

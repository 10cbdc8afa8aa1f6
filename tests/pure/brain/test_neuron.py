"""A cell with sizes of one's own."""

from __future__ import annotations

import pytest

from rigwise.brain.mapping import GRANULE, PURKINJE, network
from rigwise.brain.neuron import decay, run_cell
from rigwise.errors import NotFoundError, UsageError


def test_sizes_of_ones_own_are_those_that_run() -> None:
    cell = GRANULE.but(["rows=4", "columns=3", "reach=2", "frames=60"])
    trace = run_cell(cell, rate=1000.0, seconds=1.0, seed=0)
    assert len(trace.released) == 60
    assert (trace.cell.inputs, trace.cell.weights) == (12, 2 * 4 * 5)
    assert trace.flops == sum(block.flops for block in network(cell, forward=True).blocks)


def test_a_slower_decay_spreads_charge_more_evenly() -> None:
    narrow, wide = decay(20, 0.1), decay(20, 1.0)
    assert narrow.sum() == pytest.approx(1, rel=1e-6)
    assert narrow[0] / narrow[-1] > wide[0] / wide[-1]


@pytest.mark.parametrize("said", ["rows=0.5", "rows=2..3", "rows=0", "decay=0", "decay=nan", "rows=1e5", "colums=3"])
def test_sizes_that_cannot_be_are_refused(said: str) -> None:
    with pytest.raises((UsageError, NotFoundError)):
        PURKINJE.but([said])

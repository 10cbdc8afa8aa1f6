"""Rows that were composed: found by their straight lines, and counted once a cell."""

from __future__ import annotations

import numpy as np
import pytest

from outcomes import outcome
from rigwise.calibration.composed import cell, composed, depths, effective
from rigwise.measurements.published import rows
from rigwise.measurements.tables import Row


def swept(noise: float, source: str = "lab:table [1]") -> list[Row]:
    """Twelve sweeps of four depths; noise: the standard deviation of what the clock adds, as a share."""
    rng = np.random.default_rng(1)
    made = []
    for width in range(12):
        for layers in (12, 16, 20, 24):
            seconds = (0.1 + 0.02 * layers) * (1 + width) * (1 + noise * rng.standard_normal())
            cells = {"hidden": 512 * (width + 1), "layers": layers, "tp": 1, "dp": 1, "pp": 1, "micro_batch": 1}
            made.append(outcome(f"lab-{len(made)}", seconds, 1.0, source=source, global_batch=8, **cells).row)
    return made


def test_the_one_node_rows_of_vtrain_are_composed_and_nothing_else_is() -> None:
    (found,) = [d for d in depths(rows()) if d.composed]
    assert "ground_truth_single" in found.source
    assert (found.rows, found.cells, found.sweeps) == (694, 32, 105)
    assert found.deviation < 1e-5
    assert found.straight > 0.7
    ids = composed(rows())
    marked = {row.source.partition(" [")[0] for row in rows() if row.id in ids}
    assert marked == {found.source}


@pytest.mark.parametrize(("noise", "is_composed"), [(0.0, True), (1e-6, True), (0.003, False), (0.02, False)])
def test_a_clock_gives_itself_away(noise: float, is_composed: bool) -> None:
    (found,) = depths(swept(noise))
    assert found.composed == is_composed
    assert bool(composed(swept(noise))) == is_composed


def test_a_few_straight_sweeps_prove_nothing() -> None:
    assert not composed(swept(0.0)[:16])
    assert not depths(swept(0.0)[:2])


def test_a_cell_counts_once_by_its_middle_error() -> None:
    shared = {"hidden": 1024, "tp": 2, "micro_batch": 4, "source": "lab:table"}
    cells = [outcome(f"a-{i}", 1.0, 1.0 + error, layers=i, **shared) for i, error in enumerate((0.3, -0.1, 0.1))]
    alone, refused = outcome("b-1", 1.0, 1.2), outcome("a-9", 1.0, None, **shared)
    kept = effective([*cells, alone, refused], frozenset({"a-0", "a-1", "a-2", "a-9"}))
    assert {o.row.id for o in kept} == {"b-1", "a-9", "a-2"}
    assert len({cell(o.row) for o in cells}) == 1
    assert effective(cells, frozenset()) == cells

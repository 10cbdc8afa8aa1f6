"""Predicted beside measured: every second of both sides stands in exactly one row."""

from __future__ import annotations

import pytest

from rigwise import api
from rigwise.calibration.comparison import PARTS, compare

MEASURED = {"compute": 0.5, "communication": 0.2, "loader": 0.05, "optimizer": 0.15, "other": 0.1}


def test_rows_add_up_to_the_step_on_both_sides() -> None:
    predicted = api.estimate("gpt2", "dp=4,tp=2,recompute=full,overlap=none", "8xh100", batch=64)
    *parts, step, memory = compare(predicted, MEASURED, 1.0, 2**30, 0.0)
    assert sum(row.predicted or 0 for row in parts) == pytest.approx(predicted.step_s)
    assert sum(row.measured for row in parts) == pytest.approx(1.0)
    assert (step.predicted, step.interval, step.measured) == (predicted.step_s, predicted.interval, 1.0)
    assert memory.unit == "B"
    assert memory.measured == 2**30
    assert 0 < (memory.predicted or 0) < predicted.memory_total


def test_no_part_of_the_estimate_is_counted_twice_or_left_out() -> None:
    predicted = api.estimate("gpt2", "dp=8", "8xh100", batch=64)
    ours = [part for parts, _ in PARTS.values() for part in parts]
    assert sorted(ours) == sorted(predicted.time)


def test_without_a_prediction_the_measurement_stands_alone() -> None:
    rows = list(compare(None, MEASURED, 1.0, 10.0, 0.0))
    assert {row.predicted for row in rows} == {None}
    assert {row.interval for row in rows} == {None}
    assert [row.to_dict()["measured"] for row in rows][-2:] == [1.0, 10.0]


def test_where_the_process_is_measured_what_comes_above_its_base_is_compared() -> None:
    predicted = api.estimate("gpt2", "dp=8", "8xh100", batch=64)
    *_, tensors = compare(predicted, MEASURED, 1.0, 2**30, 0.0)
    *_, process = compare(predicted, MEASURED, 1.0, 2**30, 2**28)
    assert process.predicted == predicted.memory_total - predicted.memory["context"]
    assert process.measured == 2**30 - 2**28
    assert tensors.predicted == process.predicted - predicted.memory["buffers"]
    assert tensors.part != process.part

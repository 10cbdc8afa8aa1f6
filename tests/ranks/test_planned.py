"""What `plan` says, `run` does: layouts of its answers train as one process does."""

from __future__ import annotations

from functools import cache
from random import Random

import numpy as np
import pytest

import rigwise
from rigwise.layouts.layout import Layout
from training import train

TASKS = {"digits": 48, "mlp": 48, "characters": 24, "experts": 48}
CLOSE = 1e-5  # float32


@cache
def alone(task: str, steps: int) -> np.ndarray:
    return np.array(train(task, "dp=1", batch=TASKS[task], steps=steps).losses)


def answers(task: str, ranks: int, count: int) -> list[Layout]:
    """Some of the best layouts for this machine, drawn; the first among them."""
    found = rigwise.plan(task, f"this:{ranks}", batch=TASKS[task], top=60, precision="float32")
    layouts = list(dict.fromkeys(row.layout for row in (*found.layouts, *found.pareto)))
    return [layouts[0], *Random(f"{task} {ranks}").sample(layouts[1:], count - 1)]


def do(task: str, ranks: int, count: int, steps: int) -> None:
    wanted = alone(task, steps)
    for layout in answers(task, ranks, count):
        losses = np.array(train(task, layout, batch=TASKS[task], steps=steps).losses)
        assert np.max(np.abs(losses - wanted) / np.abs(wanted)) < CLOSE, str(layout)


@pytest.mark.parametrize(("task", "ranks"), [("digits", 4), ("experts", 2)])
def test_a_planned_layout_runs(task: str, ranks: int) -> None:
    do(task, ranks, count=3, steps=3)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("task", TASKS)
def test_many_planned_layouts_run(task: str, ranks: int) -> None:
    do(task, ranks, count=8, steps=20)

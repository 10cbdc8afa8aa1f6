"""Any number of ranks trains the same network: the losses of every step agree with one process."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from rigwise.layouts.layout import Layout
from training import train

FLOAT32, FLOAT64 = 1e-5, 1e-12


@cache
def alone(task: str, batch: int, steps: int) -> tuple[float, ...]:
    return train(task, "dp=1", batch=batch, steps=steps).losses


def gap(task: str, layout: str, batch: int, steps: int) -> float:
    """The largest relative difference of a step's loss from one rank with one micro-batch."""
    together = np.array(train(task, layout, batch=batch, steps=steps).losses)
    reference = np.array(alone(task, batch, steps))
    assert len(together) == len(reference) == steps
    return float(np.max(np.abs(together - reference) / reference))


@pytest.mark.parametrize("layout", ["dp=2", "dp=3", "dp=4", "dp=2,micro=6", "dp=1,micro=4", "dp=2,overlap=none"])
def test_digits_train_alike_on_any_number_of_ranks(layout: str) -> None:
    assert gap("digits", layout, batch=48, steps=20) < FLOAT32


@pytest.mark.parametrize("task", ["mlp", ":batches", ":idle"])
def test_other_tasks_train_alike(task: str) -> None:
    assert gap(task, "dp=3,micro=8", batch=48, steps=20) < FLOAT32


def test_the_character_transformer_trains_alike() -> None:
    assert gap("characters", "dp=2,micro=1", batch=4, steps=3) < FLOAT32


def test_double_precision_agrees_to_its_last_digits() -> None:
    assert gap(":double", "dp=4,micro=6", batch=48, steps=20) < FLOAT64


def test_epochs_begin_and_end_alike() -> None:
    """200 samples are 4 batches of 48: 11 steps see three epochs."""
    assert gap(":plain", "dp=3", batch=48, steps=11) < FLOAT32


def test_the_order_follows_the_seed() -> None:
    assert train(":plain", seed=1).losses == train(":plain", seed=1).losses != train(":plain", seed=2).losses


def test_bfloat16_is_near_and_not_equal() -> None:
    reference = np.array(alone(":plain", 48, 8))
    rounded = np.array(train(":plain", Layout(dp=2, micro=24, precision="bfloat16"), batch=48).losses)
    assert 1e-6 < np.max(np.abs(rounded - reference) / reference) < 5e-2


def test_digits_are_learnt() -> None:
    losses = train("digits", "dp=2", steps=60).losses
    assert np.mean(losses[-5:]) < 0.5 * losses[0]

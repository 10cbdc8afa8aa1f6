"""Data that is loaded beside the training: the same training, and mistakes in it are told as always."""

from __future__ import annotations

import pytest

from rigwise.errors import UsageError
from training import train


def test_who_loads_changes_no_number() -> None:
    between = train(":noisy", loaders=0).losses
    assert train(":noisy", loaders=1).losses == between
    assert train(":noisy", loaders=3).losses == between


def test_a_run_goes_on_bit_for_bit_with_data_loaded_beside_it() -> None:
    whole = train(":noisy", steps=9, output="whole", loaders=2)
    train(":noisy", steps=5, output="parts", loaders=1)
    assert train(":noisy", steps=9, output="parts", resume=True, loaders=0).losses == whole.losses


@pytest.mark.parametrize("loaders", [0, 2])
def test_a_broken_sample_is_told_with_its_place(loaders: int) -> None:
    with pytest.raises(UsageError, match=r"rank . of 2: the task's data raised KeyError at taskfile.py:\d+: 'a broken"):
        train(":broken_sample", loaders=loaders)


def test_more_loaders_than_anybody_wants_are_refused() -> None:
    with pytest.raises(UsageError, match="loaders=1000"):
        train(":plain", loaders=1000)

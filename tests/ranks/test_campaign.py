"""Kills in a row, anybody at any instant: nothing is left, nothing is torn, and the training is the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from campaign import campaign, finish, newest
from training import train


def same_after(kills: int, seed: int) -> None:
    output = Path("out").absolute()
    struck = campaign(kills, seed, output)
    assert len(struck) == kills
    steps = newest(output) + 3
    assert tuple(finish(output, steps)) == train(":slow", steps=steps).losses


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_fifty_kills_leave_the_training_as_it_was() -> None:
    same_after(50, seed=7)

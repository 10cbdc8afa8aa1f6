"""A rank killed at any moment: no more is lost than the steps since the last checkpoint, and the curve is the same."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from rigwise.errors import LaunchError
from rigwise.run.job import StepRecord
from training import pids, train

STEPS, EVERY, KILLS = 60, 5, 4


def test_ranks_killed_at_random_moments_lose_little_and_the_losses_are_those_of_an_undisturbed_run() -> None:
    draw = random.Random(4)
    whole = train(":slow", steps=STEPS, output="whole").losses
    begun = False
    for _ in range(KILLS):
        last = 0

        def kill(record: StepRecord, after: int = draw.randint(3, 12), seen: list[int] = []) -> None:  # noqa: B006
            nonlocal last
            last = record.step
            seen.append(record.step)
            if len(seen) == after:
                os.kill(draw.choice(pids(Path("out"))), signal.SIGKILL)

        before = _latest()
        with pytest.raises(LaunchError, match="was killed by SIGKILL"):
            train(":slow", steps=STEPS, output="out", resume=begun, checkpoint_every=EVERY, on_step=kill)
        begun = _latest() > 0
        assert _latest() >= max(before, last - 2 * EVERY)  # the last but one, where the last was being written
    resumed = train(":slow", steps=STEPS, output="out", resume=begun)
    assert resumed.resumed_from == _latest(resumed_to=STEPS)
    assert resumed.losses == whole


def _latest(resumed_to: int = 0) -> int:
    steps = [int(path.name.removeprefix("step-")) for path in Path("out/checkpoints").glob("step-*")]
    return max((step for step in steps if step != resumed_to), default=0)

"""Checkpoints: a run that goes on is, bit for bit, the run that never stopped; a failed write leaves the older one."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rigwise.errors import LaunchError, UsageError
from rigwise.run.result import RunResult
from training import KILLER, train


def kept(run: RunResult) -> dict[str, Any]:
    """Every tensor of a run's last checkpoint."""
    pytest.importorskip("torch")
    from rigwise.run.keeping.filling import whole

    return whole(run.checkpoint)


@pytest.mark.parametrize("task", [":dropout", ":batches", "digits"])
def test_a_resumed_run_goes_on_bit_for_bit(task: str) -> None:
    whole = train(task, steps=9, output="whole")
    train(task, steps=5, output="parts")
    resumed = train(task, steps=9, output="parts", resume=True)
    assert resumed.resumed_from == 5
    assert resumed.losses == whole.losses
    first, second = (kept(run) for run in (whole, resumed))
    assert first.keys() == second.keys()
    assert any(name.startswith("optimizer/") for name in first)
    assert all(second[name].equal(tensor) for name, tensor in first.items())


def test_a_killed_run_resumed_on_other_ranks_has_the_losses_of_an_undisturbed_one() -> None:
    whole = train(":killed", "dp=2", steps=10)
    Path(KILLER).touch()
    with pytest.raises(LaunchError, match="rank 0 of 2 was killed by SIGKILL"):
        train(":killed", "dp=2", steps=10, output="out", checkpoint_every=2)
    Path(KILLER).unlink()
    last = int(Path("out/checkpoints/LATEST").read_text().removeprefix("step-"))
    assert last in (4, 6)  # that of step 6 was being written when the rank was killed at step 7
    resumed = train(":killed", "dp=4", steps=10, output="out", resume=True)
    assert resumed.resumed_from == last
    assert resumed.losses[:last] == whole.losses[:last]
    assert resumed.losses == pytest.approx(whole.losses, rel=1e-5)
    steps = [json.loads(line)["step"] for line in resumed.log.read_text().splitlines()]
    assert steps == list(range(1, 11))


def test_two_runs_do_not_share_a_folder() -> None:
    Path("out").mkdir()
    held = os.open("out", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(UsageError, match=r"another run is at work in .*out"):
        train(":plain", output="out")
    os.close(held)
    assert train(":plain", output="out").steps == 8


def test_two_checkpoints_are_kept() -> None:
    train(":plain", steps=7, output="out", checkpoint_every=2)
    found = sorted(path.name for path in Path("out/checkpoints").iterdir())
    assert found == ["LATEST", "step-00000006", "step-00000007"]


def test_a_torn_checkpoint_is_left_out_and_said() -> None:
    whole = train(":plain", steps=8, output="out", checkpoint_every=4)
    part = whole.checkpoint / "__1_0.distcp"
    part.write_bytes(part.read_bytes()[:1000])
    resumed = train(":plain", steps=10, output="out", resume=True)
    assert resumed.resumed_from == 4
    assert any("step-00000008 cannot be read" in warning for warning in resumed.warnings)
    assert resumed.losses[:8] == whole.losses


def test_nothing_that_can_be_read_is_an_error() -> None:
    whole = train(":plain", steps=2, output="out")
    (whole.checkpoint / ".metadata").write_bytes(b"not a checkpoint")
    with pytest.raises(UsageError, match=r"no checkpoint to resume from .*step-00000002 cannot be read"):
        train(":plain", steps=4, output="out", resume=True)


@pytest.mark.parametrize(
    ("task", "other", "words"),
    [
        (":plain", {"seed": 1}, "trained with seed 0, this run has seed 1"),
        (":plain", {"batch": 24}, "trained with batch 48, this run has batch 24"),
        (":plain", {"steps": 2}, "the checkpoint is at step 2, and 2 steps are asked for"),
        (":plain", {"resume": False}, "holds another run's checkpoints"),
        (":dropout", {}, "trained with task .*plain"),
    ],
)
def test_another_training_is_not_gone_on_with(task: str, other: dict[str, object], words: str) -> None:
    train(":plain", "dp=1", steps=2, output="out")
    with pytest.raises(UsageError, match=words):
        train(task, "dp=1", **{"steps": 4, "output": "out", "resume": True, **other})


def test_there_is_nothing_to_resume_in_an_empty_folder() -> None:
    with pytest.raises(UsageError, match="no checkpoint to resume from"):
        train(":plain", output="empty", resume=True)
    assert not Path("empty").exists()


def test_a_full_disk_is_said_and_leaves_no_half_checkpoint() -> None:
    with pytest.raises(LaunchError, match=r"cannot write the checkpoint of step 3 .*File too large") as caught:
        train(":heavy", "dp=1", steps=3, output="out")
    assert caught.value.rule == "a checkpoint is complete or not there"
    assert list(Path("out/checkpoints").iterdir()) == []
    assert len(Path("out/log.jsonl").read_text().splitlines()) == 3

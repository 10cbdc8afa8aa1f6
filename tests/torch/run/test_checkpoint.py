"""Checkpoints are complete or not there."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rigwise.errors import LaunchError, UsageError
from rigwise.layouts.layout import Layout
from rigwise.run import checkpoint
from rigwise.run.parallel.parallel import Parallel, parallelize

CPU = torch.device("cpu")


def state(value: float, **other: Any) -> dict[str, Any]:
    model = nn.Linear(3, 2)
    nn.init.constant_(model.weight, value)
    optimizer = torch.optim.Adam(model.parameters())
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "task": "t",
        "batch": 8,
        "seed": 0,
        **other,
    }


def alone(model: nn.Module) -> Parallel:
    return parallelize(model, Layout(precision="float32"), inputs=torch.ones(1, 3))


def test_the_last_that_was_saved_comes_back(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, state(step))
    restored = checkpoint.restore(tmp_path, CPU)
    assert restored.path.name == "step-00000003"
    assert restored.state["step"] == 3
    assert restored.skipped == ()
    model = nn.Linear(3, 2)
    checkpoint.fill(alone(model), torch.optim.Adam(model.parameters()), restored)
    assert torch.equal(model.weight, torch.full((2, 3), 3.0))


def test_latest_decides_and_not_the_highest_number(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 4, state(4))
    newest = checkpoint.save(tmp_path, 5, state(5))
    (newest.parent / "LATEST").write_text("step-00000004\n")
    assert checkpoint.restore(tmp_path, CPU).state["step"] == 4


@pytest.mark.parametrize("where", ["_write", "replace_text"])
def test_a_disk_that_is_full_at_any_moment_leaves_the_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    older = checkpoint.save(tmp_path, 1, state(1))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, where, full)
    with pytest.raises(LaunchError, match=r"step 2 .*No space left on device; .* are free there") as caught:
        checkpoint.save(tmp_path, 2, state(2))
    assert str(older) in caught.value.nearest
    assert checkpoint.restore(tmp_path, CPU).state["step"] == 1
    assert not list(tmp_path.glob("checkpoints/.partial-*"))


def test_a_folder_that_was_never_finished_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, state(1))
    aside = tmp_path / "checkpoints" / ".partial-00000002"
    aside.mkdir()
    (aside / "state.pt").write_bytes(b"half")
    assert checkpoint.restore(tmp_path, CPU).state["step"] == 1
    checkpoint.save(tmp_path, 2, state(2))
    assert not aside.exists()


def test_another_model_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, 1, state(1))
    model = nn.Linear(4, 2)
    with pytest.raises(UsageError, match=r"does not fit the task's model or optimizer: .*weight has shape \[2, 3\]"):
        checkpoint.fill(alone(model), torch.optim.Adam(model.parameters()), checkpoint.restore(tmp_path, CPU))


def test_no_code_is_run_by_reading(tmp_path: Path) -> None:
    """A checkpoint may come from elsewhere: objects other than tensors and plain values are refused."""
    path = checkpoint.save(tmp_path, 1, state(1))
    torch.save({"model": Path("x"), "step": 1}, path / "state.pt")
    with pytest.raises(UsageError, match="cannot be read"):
        checkpoint.restore(tmp_path, CPU)

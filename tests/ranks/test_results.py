"""What a run leaves behind and says: log, checkpoint, result, warnings, progress."""

from __future__ import annotations

import json
import sys
from math import isclose
from pathlib import Path

import pytest

from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout
from rigwise.run.job import PARTS, StepRecord
from training import train


def test_the_log_has_a_line_for_every_step_and_says_what_the_result_says() -> None:
    result = train(":plain", "dp=2,micro=6")
    lines = [json.loads(line) for line in result.log.read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert [line["loss"] for line in lines] == list(result.losses)
    for line in lines:
        assert set(line["parts"]) == set(PARTS)
        assert 0 < sum(line["parts"].values()) <= line["step_s"]
        assert isclose(line["samples_per_s"], 48 / line["step_s"])
        assert line["memory"] > 0


def test_every_step_is_told_in_order() -> None:
    told: list[StepRecord] = []
    result = train(":plain", on_step=told.append, steps=50)
    assert [record.step for record in told] == list(range(1, 51))
    assert [record.loss for record in told] == list(result.losses)


def test_the_result_adds_up_and_is_written_down() -> None:
    result = train(":plain", "dp=2,micro=6")
    assert (result.world, result.batch, result.steps) == (2, 48, 8)
    assert str(result.layout) == "dp=2,micro=6,precision=float32"
    assert list(result.parts) == ["compute", "communication", "loader", "optimizer", "other"]
    assert result.parts["communication"] > 0
    assert sum(result.parts.values()) >= result.step_s * 0.999
    assert isclose(result.samples_per_s, result.batch / result.step_s)
    assert 0 < result.base_memory <= result.peak_memory
    assert (result.checkpoint / "record.json").is_file()
    assert result.versions["backend"] == "gloo"
    assert json.loads((result.output / "result.json").read_text()) == json.loads(json.dumps(result.to_dict()))


def test_one_rank_exchanges_nothing() -> None:
    result = train(":plain", "dp=1")
    assert result.parts["communication"] == 0
    assert result.versions["backend"] == "none"


@pytest.mark.parametrize("layout", ["dp=2", "dp=2,zero=3", "tp=2", "pp=2,micro=8"])
def test_waiting_for_others_is_communication_and_the_passes_are_not(layout: str) -> None:
    """Each part of a step is there, whatever inside of the passes waits: none of them takes in another's time."""
    lines = [json.loads(line) for line in train(":plain", layout).log.read_text().splitlines()]
    passes = ("backward",) if "pp" in layout else ("forward", "backward")  # a pipeline's passes are told as one
    for line in lines:
        assert all(line["parts"][part] > 0 for part in (*passes, "communication"))
        assert sum(line["parts"].values()) <= line["step_s"]


def test_a_layout_record_is_taken_as_it_is_and_a_spelling_is_filled_in() -> None:
    assert train(":plain", Layout(dp=2, micro=8, precision="float32")).layout.micro == 8
    assert train(":plain", "dp=2").layout.micro == 24


def test_runs_without_an_output_folder_do_not_meet() -> None:
    outputs = {train(":plain", "dp=1", steps=1).output for _ in range(2)}
    assert len(outputs) == 2
    assert {output.parent for output in outputs} == {Path.cwd() / "rigwise-runs"}


@pytest.mark.parametrize(
    ("task", "layout", "words"),
    [
        (":batchnorm", "dp=2", "batch statistics of '1' are a rank's own"),
        (":idle", "dp=2", "the loss does not reach 'idle.weight', 'idle.bias'"),
    ],
)
def test_what_a_reader_of_the_losses_should_know_is_said(task: str, layout: str, words: str) -> None:
    assert any(words in warning for warning in train(task, layout).warnings)


def test_nothing_is_said_of_batch_statistics_on_one_rank() -> None:
    assert train(":batchnorm", "dp=1").warnings == ()


def test_more_ranks_than_cores_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["rigwise.run.hearing"], "cores", lambda: 1)
    assert "2 ranks share 1 core:" in train(":plain").warnings[0]


def test_running_statistics_move_once_a_step() -> None:
    """The pass before training, which only looks, has been undone."""
    pytest.importorskip("torch")
    from rigwise.run.keeping.filling import weights

    state = weights(train(":batchnorm", "dp=2", steps=3).checkpoint)
    assert int(state["1.num_batches_tracked"]) == 3
    assert state["1.running_mean"].abs().max() > 0


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"steps": 0}, "steps=0"),
        ({"batch": -4}, "batch=-4"),
        ({"seed": -1}, "seed=-1"),
        ({"device": "tpu"}, "device='tpu'"),
        ({"checkpoint_every": -1}, "checkpoint_every=-1"),
        ({"resume": True}, "resume without an output folder"),
        ({"batch": 50, "layout": "dp=4"}, "batch 50 does not divide by dp 4"),
        ({"batch": 240}, "the dataset has 200 samples, the global batch 240"),
        ({"layout": "dp=2,offload=all"}, "offload=all"),
        ({"batch": 48, "layout": "pp=2,micro=10"}, "batch 48 does not divide by dp 1 x micro 10"),
        ({"layout": "dp=2,precision=tf32"}, "precision=tf32 on a CPU"),
    ],
)
def test_what_cannot_be_is_refused_with_its_number(other: dict[str, object], words: str) -> None:
    layout = other.pop("layout", "dp=2")
    with pytest.raises(UsageError, match=words.replace("(", r"\(")) as caught:
        train(":plain", layout, **other)
    assert caught.value.exit_code == 2
    assert caught.value.rule


def test_a_batch_that_the_data_fixes_is_not_changed() -> None:
    with pytest.raises(UsageError, match="batch 24, but the data comes in batches of 48"):
        train(":batches", batch=24)


def test_an_output_folder_that_cannot_be_written_is_refused() -> None:
    Path("file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to output folder .*file"):
        train(":plain", output="file")

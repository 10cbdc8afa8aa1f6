"""What travels between ranks and launcher: jobs, reports, failures."""

from __future__ import annotations

import json
import os
import select
from pathlib import Path

import pytest

from rigwise.errors import LaunchError, NotFoundError, RigwiseError, UsageError
from rigwise.files import replace_text
from rigwise.layouts.layout import Layout
from rigwise.run.failures import cause, ended, told
from rigwise.run.job import Job, StepRecord
from rigwise.run.log import Log, losses
from rigwise.run.reporter import Reporter
from rigwise.run.result import median_parts, summary, warm


def job(**other: object) -> Job:
    usual: dict[str, object] = {
        "task": "digits",
        "layout": Layout(dp=2),
        "whole": True,
        "steps": 3,
        "batch": None,
        "seed": 0,
        "output": "out",
        "resume": False,
        "device": "cpu",
        "checkpoint_every": 0,
        "rendezvous": "file:///nowhere",
        "threads": 1,
    }
    return Job(**{**usual, **other})


def record(step: int, seconds: float = 1.0, **parts: float) -> StepRecord:
    return StepRecord(step=step, loss=0.5, step_s=seconds, samples_per_s=64 / seconds, memory=1, parts=parts)


def test_a_job_travels_as_json() -> None:
    sent = job(layout=Layout(dp=4, micro=2, precision="float32"), batch=64)
    assert Job.from_dict(json.loads(json.dumps(sent.to_dict()))) == sent
    assert sent.world == 4


@pytest.mark.parametrize(("key", "value"), [("steps", 0), ("batch", 1.5), ("seed", True), ("device", "mps")])
def test_a_job_is_checked_at_birth(key: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"{key}="):
        job(**{key: value})


@pytest.fixture
def pipe() -> tuple[int, Reporter]:
    end, start = os.pipe()
    os.set_blocking(end, False)
    return end, Reporter(start, "j", 3)


def test_step_records_wait_a_moment_and_come_in_order(pipe: tuple[int, Reporter]) -> None:
    end, reporter = pipe
    for step in range(40):
        reporter.step(record(step).to_dict())
    reporter.send("done")
    reports = [json.loads(line) for line in os.read(end, 1 << 16).splitlines()]
    assert [report["record"]["step"] for report in reports[:-1]] == list(range(40))
    assert reports[-1] == {"job": "j", "rank": 3, "kind": "done"}


@pytest.mark.parametrize("text", ["x" * 10_000, "é\n" * 5_000, "\0" * 9_000, "😀" * 9_000])
def test_a_report_is_never_longer_than_a_pipe_keeps_whole(pipe: tuple[int, Reporter], text: str) -> None:
    end, reporter = pipe
    reporter.send("error", error="usage", says=text, rule=text, nearest=text)
    line = os.read(end, 1 << 16)
    assert len(line) <= select.PIPE_BUF
    assert json.loads(line)["says"].startswith(text[:10])


def test_the_cause_is_the_rank_that_died_and_not_those_that_missed_it() -> None:
    lost = told(0, 3, {"error": "lost", "says": "Connection closed by peer", "rule": "", "nearest": ""})
    raised = told(1, 3, {"error": "usage", "says": "no", "rule": "r", "nearest": "n"})
    dead = ended(2, 3, -9, 17, Path("none"))
    assert not lost.certain
    assert raised.certain
    assert cause([lost, raised]).rank == 1
    assert cause([lost, raised, dead]).rank == 2
    assert isinstance(lost.error, LaunchError)


def test_an_error_arrives_as_the_class_that_it_was() -> None:
    sent = NotFoundError("no such", rule="r", nearest="n")
    found = told(0, 1, sent.to_dict()).error
    assert type(found) is NotFoundError
    assert str(found) == str(sent)
    assert type(told(0, 1, {**sent.to_dict(), "error": "internal"}).error) is RigwiseError


def test_a_silent_end_shows_the_last_that_was_printed(tmp_path: Path) -> None:
    prints = tmp_path / "rank-0.txt"
    prints.write_text("\n".join(f"line {number}" for number in range(9)))
    says = ended(0, 2, 3, 0, prints).error.says
    assert says == (
        "rank 0 of 2 ended with exit code 3 before a step was reported; "
        "it last printed: line 4 | line 5 | line 6 | line 7 | line 8"
    )


@pytest.mark.parametrize(("steps", "kept"), [(1, 1), (2, 1), (9, 5), (10, 5), (100, 95)])
def test_timings_leave_out_the_first_steps_but_never_all(steps: int, kept: int) -> None:
    assert len(warm([record(step) for step in range(steps)])) == kept


def test_medians_of_ranks_add_up() -> None:
    fast = median_parts([record(step, 2.0, forward=0.5, backward=1.0) for step in range(11)])
    slow = median_parts([record(step, 4.0, forward=1.5, backward=1.0, loader=0.5) for step in range(11)])
    both = summary([{**fast, "peak": 10, "base": 4}, {**slow, "peak": 12, "base": 3}])
    assert both["step_s"] == 3.0
    assert both["parts"] == {"compute": 2.0, "communication": 0.0, "loader": 0.25, "optimizer": 0.0, "other": 0.75}
    assert (both["peak_memory"], both["base_memory"]) == (12, 3)


def test_a_log_goes_on_after_the_step_it_is_resumed_from(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    first = Log(path, keep=0)
    for step in range(1, 6):
        first.write({"step": step, "loss": step / 3})
    first.close()
    with path.open("a") as file:
        file.write('{"step": 6, "lo')  # killed in the writing
    second = Log(path, keep=3)
    second.write({"step": 4, "loss": 9.0})
    second.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]
    assert losses(path, before=3) == [1 / 3, 2 / 3, 1.0]


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    replace_text(path, "old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        replace_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]

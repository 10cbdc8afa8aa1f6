"""Measuring with real ranks: rows, links, a replay, a profile, and an estimate that says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rigwise import api
from rigwise.cli.main import main
from rigwise.errors import NotFoundError, UsageError
from rigwise.measure.start import found

TASK = """
import torch
from torch import nn
from rigwise import Task

def task():
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))
    data = torch.utils.data.TensorDataset(torch.randn(64, 16), torch.zeros(64, dtype=torch.long))
    return Task(model, nn.functional.cross_entropy, data, lambda p: torch.optim.SGD(p, lr=0.1), batch=32)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "net.py").write_text(TASK)
    return f"{tmp_path / 'net.py'}:task"


def test_two_ranks_measure_what_lies_between_them() -> None:
    rows = found(("links",), world=2, threads=1, device="cpu").rows
    kinds = {row.kind for row in rows}
    assert kinds == {"all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send", "meeting"}
    assert all(row.value > 0 and row.sizes["ranks"] == 2 for row in rows)


def test_measure_calibrate_and_an_estimate_measured_here(own: str, capsys) -> None:
    with pytest.raises(NotFoundError, match="no measurement"):
        api.calibrate_here()
    told: list[str] = []
    done = api.measure(seconds=1, settings=[(1, 1)], device="cpu", on_part=lambda what, _: told.append(what))
    assert {what.split(": ")[1] for what in told} == {"loop", "heap", "host", "memory", "optimizers", "probes"}
    assert done[0].session == 1
    profiles = api.calibrate_here()
    assert [(p.ranks, p.threads) for p in profiles] == [(1, 1)]
    said = api.estimate(own, "dp=1", "this:1")  # the tests run on one thread
    assert said.basis.startswith("measured here (this, ")
    assert main(["history", "--json"]) == 0
    assert [s["kind"] for s in json.loads(capsys.readouterr().out)["sessions"]] == ["measure"]


def test_a_replay_tells_a_step_by_part_and_its_operations(own: str) -> None:
    done = api.replay(own, seconds=0.1)
    assert done.operations > 8
    assert done.operations_s > 0
    assert done.step_s == pytest.approx(sum(done.parts.values()))
    assert done.parts["communication"] == 0 < done.parts["compute"]
    assert set(done.parts) == {"compute", "communication", "optimizer", "loader", "other"}
    assert done.layout.micro == 32  # the batch at once, as `run` takes it


@pytest.mark.parametrize("layout", ["dp=2", "tp=2"])
def test_ranks_replay_a_step_together_with_what_they_exchange(own: str, layout: str) -> None:
    done = api.replay(own, layout, threads=1, seconds=0.1)
    assert (done.ranks, done.threads) == (2, 1)
    assert done.parts["compute"] > 0
    assert done.parts["communication"] > 0
    assert done.steps >= 5
    with pytest.raises(UsageError, match="a replay takes dp or tp"):
        api.replay(own, "pp=2")


def test_a_run_goes_into_the_history_beside_its_prediction(own: str, tmp_path: Path) -> None:
    report = api.run(own, steps=8, output=tmp_path / "out", device="cpu")
    assert report.session == 1
    listing = api.history()
    session, rows = listing.sessions[0]
    assert session.kind == "run"
    assert session.findings["evidence"]["faults"] >= 0
    assert {one.measured.part for one in rows} >= {"total", "compute", "communication", "loader", "optimizer", "memory"}
    total = next(one for one in rows if one.measured.part == "total")
    assert total.measured.value == report.result.step_s
    assert total.predicted == pytest.approx(report.predicted.step_s if report.predicted else None)
    table = tmp_path / "runs.csv"
    assert main(["history", "--csv", str(table), "--picture", str(tmp_path / "runs.svg"), "--quiet"]) == 0
    assert "local-1-step" in table.read_text()
    assert (tmp_path / "runs.svg").read_text().startswith("<svg")


def test_a_run_can_leave_the_history_alone(own: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RIGWISE_HISTORY", "off")
    assert api.run(own, steps=4, output=tmp_path / "out", device="cpu").session is None
    monkeypatch.setenv("RIGWISE_HISTORY", str(tmp_path / "net.py" / "h"))
    report = api.run(own, steps=4, output=tmp_path / "again", device="cpu")
    assert report.session is None
    assert "cannot keep a history" in report.not_kept


@pytest.mark.parametrize(
    "words", [["--seconds", "0"], ["--ranks", "0"], ["--batch", "3"], ["--replay", "nothing"], ["--seconds", "nan"]]
)
def test_bad_input_is_refused_in_words(words: list[str], capsys) -> None:
    assert main(["measure", *words]) in (2, 4)
    assert "Traceback" not in capsys.readouterr().err


JOINED = """
import sys
from rigwise.measure.job import MeasureJob
from rigwise.measure.joined import joined
from rigwise.run.seats import seat

here = seat()
job = MeasureJob(world=2, threads=1, parts=("pace",), seconds=0.1, output="", device="cpu", rendezvous="")
found = joined(here, job, None)
print(here.rank, found.world, *sorted(row.which for row in found.rows))
"""


@pytest.mark.slow
def test_ranks_of_another_launcher_measure_together(tmp_path: Path) -> None:
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path), "PMI_SIZE": "2"}
    seats = [{**own, "PMI_RANK": str(rank), "MPI_LOCALRANKID": str(rank), "MPI_LOCALNRANKS": "2"} for rank in (0, 1)]
    started = [
        subprocess.Popen([sys.executable, "-c", JOINED], env=each, stdout=subprocess.PIPE, text=True) for each in seats
    ]
    said = [process.communicate(timeout=120)[0].split() for process in started]
    assert said == [[str(rank), "2", "call", "conv", "product", "stream"] for rank in (0, 1)]

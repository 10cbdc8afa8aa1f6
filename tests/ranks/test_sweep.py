"""Sweeps: many runs side by side, kept, gone on with, and failing apart."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rigwise import api
from rigwise.errors import NotFoundError, UsageError
from rigwise.report.sweep import sweep_svg
from rigwise.run.chosen import fitted, read
from rigwise.run.sweep import grid, named

TASK = """
import os
import time
import torch
from torch.utils.data import TensorDataset
import rigwise

def task(lr=0.1, wide=4, slow=False, fail=False):
    if fail:
        raise ValueError("not like this")
    torch.manual_seed(0)
    def loss(out, target):
        if slow and not os.path.exists("go"):
            time.sleep(0.1)
        return (out - target).square().mean()
    x = torch.randn(64, 3)
    net = torch.nn.Sequential(torch.nn.Linear(3, wide), torch.nn.Tanh(), torch.nn.Linear(wide, 1))
    data = TensorDataset(x, x.sum(1, keepdim=True))
    return rigwise.Task(net, loss, data, lambda p: torch.optim.SGD(p, lr=lr), batch=16)
"""


@pytest.fixture(autouse=True)
def _task(_own_folder: None) -> None:
    Path("net.py").write_text(TASK)


def test_every_point_is_trained_and_the_best_is_told() -> None:
    heard: list[str] = []
    words = {"steps": 8, "device": "cpu", "output": "out"}
    found = api.sweep("net.py:task", ["lr=0.2,0.001", "batch=8,16"], on_outcome=lambda o: heard.append(o.name), **words)
    assert [one.name for one in found.outcomes] == [
        "lr=0.2,batch=8", "lr=0.2,batch=16", "lr=0.001,batch=8", "lr=0.001,batch=16",
    ]  # fmt: skip
    assert sorted(heard) == sorted(one.name for one in found.outcomes)
    assert found.best is not None
    assert found.best.point["lr"] == 0.2
    alone = api.run("net.py:task", steps=8, batch=16, device="cpu", settings={"lr": 0.001}).result
    assert found.outcomes[3].losses == alone.losses  # beside others it is the same training
    assert alone.to_dict()["settings"] == {"lr": 0.001}
    again = api.sweep("net.py:task", ["lr=0.2,0.001,0.01", "batch=8,16"], **words)
    assert [one.kept for one in again.outcomes] == [True] * 4 + [False] * 2
    assert "best" in sweep_svg(again)
    with pytest.raises(UsageError, match="holds a sweep with steps 8"):
        api.sweep("net.py:task", ["lr=0.2"], **{**words, "steps": 9})


def test_a_run_that_fails_ends_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    from rigwise.cli.main import main

    words = ["sweep", "net.py:task", "--over", "fail=true,false", "--steps", "4", "--device", "cpu", "--csv", "t.csv"]
    assert main([*words, "--json", "--output", "out"]) == 5
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["state"] for run in runs] == ["failed", "done"]
    assert "raised ValueError at net.py" in runs[0]["error"]
    assert [row["state"] for row in csv.DictReader(Path("t.csv").read_text().splitlines())] == ["failed", "done"]


def test_stopped_by_ctrl_c_it_goes_on_where_it_was() -> None:
    words = ["-m", "rigwise", "sweep", "net.py:task", "--over", "seed=0..1", "--set", "slow=true", "--steps", "300"]
    words += ["--device", "cpu", "--output", "out", "--at-once", "2"]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, *words], env=own, text=True, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(list(Path("out").glob("*/log.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 130, said
    Path("go").touch()  # until here the steps took a minute, however slow the machine
    found = api.sweep(
        "net.py:task", ["seed=0..1"], steps=300, settings={"slow": True}, device="cpu", output="out", at_once=2
    )
    results = [json.loads((Path(one.output) / "result.json").read_text()) for one in found.outcomes]
    assert all(result["resumed_from"] > 0 and len(result["losses"]) == 300 for result in results)


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ([], "over nothing"),
        (["lr"], "--over 'lr'"),
        (["lr=0.1", "lr=0.2"], "twice"),
        (["seed=3..1"], "first is not above last"),
        (["seed=0.5"], "seed is a whole number"),
        (["lr=0.1,,0.2"], "empty value"),
        (["seed=0..99999"], "whole numbers"),
        (["wide=4,x"], "wide is a int"),
    ],
)
def test_grids_that_are_refused(over: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        api.sweep("net.py:task", over, device="cpu", output="out")
    assert not Path("out").exists()


def test_a_parameter_that_the_task_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(NotFoundError, match=r"no parameter of net.py:task 'lrr'.*lr"):
        api.sweep("net.py:task", ["lrr=0.1"], device="cpu", output="out")
    with pytest.raises(UsageError, match="lr is set and swept"):
        api.sweep("net.py:task", ["lr=0.1"], settings={"lr": 0.2}, device="cpu", output="out")


def test_settings_are_read_and_fit_the_function() -> None:
    def takes(must: int, lr: float = 0.1, kind: str = "adam") -> None: ...

    assert fitted(takes, read(["must=3", "lr=1"]), "f") == {"must": 3, "lr": 1.0}
    for wrong in (["lr=1"], ["must=1", "kind=3"], ["must=1", "lr=nan"], ["must=1", "lr=1e999"]):
        with pytest.raises(UsageError):
            fitted(takes, read(wrong), "f")
    for wrong in (["lr"], ["=3"], ["lr="], ["lr=1", "lr=2"], ["a b=1"]):
        with pytest.raises(UsageError):
            read(wrong)


def test_names_of_points_are_names_of_folders() -> None:
    assert named({"path": "a/b", "lr": 0.1}) == "path=a%2fb,lr=0.1"
    assert len(grid(["a=1,2,2", "seed=-1..1"])) == 6

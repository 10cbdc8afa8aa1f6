"""Every command with what it returns, and what is on which stream."""

from __future__ import annotations

import pytest

from rigwise import api
from rigwise.errors import InfeasibleError, LaunchError

GPT2, SMALL = ("gpt2", "--cluster", "8xh100", "--batch", "64"), ("--cluster", "2xrtx-3090", "--batch", "8")

TABLE = [
    (0, "model list"),
    (0, "model show gpt2"),
    (0, "model show resnet50 --batch 32"),
    (0, "hardware list --vendor nvidia --year 2022 --memory 40"),
    (0, "hardware list --memory 80GiB"),
    (0, "hardware show h100"),
    (0, "hardware detect"),
    (0, "hardware detect --ranks 1"),
    (0, "split 128x1000x500 --ranks 2"),
    (0, "estimate gpt2 --cluster 8xh100 --batch 64 --layout dp=8"),
    (0, "plan gpt2 --cluster 8xh100 --batch 64 --top 2"),
    (0, "plan gpt2 --cluster 8xh100 --batch 64 --top 2 --fix tp=2 --fix zero=1"),
    (0, "scale resnet50 --cluster 4xv100 --batch 256 --devices 1,4"),
    (0, "--version"),
    (0, "--help"),
    (0, "plan --help"),
    (2, "modle list"),
    (2, "model show gpt2 --seqq 4"),
    (2, "model show gpt2 --seq four"),
    (2, "model show gpt2 --seq 0"),
    (2, "model show gpt2 --batch -1"),
    (2, "model show resnet50 --seq 128"),
    (2, "hardware list --memory much"),
    (2, "hardware detect --ranks 0"),
    (2, "split 128x1000"),
    (2, "split 128x0x500"),
    (2, "split 128x1000x500 --ranks 0"),
    (2, "split 128x1000x500 --dtype float17"),
    (2, "split 128x1000x500 --rate fast"),
    (2, "estimate gpt2 --cluster 8xh100 --layout dp=3"),
    (2, "estimate gpt2 --cluster 8xh100 --layout dp=8,colour=red"),
    (2, "estimate gpt2 --cluster 8xh100 --batch 64 --layout dp=0"),
    (2, "estimate gpt2 --cluster 8xh100 --layout dp=8 --batch 0"),
    (2, "estimate gpt2 --cluster 8xh100 --layout dp=8 --usd-per-hour -1"),
    (2, "estimate gpt2 --cluster 8xh100"),
    (2, "plan gpt2 --cluster 0xh100"),
    (2, "plan gpt2 --cluster 99999999999999999999xh100"),
    (2, "plan gpt2 --cluster 8xh100 --batch 99999999999999999999999"),
    (2, "plan gpt2 --cluster 8xh100 --usd-per-hour inf"),
    (2, "estimate gpt2 --cluster 8xh100 --batch 64 --layout dp=99999999999999999999999"),
    (2, "validate ."),
    (2, "validate --page page.txt"),
    (2, "validate --page nowhere/page.md"),
    (2, "plan gpt2 --cluster 8xh100 --objective speed"),
    (2, "plan gpt2 --cluster 8xh100 --top 0"),
    (2, "plan gpt2 --cluster 8xh100 --fix tp=x"),
    (2, "plan gpt2 --cluster 8xh100 --fix tp"),
    (2, "plan gpt2 --cluster 8xh100 --precision float17"),
    (2, "plan gpt2 --cluster 8xh100 --micro 0"),
    (2, "scale resnet50 --cluster 4xv100 --devices 1,two"),
    (2, "scale resnet50 --cluster 4xv100 --devices 0,1"),
    (2, "scale resnet50 --cluster 4xv100 --devices 8"),
    (2, "plan gpt2 --cluster 8xh100 --picture plan.jpg"),
    (2, "scale gpt2 --cluster 8xh100 --picture ."),
    (2, "run digits --layout dp=2,tp=x"),
    (2, "run digits --layout offload=all"),
    (2, "run digits --steps 0"),
    (3, "plan gpt3-175b --cluster 2xrtx-3090 --batch 8"),
    (3, "estimate gpt3-175b --cluster 2xrtx-3090 --layout dp=2 --batch 8"),
    (4, "model show gpt5000"),
    (4, "hardware show h1000"),
    (4, "hardware list --vendor nvidea"),
    (4, "plan gpt2 --cluster 8xh1000"),
    (4, "plan gpt2 --cluster nowhere.toml"),
    (4, "plan nowhere.py:model --cluster 8xh100"),
    (4, "estimate gpt2 --cluster 8xh100 --layout dp=8 --batch 64 --optimizer adamm"),
    (4, "validate nowhere.csv"),
    (4, "run digit --steps 1"),
]


@pytest.mark.parametrize(("code", "line"), TABLE, ids=[line for _, line in TABLE])
def test_the_exit_code(code: int, line: str, call) -> None:
    said = call(*line.split())
    assert said.code == code, said.err
    if code:
        assert said.err.startswith("error: ")
        assert "Traceback" not in said.err
    else:
        assert said.out
        assert "error" not in said.err


JSON = [(code, line) for code, line in TABLE if not line.startswith("--") and "--help" not in line]


@pytest.mark.parametrize(("code", "line"), JSON, ids=[line for _, line in JSON])
def test_json_speaks_json_whatever_happens(code: int, line: str, call) -> None:
    said = call(*line.split(), "--json")
    assert said.code == code
    assert said.json["schema_version"] == 1
    assert said.err == ""
    if code:
        assert said.json["exit_code"] == code
        assert said.json["error"]
        assert said.json["says"]


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (InfeasibleError("no"), 3, "infeasible"),
        (LaunchError("rank 1 died"), 5, "launch"),
        (ZeroDivisionError("division by zero"), 1, "internal"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(7), 2, "usage"),
        (OSError(28, "No space left on device", "log.jsonl"), 5, "launch"),
        (MemoryError(), 5, "launch"),
        (FileNotFoundError(2, "No such file", "a.csv"), 4, "not-found"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_exception_has_a_code_and_words(error, code, kind, call, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(api, "model_names", fail)
    said = call("model", "list")
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith("error: ")
    assert "Traceback" not in said.err
    assert call("model", "list", "--json").json["error"] == kind


def test_our_own_fault_says_so_and_how_to_see_where(call, monkeypatch) -> None:
    monkeypatch.setattr(api, "model_names", lambda: 1 // 0)
    said = call("model", "list")
    assert "our fault" in said.err
    assert "ZeroDivisionError" in said.err
    assert "--debug" in said.err
    assert "Traceback" in call("model", "list", "--debug").err

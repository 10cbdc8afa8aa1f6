"""`rigwise export` and `rigwise launch`: text that can be piped, files that are whole, and what is refused."""

from __future__ import annotations

import json

import pytest

LAYOUT = ("--cluster", "8xh100", "--layout", "dp=8,zero=3", "--batch", "64")


def test_the_text_alone_goes_to_stdout(call) -> None:
    said = call("export", "llama-2-7b", *LAYOUT, "--to", "deepspeed")
    assert json.loads(said.out)["zero_optimization"]["stage"] == 3
    assert "learning rate" in said.err
    assert call("export", "llama-2-7b", *LAYOUT, "--to", "deepspeed", "--quiet").err == ""
    assert call("export", "llama-2-7b", *LAYOUT, "--to", "deepspeed", "--json").json["tool"] == "deepspeed"


def test_a_file_is_written_and_named(call, tmp_path) -> None:
    said = call("export", "llama-2-7b", *LAYOUT, "--to", "accelerate", "--output", "own.yaml")
    assert (tmp_path / "own.yaml").read_text().startswith("compute_environment")
    assert said.out == ""
    assert "own.yaml" in said.err


def test_a_script_has_the_command_of_a_rank(call, tmp_path) -> None:
    said = call(
        "launch", "digits", "--cluster", "2x4xa100", "--launcher", "slurm", "--batch", "64", "--script", "own.sh"
    )
    assert "rigwise run digits --layout dp=8 --steps 200 --batch 64" in (tmp_path / "own.sh").read_text()
    assert "--account" in said.err


def test_what_cannot_be_started_here_is_written_and_said(call, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = call("launch", "digits", "--cluster", "2x4xa100", "--launcher", "slurm", "--start")
    assert said.code == 5
    assert "sbatch" in said.err
    assert (tmp_path / "digits.sbatch").is_file()


def test_starting_runs_the_launcher_and_hands_on_its_failure(call, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "sbatch"
    fake.write_text("#!/bin/sh\nexit 3\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = call("launch", "digits", "--cluster", "2x4xa100", "--launcher", "slurm", "--start")
    assert said.code == 5
    assert "ended with 3" in said.err


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (4, "export llama-2-7b --cluster 8xh100 --layout dp=8 --batch 64 --to horovod"),
        (3, "export resnet50 --cluster 8xh100 --layout dp=8 --batch 64 --to megatron"),
        (2, "export llama-2-7b --cluster 8xh100 --layout dp=8 --batch 64 --to megatron --output no/such/file"),
        (4, "launch digits --cluster 8xh100 --launcher slrum"),
        (2, "launch digits --cluster 8xh100 --launcher slurm --layout dp=4"),
        (2, "launch digits --cluster 8xh100 --launcher slurm --port 80"),
        (2, "launch digits --cluster 8xh100 --launcher slurm --hours 0"),
    ],
)
def test_what_is_refused(code: int, line: str, call) -> None:
    assert call(*line.split()).code == code

"""The command line's runs: real ranks, and predicted beside measured."""

from __future__ import annotations

import json

import pytest

from rigwise.cli.main import main

FIELDS = {"losses", "samples_per_s", "step_s", "peak_memory_gib", "predicted"}


def test_run_answers_in_the_fields_of_the_contract(capsys, tmp_path) -> None:
    code = main(["run", "digits", "--layout", "dp=2", "--steps", "6", "--output", str(tmp_path / "out"), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    answer = json.loads(said.out)
    assert set(answer) >= FIELDS
    assert len(answer["losses"]) == 6
    assert answer["samples_per_s"] == pytest.approx(64 / answer["step_s"])
    assert answer["predicted"]["layout"] == answer["layout"]
    assert answer["why_not_predicted"] == ""
    assert {row["part"] for row in answer["comparison"]} >= {"compute", "exchange", "optimizer", "whole step"}
    assert sum(answer["predicted"]["time_s"].values()) == pytest.approx(answer["predicted"]["step_s"])


def test_run_writes_checkpoints_on_the_way_when_told(capsys, tmp_path) -> None:
    out = tmp_path / "out"
    code = main(["run", "digits", "--steps", "5", "--checkpoint-every", "2", "--output", str(out)])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert {path.name for path in (out / "checkpoints").glob("step-*")} == {"step-00000004", "step-00000005"}
    assert "batch 64, 1 rank\n" in "\n".join(line.rstrip() for line in said.out.splitlines())


def test_demo_walks_from_the_machine_to_the_comparison(capsys) -> None:
    code = main(["demo", "--steps", "10", "--no-color"])
    said = capsys.readouterr()
    assert code == 0, said.err
    order = ["this machine", "a plan for digits", "why: ", "run for 10 steps", "predicted", "whole step"]
    places = [said.out.index(words) for words in order]
    assert places == sorted(places)
    assert "step 10 of 10" in said.err


def test_a_task_that_raises_is_a_usage_error_with_file_and_line(capsys, tmp_path) -> None:
    (tmp_path / "mine.py").write_text("def task():\n    raise ValueError('a mistake')\n")
    code = main(["run", f"{tmp_path / 'mine.py'}:task", "--steps", "2", "--output", str(tmp_path / "out")])
    said = capsys.readouterr()
    assert code == 2
    assert "mine.py:2" in said.err
    assert "a mistake" in said.err


def test_mpi_on_hosts_of_ours_is_refused_with_the_way_that_works(capsys, tmp_path) -> None:
    words = ["--nnodes", "2", "--rendezvous", "127.0.0.1:29400", "--output", str(tmp_path / "out")]
    assert main(["run", "digits", *words, "--backend", "mpi"]) == 2
    assert "without --nnodes" in capsys.readouterr().err

"""What people read: the figures that stand in each table, with their units."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from rigwise import api
from rigwise.api import RunReport
from rigwise.calibration.comparison import compare
from rigwise.cli.options import Look
from rigwise.cli.plan import thinned
from rigwise.cli.run import draw_run, stepping, verdict
from rigwise.run.job import StepRecord
from rigwise.run.result import RunResult


def rows(out: str) -> list[list[str]]:
    """The cells of every line: two blanks or more stand between cells."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines()]


def row(out: str, *start: str) -> list[str]:
    return next(cells for cells in rows(out) if cells[: len(start)] == list(start))


def test_split_draws_what_article_four_draws(call) -> None:
    out = call("split", "128x1000x500", "--ranks", "2", "--rate", "40 Gbit/s").out
    shapes = [cells for cells in rows(out) if " . " in " ".join(cells) and cells[-1].endswith("iB")]
    assert [cells[-4:-1] for cells in shapes] == [
        ["1000x64 . 64x500 = 1000x500", "added", "500,000"],
        ["128x500 . 500x500 = 128x500", "added", "64,000"],
        ["128x500 . 500x500 = 128x500", "stacked", "64,000"],
        ["128x1000 . 1000x250 = 128x250", "stacked", "32,000"],
        ["128x250 . 250x1000 = 128x1000", "added", "128,000"],
    ]
    assert row(out, "rows", "128,000")[-2:] == ["500", "102 us"]
    assert "rows hands on least" in out


def test_a_remainder_is_shown_at_the_last_rank(call) -> None:
    out = call("split", "8x10x7", "--ranks", "2").out
    assert "8x10 . 10x3 = 8x3; last 8x10 . 10x4 = 8x4" in out


def test_model_show_prints_shapes_totals_and_how_often_a_block_repeats(call) -> None:
    out = call("model", "show", "gpt2").out
    assert "layer x 12" in out
    assert row(out, "qkv")[:4] == ["qkv", "linear", "1,024 x 768 . 768 x 2,304", "1.77 M"]
    assert row(out, "tokens")[2] == "1,024 of 50,257 x 768"
    assert row(out, "parameters", "124,439,808")


def test_model_show_prints_a_convolution_as_the_literature_does(call, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    out = call("model", "show", "resnet50").out
    assert "3 224x224 -> 64 112x112, 7x7 stride 2x2 pad 3x3" in out


def test_a_mixture_of_experts_says_what_is_active(call) -> None:
    assert "of them active for a token" in call("model", "show", "mixtral-8x7b").out


def test_hardware_filters_hold(call) -> None:
    shown = call("hardware", "list", "--vendor", "amd", "--year", "2023", "--memory", "100 GiB", "--json").json
    assert shown["devices"]
    for device in shown["devices"]:
        assert device["vendor"] == "AMD"
        assert device["year"] >= 2023
        assert device["memory"] >= 100 * 2**30


def test_hardware_show_names_source_and_doubts(call) -> None:
    out = call("hardware", "show", "b200").out
    assert row(out, "memory")
    said = call("hardware", "show", "b200", "--json").json
    assert f"{said['source']}, {said['date']}" in " ".join(" ".join(map(" ".join, rows(out))).split())


def test_plan_shows_the_search_the_best_in_full_and_the_frontier(call) -> None:
    out = call("plan", "gpt2", "--cluster", "8xh100", "--batch", "64", "--top", "3").out
    for words in ("layouts, ", " legal, ", " fit in memory", "time of a step", "memory of its limit", "plain data"):
        assert words in out
    assert row(out, "best")


@pytest.mark.parametrize(("count", "kept"), [(0, []), (3, [0, 1, 2]), (11, [0, 2, 4, 6, 8, 10])])
def test_a_long_frontier_keeps_its_ends(count: int, kept: list[int]) -> None:
    assert thinned(list(range(count))) == kept  # type: ignore[arg-type]


def report(**changes: object) -> RunReport:
    predicted = api.estimate("gpt2", "dp=2,precision=fp32", "2xrtx-3090", batch=8)
    parts = {"compute": 0.3, "communication": 0.1, "loader": 0.02, "optimizer": 0.05, "other": 0.03}
    result = RunResult(
        task="mine",
        layout=predicted.layout,
        batch=8,
        steps=3,
        losses=(2.5, 2.0, 1.5),
        step_s=0.5,
        samples_per_s=16.0,
        parts=parts,
        peak_memory=3 * 2**30,
        base_memory=2**30,
        checkpoint=Path("c"),
        log=Path("log.jsonl"),
        output=Path("out"),
        world=2,
        device="cpu",
        versions={},
        warnings=("ranks share cores",),
    )
    compared = tuple(compare(predicted, parts, 0.5, 2 * 2**30, 2**28))
    return replace(RunReport(result=result, predicted=predicted, why_not="", rows=compared), **changes)


def drawn(what: RunReport, chatty: bool = True) -> str:
    screen = Console(file=io.StringIO(), width=120, color_system=None)
    draw_run(screen, what, chatty)
    return screen.file.getvalue()


def test_a_run_is_shown_part_by_part_beside_its_prediction() -> None:
    what = report()
    out = drawn(what)
    assert row(out, "loss") == ["loss", "2.5000 at step 1, 1.5000 at step 3"]
    whole = row(out, "whole step")
    assert whole[-2] == "500 ms"
    assert float(whole[-1]) == pytest.approx(what.predicted.step_s / 0.5, abs=0.01)
    assert row(out, "memory above the libraries")[-2] == "1.75 GiB"
    assert "note: ranks share cores" in out
    assert "log.jsonl" not in drawn(what, chatty=False)


def test_a_run_without_a_prediction_says_why() -> None:
    measured = report()
    rows_alone = tuple(compare(None, measured.result.parts, 0.5, 1.0, 0.0))
    out = drawn(replace(measured, predicted=None, why_not="[no] trace", rows=rows_alone))
    assert "not predicted: [no] trace" in out
    assert row(out, "whole step") == ["whole step", "unknown", "500 ms"]


@pytest.mark.parametrize(("share", "where"), [(0.5, "below"), (1.0, "inside"), (3.0, "above")])
def test_the_verdict_is_where_the_step_lies(share: float, where: str) -> None:
    predicted = report().predicted
    assert f"is {where} the" in verdict(predicted, predicted.step_s * share)


@pytest.mark.parametrize(("look", "lines"), [(Look(), 3), (Look(quiet=True), 0), (Look(json=True), 0)])
def test_progress_is_lines_where_nobody_watches_and_silent_where_it_is_not_wanted(look, lines, capsys) -> None:
    with stepping(look, 3) as on_step:
        for step in range(1, 4):
            on_step(StepRecord(step=step, loss=1.0, step_s=0.1, samples_per_s=80, memory=0))
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == lines


def test_long_runs_print_about_ten_lines(capsys) -> None:
    with stepping(Look(), 1000) as on_step:
        for step in range(1, 1001):
            on_step(StepRecord(step=step, loss=1.0, step_s=0.1, samples_per_s=80, memory=0))
    assert 10 <= len(capsys.readouterr().err.splitlines()) <= 12


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell, call, tmp_path) -> None:
    said = call("--install-completion", "--shell", shell, "--output", str(tmp_path / "script"))
    assert said.code == 0, said.err
    script = (tmp_path / "script").read_text()
    assert all(word in script for word in ("plan", "estimate", "hardware", "objective"))

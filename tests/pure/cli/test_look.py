"""How an answer looks: no escape codes where none are wanted, nothing cut off on a narrow terminal, quiet is quiet."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from rigwise.cli.console import can_draw
from rigwise.cli.main import options
from rigwise.cli.pictures import bar, parts
from rigwise.cli.tables import Column, facts, table

ESCAPE = re.compile("\x1b\\[")
PLAN = ("plan", "gpt2", "--cluster", "8xh100", "--batch", "64", "--top", "3")
DRAWN = [PLAN, ("model", "show", "gpt2"), ("scale", "gpt2", "--cluster", "8xh100"), ("hardware", "list"), ("modle",)]


def test_a_terminal_gets_colour_and_no_color_takes_it_away(call, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ESCAPE.search(call(*PLAN).out)
    assert not ESCAPE.search(call(*PLAN, "--no-color").out)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not ESCAPE.search(call(*PLAN).out)


@pytest.mark.parametrize("words", DRAWN, ids=" ".join)
def test_no_color_reaches_errors_and_help_too(words, call, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = call(*words, "--no-color")
    assert not ESCAPE.search(said.out + said.err)
    assert not ESCAPE.search(call(words[0], "--help", "--no-color").out)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("words", DRAWN[:-1], ids=" ".join)
def test_nothing_is_wider_than_the_terminal_or_cut_off(words, width, call, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = call(*words)
    assert max(len(line) for line in said.out.splitlines()) <= width
    assert "…" not in said.out


def test_the_best_layout_is_there_in_full_on_a_narrow_terminal(call, monkeypatch) -> None:
    spelling = call(*PLAN, "--json").json["layouts"][0]["spelling"]
    monkeypatch.setenv("COLUMNS", "40")
    assert spelling in re.sub(r"\s", "", call(*PLAN).out)


def test_quiet_leaves_the_answer_alone(call) -> None:
    said, quiet = call(*PLAN), call(*PLAN, "--quiet")
    assert "why: " in said.out
    assert "why: " not in quiet.out
    assert said.out.count("dp=") > quiet.out.count("dp=") >= 3
    assert quiet.err == ""


def test_names_are_echoed_as_they_were_read(call) -> None:
    assert "h100-sxm-80gb is taken" in " ".join(call(*PLAN).out.split())
    assert "rtx-4090" in call("hardware", "show", "NVIDIA GeForce RTX 4090").out


def test_every_predicted_figure_stands_beside_its_interval(call) -> None:
    out = call("estimate", "gpt2", "--cluster", "8xh100", "--batch", "64", "--layout", "dp=8").out
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    for name in ("step", "samples/s", "tokens/s a device", "MFU", "energy of a step", "cost of a step"):
        assert re.search(r"\(.+ to .+\)", lines[name]), name


def test_help_lists_exit_codes_layout_keys_and_every_command(call) -> None:
    out = call("--help").out
    for words in ("130 interrupted", "5 launch", "zero=1", "vpp", "2x8xh100-sxm-80gb"):
        assert words in out
    for command in {line.split()[0] for line in options()}:
        assert command in out


def test_options_are_words_that_help_shows(call) -> None:
    for line in options():
        command, word = line.rsplit(" ", 1)
        if word.startswith("--") and command in ("plan", "run", "model show"):
            assert word in call(*command.split(), "--help").out


def narrow(width: int, encoding: str = "utf-8") -> Console:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    return Console(file=stream, width=width, color_system=None)


def written(screen: Console, what: object) -> str:
    screen.print(what)
    screen.file.flush()
    return screen.file.buffer.getvalue().decode(screen.encoding)


def test_the_least_needed_columns_go_first() -> None:
    columns = (Column(head="name", right=False), Column(head="step", drop=1), Column(head="energy", drop=2))
    row = ("a" * 10, "1 s", "2 J")
    assert "energy" in written(narrow(60), table(narrow(60), columns, [row]))
    assert "energy" not in written(narrow(22), table(narrow(22), columns, [row]))
    assert "step" in written(narrow(22), table(narrow(22), columns, [row]))
    assert "step" not in written(narrow(12), table(narrow(12), columns, [row]))


def test_brackets_are_no_markup() -> None:
    assert "[gpt3] x" in written(narrow(60), facts([("model", "[gpt3] x")]))
    assert "[/b]" in written(narrow(60), table(narrow(60), (Column(head="a"),), [("[/b]",)]))


def test_a_terminal_without_unicode_gets_letters() -> None:
    screen = narrow(60, "ascii")
    assert not can_draw(screen)
    out = written(screen, parts(screen, "time", {"compute": 3.0, "host": 1.0}, ["3 s", "1 s"], 4.0))
    assert "####" in out
    assert "75.0%" in out
    assert out.isascii()


@pytest.mark.parametrize(("share", "filled"), [(-1, 0), (0, 0), (0.5, 5), (1, 10), (7, 10)])
def test_a_bar_stays_in_its_cells(share: float, filled: int) -> None:
    assert bar(share, 10).count("█") == filled
    assert len(bar(share, 10)) == len(bar(share, 10, draw=False)) == 10


def test_a_small_share_is_seen() -> None:
    assert bar(1e-6, 10).strip()
    assert bar(1e-6, 10, draw=False).strip() == "#"


def test_parts_are_sorted_and_nothing_is_hidden_that_counts() -> None:
    screen = narrow(80)
    out = written(screen, parts(screen, "t", {"small": 0.1, "none": 0.0, "big": 0.9}, ["0.1", "0", "0.9"], 1.0))
    assert out.index("big") < out.index("small")
    assert "none" not in out

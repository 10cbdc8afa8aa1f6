"""PNG pictures: the letters are really drawn, with the fonts of the package and no other."""

from __future__ import annotations

import importlib.util

import pytest

from rigwise.errors import LaunchError
from rigwise.report.png import png
from rigwise.report.svg import Board


def drawn(*words: str) -> bytes:
    board = Board(300, 60, "words")
    for place, word in enumerate(words):
        board.text(10, 20 + 20 * place, word)
    return png(board.svg())


def test_words_are_drawn_and_differ() -> None:
    assert len({drawn(), drawn("time"), drawn("memory"), drawn("memory", "10⁶ FLOP/s ± µs → β")}) == 4


def test_the_same_picture_is_the_same_file() -> None:
    assert drawn("step") == drawn("step")


def test_without_resvg_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("rigwise.report.png.find_spec", lambda name: None if name == "resvg_py" else find(name))
    with pytest.raises(LaunchError, match="resvg-py"):
        drawn("step")

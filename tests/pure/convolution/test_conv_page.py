"""The page of the laboratory: every picture has its command, and the command makes that picture."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

import pytest

from house import ROOT
from rigwise.cli.main import main

PAGE = ROOT / "docs" / "convolution.md"
SVG = "{http://www.w3.org/2000/svg}"
COMMANDS = [line[2:] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("$ rigwise conv")]
SAVED = [command for command in COMMANDS if "--save" in command]
TRAINS = "conv learn"
_WIDE = 6.4  # pixels of a usual character at 12 pixels; a title's is wider


def picture_of(command: str) -> Path:
    return ROOT / command.split("--save ")[1].split()[0]


def words(svg: str) -> list[str]:
    """What a picture says, without its numbers, whose last digits are the machine's."""
    told = (text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text"))
    return [re.sub(r"[-−]?\d[\d.,]*(e-?\d+)?", "#", each) for each in told]


def test_every_picture_of_the_page_has_a_command_that_makes_it() -> None:
    shown = set(re.findall(r"\]\((pictures/conv-[^)]+)\)", PAGE.read_text(encoding="utf-8")))
    made = {picture_of(command).relative_to(PAGE.parent).as_posix() for command in SAVED}
    assert shown == made
    assert len(shown) >= 10


@pytest.mark.parametrize("command", [c for c in COMMANDS if TRAINS not in c])
def test_a_command_of_the_page_works_and_makes_the_picture_that_is_shown(command: str, tmp_path, capsys) -> None:
    typed = shlex.split(command)[1:]
    if "--save" in typed:
        typed[typed.index("--save") + 1] = str(tmp_path / "picture.svg")
    assert main(typed) == 0
    assert capsys.readouterr().out
    if "--save" in typed:
        made = (tmp_path / "picture.svg").read_text(encoding="utf-8")
        assert words(made) == words(picture_of(command).read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", SAVED)
def test_all_words_of_a_picture_are_inside_the_page_and_the_pictures_are_small(command: str) -> None:
    file = picture_of(command)
    assert file.stat().st_size < 400_000
    tree = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    width, height = float(tree.get("width")), float(tree.get("height"))
    for text in tree.iter(f"{SVG}text"):
        if text.get("transform"):
            continue
        x, y = float(text.get("x")), float(text.get("y"))
        long = len(text.text or "") * _WIDE * (1.25 if text.get("class") == "title" else 0.95)
        left = {"start": x, "middle": x - long / 2, "end": x - long}[text.get("text-anchor")]
        assert left >= -2, text.text
        assert left + long <= width + 4, text.text
        assert 0 < y < height
    for image in tree.iter(f"{SVG}image"):
        assert float(image.get("x")) + float(image.get("width")) <= width
        assert float(image.get("y")) + float(image.get("height")) <= height

"""The twelve worked needs of docs/advice.md are answered anew, and the page says what the answer is.

Rewrite the answers with: python tests/pure/advise/test_worked_needs.py, then check by hand what stands below each.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import pytest

from rigwise.cli.main import main

PAGE = Path(__file__).resolve().parents[3] / "docs" / "advice.md"
NEED = re.compile(r"```console\n\$ rigwise (advise [^\n]+--today [^\n]+)\n```\n\n```text\n(.*?)```", re.DOTALL)
SHOWN = 3


def answer(command: str) -> str:
    """The first choices of a command as lines of the page."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main([*shlex.split(command), "--json", "--top", str(SHOWN)])
    said = json.loads(out.getvalue())
    if code:
        return f"{said['says']}\nrule: {said['rule']}\nnearest: {said['nearest']}\n"
    lines = [line(place, choice) for place, choice in enumerate(said["choices"], start=1)]
    return "\n".join([*lines, f"path: {said['path']['says']}"]) + "\n"


def line(place: int, choice: dict) -> str:
    what = f"{choice['count']}x {choice['device']}, {choice['condition']}"
    speed = f"{two(choice['throughput']):,.0f} {choice['unit']}"
    money = f"{two(choice['spend_usd']):,.0f} dollars"
    hours = "" if choice["time_s"] is None else f", {two(choice['time_s'] / 3600):g} h"
    fit = f"; {', '.join(choice['makes_it_fit'])}" if choice["makes_it_fit"] else ""
    return f"{place}. {what}: {speed}, {money}{hours}{fit}"


def two(value: float) -> float:
    """Two digits: what a later fit of the laws is not to move."""
    return float(f"{value:.2g}")


def test_there_are_twelve() -> None:
    assert len(NEED.findall(PAGE.read_text(encoding="utf-8"))) == 12


@pytest.mark.parametrize("need", NEED.findall(PAGE.read_text(encoding="utf-8")), ids=lambda need: need[0][:50])
def test_a_worked_need_is_answered_as_the_page_says(need: tuple[str, str]) -> None:
    command, shown = need
    assert answer(command) == shown, "rewrite the page with this file run as a script, and check the reasons by hand"


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    for command, shown in NEED.findall(text):
        block = f"$ rigwise {command}\n```\n\n```text\n"
        text = text.replace(f"{block}{shown}```", f"{block}{answer(command)}```")
    PAGE.write_text(text, encoding="utf-8")

"""Every command that a page shows after a prompt does what it says; tests/test_docs.py parses those left out here."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from house import PACKAGE, ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINES = sorted({line for page in PAGES for line in re.findall(r"^\$ rigwise (.+)$", page.read_text(), re.MULTILINE)})
NOT_HERE = (
    "run",
    "demo",
    "validate",
    "calibrate",
    "measure",
    "history",
    "doctor",
    "serve",
    "report",
    "--install-completion",
)  # several processes, a server, a page that is built, a file of the reader's, his shell


def test_the_pages_show_commands() -> None:
    assert {line.split()[0] for line in LINES} >= {"plan", "estimate", "scale", "split", "model", "hardware", "run"}


@pytest.mark.parametrize("line", [line for line in LINES if line.split()[0] not in NOT_HERE and "digits" not in line])
def test_a_shown_command_runs(line: str, call, tmp_path) -> None:
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    shutil.copy(PACKAGE / "convolution" / "data" / "cat.png", tmp_path / "PHOTO.png")
    said = call(*shlex.split(line))
    assert said.code == 0, said.err

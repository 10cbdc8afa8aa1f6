"""`rigwise rig` and `rigwise rig check`: words, JSON, files, exit codes."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

PART = {"kind", "name", "count", "price_usd", "watts", "reason"}
FINDING = {"severity", "rule", "says", "fix"}
KINDS = {"gpu", "cpu", "motherboard", "memory", "storage", "psu", "case", "cooler", "nic", "fan"}
LIST = """CPU: AMD Ryzen 5 5600
Motherboard: MSI MAG B550 TOMAHAWK
Memory: Corsair Vengeance LPX 32 GB (2 x 16 GB) DDR4-3200
Storage: WD Black SN770 1TB
Video Card: MSI GeForce RTX 3060 Ventus 2X 12G
Case: Montech AIR 903 BASE
Power Supply: {psu}
"""


def test_a_machine_has_the_fields_of_the_contract(call) -> None:
    said = call("rig", "--gpus", "4xrtx-3090", "--json")
    assert said.code == 0, said.err
    assert {part["kind"] for part in said.json["parts"]} <= KINDS
    for part in said.json["parts"]:
        assert set(part) >= PART
        assert part["reason"]
    for finding in said.json["findings"]:
        assert set(finding) >= FINDING
        assert finding["severity"] in ("error", "warning", "waste", "note")
    assert said.json["passes"]
    total = sum(part["price_usd"] * part["count"] for part in said.json["parts"])
    assert said.json["total"]["price_usd"] == pytest.approx(total)


def test_a_machine_is_drawn_and_written(call, tmp_path) -> None:
    said = call("rig", "--gpus", "2xrtx-4090", "--picture", "rig.svg", "--output", "rig.md")
    assert said.code == 0, said.err
    for words in ("price", "verdict", "proof:", "instead of the gpu"):
        assert words in said.out
    assert ET.parse(tmp_path / "rig.svg").getroot().tag.endswith("svg")
    assert "| gpu | 2 |" in (tmp_path / "rig.md").read_text(encoding="utf-8")


def test_a_written_list_is_checked(call) -> None:
    assert call("rig", "--gpus", "1xrtx-3060-12gb", "--output", "rig.csv").code == 0
    said = call("rig", "check", "rig.csv", "--json")
    assert (said.code, said.json["passes"]) == (0, True)


@pytest.mark.parametrize(
    ("psu", "code"), [("Corsair RM750e", 0), ("Corsair SF750", 0), ("Supply of Supermicro SYS-740GP-TNRT", 3)]
)
def test_the_exit_code_says_whether_a_list_works(call, tmp_path, psu: str, code: int) -> None:
    (tmp_path / "list.txt").write_text(LIST.format(psu=psu), encoding="utf-8")
    said = call("rig", "check", "list.txt")
    assert said.code == code, said.out + said.err
    if code:
        assert "this machine does not work" in said.err
        assert call("rig", "check", "list.txt", "--json").json["passes"] is False


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--gpus", "4xrtx-3090", "--budget", "500"), 3, "the budget binds"),
        (("--gpus", "4xrtx-9999"), 4, "no device"),
        (("--gpus", "4xrtx-3090", "--objective", "time"), 2, "--model"),
        (("--gpus", "4xrtx-3090", "--batch", "64"), 2, "--model"),
        (("--gpus", "4xrtx-3090", "--output", "list.pdf"), 2, ".md"),
        (("check", "nowhere.toml"), 4, "nowhere.toml"),
    ],
)
def test_a_no_has_its_exit_code_and_says_why(call, words, code: int, says: str) -> None:
    said = call("rig", *words)
    assert said.code == code
    assert says in said.err
    assert call("rig", *words, "--json").json["exit_code"] == code


def test_help_of_both_is_there(call) -> None:
    assert "--objective" in call("rig", "--help").out
    assert "--nodes" in call("rig", "check", "--help").out
    assert "rig" in call("--help").out


PASTED = b"CPU: AMD Ryzen 5 5600\nVideo Card: GeForce RTX 3090\n"


@pytest.mark.parametrize(("pasted", "code", "word"), [(PASTED, 3, "motherboard"), (b"\xff\xfe\x00", 2, "UTF-8")])
def test_a_list_is_pasted_in(pasted: bytes, code: int, word: str) -> None:
    command = [sys.executable, "-m", "rigwise", "rig", "check", "-"]
    done = subprocess.run(command, input=pasted, capture_output=True, check=False)
    assert done.returncode == code
    assert word in (done.stdout + done.stderr).decode()


def test_a_folder_is_no_list(call, tmp_path: Path) -> None:
    said = call("rig", "check", str(tmp_path))
    assert said.code == 2
    assert "folder" in said.err

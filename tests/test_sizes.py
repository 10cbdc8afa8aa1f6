"""The sizes that keep the picture: 400 lines a file, 60 a function; data lies in CSV, TOML and JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from house import PACKAGE, ROOT, functions_of, lines_of, sources

FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 400, 60, 160
CODE = sorted([*sources(), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
BUILT = PACKAGE / "web" / "page"  # made by web/build.py, and not in git
DATA = {".csv", ".toml", ".json", ".txt", ".md", ".gz", ".npz", ".png", ".ttf"}


def test_no_file_is_longer_than_a_reader_holds() -> None:
    long = [f"{path.relative_to(ROOT)} has {lines_of(path)} lines" for path in CODE if lines_of(path) > FILE_LINES]
    assert not long, f"{FILE_LINES} at most: {long}"


def test_no_file_of_the_page_is_longer_than_a_reader_holds() -> None:
    files = [p for p in (ROOT / "web" / "src").rglob("*") if p.suffix in (".ts", ".svelte", ".css")]
    files = [p for p in files if not p.read_text(encoding="utf-8").startswith("// Made by ")]  # nobody writes these
    assert files
    long = [f"{path.relative_to(ROOT)} has {lines_of(path)} lines" for path in files if lines_of(path) > FILE_LINES]
    assert not long, f"{FILE_LINES} at most: {long}"


def test_no_function_is_longer_than_a_screen() -> None:
    functions = [function for path in CODE for function in functions_of(path)]
    long = [f"{name} has {lines} lines" for name, lines in functions if lines > FUNCTION_LINES]
    assert not long, f"{FUNCTION_LINES} at most: {long}"


def test_the_usual_file_is_short() -> None:
    lengths = sorted(lines_of(path) for path in sources() if path.name != "__init__.py")
    assert lengths[len(lengths) // 2] <= MEDIAN_LINES


@pytest.mark.parametrize("path", [p for p in sorted(PACKAGE.rglob("*")) if p.is_file()], ids=lambda p: p.name)
def test_the_package_holds_code_and_readable_data_only(path: Path) -> None:
    if "__pycache__" not in path.parts and BUILT not in path.parents:
        assert path.suffix in DATA | {".py"} or path.name == "py.typed"

"""The room's data files, read once: rows of text as they stand in data/."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("data")


@cache
def table(name: str) -> tuple[Mapping[str, str], ...]:
    """The rows of data/<name>.csv, each a mapping of column to text."""
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


@cache
def toml(name: str) -> Mapping[str, Any]:
    """The tables of data/<name>.toml."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))

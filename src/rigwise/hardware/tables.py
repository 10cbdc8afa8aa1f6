"""The catalogue's files, read once: rows of text as they stand in catalog/*.csv."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).with_name("catalog")


@cache
def table(name: str) -> tuple[Mapping[str, str], ...]:
    """The rows of catalog/<name>.csv, each a mapping of column to text."""
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


@cache
def by(name: str, column: str) -> Mapping[str, Mapping[str, str]]:
    """The same rows by one of their columns."""
    return {row[column]: row for row in table(name)}


def by_id(name: str) -> Mapping[str, Mapping[str, str]]:
    """The same rows by their column `id`."""
    return by(name, "id")


def number(text: str, scale: float = 1.0) -> float | None:
    """A cell in the unit that `scale` stands for; None where the cell is empty (not published).

    >>> number("24", 2.0**30), number("") is None
    (25769803776.0, True)
    """
    return float(text) * scale if text else None


def whole(text: str) -> int | None:
    """A cell that counts something; None where it is empty."""
    return int(float(text)) if text else None

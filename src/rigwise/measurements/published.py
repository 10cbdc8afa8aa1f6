"""The published measurements that rigwise carries: the tables, their rows, and what another tool predicts for them.

Where each table comes from, and under which licence, is told in published/README.md.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from rigwise.measurements.tables import Row, read_table

_HERE = Path(__file__).parent


def tables() -> list[Path]:
    """The tables, in the order of their names; each in the columns of measurements/tables.py."""
    return sorted((_HERE / "published").glob("*.csv"))


@cache
def rows() -> tuple[Row, ...]:
    """The rows of all tables, in the tables' order. No id stands twice.

    >>> len({row.id for row in rows()}) == len(rows())
    True
    """
    return tuple(row for table in tables() for row in read_table(table))


@cache
def peer_seconds(name: str = "calculon") -> Mapping[str, float]:
    """Seconds of a step that another tool predicts, by the id of the row.

    >>> peer_seconds()["megatron-0090"]
    18.03
    """
    with (_HERE / "peers" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return MappingProxyType({row["id"]: float(row["step_s"]) for row in csv.DictReader(file)})

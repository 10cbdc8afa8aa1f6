"""What a row belongs to: the family, source, device, stack, size and regime by which errors are told and explained."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from rigwise.calibration.cases import stack_of
from rigwise.calibration.outcomes import Outcome
from rigwise.calibration.patterns import table
from rigwise.measurements import words
from rigwise.measurements.tables import Row

SIZES = ((1, "1 device"), (8, "2 to 8 devices"), (64, "9 to 64 devices"), (512, "65 to 512 devices"))
LARGEST = "over 512 devices"
_CELLS = (
    "id",
    "family",
    "model",
    "metric",
    "source",
    "notes",
    "precision",
    "zero_stage_or_fsdp",
    "device",
    "n_devices",
    "devices_per_node",
    "tp",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A family of measurements. scheme: how its rows are left out; units: panel of its picture, with its metrics."""

    id: str
    title: str
    where: Mapping[str, str]
    scheme: str
    units: Mapping[str, Sequence[str]]


@cache
def families() -> tuple[Family, ...]:
    """All families, in the order in which they are tried."""
    return tuple(Family(**entry) for entry in table("families")["family"])


def found_in(row: Row, where: Mapping[str, str]) -> bool:
    """Whether each pattern of `where` is found in its column of the row."""
    return all(_pattern(pattern).search(str(getattr(row, column) or "")) for column, pattern in where.items())


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def family_of(row: Row) -> Family | None:
    """The first family whose patterns the row has, or None."""
    return next((f for f in families() if found_in(row, f.where)), None)


def size_of(row: Row) -> str:
    """The number of devices, in steps of eight.

    >>> size_of(Row(id="x-1", family="llm", model="", metric="ms", n_devices=8))
    '2 to 8 devices'
    """
    if row.n_devices is None:
        return "devices not told"
    return next((name for most, name in SIZES if row.n_devices <= most), LARGEST)


def regime_of(row: Row) -> str:
    """What limits a row's figure, as far as its settings tell: a node's edge, or the kind of a kernel."""
    if row.family == "conv-layer":
        which = (words.read("passes", row.notes) or {}).get("which")
        return (
            f"{which.replace('_', ' ')} pass"
            if which
            else (words.read("precision", row.precision) or {}).get("precision", "other")
        )
    devices, node = row.n_devices or 1, row.devices_per_node or 8
    if devices == 1:
        return "one device"
    return "one node" if devices <= node else "several nodes"


@lru_cache(maxsize=65536)
def _facts(key: tuple[str | int | None, ...], device: str) -> Mapping[str, str]:
    """The groups of a row that has these cells; cached, for the same rows are grouped many times."""
    cells: dict[str, Any] = dict(zip(_CELLS, key, strict=True))
    row = Row(**cells)
    family = family_of(row)
    return {
        "family": family.title if family else "other",
        "source": row.prefix,
        "stack": stack_of(row)[0],
        "device": device or row.device or "not told",
        "model": row.model or "not told",
        "size": size_of(row),
        "regime": regime_of(row),
        "metric": row.metric,
        "precision": precision_named(row),
        "tensor degree": str(row.tp or 1),
    }


def precision_named(row: Row) -> str:
    """The precision of a row, or that it is not told."""
    return str((words.read("precision", row.precision) or {}).get("precision", "not told"))


def facts(outcome: Outcome) -> Mapping[str, str]:
    """The groups that an outcome belongs to, by the kind of group."""
    return _facts(tuple(getattr(outcome.row, cell) for cell in _CELLS), outcome.device)


def grouped(outcomes: Iterable[Outcome], *keys: str) -> dict[tuple[str, ...], list[Outcome]]:
    """The outcomes by some kinds of group, in the groups' order."""
    groups: dict[tuple[str, ...], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        told = facts(outcome)
        groups[tuple(told[key] for key in keys)].append(outcome)
    return {key: groups[key] for key in sorted(groups, key=lambda key: [(_place(word), word) for word in key])}


def _place(word: str) -> int:
    """Sizes stand in the order of their numbers, everything else by its name."""
    names = [name for _, name in SIZES] + [LARGEST]
    return names.index(word) if word in names else -1

"""MeasureJob: what the launcher tells the ranks that measure. It travels as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

PARTS = ("memory", "probes", "optimizers", "links")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureJob:
    """One measurement, as every rank reads it.

    world: ranks that measure at once. threads: of each. parts: of PARTS, "heap", "host", "pace" or "replay".
    seconds: to spend on it. output: folder where each rank leaves what it found, rows-RANK.json. task, layout, batch:
    of a replay; the batch is that of one dp rank.
    """

    world: int
    threads: int
    parts: tuple[str, ...]
    seconds: float
    output: str
    device: str
    rendezvous: str
    thorough: bool = False
    task: str = ""
    layout: str = ""
    batch: int | None = None

    @property
    def work(self) -> str:
        """What a rank does."""
        return "rigwise.measure.worker"

    @property
    def needs(self) -> tuple[str, ...]:
        """What it imports besides, read once before the ranks are forked."""
        return ("rigwise.measure.worker",)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read what to_dict wrote."""
        return cls(**{**data, "parts": tuple(data["parts"])})


def rows_file(folder: str | Path, rank: int) -> Path:
    """Where a rank leaves what it found."""
    return Path(folder) / f"rows-{rank}.json"

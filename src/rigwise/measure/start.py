"""measure: start ranks that measure this machine, and take what they found. Knows no torch; the ranks do."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rigwise.measure.job import MeasureJob
from rigwise.measure.rows import Row, together
from rigwise.run.launch import launch

OnPart = Callable[[str, float], None]


def rows_of(
    parts: tuple[str, ...],
    *,
    world: int = 1,
    threads: int = 1,
    seconds: float = 5.0,
    thorough: bool = False,
    device: str = "auto",
    task: str = "",
    batch: int | None = None,
    on_part: OnPart | None = None,
) -> list[Row]:
    """What `world` ranks of `threads` threads find that measure at once. on_part: called with the part's name and what
    of it is done, 0 to 1. Raises LaunchError where a rank dies or torch is missing."""
    with tempfile.TemporaryDirectory(prefix="rigwise-") as private:
        job = MeasureJob(
            world=world,
            threads=threads,
            parts=parts,
            seconds=seconds,
            output=private,
            device=device,
            rendezvous=f"file://{private}/ranks",
            thorough=thorough,
            task=task,
            batch=batch,
        )

        def hear(report: Mapping[str, Any]) -> None:
            if report["kind"] == "part" and on_part:
                on_part(report["part"], report["done"])

        launch(job, Path(private), hear)
        return together([_read(Path(private) / f"rows-{rank}.json") for rank in range(world)])


def _read(path: Path) -> list[Row]:
    return [Row(**values) for values in json.loads(path.read_text("utf-8"))]

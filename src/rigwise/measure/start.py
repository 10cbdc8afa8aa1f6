"""measure: start ranks that measure this machine, and take what they found. Knows no torch; the ranks do."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigwise.measure.job import MeasureJob, rows_file
from rigwise.measure.rows import Row, together
from rigwise.run.launch import launch

OnPart = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What ranks found. others: cores that other programs kept busy meanwhile."""

    rows: list[Row]
    world: int
    threads: int
    others: float


def found(
    parts: tuple[str, ...],
    *,
    world: int = 1,
    threads: int = 1,
    seconds: float = 5.0,
    thorough: bool = False,
    device: str = "auto",
    task: str = "",
    layout: str = "",
    batch: int | None = None,
    on_part: OnPart | None = None,
) -> Found:
    """What `world` ranks of `threads` threads find that measure at once. on_part: called with the part's name and what
    of it is done, 0 to 1. Raises LaunchError where a rank dies or torch is missing, and what a task's code raises."""
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
            layout=layout,
            batch=batch,
        )

        def hear(report: Mapping[str, Any]) -> None:
            if report["kind"] == "part" and on_part:
                on_part(report["part"], report["done"])

        launch(job, Path(private), hear)
        left = [json.loads(rows_file(private, rank).read_text("utf-8")) for rank in range(world)]
        rows = together([[Row(**values) for values in rank["rows"]] for rank in left])
        return Found(rows=rows, world=world, threads=threads, others=left[0]["others"])

"""What a rank does that measures, from the job to its last report."""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from rigwise.errors import RigwiseError
from rigwise.files import replace_text
from rigwise.hardware.busy import Busy
from rigwise.measure.heap import measure_heap
from rigwise.measure.host import measure_host
from rigwise.measure.job import MeasureJob, rows_file
from rigwise.measure.links import measure_links
from rigwise.measure.machine import measure_memory, measure_optimizers, measure_pace
from rigwise.measure.others import Others
from rigwise.measure.probes import measure_probes
from rigwise.measure.replay import replay
from rigwise.measure.rows import Row
from rigwise.run.ranks import connected
from rigwise.run.reporter import Reporter


def work(start: Mapping[str, Any], rank: int, reporter: Reporter) -> int:
    """Do a rank's part; the exit code. Every failure is reported as one of the family."""
    job = MeasureJob.from_dict(dict(start))
    try:
        torch.set_num_threads(job.threads)
        with connected(job, rank) as ranks:
            left = measured(job, rank, ranks.device, reporter)
            replace_text(rows_file(job.output, rank), json.dumps(left))
            reporter.send("done")
    except Exception as error:
        told = error if isinstance(error, RigwiseError) else RigwiseError(f"{type(error).__name__}: {error}")
        reporter.send("error", **told.to_dict())
        traceback.print_exc(file=sys.stderr)
        return 1
    return 0


def measured(job: MeasureJob, rank: int, device: torch.device, reporter: Reporter) -> dict[str, Any]:
    """What a rank finds, as plain values: its rows, and the cores that other programs kept busy meanwhile."""
    others = Others(job.world, device)
    found: list[Row] = []
    torch.manual_seed(0)
    before, own = Busy.now(), time.process_time()
    for part in job.parts:
        others.meet()
        if rank == 0:
            reporter.send("part", part=part, done=0.0)

        def progress(done: float, part: str = part) -> None:
            if rank == 0:
                reporter.send("part", part=part, done=min(done, 1.0))

        found += _WORKS[part](job, device, others, progress)
    return {"rows": [row.to_dict() for row in found], "others": before.others(others.sum(time.process_time() - own))}


_Work = Callable[[MeasureJob, torch.device, Others, Callable[[float], None]], Iterator[Row]]
_WORKS: Mapping[str, _Work] = {
    "memory": lambda job, device, others, progress: measure_memory(device, others),
    "probes": lambda job, device, others, progress: measure_probes(device, job.seconds, job.thorough, others, progress),
    "optimizers": lambda job, device, others, progress: measure_optimizers(device, others),
    "links": lambda job, device, others, progress: measure_links(device, others),
    "heap": lambda job, device, others, progress: measure_heap(job.seconds),
    "host": lambda job, device, others, progress: measure_host(device),
    "pace": lambda job, device, others, progress: measure_pace(device, others),
    "replay": replay,
}

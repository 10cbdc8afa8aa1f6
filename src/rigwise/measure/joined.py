"""A rank that a launcher started measures together with the others, on one host or on several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.distributed as dist

from rigwise.measure.job import MeasureJob
from rigwise.measure.rows import Row, together
from rigwise.measure.start import Found
from rigwise.measure.worker import measured
from rigwise.run.joined import Direct, lost, network, store_of
from rigwise.run.ranks import Ranks, group_words, pick_device
from rigwise.run.seats import Seat
from rigwise.run.stopping import die_with_parent

_PATIENCE_S = 60.0  # that a rank waits for another


def joined(here: Seat, job: MeasureJob, on_part: Callable[[str, float], None] | None) -> Found:
    """What all ranks found, on every rank. Raises LaunchError where a rank is lost."""
    die_with_parent()
    network(here)
    torch.set_num_threads(job.threads)

    def hear(report: Mapping[str, Any]) -> None:
        if report["kind"] == "part" and on_part:
            on_part(report["part"], report["done"])

    try:
        device = pick_device(job.device, here.local, here.near)
        dist.init_process_group(
            store=store_of(here), rank=here.rank, world_size=here.world, **group_words(device, _PATIENCE_S)
        )
        left = measured(job, here.rank, device, Direct(here.rank, hear))
        every = Ranks(rank=here.rank, world=here.world, device=device).gather(left)
        dist.destroy_process_group()
    except (dist.DistError, RuntimeError) as error:
        raise lost(here, " ".join(str(error).split())) from error
    rows = together([[Row(**values) for values in rank["rows"]] for rank in every])
    return Found(rows=rows, world=here.world, threads=job.threads, others=max(rank["others"] for rank in every))

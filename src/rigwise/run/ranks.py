"""The process group as the trainer sees it: who am I, the mean over ranks, and what every rank knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from rigwise.errors import LaunchError, UsageError
from rigwise.run.job import Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over ranks that is under way."""

    total: torch.Tensor
    world: int
    work: Any = None

    def get(self) -> float:
        """Wait for it."""
        if self.work is not None:
            self.work.wait()
        return float(self.total.item()) / self.world


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This rank among the others."""

    rank: int
    world: int
    device: torch.device

    def mean(self, value: torch.Tensor) -> Mean:
        """Start the mean of a scalar over ranks, in double precision; it travels while the next step computes."""
        total = value.detach().to(torch.float64, copy=True)
        work = dist.all_reduce(total, async_op=True) if self.world > 1 else None
        return Mean(total=total, world=self.world, work=work)

    def gather(self, value: Any) -> list[Any]:
        """Every rank's value, on every rank."""
        values = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.world > 1:
            dist.barrier()


def pick_device(wanted: str, rank: int, world: int) -> torch.device:
    """The device of a rank: its own GPU, or the CPU that all share. "auto" takes GPUs where there are any."""
    count = torch.cuda.device_count() if wanted != "cpu" else 0
    if wanted == "cpu" or (wanted == "auto" and count == 0):
        return torch.device("cpu")
    if count == 0:
        raise LaunchError("device=cuda, but torch sees no GPU", nearest="device=cpu")
    if count < world:
        raise UsageError(
            f"{world} ranks on {count} GPU{'s' * (count > 1)}",
            rule="every rank has a GPU of its own",
            nearest=f"dp={count}, or device=cpu",
        )
    device = torch.device("cuda", rank)
    torch.cuda.init()
    torch.cuda.set_device(device)
    return device


@contextmanager
def connected(job: Start, rank: int) -> Iterator[Ranks]:
    """Join the other ranks: gloo between CPUs, NCCL between GPUs, nothing for one rank."""
    device = pick_device(job.device, rank, job.world)
    if job.world > 1:
        backend = "nccl" if device.type == "cuda" else "gloo"
        own = device if backend == "nccl" else None
        dist.init_process_group(backend, init_method=job.rendezvous, rank=rank, world_size=job.world, device_id=own)
    yield Ranks(rank=rank, world=job.world, device=device)
    if job.world > 1:  # not after an error: the process ends anyway, and a broken group may wait for ever
        dist.destroy_process_group()

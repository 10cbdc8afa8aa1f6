"""The process group as the trainer sees it: who am I, the mean over ranks, and what every rank knows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any

import torch
import torch.distributed as dist

from rigwise.errors import LaunchError, UsageError
from rigwise.run.job import Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What the ranks told each other at the end of a step. loss: mean over ranks. stop: does any rank want to stop?
    step_s: seconds of the step before, mean over ranks; 0 where there was none. own_s: seconds
    that each rank was busy with its own work, in that step.
    """

    loss: float
    stop: bool
    step_s: float
    own_s: tuple[float, ...]

    @property
    def slowest(self) -> tuple[int, float] | None:
        """The rank with the most work of its own, and its time over the median's; None for one rank or no step."""
        middle = median(self.own_s)
        if len(self.own_s) < 2 or middle <= 0:
            return None
        rank = max(range(len(self.own_s)), key=self.own_s.__getitem__)
        return rank, self.own_s[rank] / middle


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """The ranks' words of a step, under way to each other."""

    words: torch.Tensor
    world: int
    work: Any = None

    def get(self) -> Met:
        """Wait for them."""
        if self.work is not None:
            self.work.wait()
        loss, stop, step, *own = self.words.tolist()
        return Met(loss=loss / self.world, stop=stop > 0, step_s=step / self.world, own_s=tuple(own))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """This rank among the others."""

    rank: int
    world: int
    device: torch.device

    def meet(self, loss: torch.Tensor, *, own_s: float = 0.0, step_s: float = 0.0, stop: bool = False) -> Meeting:
        """Tell the others, in double precision, what Met holds; it travels while the next step computes."""
        words = torch.zeros(3 + self.world, dtype=torch.float64, device=self.device)
        words[0] = loss.detach()
        words[1] = float(stop)
        words[2] = step_s
        words[3 + self.rank] = own_s
        work = dist.all_reduce(words, async_op=True) if self.world > 1 else None
        return Meeting(words=words, world=self.world, work=work)

    def gather(self, value: Any, group: dist.ProcessGroup | None = None) -> list[Any]:
        """Every rank's value, on every rank."""
        values = [value] * self.world
        if self.world > 1:
            dist.all_gather_object(values, value, group=group)
        return values

    def barrier(self) -> None:
        """Wait for all ranks."""
        if self.world > 1:
            dist.barrier()


def pick_device(wanted: str, rank: int, world: int) -> torch.device:
    """The device of a rank: its own GPU, or the CPU that all share. "auto" takes GPUs where there are any.

    rank, world: counted on this machine.
    """
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


def group_words(device: torch.device, patience_s: float | None, backend: str = "auto") -> dict[str, Any]:
    """How a process group is asked for: its backend, whose device this is, and how long it waits for others."""
    if backend == "mpi":
        from rigwise.run.mpi import group

        group.register()
        return {"backend": group.NAME}
    nccl = device.type == "cuda"
    patience = {"timeout": timedelta(seconds=patience_s)} if patience_s else {}
    return {"backend": "nccl" if nccl else "gloo", "device_id": device if nccl else None, **patience}


@contextmanager
def connected(job: Start, rank: int, patience_s: float | None = None) -> Iterator[Ranks]:
    """Join the other ranks: gloo between CPUs, NCCL between GPUs, nothing for one rank."""
    device = pick_device(job.device, rank, job.world)
    if job.world > 1:
        dist.init_process_group(
            init_method=job.rendezvous, rank=rank, world_size=job.world, **group_words(device, patience_s)
        )
    yield Ranks(rank=rank, world=job.world, device=device)
    if job.world > 1:  # not after an error: the process ends anyway, and a broken group may wait for ever
        dist.destroy_process_group()

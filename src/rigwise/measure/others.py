"""The other ranks that measure at the same time: meeting them, and agreeing."""

from __future__ import annotations

import torch
import torch.distributed as dist


class Others:
    """Of one rank: all at once, nothing to wait for."""

    def __init__(self, world: int, device: torch.device) -> None:
        self.world = world
        self._flag = torch.zeros(1, device=device)

    def meet(self) -> None:
        """Wait until every rank is here."""
        if self.world > 1:
            dist.barrier()

    def all(self, yes: bool) -> bool:
        """Whether every rank says yes."""
        if self.world == 1:
            return yes
        self._flag.fill_(float(yes))
        dist.all_reduce(self._flag, op=dist.ReduceOp.MIN)
        return bool(self._flag.item())

    def sum(self, value: float) -> float:
        """Over all ranks."""
        if self.world > 1:
            self._flag.fill_(value)
            dist.all_reduce(self._flag)
            return float(self._flag.item())
        return value

"""Weights that several stages of a pipeline hold: each has a copy, and their gradients are ADDED."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from rigwise.layouts.exchange import all_reduce
from rigwise.run.parallel.cut import Part


def holders(parts: Sequence[Part], stages: int) -> dict[str, tuple[int, ...]]:
    """The trained weights that several stages use: name -> stages, in order."""
    held: dict[str, set[int]] = {}
    for part in parts:
        for name, weight in part.module.named_parameters():
            if weight.requires_grad:
                held.setdefault(name, set()).add(part.number % stages)
    return {name: tuple(sorted(where)) for name, where in held.items() if len(where) > 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tied:
    """The tied weights of one rank, with the group of the ranks that hold each."""

    weights: Mapping[str, tuple[nn.Parameter, dist.ProcessGroup, int]]

    @classmethod
    def join(cls, parts: Sequence[Part], stages: int, lines: Sequence[Sequence[int]], rank: int) -> Tied:
        """Collective: every rank of the job makes all groups. lines: the ranks of each pipeline, a rank a stage."""
        found: dict[str, tuple[nn.Parameter, dist.ProcessGroup, int]] = {}
        groups: dict[tuple[int, ...], dist.ProcessGroup] = {}
        tied = holders(parts, stages)
        for where in dict.fromkeys(tied.values()):
            for line in lines:
                members = tuple(line[stage] for stage in where)
                group = dist.new_group(list(members))
                if rank in members:
                    groups[where] = group
        for name, where in tied.items():
            if where in groups:
                part = next(p for p in parts if name in dict(p.module.named_parameters()))
                found[name] = (part.module.get_parameter(name), groups[where], len(where))
        return cls(weights=found)

    def add(self) -> int:
        """Add the gradients up over the stages that hold a weight; the bytes that this rank sent."""
        sent = 0
        for weight, group, ranks in self.weights.values():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            dist.all_reduce(weight.grad, group=group)
            sent += int(all_reduce(weight.numel(), ranks)) * weight.element_size()
        return sent

"""Weights that several stages of a pipeline hold: each has a copy, and their gradients are ADDED."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from rigwise.run.parallel.cut import Part
from rigwise.run.parallel.sending import sending
from rigwise.run.parallel.sharing import local


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
    """The tied weights of one rank: for each the group of the ranks that hold it, and their number."""

    groups: Mapping[str, tuple[dist.ProcessGroup, int]]

    @classmethod
    def join(cls, parts: Sequence[Part], lines: Sequence[Sequence[int]], rank: int) -> Tied:
        """Collective: every rank of the job makes all groups. lines: the ranks of each pipeline, a rank a stage."""
        tied = holders(parts, len(lines[0]))
        groups: dict[tuple[int, ...], dist.ProcessGroup] = {}
        for where in dict.fromkeys(tied.values()):
            for line in lines:
                members = [line[stage] for stage in where]
                group = dist.new_group(members)
                if rank in members:
                    groups[where] = group
        return cls(groups={name: (groups[where], len(where)) for name, where in tied.items() if where in groups})

    def add(self, weights: Mapping[str, nn.Parameter]) -> None:
        """Add the gradients up over the stages that hold a weight. weights: this rank's, by name."""
        for name, (group, ranks) in self.groups.items():
            weight = weights[name]
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            gradient = local(weight.grad)
            with sending("gradient", "all_reduce", gradient, ranks):
                dist.all_reduce(gradient, group=group)

"""A task that watches the exchange from within its ranks: replicas must be equal at every step, and what was applied
and what every rank computed are added up and written to files of the working folder.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import TensorDataset

from rigwise import Task

LOCAL, APPLIED = "local-{rank}.pt", "applied.pt"


def network() -> nn.Module:
    """Tensors that fill several blocks, end within one, and are too small to be packed."""
    return nn.Sequential(nn.Linear(8, 600), nn.Tanh(), nn.Linear(600, 33), nn.Tanh(), nn.Linear(33, 1))


class Watching(torch.optim.SGD):
    """SGD that looks at the gradients which it is given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model.parameters(), lr=0.05, momentum=0.9)
        self.model = model
        self.latest: dict[str, torch.Tensor] = {}
        self.sums: dict[str, dict[str, torch.Tensor]] = {"local": {}, "applied": {}}
        for name, parameter in model.named_parameters():
            parameter.register_hook(self._keeper(name))

    def _keeper(self, name: str) -> Any:
        def keep(gradient: torch.Tensor) -> None:
            self.latest[name] = gradient.clone()

        return keep

    def step(self, closure: Any = None) -> None:
        for name, parameter in self.model.named_parameters():
            self._equal(name, parameter.detach())
            self._equal(f"{name}'s gradient", parameter.grad)
            for kind, gradient in (("local", self.latest[name]), ("applied", parameter.grad)):
                so_far = self.sums[kind].get(name, torch.zeros(parameter.shape, dtype=torch.float64))
                self.sums[kind][name] = so_far + gradient.double()
        super().step(closure)
        rank = dist.get_rank()
        torch.save(self.sums["local"], LOCAL.format(rank=rank))
        if rank == 0:
            torch.save(self.sums["applied"], APPLIED)

    def _equal(self, what: str, tensor: torch.Tensor) -> None:
        low, high = tensor.clone(), tensor.clone()
        dist.all_reduce(low, op=dist.ReduceOp.MIN)
        dist.all_reduce(high, op=dist.ReduceOp.MAX)
        if not torch.equal(low, high):
            raise AssertionError(f"{what} differs between ranks")


def watched() -> Task:
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn(200, 8, generator=draw)
    model = network()
    data = TensorDataset(inputs, inputs.sin().sum(1, keepdim=True))
    return Task(model, nn.functional.mse_loss, data, lambda parameters: Watching(model), batch=48)

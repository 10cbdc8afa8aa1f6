"""A network of mixtures of experts, and a few steps of it on a layout's ranks, to compare with one process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from rigwise.layouts.layout import Layout
from rigwise.run.experts import MixtureOfExperts
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.parallel import parallelize
from rigwise.run.parallel.sending import counting

BATCH, TOKENS, WIDE, EXPERTS = 16, 3, 8, 8


class Mixed(nn.Module):
    """Tokens [B, S, H] through two mixtures, the second of top_k 1 and used twice, with a norm; a score each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.first = MixtureOfExperts(WIDE, 12, EXPERTS, top_k=2)
        self.norm = nn.LayerNorm(WIDE)
        self.second = MixtureOfExperts(WIDE, 5, EXPERTS // 2, top_k=1, activation=torch.tanh)
        self.last = nn.Linear(WIDE, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x + self.first(x))
        for _ in range(2):
            x = x + self.second(x)
        out: torch.Tensor = self.last(x.mean(1))
        return out


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(step)
    inputs = torch.randn(BATCH, TOKENS, WIDE, generator=draw, dtype=torch.float64)
    return inputs, inputs.sin().sum((1, 2)).unsqueeze(1)


def trained(layout: Layout, steps: int, micro: int = 4) -> Any:
    """Losses of each step, then each piece and its gradient in the last step, and what was sent in all."""
    torch.manual_seed(0)
    model, loss = Mixed().double(), nn.functional.mse_loss
    mesh = Mesh.join(layout.but(micro=micro), "cpu")
    share = BATCH // layout.dp
    own = slice(mesh.coordinate("dp") * share, (mesh.coordinate("dp") + 1) * share)
    inputs, targets = batch(0)
    parallel = parallelize(model, mesh.layout, mesh, inputs=inputs[:micro], targets=targets[:micro], loss=loss)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.05, momentum=0.9)
    losses, sent = [], []
    for step in range(steps):
        inputs, targets = batch(step)
        optimizer.zero_grad()
        with counting() as ledger:
            value = parallel.step(inputs[own], targets[own], loss)
        sent += ledger
        if layout.dp > 1:
            dist.all_reduce(value, op=dist.ReduceOp.AVG)
        losses.append(float(value))
        optimizer.step()
    pieces = [
        (replace(held, parameter=None), kept.detach().numpy(), kept.grad.numpy())
        for held in parallel.held()
        if (kept := held.parameter) is not None and kept.grad is not None
    ]
    return losses, pieces, sent, parallel.take_sent()


def evenly() -> tuple[MixtureOfExperts, torch.Tensor]:
    """A mixture and rows [8, H] of which every expert gets as many of each two: row i goes to experts i and i + 1."""
    mixture = MixtureOfExperts(WIDE, 6, EXPERTS, top_k=2).double()
    with torch.no_grad():
        mixture.router.weight.copy_(torch.eye(EXPERTS) + 0.5 * torch.eye(EXPERTS).roll(1, 0))
    return mixture, 3 * torch.eye(EXPERTS, WIDE, dtype=torch.float64)


def moved_evenly(layout: Layout) -> Any:
    """What a rank sends where each expert gets as many rows of each rank."""
    mixture, rows = evenly()
    own = layout.but(micro=EXPERTS)
    parallel = parallelize(mixture, own, Mesh.join(own, "cpu"), inputs=rows)
    with counting() as sent:
        parallel(rows.requires_grad_()).sum().backward()
    return [one for one in sent if one.of != "gradient"]


def both(layout: Layout, steps: int, micro: int) -> Any:
    """Of one set of ranks, since starting them takes longest."""
    return *trained(layout, steps, micro), moved_evenly(layout)

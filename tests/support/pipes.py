"""Small networks that are hard to cut, and a few steps of one on a pipeline, for tests to compare with one process."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rigwise.layouts.layout import Layout
from rigwise.run.parallel.capture import capture
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.pipeline import MicroBatch
from rigwise.run.parallel.stages import Stages, prepare

WORDS, LENGTH, WIDE = 11, 6, 8


class Crossed(nn.Module):
    """Tied embedding and head, a skip over all layers, a mask and a model input used late, a counting buffer, batch
    statistics, writes in place, dropout, a dict for an output."""

    def __init__(self, layers: int = 5, dropout: float = 0.0) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDE)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(WIDE, 2 * WIDE), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(2 * WIDE, WIDE)
            )
            for _ in range(layers)
        )
        self.norm = nn.BatchNorm1d(LENGTH)
        self.head = nn.Linear(WIDE, WORDS, bias=False)
        self.head.weight = self.words.weight
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, words: torch.Tensor) -> dict[str, torch.Tensor]:
        first = x = self.words(words)
        mask = (words > 3).unsqueeze(-1)
        for number, layer in enumerate(self.layers):
            x = x + layer(x) * mask
            if number == 1:
                self.seen = self.seen + 1
        x = self.norm(x + first) + words.unsqueeze(-1).to(x.dtype)
        return {"scores": self.head(x), "size": x.mean()}


def crossed_loss(output: dict[str, torch.Tensor], targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(output["scores"].flatten(0, 1), targets.flatten()) + output["size"] ** 2


class Images(nn.Module):
    """Convolutions of unequal cost, batch norm, and a pool: stages come out uneven."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(), nn.Conv2d(4, 7, 3, stride=2, bias=False), nn.SiLU(),
            nn.Conv2d(7, 3, 1), nn.Tanh(),
        )  # fmt: skip
        self.dense = nn.Linear(27, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.dense(self.features(x).flatten(1))
        return out


def made(name: str, dtype: torch.dtype = torch.float64, **other: Any) -> tuple[nn.Module, Any]:
    """A network of this file and its loss."""
    torch.manual_seed(0)
    if name == "images":
        return Images().to(dtype), nn.functional.cross_entropy
    return Crossed(**other).to(dtype), crossed_loss


def batch(
    name: str, samples: int, dtype: torch.dtype = torch.float64, seed: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    if name == "images":
        return torch.randn(samples, 1, 8, 8, generator=draw, dtype=dtype), torch.randint(5, (samples,), generator=draw)
    words = torch.randint(WORDS, (2, samples, LENGTH), generator=draw)
    return words[0], words[1]


def rows(loss: Any, inputs: torch.Tensor, targets: torch.Tensor, micro: int) -> list[tuple[torch.Tensor, Any]]:
    """Micro-batches: inputs, and the share of the loss."""
    count = len(inputs) // micro

    def share(at: int) -> Any:
        return lambda output: loss(output, targets[at : at + micro]) / count

    return [(inputs[at : at + micro], share(at)) for at in range(0, len(inputs), micro)]


def alone(name: str, micros: int, steps: int, micro: int = 2, dtype: Any = torch.float64, **other: Any) -> Any:
    """Losses of each step, then weights and buffers, of one process with the same micro-batches."""
    model, loss = made(name, dtype, **other)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for step in range(steps):
        total = 0.0
        for inputs, share in rows(loss, *batch(name, micros * micro, dtype, step), micro):
            part = share(model(inputs))
            part.backward()
            total += float(part.detach())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    return losses, {k: v.detach().double().numpy() for k, v in model.state_dict().items()}


def piped(
    name: str,
    layout: Layout,
    kind: str,
    micros: int,
    steps: int,
    micro: int = 2,
    dtype: Any = torch.float64,
    **other: Any,
) -> Any:
    """The same on a rank of a pipeline: losses (on the last stage), this rank's tensors, and what it held and sent."""
    model, loss = made(name, dtype, **other)
    mesh = Mesh.join(layout, "cpu")
    graph = capture(model, batch(name, micro, dtype)[0])
    prepare(graph, model, layout)
    stages = Stages(graph, mesh, micros, kind)  # type: ignore[arg-type]
    weights = {id(p): p for module in stages.modules for p in module.parameters()}
    optimizer = torch.optim.SGD(weights.values(), lr=0.05, momentum=0.9)
    losses = []
    for step in range(steps):
        work = rows(loss, *batch(name, micros * micro, dtype, step), micro)
        total = stages.step([MicroBatch(leaves=stages.leaves(inputs), loss=share) for inputs, share in work])
        stages.tied.add()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(None if total is None else float(total))
    state = {k: v.detach().double().numpy() for module in stages.modules for k, v in module.state_dict().items()}
    sent = stages.wires.sent if layout.pp > 1 else {}
    leaves = [[(v.name, v.bytes, v.differentiable) for v in part.leaves] for part in stages.parts]
    return losses, state, stages.pipeline.held_most, dict(sent), leaves

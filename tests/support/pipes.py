"""Small networks that are hard to cut, and a few steps of one on a pipeline, for tests to compare with one process."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from mixed_layouts import Experts
from rigwise.layouts.layout import Layout
from rigwise.layouts.schedule import in_flight
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.parallel import parallelize
from rigwise.run.parallel.sending import counting
from rigwise.run.parallel.sharing import local
from together import together

WORDS, LENGTH, WIDE, TOKENS = 11, 6, 8, 8


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
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.SiLU(),
            nn.Conv2d(4, 7, 3, stride=2, bias=False), nn.SiLU(), nn.Conv2d(7, 3, 1), nn.Tanh(),
        )  # fmt: skip
        self.dense = nn.Linear(27, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.dense(self.features(x).flatten(1))
        return out


class Layer(nn.Module):
    """Causal attention and feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(WIDE), nn.Linear(WIDE, 3 * WIDE), nn.Linear(WIDE, WIDE)
        self.feed = nn.Sequential(nn.LayerNorm(WIDE), nn.Linear(WIDE, 16), nn.GELU(), nn.Linear(16, WIDE))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, s, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(n, s, 3, 2, WIDE // 2).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, s, WIDE))
        out: torch.Tensor = x + self.feed(x)
        return out


class Words(nn.Module):
    """A small language model; its head is its table."""

    def __init__(self, layers: int = 3) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(WORDS, WIDE), nn.Embedding(TOKENS, WIDE)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(WIDE), nn.Linear(WIDE, WORDS, bias=False)
        self.head.weight = self.table.weight

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.table(words) + self.places(torch.arange(words.shape[1]))
        for layer in self.layers:
            x = layer(x)
        out: torch.Tensor = self.head(self.norm(x))
        return out


def words_loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten())


def made(name: str, dtype: torch.dtype = torch.float64, **other: Any) -> tuple[nn.Module, Any]:
    """A network of this file and its loss."""
    torch.manual_seed(0)
    if name == "images":
        return Images().to(dtype), nn.functional.cross_entropy
    if name in ("words", "experts"):
        return (Words if name == "words" else Experts)(**other).to(dtype), words_loss
    return Crossed(**other).to(dtype), crossed_loss


def batch(
    name: str, samples: int, dtype: torch.dtype = torch.float64, seed: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    if name == "images":
        return torch.randn(samples, 1, 8, 8, generator=draw, dtype=dtype), torch.randint(5, (samples,), generator=draw)
    words = torch.randint(WORDS, (2, samples, LENGTH if name == "crossed" else TOKENS), generator=draw)
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
    return losses, {k: v.detach().double().clone().numpy() for k, v in model.state_dict().items()}


def piped(name: str, layout: Layout, micros: int, steps: int, dtype: Any, other: dict[str, Any]) -> Any:
    """The same on a rank of a layout: losses, this rank's pieces of the state, what it held at most and sent."""
    model, loss = made(name, dtype, **other)
    mesh, micro = Mesh.join(layout, "cpu"), layout.micro
    shape = batch(name, micro, dtype)
    parallel = parallelize(model, layout, mesh, inputs=shape[0], targets=shape[1], loss=loss)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.05, momentum=0.9)
    losses, share = [], micros * micro
    own = slice(mesh.coordinate("dp") * share, (mesh.coordinate("dp") + 1) * share)
    sent = []
    for step in range(steps):
        inputs, targets = batch(name, layout.dp * share, dtype, step)
        with counting() as ledger:
            value = parallel.step(inputs[own], targets[own], loss).double()
        sent += ledger
        if layout.dp > 1:
            dist.all_reduce(value, op=dist.ReduceOp.AVG, group=mesh.group("dp"))
        losses.append(float(value))
        optimizer.step()
        optimizer.zero_grad()
    held = [
        (replace(piece, parameter=None), local(piece.parameter.detach()).double().numpy())
        for piece in parallel.held()
        if piece.parameter is not None
    ]
    line = parallel.line
    report = None
    if line is not None:
        leaves = [[(v.name, v.bytes, v.differentiable) for v in leaves] for leaves in line.stages.leaves]
        report = (line.stages.pipeline(micros).held_most, dict(line.stages.wires.sent), leaves)
    return losses, held, report, sent


def each(cases: list[tuple[Any, ...]]) -> list[Any]:
    """Several cases, one after the other, on a rank."""
    return [piped(*case) for case in cases]


FLOAT64 = 1e-12
Case = tuple[str, Layout, int]  # a network of this file, a layout, micro-batches of two samples
reference = cache(alone)


def agree(*cases: Case, steps: int = 3, within: float = FLOAT64, dtype: Any = torch.float64, **other: Any) -> list[Any]:
    """Train on ranks as layouts of equally many say, and on one process with the same micro-batches; what every rank
    reported of the last case. One start of the ranks serves all cases.
    """
    whole = [(name, layout.but(micro=2, precision="float32"), micros) for name, layout, micros in cases]
    (world,) = {layout.ranks for _, layout, _ in whole}
    given = [(*case, steps, dtype, other) for case in whole]
    found = together(world, each, given)
    for number, case in enumerate(whole):
        _compare(case, [rank[number] for rank in found], steps, within, dtype, other)
    return [rank[-1] for rank in found]


def _compare(case: Case, ranks: list[Any], steps: int, within: float, dtype: Any, other: dict[str, Any]) -> None:
    name, layout, micros = case
    losses, weights = reference(name, micros * layout.dp, steps, dtype=dtype, **other)
    held = set()
    for rank, (own, pieces, report, _) in enumerate(ranks):
        assert own == pytest.approx(losses, rel=within), (name, layout)
        for piece, value in pieces:
            held.add(piece.name)
            whole = piece.cut(torch.from_numpy(weights[piece.name]))
            apart = float((torch.from_numpy(value) - whole).abs().max())
            assert apart <= within * max(1.0, float(whole.abs().max())), (name, layout, piece.name)
        if report:
            stage = rank * layout.pp // layout.ranks
            assert report[0] / layout.vpp == in_flight(layout.pipeline, stage, layout.pp, micros, layout.vpp)
    assert held == set(weights) - ({"head.weight"} if name in ("crossed", "words") else set()), (name, layout)

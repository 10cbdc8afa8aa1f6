"""Small networks in double precision, built from a description that fits in a JSON file.

{"kind": "mlp", "sizes": [..]}
{"kind": "conv", "channels": [..], "groups": g, "depthwise": bool, "classes": n}; and "dense": [..] before the classes
{"kind": "transformer", "heads": h, "kv": k, "width": d, "ffn": f, "layers": l, "vocab": v, "gated": b, "tied": b}
A transformer may have "experts": e, of which a token meets two, in place of its feed-forward, and attention "by_hand",
without torch's own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.utils.data import TensorDataset

from rigwise import Task
from rigwise.run.experts import MixtureOfExperts

SAMPLES, TOKENS, PIXELS = 48, 6, 6
Net = dict[str, Any]


def mlp(net: Net) -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(net["sizes"]):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def conv(net: Net) -> nn.Module:
    layers: list[nn.Module] = []
    channels = [2, *net["channels"]]
    for inputs, outputs in pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.SiLU()]
        if outputs % net["groups"] == 0:
            layers += [nn.GroupNorm(net["groups"], outputs)]
        if net["depthwise"]:
            layers += [nn.Conv2d(outputs, outputs, 3, padding=1, groups=outputs), nn.Tanh()]
    layers += [nn.AvgPool2d(2), nn.Flatten()]
    sizes = [channels[-1] * (PIXELS // 2) ** 2, *net.get("dense", ())]
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    layers += [nn.Linear(sizes[-1], net["classes"])]
    return nn.Sequential(*layers)


class Layer(nn.Module):
    """Attention with its own projections, then a feed-forward, gated or not."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.heads, self.kv, self.width = net["heads"], net["kv"], net["width"]
        hidden = self.heads * self.width
        self.first, self.second = nn.LayerNorm(hidden), nn.RMSNorm(hidden)
        self.queries = nn.Linear(hidden, hidden)
        self.pairs = nn.Linear(hidden, 2 * self.kv * self.width)
        self.out = nn.Linear(hidden, hidden)
        self.gated, self.mixture, self.by_hand = net["gated"], None, net.get("by_hand", False)
        if net.get("experts"):
            self.mixture = MixtureOfExperts(hidden, net["ffn"], net["experts"])
            return
        self.up = nn.Linear(hidden, net["ffn"] * (1 + self.gated))
        self.down = nn.Linear(net["ffn"], hidden)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, hidden = x.shape
        queries = self.queries(x).view(batch, tokens, self.heads, self.width).transpose(1, 2)
        pairs = self.pairs(x).view(batch, tokens, 2, self.kv, self.width).permute(2, 0, 3, 1, 4)
        if self.by_hand:
            scores = queries @ pairs[0].transpose(-2, -1) / self.width**0.5
            scores = scores.masked_fill(torch.ones(tokens, tokens, dtype=torch.bool).triu(1), float("-inf"))
            mixed = nn.functional.dropout(scores.softmax(-1), 0.0) @ pairs[1]
        else:
            mixed = nn.functional.scaled_dot_product_attention(
                queries, pairs[0], pairs[1], is_causal=True, enable_gqa=self.kv != self.heads
            )
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.first(x))
        if self.mixture is not None:
            return x + self.mixture(self.second(x))
        fed = self.up(self.second(x))
        if self.gated:
            gate, fed = fed.chunk(2, dim=-1)
            return x + self.down(nn.functional.silu(gate) * fed)
        return x + self.down(nn.functional.gelu(fed))


class Transformer(nn.Module):
    """Words [B, S] -> scores [B, S, V]."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        hidden = net["heads"] * net["width"]
        self.words = nn.Embedding(net["vocab"], hidden)
        self.places = nn.Parameter(torch.randn(TOKENS, hidden))
        self.layers = nn.ModuleList(Layer(net) for _ in range(net["layers"]))
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, net["vocab"], bias=False)
        if net["tied"]:
            self.head.weight = self.words.weight

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.words(words) + self.places
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def entropy(scores: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(scores.flatten(0, -2), words.flatten())


def task_of(net: Net) -> Task:
    """The net with random data and SGD, all in double precision."""
    draw = torch.Generator().manual_seed(3)
    if net["kind"] == "transformer":
        words = torch.randint(net["vocab"], (SAMPLES, TOKENS + 1), generator=draw)
        model, data = Transformer(net), TensorDataset(words[:, :-1].contiguous(), words[:, 1:].contiguous())
    elif net["kind"] == "conv":
        images = torch.randn(SAMPLES, 2, PIXELS, PIXELS, generator=draw, dtype=torch.float64)
        model, data = conv(net), TensorDataset(images, torch.randint(net["classes"], (SAMPLES,), generator=draw))
    else:
        rows = torch.randn(SAMPLES, net["sizes"][0], generator=draw, dtype=torch.float64)
        model, data = mlp(net), TensorDataset(rows, torch.randint(net["sizes"][-1], (SAMPLES,), generator=draw))
    return Task(
        model.double(),
        entropy if net["kind"] == "transformer" else nn.functional.cross_entropy,
        data,
        lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
        batch=12,
        tokens=TOKENS if net["kind"] == "transformer" else 0,
    )

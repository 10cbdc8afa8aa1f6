"""The small networks that are measured: chains of layers told in words (data/probes.toml), made into torch modules.

A layer is a word with numbers: "dense 320", "conv 24 3 s2 p1 g24" (channels, kernel; stride, padding, groups),
"maxpool 2", "avgpool 2", "mean" (over all positions), "attention 4" and "causal 4" (heads), "lstm 160", "embedding
5000 96" (rows, width), "keep layers" ... "add" (a residual around the layers between), and the plain words of _PLAIN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from rigwise.errors import UsageError

_PLAIN: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "dropout": nn.Dropout,
    "flatten": nn.Flatten,
}


class Attention(nn.Module):
    """Self-attention with its two linear layers: [B, S, H] -> [B, S, H]."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, S, H] -> [B, S, H]."""
        b, s, h = x.shape
        q, k, v = (part.view(b, s, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        joined: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(b, s, h))
        return joined


class Recurrent(nn.Module):
    """One LSTM layer, its outputs only: [B, T, I] -> [B, T, H]."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell = nn.LSTM(inputs, hidden, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, T, I] -> [B, T, H]."""
        out: torch.Tensor = self.cell(x)[0]
        return out


class Residual(nn.Module):
    """Layers with their input added to their output."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.inner = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape as came in."""
        out: torch.Tensor = x + self.inner(x)
        return out


class Mean(nn.Module):
    """The mean over all but samples and channels: of an image its positions, of a sequence its tokens."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, C, H, W] or [B, S, C] -> [B, C]."""
        return x.mean((2, 3)) if x.dim() == 4 else x.mean(1)


def network(layers: Iterable[str], shape: tuple[int, ...]) -> tuple[nn.Module, torch.Tensor, torch.Size]:
    """The module of some layers, an input of the shape (of numbers, or of row numbers for an embedding), and the shape
    of what comes out.

    Raises UsageError for a word that is no layer.
    """
    words = [layer.split() for layer in layers]
    first = words[0]
    x = torch.randint(int(first[1]), shape) if first[0] == "embedding" else torch.randn(shape)
    made: list[list[nn.Module]] = [[]]
    flow = x.to("meta")  # shapes only: a pass for real would take as long as one that is timed
    for word, *rest in words:
        before = flow
        if word == "keep":
            made.append([])
            continue
        if word == "add":
            layer: nn.Module = Residual(made.pop())
            made[-1].append(layer)
            continue
        with torch.no_grad(), torch.device("meta"):
            flow = _layer(word, rest, flow)(flow)
        made[-1].append(_layer(word, rest, before))
    return nn.Sequential(*made[0]), x, flow.shape


def _layer(word: str, rest: list[str], flow: torch.Tensor) -> nn.Module:
    if word in _PLAIN:
        return _PLAIN[word]()
    numbers = [int(text) for text in rest if text.isdigit()]
    marks = {text[0]: int(text[1:]) for text in rest if not text.isdigit()}
    width = flow.shape[1] if flow.dim() == 4 else flow.shape[-1]
    makers: Mapping[str, Callable[[], nn.Module]] = {
        "dense": lambda: nn.Linear(width, numbers[0]),
        "head": lambda: nn.Linear(width, numbers[0], bias=False),
        "conv": lambda: nn.Conv2d(
            width, numbers[0], numbers[1], marks.get("s", 1), marks.get("p", 0), groups=marks.get("g", 1)
        ),
        "batchnorm": lambda: nn.BatchNorm2d(width),
        "groupnorm": lambda: nn.GroupNorm(numbers[0], width),
        "layernorm": lambda: nn.LayerNorm(width),
        "maxpool": lambda: nn.MaxPool2d(numbers[0], numbers[-1]),
        "avgpool": lambda: nn.AvgPool2d(numbers[0], numbers[-1]),
        "mean": Mean,
        "attention": lambda: Attention(width, numbers[0], causal=False),
        "causal": lambda: Attention(width, numbers[0], causal=True),
        "lstm": lambda: Recurrent(width, numbers[0]),
        "embedding": lambda: nn.Embedding(numbers[0], numbers[1]),
    }
    if word not in makers:
        raise UsageError(f"no layer {word!r}", rule=f"{', '.join((*_PLAIN, *makers))}, keep, add")
    return makers[word]()


def loss_of(out: torch.Tensor, target: torch.Tensor) -> Any:
    """Cross entropy over the last dim."""
    return functional.cross_entropy(out.flatten(0, -2), target)

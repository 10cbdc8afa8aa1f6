"""The networks that predict.py predicts, as tasks: data in whole batches, so that loading takes no time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import IterableDataset

from rigwise.run.task import Task

NAMES = ("mlp", "lenet", "alexnet", "resnet18", "gpt_small", "gpt_medium", "lstm", "vit")
Optimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class Same(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """One batch, again and again."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.pair = inputs, targets

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            yield self.pair


def _sgd(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9)


def _adamw(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-4)


def _over_tokens(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(scores.flatten(0, 1), targets.flatten())


def _images(model: nn.Module, batch: int, channels: int, side: int, optimizer: Optimizer = _sgd) -> Task:
    data = Same(torch.randn(batch, channels, side, side), torch.zeros(batch, dtype=torch.long))
    return Task(model, functional.cross_entropy, data, optimizer, batch=batch)


def _tokens(model: nn.Module, batch: int, length: int, vocabulary: int) -> Task:
    shape = (batch, length)
    data = Same(torch.randint(0, vocabulary, shape), torch.randint(0, vocabulary, shape))
    return Task(model, _over_tokens, data, _adamw, batch=batch, tokens=length)


def mlp() -> Task:
    """784-256-256-10, 64 samples."""
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    data = Same(torch.randn(64, 784), torch.zeros(64, dtype=torch.long))
    return Task(model, functional.cross_entropy, data, _sgd, batch=64)


def lenet() -> Task:
    """LeNet-5 with tanh and average pooling, 64 images of 28 x 28."""
    features = [nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh()]
    dense = [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84), nn.Tanh()]
    return _images(nn.Sequential(*features, *dense, nn.Linear(84, 10)), 64, 1, 28)


def alexnet() -> Task:
    """Four convolutions of AlexNet's form for 32 x 32 images, 32 of them."""
    layers: list[nn.Module] = []
    before = 3
    for width, pooled in ((64, True), (192, True), (256, False), (256, True)):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else [])]
        before = width
    head = [nn.Flatten(), nn.Dropout(), nn.Linear(4096, 1024), nn.ReLU(), nn.Linear(1024, 10)]
    return _images(nn.Sequential(*layers, *head), 32, 3, 32)


class _Residual(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        same = stride == 1 and before == width
        self.way: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.inner(x) + self.way(x))


def resnet18() -> Task:
    """ResNet-18 for 32 x 32 images, 16 of them."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    before = 64
    for width, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        layers.append(_Residual(before, width, stride))
        before = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)]
    return _images(nn.Sequential(*layers, *head), 16, 3, 32)


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, s, h = x.shape
        q, k, v = (part.view(b, s, self.heads, -1).transpose(1, 2) for part in self.qkv(self.first(x)).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(mixed.transpose(1, 2).reshape(b, s, h))
        out: torch.Tensor = x + self.feed(self.second(x))
        return out


class _Gpt(nn.Module):
    def __init__(self, layers: int, width: int, heads: int, vocabulary: int, length: int) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Parameter(torch.zeros(length, width))
        self.layers = nn.Sequential(*(_Layer(width, heads, causal=True) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: torch.Tensor) -> Any:
        return self.head(self.norm(self.layers(self.token(tokens) + self.place)))


def gpt_small() -> Task:
    """4 layers of 256, 8 sequences of 128."""
    return _tokens(_Gpt(4, 256, 4, 1000, 128), 8, 128, 1000)


def gpt_medium() -> Task:
    """6 layers of 512, 8 sequences of 128."""
    return _tokens(_Gpt(6, 512, 8, 4000, 128), 8, 128, 4000)


class _Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Embedding(1000, 128)
        self.cells = nn.LSTM(128, 256, 2, batch_first=True)
        self.head = nn.Linear(256, 1000)

    def forward(self, tokens: torch.Tensor) -> Any:
        return self.head(self.cells(self.token(tokens))[0])


def lstm() -> Task:
    """Two LSTM layers of 256, 32 sequences of 64."""
    return _tokens(_Lstm(), 32, 64, 1000)


class _Vit(nn.Module):
    def __init__(self, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.patch, self.place = nn.Conv2d(3, width, 4, 4), nn.Parameter(torch.zeros(64, width))
        self.layers = nn.Sequential(*(_Layer(width, heads, causal=False) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> Any:
        return self.head(self.norm(self.layers(self.patch(x).flatten(2).transpose(1, 2) + self.place)).mean(1))


def vit() -> Task:
    """6 layers of 192 over 8 x 8 patches, 16 images of 32 x 32."""
    return _images(_Vit(6, 192, 3), 16, 3, 32, _adamw)

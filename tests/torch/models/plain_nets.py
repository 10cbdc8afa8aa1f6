"""Well-known networks written once more with plain torch modules, as oracles for the builders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


def conv_norm(c: int, k: int, kernel: Any = 1, act: type[nn.Module] | None = nn.ReLU, **options: Any) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(c, k, kernel, bias=False, **options), nn.BatchNorm2d(k)]
    return nn.Sequential(*layers, *([act(inplace=True)] if act else []))


def alexnet() -> nn.Module:
    def conv(c: int, k: int, kernel: int, **options: Any) -> list[nn.Module]:
        return [nn.Conv2d(c, k, kernel, **options), nn.ReLU(inplace=True)]

    return nn.Sequential(
        *conv(3, 64, 11, stride=4, padding=2),
        nn.MaxPool2d(3, 2),
        *conv(64, 192, 5, padding=2),
        nn.MaxPool2d(3, 2),
        *conv(192, 384, 3, padding=1),
        *conv(384, 256, 3, padding=1),
        *conv(256, 256, 3, padding=1),
        nn.MaxPool2d(3, 2),
        nn.Flatten(),
        nn.Dropout(),
        *(nn.Linear(9216, 4096), nn.ReLU(inplace=True), nn.Dropout()),
        *(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, 1000)),
    )


def vgg16() -> nn.Module:
    layers: list[nn.Module] = []
    c = 3
    for k, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(c, k, 3, padding=1), nn.ReLU(inplace=True)]
            c = k
        layers.append(nn.MaxPool2d(2))
    dense = (nn.Linear(25088, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout())
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.Linear(4096, 1000))


class Bottleneck(nn.Module):
    def __init__(self, c: int, width: int, k: int, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(c, width),
            conv_norm(width, width, 3, stride=stride, padding=1, groups=groups),
            conv_norm(width, k, act=None),
        )
        self.around = conv_norm(c, k, act=None, stride=stride) if stride > 1 or c != k else nn.Identity()

    def forward(self, x: Any) -> Any:
        y = self.body(x)
        y += self.around(x)
        return F.relu(y, inplace=True)


def resnet(depths: Sequence[int], groups: int = 1, width_per_group: int = 64) -> nn.Module:
    stages = []
    c = 64
    for stage, depth in enumerate(depths):
        width, k = 2**stage * width_per_group * groups, 256 * 2**stage
        blocks = []
        for number in range(depth):
            blocks.append(Bottleneck(c, width, k, 2 if number == 0 and stage else 1, groups))
            c = k
        stages.append(nn.Sequential(*blocks))
    stem = (conv_norm(3, 64, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1000))


class Inverted(nn.Module):
    def __init__(self, c: int, k: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = c * expansion
        first = [conv_norm(c, wide, act=nn.ReLU6)] if expansion > 1 else []
        middle = conv_norm(wide, wide, 3, act=nn.ReLU6, stride=stride, padding=1, groups=wide)
        self.body = nn.Sequential(*first, middle, conv_norm(wide, k, act=None))
        self.residual = stride == 1 and c == k

    def forward(self, x: Any) -> Any:
        return x + self.body(x) if self.residual else self.body(x)


def mobilenet_v2() -> nn.Module:
    layers: list[nn.Module] = [conv_norm(3, 32, 3, act=nn.ReLU6, stride=2, padding=1)]
    c = 32
    table = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, k, count, stride in table:
        for number in range(count):
            layers.append(Inverted(c, k, stride if number == 0 else 1, expansion))
            c = k
    layers.append(conv_norm(c, 1280, act=nn.ReLU6))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(1280, 1000))


class Excite(nn.Module):
    def __init__(self, c: int, squeezed: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(c, squeezed, 1), nn.Conv2d(squeezed, c, 1)

    def forward(self, x: Any) -> Any:
        return x * torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Shuffle(nn.Module):
    def __init__(self, c: int, k: int) -> None:
        super().__init__()
        half = k // 2
        self.down = c != k
        source = c if self.down else half
        stride = 2 if self.down else 1
        self.branch = nn.Sequential(
            conv_norm(source, half),
            conv_norm(half, half, 3, act=None, stride=stride, padding=1, groups=half),
            conv_norm(half, half),
        )
        away = (conv_norm(c, c, 3, act=None, stride=2, padding=1, groups=c), conv_norm(c, half))
        self.around = nn.Sequential(*(away if self.down else ()))

    def forward(self, x: Any) -> Any:
        kept, used = (self.around(x), x) if self.down else x.chunk(2, 1)
        y = torch.cat([kept, self.branch(used)], 1)
        n, c, *size = y.shape
        return y.view(n, 2, c // 2, *size).transpose(1, 2).reshape(n, c, *size)


def shufflenet_v2() -> nn.Module:
    layers: list[nn.Module] = [conv_norm(3, 24, 3, stride=2, padding=1), nn.MaxPool2d(3, 2, 1)]
    c = 24
    for k, count in ((116, 4), (232, 8), (464, 4)):
        for _ in range(count):
            layers.append(Shuffle(c, k))
            c = k
    return nn.Sequential(*layers, conv_norm(c, 1024), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1024, 1000))


class Branches(nn.Module):
    """Branches side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Any) -> Any:
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception_stem_and_first() -> nn.Module:
    """Inception v3 up to and with its first module."""
    stem = (
        conv_norm(3, 32, 3, stride=2),
        conv_norm(32, 32, 3),
        conv_norm(32, 64, 3, padding=1),
        nn.MaxPool2d(3, 2),
        conv_norm(64, 80),
        conv_norm(80, 192, 3),
        nn.MaxPool2d(3, 2),
    )
    return nn.Sequential(
        nn.Sequential(*stem),
        Branches(
            conv_norm(192, 64),
            nn.Sequential(conv_norm(192, 48), conv_norm(48, 64, 5, padding=2)),
            nn.Sequential(conv_norm(192, 64), conv_norm(64, 96, 3, padding=1), conv_norm(96, 96, 3, padding=1)),
            nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_norm(192, 32)),
        ),
    )


class Dense(nn.Module):
    def __init__(self, c: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.BatchNorm2d(c), nn.ReLU(inplace=True), nn.Conv2d(c, 4 * growth, 1, bias=False)),
            *(nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True)),
            nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False),
        )

    def forward(self, x: Any) -> Any:
        return torch.cat([x, self.body(x)], 1)


def densenet121() -> nn.Module:
    layers: list[nn.Module] = [conv_norm(3, 64, 7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1)]
    c = 64
    for stage, depth in enumerate((6, 12, 24, 16)):
        for _ in range(depth):
            layers.append(Dense(c, 32))
            c += 32
        if stage < 3:
            layers += [nn.BatchNorm2d(c), nn.ReLU(inplace=True), nn.Conv2d(c, c // 2, 1, bias=False), nn.AvgPool2d(2)]
            c //= 2
    end = (nn.BatchNorm2d(c), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 1000))
    return nn.Sequential(*layers, *end)

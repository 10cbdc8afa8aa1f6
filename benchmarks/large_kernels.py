"""A network in the manner of RepLKNet (arXiv 2203.06717): large depthwise convolutions between 1 x 1 ones."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """Norm, 1x1, depthwise R x R, 1x1 and a sum; then norm, two 1x1 with GELU between and a sum."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, channels, 1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
        )
        self.feed = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Conv2d(4 * channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.mix(x)
        y: Tensor = x + self.feed(x)
        return y


def block_network(channels: int, kernel: int, blocks: int, classes: int = 10) -> nn.Module:
    """Blocks, a mean over positions, a linear layer. The input has `channels` channels."""
    body = [Block(channels, kernel) for _ in range(blocks)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))

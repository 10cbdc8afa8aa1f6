"""A small language model with mixtures of experts, trained on the ranks of any layout, to compare with one process."""

from __future__ import annotations

import torch
from torch import nn

from rigwise.run.experts import MixtureOfExperts

WORDS, TOKENS, WIDE = 11, 8, 8


class _Layer(nn.Module):
    """Causal attention, then a mixture of experts."""

    def __init__(self, experts: int, top_k: int) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(WIDE), nn.Linear(WIDE, 3 * WIDE), nn.Linear(WIDE, WIDE)
        self.second, self.mixture = nn.LayerNorm(WIDE), MixtureOfExperts(WIDE, 12, experts, top_k=top_k)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, s, _ = x.shape
        q, k, v = self.qkv(self.norm(x)).view(n, s, 3, 2, WIDE // 2).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, s, WIDE))
        out: torch.Tensor = x + self.mixture(self.second(x))
        return out


class Experts(nn.Module):
    """Words [N, S] -> scores [N, S, V], through four layers with mixtures."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, WIDE)
        self.layers = nn.ModuleList(_Layer(4, 1 + number % 2) for number in range(4))
        self.head = nn.Linear(WIDE, WORDS)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        x = self.table(words)
        for layer in self.layers:
            x = layer(x)
        out: torch.Tensor = self.head(x)
        return out

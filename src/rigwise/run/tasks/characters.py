"""A transformer that guesses the next character of Python's own help texts (the module pydoc_data.topics).

Shape letters: B batch, S sequence, H hidden, A heads, D = H / A, V vocabulary.
"""

from __future__ import annotations

from pydoc_data.topics import topics

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from rigwise.run.task import Task

_SEQUENCE, _HIDDEN, _HEADS, _LAYERS = 128, 128, 4, 4
_LEARNING_RATE = 3e-3


def text() -> tuple[torch.Tensor, int]:
    """The texts as one row of characters' numbers, and the size of the vocabulary."""
    codes = np.frombuffer("\n".join(topics[name] for name in sorted(topics)).encode("utf-32-le"), dtype=np.int32)
    vocabulary, numbers = np.unique(codes, return_inverse=True)
    return torch.from_numpy(numbers.astype(np.int64)), len(vocabulary)


def samples() -> tuple[torch.Tensor, torch.Tensor, int]:
    """Inputs [N, S], the same a character later [N, S], and the size of the vocabulary."""
    row, vocabulary = text()
    count = (len(row) - 1) // _SEQUENCE
    inputs, targets = row[: count * _SEQUENCE], row[1 : count * _SEQUENCE + 1]
    return inputs.reshape(count, _SEQUENCE), targets.reshape(count, _SEQUENCE), vocabulary


class Layer(nn.Module):
    """Attention and feed-forward, each after a LayerNorm and added to what came in: [B, S, H] -> [B, S, H]."""

    def __init__(self, hidden: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_feed = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv, self.out = nn.Linear(hidden, 3 * hidden), nn.Linear(hidden, hidden)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        """Causal attention of A heads: [B, S, H] -> [B, S, H]."""
        batch, sequence, hidden = x.shape
        split = self.qkv(x).view(batch, sequence, 3, self.heads, hidden // self.heads).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(split[0], split[1], split[2], is_causal=True)
        joined: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(batch, sequence, hidden))
        return joined

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, S, H] -> [B, S, H]."""
        x = x + self.attention(self.norm_attention(x))
        fed: torch.Tensor = self.down(nn.functional.gelu(self.up(self.norm_feed(x))))
        return x + fed


class Transformer(nn.Module):
    """Characters [B, S] -> scores [B, S, V]."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, _HIDDEN)
        self.position = nn.Embedding(_SEQUENCE, _HIDDEN)
        self.layers = nn.ModuleList(Layer(_HIDDEN, _HEADS) for _ in range(_LAYERS))
        self.norm = nn.LayerNorm(_HIDDEN)
        self.head = nn.Linear(_HIDDEN, vocabulary, bias=False)

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """[B, S] -> [B, S, V]."""
        x = self.token(characters) + self.position.weight[: characters.shape[1]]
        for layer in self.layers:
            x = layer(x)
        scores: torch.Tensor = self.head(self.norm(x))
        return scores


def loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross entropy, mean over all characters: [B, S, V], [B, S] -> scalar."""
    return nn.functional.cross_entropy(scores.flatten(0, 1), targets.flatten())


def task(lr: float = _LEARNING_RATE) -> Task:
    """The characters task: 4 layers of 128, sequences of 128 characters, 16 a batch, AdamW. lr: its learning rate."""
    inputs, targets, vocabulary = samples()
    return Task(
        Transformer(vocabulary),
        loss,
        TensorDataset(inputs, targets),
        lambda parameters: torch.optim.AdamW(parameters, lr=lr),
        batch=16,
        tokens=_SEQUENCE,
    )

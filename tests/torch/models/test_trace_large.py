"""A transformer of 8 billion parameters is traced without memory and stored as one layer with a count."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from rigwise.models import zoo  # noqa: E402
from rigwise.models.trace import trace_module  # noqa: E402

pytestmark = pytest.mark.torch

HIDDEN, HEADS, KV_HEADS, FFN, VOCAB, LAYERS, SEQ = 4096, 32, 8, 14336, 128256, 32, 2048


class Layer(nn.Module):
    """Grouped attention and a gated feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        narrow = HIDDEN // HEADS * KV_HEADS
        self.norm1, self.norm2 = nn.RMSNorm(HIDDEN), nn.RMSNorm(HIDDEN)
        self.q, self.k, self.v = (nn.Linear(HIDDEN, n, bias=False) for n in (HIDDEN, narrow, narrow))
        self.out = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.gate, self.up = (nn.Linear(HIDDEN, FFN, bias=False) for _ in range(2))
        self.down = nn.Linear(FFN, HIDDEN, bias=False)

    def forward(self, x: Any) -> Any:
        y = self.norm1(x)
        q, k, v = (f(y).unflatten(-1, (-1, HIDDEN // HEADS)).transpose(1, 2) for f in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Transformer(nn.Module):
    """Embedding, layers, head."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCAB, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.head = nn.RMSNorm(HIDDEN), nn.Linear(HIDDEN, VOCAB, bias=False)

    def forward(self, x: Any) -> Any:
        x = self.tokens(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


def test_eight_billion_parameters() -> None:
    with torch.device("meta"):
        module, tokens = Transformer(), torch.zeros(1, SEQ, dtype=torch.long)
    model = trace_module(module, tokens)
    built = zoo.load("llama3-8b", seq=SEQ)
    assert [(b.name, b.count, b.role) for b in model.blocks] == [
        ("tokens", 1, "first"),
        ("layers.0", LAYERS, "layer"),
        ("head", 1, "last"),
    ]
    assert model.parameters == built.parameters == 8_030_261_248
    assert (model.flops, model.flops_backward) == (built.flops, built.flops_backward)
    assert (model.heads, model.kv_heads, model.hidden, model.vocab) == (HEADS, KV_HEADS, HIDDEN, VOCAB)
    splits = {o.name: o.split for o in model.blocks[1].operations if o.kind in ("linear", "attention")}
    assert splits == {
        **dict.fromkeys(("q", "k", "v", "gate", "up"), "column"),
        **dict.fromkeys(("out", "down"), "row"),
        "attention": "heads",
    }

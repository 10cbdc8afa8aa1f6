"""Keys of a layout that go together: late weight gradients beside ZeRO-1, packed gradients beside every other axis,
attention written by hand that runs again.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

import nets
from drawn import alone, train_each
from rigwise.layouts.layout import Layout

PLAIN = {"kind": "mlp", "sizes": [10, 16, 14, 8]}
TOKENS = {"kind": "transformer", "heads": 2, "kv": 2, "width": 4, "ffn": 12, "layers": 2, "vocab": 24, "gated": False}
TOKENS |= {"tied": True}


def apart(net: dict[str, object], spelling: str, steps: int = 4) -> tuple[float, float]:
    """The largest differences in losses and weights from one process."""
    ((losses, weights, _),) = train_each([(net, Layout.parse(spelling, precision="float32"))], steps=steps)
    expected, whole = alone(net, steps=steps)
    return (
        max(abs(one - other) for one, other in zip(losses, expected, strict=True)),
        max(float((weights[name] - weight).abs().max()) for name, weight in whole.items()),
    )


def test_late_weight_gradients_beside_sharded_states() -> None:
    assert max(apart(TOKENS, "dp=2,pp=2,micro=3,zero=1,schedule=zero_bubble")) < 1e-13


@pytest.mark.parametrize(
    ("net", "spelling", "close"),
    [
        (PLAIN, "dp=2,pp=2,micro=2,compress=8bit", 2e-3),
        (PLAIN, "dp=2,pp=2,micro=2,compress=1bit", 1e-13),  # small tensors are exact
        (PLAIN, "dp=4,micro=3,zero=3,compress=bf16", 2e-3),
        (PLAIN, "dp=3,micro=4,compress=8bit,blocks=2:slices+4:slices", 2e-3),
        ({**TOKENS, "experts": 4}, "dp=4,ep=2,micro=3,compress=8bit", 2e-2),
    ],
)
def test_packed_gradients_train_nearly_the_same(net: dict[str, object], spelling: str, close: float) -> None:
    losses, weights = apart(net, spelling)
    assert losses < close
    assert weights < close
    assert losses > 0 or "1bit" in spelling


def by_hand(self: nets.Layer, x: torch.Tensor) -> torch.Tensor:
    """Attention without torch's own."""
    samples, tokens, hidden = x.shape
    queries = self.queries(x).view(samples, tokens, self.heads, self.width).transpose(1, 2)
    keys, values = self.pairs(x).view(samples, tokens, 2, self.kv, self.width).permute(2, 0, 3, 1, 4)
    scores = queries @ keys.transpose(-2, -1) / self.width**0.5
    scores = scores.masked_fill(torch.ones(tokens, tokens, dtype=torch.bool).triu(1), float("-inf"))
    mixed = nn.functional.dropout(scores.softmax(-1), 0.0) @ values
    out: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(samples, tokens, hidden))
    return out


@pytest.mark.parametrize("spelling", ["dp=2,micro=3", "dp=2,micro=3,zero=3", "tp=2,micro=6"])
def test_attention_by_hand_runs_again(spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nets.Layer, "attend", by_hand)
    assert max(apart(TOKENS, f"{spelling},recompute=selective")) < 1e-13

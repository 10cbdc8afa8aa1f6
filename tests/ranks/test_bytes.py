"""What a run sends is what the laws say, to the byte: pieces and sums are read by both."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nets import PIXELS, TOKENS
from rigwise.layouts.exchange import all_reduce, by_batch
from rigwise.layouts.layout import Layout
from rigwise.layouts.traffic import tensor_sums
from rigwise.models.convnet import chain
from rigwise.models.mlp import mlp
from rigwise.models.model import Model
from rigwise.models.transformer import transformer
from training import train

DOUBLE = 8  # bytes
BATCH = 12

GPT = {"kind": "transformer", "heads": 4, "kv": 4, "width": 4, "ffn": 24, "layers": 2, "vocab": 48}
CASES: list[tuple[dict[str, Any], Model]] = [
    (
        {**GPT, "gated": False, "tied": True},
        transformer(layers=2, hidden=16, heads=4, vocab=48, seq=TOKENS, ffn=24, positions="learned", tied=True),
    ),
    (
        {**GPT, "gated": True, "tied": False, "kv": 2},
        transformer(
            layers=2, hidden=16, heads=4, kv_heads=2, vocab=48, seq=TOKENS, ffn=24, positions="learned", gated=True
        ),
    ),
    ({"kind": "mlp", "sizes": [10, 16, 12]}, mlp(sizes=[10, 16, 12])),
    ({"kind": "mlp", "sizes": [10, 32, 24, 12, 8]}, mlp(sizes=[10, 32, 24, 12, 8])),
    (
        {"kind": "conv", "channels": [16, 8], "groups": 4, "depthwise": False, "classes": 5},
        chain(
            image=[2, PIXELS, PIXELS],
            blocks=[["conv 16 3 pad=1", "silu", "conv 8 3 pad=1", "silu", "avgpool 2"], ["dense 5"]],
        ),
    ),
]


def sent(net: dict[str, Any], layout: Layout, rank: int = 0) -> Counter[str]:
    """Bytes that a rank sent in its first step, by pass."""
    Path("net.json").write_text(json.dumps(net))
    train(":counted", layout, batch=BATCH, steps=1)
    total: Counter[str] = Counter()
    for of, _, _, _, size in json.loads(Path(f"sent-{rank}.json").read_text()):
        total[of] += size
    return total


def told(model: Model, layout: Layout) -> Counter[str]:
    """Bytes that the laws give for the additions among tensor ranks in a step, by pass."""
    total: Counter[str] = Counter()
    samples = BATCH // layout.dp
    for block in model.blocks:
        for one in tensor_sums(block.operations):
            total[one.of] += float(all_reduce(one.elements * samples, layout.tp)) * DOUBLE * block.count
    return total


@pytest.mark.parametrize(("net", "model"), CASES, ids=["gpt", "gated", "mlp", "deeper", "conv"])
@pytest.mark.parametrize("tp", [2, 4])
def test_tensor_ranks_send_what_the_laws_say(net: dict[str, Any], model: Model, tp: int) -> None:
    if net.get("kv", tp) < tp:
        pytest.skip("fewer key-value heads than ranks: the run leaves attention whole, the laws copy heads")
    layout = Layout(tp=tp, micro=6, precision="float32")
    assert sent(net, layout, rank=tp - 1) == told(model, layout)


@pytest.mark.parametrize(("net", "model"), CASES[:1], ids=["gpt"])
def test_a_cut_sequence_sends_as_much(net: dict[str, Any], model: Model) -> None:
    """All but the norms' weights, whose gradients each rank has a part of: they are told as gradients."""
    layout = Layout(tp=2, micro=6, sp="keep", precision="float32")
    found = sent(net, layout)
    assert {of: found[of] for of in ("forward", "backward")} == told(model, layout)


@pytest.mark.parametrize(("net", "model"), CASES, ids=["gpt", "gated", "mlp", "deeper", "conv"])
def test_data_ranks_send_their_gradients(net: dict[str, Any], model: Model) -> None:
    if net["kind"] != "mlp":
        pytest.skip("norms of this net are not those of the model")
    layout = Layout(dp=3, micro=2, precision="float32")
    (move,) = by_batch(model.parameters, layout.dp)
    assert sent(net, layout) == Counter(gradient=float(move.sent) * DOUBLE)

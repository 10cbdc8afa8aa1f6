"""What a run sends is what the laws say, to the byte: pieces and sums are read by both."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from drawn import BATCH, train_each
from nets import PIXELS, TOKENS, task_of
from rigwise.layouts.exchange import all_gather, all_reduce, by_batch, reduce_scatter
from rigwise.layouts.layout import Layout
from rigwise.layouts.traffic import tensor_sums
from rigwise.models.convnet import chain
from rigwise.models.mlp import mlp
from rigwise.models.model import Model
from rigwise.models.trace import trace_module
from rigwise.models.transformer import transformer
from training import train

DOUBLE = 8  # bytes

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


def told(model: Model, layout: Layout) -> Counter[str]:
    """Bytes that the laws give for the additions among tensor ranks in a step, by pass."""
    total: Counter[str] = Counter()
    samples = BATCH // layout.dp
    for block in model.blocks:
        for one in tensor_sums(block.operations):
            total[one.of] += float(all_reduce(one.elements * samples, layout.tp)) * DOUBLE * block.count
    return total


@pytest.mark.parametrize("tp", [2, 4])
def test_tensor_ranks_send_what_the_laws_say(tp: int) -> None:
    """All but attention with fewer key-value heads than ranks: a run leaves it whole, the laws copy heads."""
    layout = Layout(tp=tp, micro=6, precision="float32")
    cases = [(net, model) for net, model in CASES if net.get("kv", tp) >= tp]
    found = train_each([(net, layout) for net, _ in cases], steps=1)
    for (net, model), (*_, ranks) in zip(cases, found, strict=True):
        assert ranks == [told(model, layout)] * tp, net


def traced(net: dict[str, Any]) -> Model:
    task = task_of(net)
    inputs, targets = (tensor[:4] for tensor in task.data.tensors)
    return trace_module(task.model, inputs, loss=task.loss, target=targets)


def test_a_traced_model_is_cut_as_a_run_cuts_it() -> None:
    """All but layers whose attention has projections of its own: those are no chain, and no layer with a fused one."""
    layout = Layout(tp=2, micro=6, precision="float32")
    nets = [net for net, _ in CASES if net["kind"] != "transformer"]
    nets += [{"kind": "mlp", "sizes": [10, 16, 40, 6, 30, 8]}, {"kind": "mlp", "sizes": [7, 9, 11, 5]}]
    found = train_each([(net, layout) for net in nets], steps=1)
    for net, (*_, ranks) in zip(nets, found, strict=True):
        assert ranks == [told(traced(net), layout)] * 2, net


def test_a_cut_sequence_sends_as_much() -> None:
    """All but the norms' weights, whose gradients each rank has a part of: they are told as gradients."""
    net, model = CASES[0]
    layout = Layout(tp=2, micro=6, sp="keep", precision="float32")
    ((*_, ranks),) = train_each([(net, layout)], steps=1)
    assert [{of: sent[of] for of in ("forward", "backward")} for sent in ranks] == [told(model, layout)] * 2


def test_a_sequence_that_is_not_kept_is_gathered_again() -> None:
    """Once for each input of a cut layer, backward."""
    net, model = CASES[0]
    layout = Layout(tp=2, micro=6, sp="on", precision="float32")
    ((*_, ranks),) = train_each([(net, layout)], steps=1)
    sums = ((one, block.count) for block in model.blocks for one in tensor_sums(block.operations))
    more = sum(float(all_gather(one.elements * BATCH, 2)) * n for one, n in sums if one.of == "backward") * DOUBLE
    wanted = told(model, layout) + Counter(backward=more)
    assert [{of: sent[of] for of in ("forward", "backward")} for sent in ranks] == [wanted] * 2


def test_layers_that_run_again_add_again() -> None:
    """As often as the laws count; all in the backward pass's time, and told as forward."""
    net, model = CASES[0]
    layout = Layout(tp=2, micro=6, recompute="full", precision="float32")
    ((*_, ranks),) = train_each([(net, layout)], steps=1)
    layers = [block for block in model.blocks if block.role == "layer"]
    again = (one.elements * block.count for block in layers for one in tensor_sums(block.operations) if one.repeated)
    wanted = told(model, layout) + Counter(forward=float(all_reduce(sum(again) * BATCH, 2)) * DOUBLE)
    assert ranks == [wanted] * 2


def test_data_ranks_send_their_gradients() -> None:
    """Of networks without norms: those of the others are not those of the model."""
    layout = Layout(dp=3, micro=2, precision="float32")
    cases = [(net, model) for net, model in CASES if net["kind"] == "mlp"]
    found = train_each([(net, layout) for net, _ in cases], steps=1)
    for (net, model), (*_, ranks) in zip(cases, found, strict=True):
        (move,) = by_batch(model.parameters, layout.dp)
        assert ranks == [Counter(gradient=float(move.sent) * DOUBLE)] * 3, net


@pytest.mark.parametrize(
    ("zero", "gathers", "scatters"), [(1, 1, 1), (2, 1, 3), (3, 6, 3)], ids=["zero 1", "zero 2", "zero 3"]
)
def test_shards_send_what_the_laws_say(zero: int, gathers: int, scatters: int) -> None:
    """Three micro-batches: weights gathered once, or before and behind each; gradients scattered once, or in each.

    Of a network whose rows the ranks share evenly.
    """
    layout = Layout(dp=4, zero=zero, micro=1, precision="float32")
    net = {"kind": "mlp", "sizes": [12, 16, 12]}
    ((*_, ranks),) = train_each([(net, layout)], steps=1)
    parameters = mlp(sizes=[12, 16, 12]).parameters
    for sent in ranks:
        assert sent["forward"] + sent["backward"] == gathers * float(all_gather(parameters, 4)) * DOUBLE
        assert sent["gradient"] == scatters * float(reduce_scatter(parameters, 4)) * DOUBLE


def test_shards_of_copies_are_added_over_the_copies() -> None:
    """Hybrid sharding: two ranks share a copy, and add their half of the gradients to the other copy's once."""
    layout = Layout(dp=4, zero=3, shard=2, micro=1, precision="float32")
    ((*_, ranks),) = train_each([({"kind": "mlp", "sizes": [12, 16, 12]}, layout)], steps=1)
    parameters = mlp(sizes=[12, 16, 12]).parameters
    wanted = 3 * float(reduce_scatter(parameters, 2)) + float(all_reduce(parameters / 2, 2))
    assert [sent["gradient"] for sent in ranks] == [wanted * DOUBLE] * 4


def test_a_run_sends_as_much() -> None:
    """The first case again, through `run`: each rank writes down what it sent in its first step."""
    net, model = CASES[0]
    layout = Layout(tp=2, micro=6, precision="float32")
    Path("net.json").write_text(json.dumps(net))
    train(":counted", layout, batch=BATCH, steps=1)
    total: Counter[str] = Counter()
    for of, _, _, _, size in json.loads(Path("sent-1.json").read_text()):
        total[of] += size
    assert total == told(model, layout)

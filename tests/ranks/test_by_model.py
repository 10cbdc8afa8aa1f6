"""Dense layers by model inside data parallelism, their inputs sent in each of three ways: the same training, and the
bytes that the laws say.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from drawn import BATCH, alone, train_each
from nets import PIXELS
from rigwise.errors import UsageError
from rigwise.layouts.exchange import LAWS, by_batch
from rigwise.layouts.layout import Layout
from rigwise.layouts.traffic import passages
from rigwise.models.convnet import chain
from rigwise.models.mlp import mlp
from rigwise.models.model import Model
from training import train

DOUBLE = 8
STEPS = 3
WAYS = ("model", "turns", "slices")
IMAGES: dict[str, Any] = {"kind": "conv", "channels": [4, 6], "groups": 4, "depthwise": False, "classes": 5}
CASES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({**IMAGES, "dense": [13, 9]}, ("7", "9")),  # a pair whose features do not divide
    ({**IMAGES, "dense": [13, 9]}, ("11",)),  # the last layer alone: its scores go back to the samples
    ({"kind": "mlp", "sizes": [10, 16, 14, 8, 6]}, ("0", "2", "4", "6")),  # two pairs after each other
]


def layout(names: tuple[str, ...], way: str, **more: Any) -> Layout:
    return Layout(**{"dp": 3, "micro": 4, "precision": "float32", "blocks": tuple((n, way) for n in names), **more})


def test_each_way_trains_as_one_process_does() -> None:
    cases = [(net, layout(names, way)) for net, names in CASES for way in WAYS]
    for (net, how), (losses, weights, _) in zip(cases, train_each(cases, STEPS), strict=True):
        expected, whole = alone(net, STEPS)
        assert losses == pytest.approx(expected, rel=1e-12), how
        for name, weight in whole.items():
            assert float((weights[name] - weight).abs().max()) < 1e-13, (how, name)


PAIR = {**IMAGES, "dense": [16, 8]}
LAWS_OF: list[tuple[dict[str, Any], tuple[str, ...], Model, tuple[str, ...]]] = [
    (
        PAIR,
        ("7", "9"),
        chain(
            image=[2, PIXELS, PIXELS],
            blocks=[
                ["conv 4 3 pad=1", "silu"],
                ["conv 6 3 pad=1", "silu", "avgpool 2"],
                ["dense 16", "tanh", "dense 8"],
            ],
        ),
        ("head",),
    ),
    ({"kind": "mlp", "sizes": [10, 16, 12, 8, 4]}, ("4", "6"), mlp(sizes=[10, 16, 12, 8, 4]), ("dense3-4",)),
    ({"kind": "mlp", "sizes": [10, 18]}, ("0",), mlp(sizes=[10, 18, 12]), ("dense1-2",)),
]


def told(model: Model, blocks: tuple[str, ...], ranks: int, alone: bool) -> Counter[str]:
    """Bytes of a step that the laws give for blocks by model. alone: without the second layer of the pair."""
    total: Counter[str] = Counter()
    for block in (block for block in model.blocks if block.name in blocks):
        for one in passages(list(block.operations)[: 1 if alone else None]):
            amount = one.elements * BATCH / (ranks if one.collective == "all_to_all" else 1)
            total[one.of] += float(LAWS[one.collective](amount, ranks)) * DOUBLE
    return total


@pytest.mark.parametrize("ranks", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_each_way_sends_what_the_laws_say(ranks: int) -> None:
    cases = [(case, way) for case in LAWS_OF for way in WAYS]
    found = train_each(
        [(net, layout(names, way, dp=ranks, micro=BATCH // ranks)) for (net, names, *_), way in cases], 1
    )
    for ((net, names, model, blocks), way), (*_, sent) in zip(cases, found, strict=True):
        wanted = told(model, blocks, ranks, alone=len(net.get("sizes", "...")) == 2)
        for rank in sent:
            got = {of: rank[of] for of in ("forward", "backward")}
            assert got == pytest.approx({of: wanted[of] for of in got}, rel=1e-12), (net, way)
            if len(names) == 2 and net["kind"] == "mlp":  # of the other pair, and the bias that is added to the sum
                (move,) = by_batch(mlp(sizes=net["sizes"][:3]).parameters + net["sizes"][-1], ranks)
                assert rank["gradient"] == pytest.approx(float(move.sent) * DOUBLE)


@pytest.mark.parametrize(
    ("spelling", "says"),
    [
        ("dp=2,micro=6,blocks=9:slices+11:model", "split by model and slices"),
        ("dp=2,tp=2,blocks=9:slices", "cannot be run: blocks=9:slices"),
    ],
)
def test_what_does_not_go_is_refused(spelling: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        train("digits", spelling, batch=24, steps=1)

"""Keys of a layout that go together: late weight gradients beside ZeRO-1, packed gradients beside every other axis,
attention written by hand that runs again.
"""

from __future__ import annotations

import pytest

from drawn import alone, train_each
from rigwise.layouts.layout import Layout

PLAIN = {"kind": "mlp", "sizes": [10, 16, 14, 8]}
TOKENS = {"kind": "transformer", "heads": 2, "kv": 2, "width": 4, "ffn": 12, "layers": 2, "vocab": 24, "gated": False}
TOKENS |= {"tied": True}


def apart(cases: list[tuple[dict[str, object], str]], steps: int = 4) -> list[tuple[float, float]]:
    """For each case of a network and a layout the largest differences in losses and weights from one process."""
    found = train_each([(net, Layout.parse(spelling, precision="float32")) for net, spelling in cases], steps=steps)
    differences = []
    for (net, _), (losses, weights, _) in zip(cases, found, strict=True):
        expected, whole = alone(net, steps=steps)
        differences.append(
            (
                max(abs(one - other) for one, other in zip(losses, expected, strict=True)),
                max(float((weights[name] - weight).abs().max()) for name, weight in whole.items()),
            )
        )
    return differences


def test_late_weight_gradients_beside_sharding() -> None:
    layouts = [f"dp=2,pp=2,micro=3,zero={zero},schedule=zero_bubble" for zero in (1, 2, 3)]
    for differences in apart([(TOKENS, layout) for layout in layouts]):
        assert max(differences) < 1e-13


def test_late_weight_gradients_beside_copies_of_shards() -> None:
    """A bias's gradient goes with an earlier micro-batch than its weight's, and the copies add what has one shape."""
    layouts = [f"dp=4,pp=2,micro=1,zero={zero},shard=2,schedule=zero_bubble" for zero in (2, 3)]
    for differences in apart([(PLAIN, layout) for layout in layouts]):
        assert max(differences) < 1e-13


PACKED: list[tuple[dict[str, object], str, float]] = [
    (PLAIN, "dp=2,pp=2,micro=2,compress=8bit", 2e-3),
    (PLAIN, "dp=2,pp=2,micro=2,compress=1bit", 1e-13),  # small tensors are exact
    (PLAIN, "dp=4,micro=3,zero=3,compress=bf16", 2e-3),
    ({**TOKENS, "experts": 4}, "dp=4,ep=2,micro=3,compress=8bit", 2e-2),
    (PLAIN, "dp=3,micro=4,compress=8bit,blocks=2:slices+4:slices", 2e-3),
]


@pytest.mark.parametrize("ranks", [4, 3])
def test_packed_gradients_train_nearly_the_same(ranks: int) -> None:
    cases = [case for case in PACKED if Layout.parse(case[1]).ranks == ranks]
    for (_, spelling, close), (losses, weights) in zip(cases, apart([case[:2] for case in cases]), strict=True):
        assert losses < close, spelling
        assert weights < close, spelling
        assert losses > 0 or "1bit" in spelling


def test_attention_by_hand_runs_again() -> None:
    layouts = ("dp=2,micro=3", "dp=2,micro=3,zero=3", "tp=2,micro=6")
    for differences in apart([({**TOKENS, "by_hand": True}, f"{one},recompute=selective") for one in layouts]):
        assert max(differences) < 1e-13

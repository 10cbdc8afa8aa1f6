"""Any layout trains the same network: losses of every step, and the weights at the end, are those of one process."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from drawn import BATCH, train_each
from drawn import alone as one_process
from rigwise.layouts.layout import Layout
from rigwise.run.keeping.filling import weights as kept
from rigwise.run.result import RunResult
from training import train

FLOAT32, FLOAT64 = 1e-5, 1e-12
ADAPTIVE = ("mlp", "characters", ":dropout")  # Adam divides by what may be rounding only: their weights say nothing


@cache
def alone(task: str, batch: int, steps: int) -> tuple[tuple[float, ...], dict[str, torch.Tensor]]:
    result = train(task, "dp=1", batch=batch, steps=steps)
    return result.losses, weights(result)


def weights(result: RunResult) -> dict[str, torch.Tensor]:
    return kept(result.checkpoint)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, against the largest number."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-3)) if one.numel() else 0.0


def agree(task: str, layout: str, batch: int, steps: int, close: float) -> None:
    losses, trained = alone(task, batch, steps)
    result = train(task, layout, batch=batch, steps=steps)
    assert np.max(np.abs(np.array(result.losses) - losses) / np.abs(losses)) < close
    now = weights(result)
    assert now.keys() == trained.keys()
    if task in ADAPTIVE:
        return
    assert {name: d for name in now if (d := apart(now[name], trained[name])) > 20 * close} == {}


KINDS = ["tp=2", "dp=3,zero=3", "dp=2,zero=1,micro=6", "dp=2,tp=2", "pp=3,micro=12", "pp=2,tp=2,micro=12"]
MORE = [
    "tp=3",
    "tp=4",
    "dp=2,zero=2,micro=6",
    "dp=2,tp=2,zero=3,micro=6",
    "pp=2,vpp=2,micro=12",
    "pp=2,dp=2,micro=12,schedule=zero_bubble",
    "dp=4,tp=2,zero=2,shard=2,micro=6",
    "pp=2,dp=2,tp=2,micro=12,zero=3,schedule=zero_bubble",
]
TOKENS = ["tp=3,sp=keep", "cp=2", "dp=2,tp=2,zero=1", "pp=2,cp=2,micro=2"]


@pytest.mark.parametrize("layout", KINDS)
def test_digits(layout: str) -> None:
    agree("digits", layout, 48, 20, FLOAT32)


@pytest.mark.parametrize("layout", ["tp=3", "pp=2,micro=12"])
def test_the_perceptron(layout: str) -> None:
    agree("mlp", layout, 48, 20, FLOAT32)


@pytest.mark.parametrize("layout", TOKENS)
def test_characters(layout: str) -> None:
    """Four heads over three ranks among them."""
    agree("characters", layout, 4, 3, FLOAT32)


@pytest.mark.slow
@pytest.mark.parametrize("layout", [*KINDS, *MORE])
@pytest.mark.parametrize(("task", "batch"), [("digits", 48), ("mlp", 48), ("characters", 24)])
def test_every_packaged_task(task: str, batch: int, layout: str) -> None:
    agree(task, layout.replace("micro=12", "micro=6") if batch == 24 else layout, batch, 20, FLOAT32)


@pytest.mark.slow
@pytest.mark.parametrize("layout", TOKENS)
def test_characters_for_twenty_steps(layout: str) -> None:
    agree("characters", layout, 4, 20, FLOAT32)


@pytest.mark.parametrize("layout", ["tp=3,micro=6", "pp=2,micro=12", "dp=4,tp=2,zero=2"])
def test_double_precision(layout: str) -> None:
    agree(":double", layout, 48, 20, FLOAT64)


def test_convolutions_by_data_and_dense_layers_by_model() -> None:
    agree("digits", "dp=3,micro=4,blocks=9:model+11:model", 48, 20, FLOAT32)


def test_dropout_in_cut_regions_draws_the_masks_of_one_process() -> None:
    agree(":dropout", "tp=3", 48, 8, FLOAT32)


NETS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("mlp"), "sizes": st.lists(st.integers(4, 17), min_size=3, max_size=5)}),
    st.fixed_dictionaries(
        {
            "kind": st.just("conv"),
            "channels": st.lists(st.integers(4, 10), min_size=2, max_size=3),
            "groups": st.sampled_from([1, 2, 4]),
            "depthwise": st.booleans(),
            "classes": st.integers(3, 7),
        }
    ),
    st.builds(
        lambda kv, shared, **other: {"kind": "transformer", "kv": kv, "heads": kv * shared, **other},
        kv=st.integers(2, 4),
        shared=st.integers(1, 2),
        width=st.sampled_from([2, 4]),
        ffn=st.integers(5, 13),
        layers=st.integers(1, 2),
        vocab=st.integers(20, 40),
        gated=st.booleans(),
        tied=st.booleans(),
    ),
)


def experts(count: int) -> st.SearchStrategy[dict[str, Any]]:
    """A small transformer with mixtures."""
    fixed = {"kind": "transformer", "heads": 2, "kv": 2, "width": 4, "gated": False, "experts": count}
    return st.builds(
        lambda ffn, layers, vocab, tied: {**fixed, "ffn": ffn, "layers": layers, "vocab": vocab, "tied": tied},
        st.integers(5, 13), st.integers(1, 2), st.integers(20, 40), st.booleans(),
    )  # fmt: skip


SCHEDULES = ("1f1b", "gpipe", "zero_bubble")


def spread(ranks: int) -> st.SearchStrategy[Layout]:
    """Every layout of so many ranks whose axes go together on small networks."""

    def one(shape: tuple[int, int, int], zero: int, sequence: str, small: bool, again: bool, kind: str) -> Layout:
        tp, pp, cp = shape
        dp = ranks // (tp * pp * cp)
        more: dict[str, Any] = {"zero": zero} if dp * cp > 1 else {}
        more |= {"shard": 2} if zero and dp * cp == 4 and small else {}
        more |= {"sp": sequence} if tp > 1 and cp == 1 else {}
        more |= {"recompute": "full"} if again else {}
        more |= {"schedule": kind} if pp > 1 else {}
        return Layout(
            dp=dp, tp=tp, pp=pp, cp=cp, micro=2 if small or pp > 1 else BATCH // dp, precision="float32", **more
        )

    shapes = [
        (tp, pp, cp)
        for tp in (1, 2, 3)
        for pp in (1, 2)
        for cp in (1, 3)
        if ranks % (tp * pp * cp) == 0 and BATCH % (2 * (ranks // (tp * pp * cp))) == 0
    ]
    return st.builds(
        one,
        st.sampled_from(shapes),
        st.integers(0, 3),
        st.sampled_from(["off", "keep", "on"]),
        st.booleans(),
        st.booleans(),
        st.sampled_from(SCHEDULES),
    )


def fitted(net: dict[str, Any], layout: Layout) -> Layout:
    """The layout as far as a network can have it: tokens are a transformer's, experts those of a mixture."""
    tokens = net["kind"] == "transformer"
    changed = layout
    if not tokens:
        dp = layout.dp * layout.cp
        micro = layout.micro if layout.cp == 1 else 2 if layout.pp > 1 else BATCH // dp
        changed = layout.but(sp="off", cp=1, dp=dp, micro=micro)
    shared = next((n for n in (4, 2) if (changed.dp * changed.cp) % n == 0), 1)
    return changed.but(ep=shared, shard=0) if net.get("experts") else changed


@pytest.mark.parametrize("ranks", [2, 3, 4])
@settings(max_examples=2, phases=[Phase.generate], deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_random_networks_under_random_layouts(ranks: int, data: st.DataObject) -> None:
    """Many cases for one start of the ranks; the first list that Hypothesis draws is the plainest."""
    draw(ranks, data, 5)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6, 8])
@settings(max_examples=2, phases=[Phase.generate], deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_many_random_networks_under_random_layouts(ranks: int, data: st.DataObject) -> None:
    draw(ranks, data, 4, steps=20)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 4, 8])
@settings(max_examples=2, phases=[Phase.generate], deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_random_mixtures_under_random_layouts(ranks: int, data: st.DataObject) -> None:
    draw(ranks, data, 4, steps=20, nets=experts(4))


def draw(
    ranks: int, data: st.DataObject, count: int, steps: int = 4, nets: st.SearchStrategy[dict[str, Any]] = NETS
) -> None:
    drawn = data.draw(st.lists(st.tuples(nets, spread(ranks)), min_size=count, max_size=count))
    cases = [(net, fitted(net, layout)) for net, layout in drawn]
    for case, (losses, trained, _) in zip(cases, train_each(cases, steps=steps), strict=True):
        expected, weights = one_process(case[0], steps=steps)
        assert losses == pytest.approx(expected, rel=FLOAT64), case
        assert trained.keys() == weights.keys(), case
        assert {name: d for name in weights if (d := apart(trained[name], weights[name])) > 20 * FLOAT64} == {}, case

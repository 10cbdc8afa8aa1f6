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


def spread(ranks: int) -> st.SearchStrategy[Layout]:
    """Every layout of so many ranks whose axes go together on small networks."""

    def one(tp: int, pp: int, zero: int, sequence: bool, small: bool) -> Layout:
        dp = ranks // (tp * pp)
        more: dict[str, Any] = {"zero": zero} if dp > 1 else {}
        more |= {"sp": "keep"} if tp > 1 and pp == 1 and sequence else {}
        return Layout(dp=dp, tp=tp, pp=pp, micro=2 if small or pp > 1 else BATCH // dp, precision="float32", **more)

    shapes = [(tp, pp) for tp in (1, 2, 3) for pp in (1, 2) if ranks % (tp * pp) == 0]
    return st.builds(
        lambda shape, *rest: one(*shape, *rest),
        st.sampled_from(shapes),
        st.integers(0, 3),
        st.booleans(),
        st.booleans(),
    )


@pytest.mark.parametrize("ranks", [2, 3, 4])
@settings(max_examples=2, phases=[Phase.generate], deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_random_networks_under_random_layouts(ranks: int, data: st.DataObject) -> None:
    """Many cases for one start of the ranks; the first list that Hypothesis draws is the plainest."""
    draw(ranks, data, 5)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3, 4, 6])
@settings(max_examples=8, phases=[Phase.generate], deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_many_random_networks_under_random_layouts(ranks: int, data: st.DataObject) -> None:
    draw(ranks, data, 10)


def draw(ranks: int, data: st.DataObject, count: int) -> None:
    cases = data.draw(st.lists(st.tuples(NETS, spread(ranks)), min_size=count, max_size=count))
    cases = [(net, layout.but(sp="off") if net["kind"] != "transformer" else layout) for net, layout in cases]
    for case, (losses, trained, _) in zip(cases, train_each(cases, steps=4), strict=True):
        expected, weights = one_process(case[0], steps=4)
        assert losses == pytest.approx(expected, rel=FLOAT64), case
        assert trained.keys() == weights.keys(), case
        assert {name: d for name in weights if (d := apart(trained[name], weights[name])) > 20 * FLOAT64} == {}, case

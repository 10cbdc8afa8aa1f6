"""Any layout trains the same network: losses of every step, and the weights at the end, are those of one process."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rigwise.layouts.layout import Layout
from rigwise.run.keeping.filling import weights as kept
from rigwise.run.result import RunResult
from training import train

FLOAT32, FLOAT64 = 1e-5, 1e-12
ADAPTIVE = ("mlp", "characters", ":dropout")  # Adam divides by what may be rounding only: their weights say nothing


@cache
def alone(task: str, batch: int, steps: int, text: str = "") -> tuple[tuple[float, ...], dict[str, torch.Tensor]]:
    if text:
        Path("net.json").write_text(text)
    result = train(task, "dp=1", batch=batch, steps=steps)
    return result.losses, weights(result)


def weights(result: RunResult) -> dict[str, torch.Tensor]:
    return kept(result.checkpoint)


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, against the largest number."""
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-3)) if one.numel() else 0.0


def agree(task: str, layout: str, batch: int, steps: int, close: float, net: dict[str, Any] | None = None) -> None:
    text = json.dumps(net) if net else ""
    losses, trained = alone(task, batch, steps, text)
    if text:
        Path("net.json").write_text(text)
    result = train(task, layout, batch=batch, steps=steps)
    assert np.max(np.abs(np.array(result.losses) - losses) / np.abs(losses)) < close
    now = weights(result)
    assert now.keys() == trained.keys()
    if task in ADAPTIVE:
        return
    assert {name: d for name in now if (d := apart(now[name], trained[name])) > 20 * close} == {}


KINDS = ["tp=2", "tp=3", "dp=2,zero=1", "dp=3,zero=3", "dp=2,tp=2", "dp=2,tp=2,zero=3,micro=6"]


@pytest.mark.parametrize("layout", [*KINDS, "tp=4", "dp=2,zero=2,micro=6"])
def test_digits(layout: str) -> None:
    agree("digits", layout, 48, 20, FLOAT32)


@pytest.mark.parametrize("layout", KINDS[:5])
def test_the_perceptron(layout: str) -> None:
    agree("mlp", layout, 48, 20, FLOAT32)


@pytest.mark.parametrize("layout", ["tp=2", "tp=3,sp=keep", "dp=2,tp=2,zero=1"])
def test_characters(layout: str) -> None:
    """Four heads over three ranks among them."""
    agree("characters", layout, 4, 3, FLOAT32)


@pytest.mark.parametrize("layout", ["tp=3,micro=6", "dp=2,tp=2,micro=12", "dp=4,zero=3", "dp=4,tp=2,zero=2"])
def test_double_precision(layout: str) -> None:
    agree(":double", layout, 48, 20, FLOAT64)


@pytest.mark.parametrize("layout", ["dp=2,blocks=9:model+11:model", "dp=3,micro=4,blocks=9:model+11:model"])
def test_convolutions_by_data_and_dense_layers_by_model(layout: str) -> None:
    agree("digits", layout, 48, 20, FLOAT32)


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


@st.composite
def cases(draw: Any) -> tuple[dict[str, Any], str]:
    net = draw(NETS)
    tp = draw(st.integers(1, 3))
    dp = draw(st.sampled_from([1, 2, 3] if tp == 1 else [1, 2] if tp == 2 else [1]))
    more: dict[str, Any] = {"zero": draw(st.integers(0, 3))} if dp > 1 else {}
    more |= {"sp": "keep"} if tp > 1 and net["kind"] == "transformer" and draw(st.booleans()) else {}
    layout = Layout(dp=dp, tp=tp, micro=draw(st.sampled_from([2, 12 // dp])), precision="float32", **more)
    return net, str(layout)


@settings(
    max_examples=14,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
def test_random_networks_under_random_layouts(case: tuple[dict[str, Any], str]) -> None:
    net, layout = case
    agree(":drawn", layout, 12, 4, FLOAT64, net)

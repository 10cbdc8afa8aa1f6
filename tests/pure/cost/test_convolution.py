"""Identities of the convolution law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines import A100
from rigwise.cost.convolution import PASSES, Convs, conv_seconds
from rigwise.cost.efficiencies import efficiencies
from rigwise.cost.matmul import engine
from rigwise.hardware.catalog import device
from rigwise.models.operations import Conv

EFF = efficiencies(A100)
TENSOR = engine(A100, "bfloat16", EFF.device)
VECTOR = engine(A100, "float32", EFF.device)
WIDE = Conv(c=512, k=512, size=(56, 56), kernel=(3, 3), stride=(1, 1), pad=(1, 1))

shapes = st.builds(
    lambda c, k, size, side, stride: Conv(
        c=c, k=k, size=(size, size), kernel=(side, side), stride=(stride, stride), pad=(side // 2, side // 2)
    ),
    c=st.sampled_from([1, 3, 16, 64, 100, 512]),
    k=st.sampled_from([8, 64, 100, 512]),
    size=st.integers(7, 112),
    side=st.sampled_from([1, 3, 5, 7, 11]),
    stride=st.integers(1, 2),
)


def seconds(shape: Conv, batch: float, which: str, on: object = TENSOR) -> float:
    return float(conv_seconds(Convs.of([shape]), batch, which, on)[0])  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(shape=shapes, which=st.sampled_from(PASSES), batch=st.integers(1, 128), on=st.sampled_from([TENSOR, VECTOR]))
def test_a_convolution_is_never_faster_than_its_bytes(shape: Conv, which: str, batch: int, on: object) -> None:
    elements = shape.c * shape.size[0] * shape.size[1] + shape.k * shape.out[0] * shape.out[1]
    bytes_ = batch * elements * (2 if on is TENSOR else 4)
    assert seconds(shape, batch, which, on) >= bytes_ / A100.bandwidth


@settings(max_examples=60, deadline=None)
@given(shape=shapes, which=st.sampled_from(PASSES), batch=st.integers(1, 128), on=st.sampled_from([TENSOR, VECTOR]))
def test_more_images_never_take_less_time(shape: Conv, which: str, batch: int, on: object) -> None:
    assert seconds(shape, 2 * batch, which, on) >= seconds(shape, batch, which, on) * 0.999


@settings(max_examples=60, deadline=None)
@given(shape=shapes, which=st.sampled_from(PASSES), batch=st.integers(1, 128))
def test_tensor_cores_are_never_faster_than_their_flops(shape: Conv, which: str, batch: int) -> None:
    assert seconds(shape, batch, which) >= 0.999 * shape.flops * batch / A100.peak["bfloat16"]


@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("on", [TENSOR, VECTOR])
def test_many_convolutions_in_one_call_are_each_alone(which: str, on: object) -> None:
    some = [WIDE, replace(WIDE, c=32, k=32, groups=32), replace(WIDE, stride=(2, 2)), replace(WIDE, kernel=(5, 5))]
    batch = np.array([1.0, 16.0, 64.0])
    together = conv_seconds(Convs.of(some, behind=1), batch, which, on)  # type: ignore[arg-type]
    assert together.shape == (4, 3)
    assert together.tolist() == [[seconds(shape, n, which, on) for n in batch] for shape in some]


def test_winograd_may_beat_the_flop_count_on_vector_units_only() -> None:
    plain = {name: engine(A100, name, EFF.device, winograd=False) for name in ("float32", "bfloat16")}
    assert seconds(WIDE, 64, "forward", VECTOR) < seconds(WIDE, 64, "forward", plain["float32"])
    assert seconds(WIDE, 64, "forward", TENSOR) == seconds(WIDE, 64, "forward", plain["bfloat16"])


def test_channels_first_cost_tensor_cores_a_pass_over_the_activations() -> None:
    first = engine(A100, "bfloat16", EFF.device, transposed=1.0)
    moved = 2 * 64 * 2 * 512 * 56 * 56 * 2 / first.bandwidth
    assert seconds(WIDE, 64, "forward", first) == pytest.approx(seconds(WIDE, 64, "forward") + moved)
    vector = engine(A100, "float32", EFF.device, transposed=1.0)
    assert seconds(WIDE, 64, "forward", vector) == seconds(WIDE, 64, "forward", VECTOR)


def test_odd_channels_are_slow_where_nobody_pads() -> None:
    odd = replace(WIDE, c=510, k=510)
    bare = engine(A100, "bfloat16", EFF.device, unaligned=0.06)
    assert seconds(odd, 64, "forward", bare) > 5 * seconds(odd, 64, "forward")
    assert seconds(WIDE, 64, "forward", bare) == seconds(WIDE, 64, "forward")


def test_wide_kernels_may_go_through_frequencies() -> None:
    wide = replace(WIDE, kernel=(11, 11), pad=(5, 5))
    without = engine(A100, "float32", replace(EFF.device, fourier=0.0))
    assert seconds(wide, 64, "forward", VECTOR) < seconds(wide, 64, "forward", without)


@pytest.mark.parametrize("which", PASSES)
def test_tf32_takes_vector_units_where_those_are_as_fast(which: str) -> None:
    shape = Convs.of([Conv(c=64, k=64, size=(56, 56), kernel=(3, 3), stride=(1, 1), pad=(1, 1))])
    for name, sooner in (("rtx-3090", True), ("a100-sxm-80gb", False)):
        card = device(name)
        eff = efficiencies(card).device
        tf32, plain = (conv_seconds(shape, 64, which, engine(card, kind, eff)).item() for kind in ("tf32", "float32"))
        assert tf32 <= plain
        assert (tf32 == plain) is (sooner and which != "weight_gradient")

"""The nearest legal layout is legal, is the asked one where that is legal, and changes little."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rigwise.hardware.cluster import Cluster
from rigwise.layouts.layout import Layout
from rigwise.layouts.nearby import changes, degrees
from rigwise.layouts.rules import broken, nearest
from rigwise.models.model import Model
from strategies import layouts

LAYOUTS = layouts(st.sampled_from([1, 2, 3, 4, 6, 8, 16]), vpp=st.integers(1, 4))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=LAYOUTS, devices=st.sampled_from([1, 2, 6, 8, 32, 64]), batch=st.sampled_from([1, 7, 48, 64, 1536]))
def test_nearest_is_legal_and_leaves_the_legal_alone(
    layout: Layout,
    devices: int,
    batch: int,
    transformer: Callable[..., Model],
    cluster: Callable[..., Cluster],
) -> None:
    model, rig = transformer(experts=8), cluster(devices)
    found = nearest(layout, model, rig, batch)
    if not broken(layout, model, rig, batch):
        assert found == layout
    if found:
        assert not broken(found, model, rig, batch)
        assert found.fused == layout.fused


def test_an_option_that_still_works_is_kept(transformer: Callable[..., Model], cluster: Callable[..., Cluster]) -> None:
    asked = Layout(dp=4, tp=8, pp=3, zero=1, sp="keep", recompute="selective", overlap="dp+tp", micro=2)
    assert nearest(asked, transformer(), cluster(64), 64) == asked.but(pp=2)


def test_a_device_without_bfloat16_is_offered_float16(
    transformer: Callable[..., Model], cluster: Callable[..., Cluster]
) -> None:
    found = nearest(Layout(), transformer(), cluster(1, precisions=("float32", "float16")), 1)
    assert found == Layout(precision="float16")


@pytest.mark.parametrize(
    ("layout", "text"),
    [(Layout(), "dp 1"), (Layout(dp=4, cp=2), "dp 4 x cp 2"), (Layout(dp=2, tp=8, pp=4), "tp 8 x pp 4 x dp 2")],
)
def test_degrees_in_words(layout: Layout, text: str) -> None:
    assert degrees(layout) == text


def test_no_change_is_no_word() -> None:
    assert changes(Layout(dp=2), Layout(dp=2)) == ""

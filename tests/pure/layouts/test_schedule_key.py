"""The key `schedule` of a layout: spelt, ruled, and read by memory and time."""

from __future__ import annotations

import pytest

import rigwise
from rigwise.errors import UsageError
from rigwise.layouts.layout import Layout


def test_a_layout_names_its_schedule() -> None:
    assert Layout.parse("pp=2,schedule=gpipe").pipeline == "gpipe"
    assert Layout.parse("pp=2,vpp=2").pipeline == "interleaved"
    assert Layout.parse("pp=2").pipeline == "1f1b"
    assert str(Layout.parse("pp=2,schedule=zero_bubble")) == "dp=1,pp=2,micro=1,schedule=zero_bubble"
    assert str(Layout(pp=2)) == "dp=1,pp=2,micro=1"


@pytest.mark.parametrize(
    "layout", ["dp=8,schedule=gpipe", "pp=4,dp=2,vpp=2,schedule=gpipe", "pp=2,dp=4,zero=3,schedule=zero_bubble"]
)
def test_a_schedule_needs_a_pipeline(layout: str) -> None:
    with pytest.raises(UsageError, match="schedule"):
        rigwise.estimate("llama-2-7b", layout, "8xh100", batch=64)


def test_time_and_memory_follow_the_schedule() -> None:
    made = {
        kind: rigwise.estimate("llama-2-7b", f"pp=4,tp=2,schedule={kind}", "8xh100", batch=32)
        for kind in ("1f1b", "gpipe", "zero_bubble")
    }
    bubble = {kind: float(e.to_dict()["time_s"]["bubble"]) for kind, e in made.items()}
    assert bubble["gpipe"] == bubble["1f1b"] == pytest.approx(3 * bubble["zero_bubble"])
    memory = {kind: e.to_dict()["memory_gib"]["activations"] for kind, e in made.items()}
    assert memory["1f1b"] <= memory["zero_bubble"] < memory["gpipe"]

"""What measured runs say of the next: the text-book rule, its limits, and that a correction is on everything."""

from __future__ import annotations

from dataclasses import replace
from math import exp, hypot, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines import selene
from rigwise.cost.efficiencies import efficiencies, stack_names
from rigwise.cost.estimate import Question, estimate
from rigwise.cost.interval import Z80, doubts, interval, spread, stack_doubts, step_classes
from rigwise.cost.likeness import RUN, Run, known, learn
from rigwise.cost.timeline import timeline
from rigwise.layouts.layout import Layout
from rigwise.models.zoo import load

deviation = st.floats(0.02, 0.6)
error = st.floats(-1.0, 1.0)
ASK = Question(model=load("gpt3-1.3b", seq=1024), cluster=selene(64), batch=512)


@given(errors=st.lists(error, min_size=1, max_size=6), between=deviation, within=deviation)
def test_runs_of_one_stack_follow_the_text_book_rule_of_a_common_factor(errors, between, within) -> None:
    here = {"stack": between, RUN: within}
    shift, left = learn([Run(error=e, doubts=here) for e in errors], here)
    n, ratio = len(errors), (within / between) ** 2
    assert shift == pytest.approx(sum(errors) / (n + ratio), abs=1e-9)
    assert left**2 == pytest.approx(within**2 + 1 / (1 / between**2 + n / within**2), rel=1e-6)


@given(found=error, stack=deviation, device=deviation, within=deviation)
def test_a_run_on_another_device_counts_for_less(found, stack, device, within) -> None:
    def on(name: str) -> dict[str, float]:
        return {"stack": stack, name: device, RUN: within}

    (same, sure), (other, less) = (learn([Run(error=found, doubts=on(name))], on("a")) for name in ("a", "b"))
    assert abs(other) <= abs(same)
    assert within <= sure < less < hypot(*on("a").values())


@given(errors=st.lists(error, min_size=2, max_size=5))
def test_each_further_run_leaves_less_open(errors) -> None:
    here = {"stack": 0.3, "device": 0.1, RUN: 0.1}
    left = [learn([Run(error=e, doubts=here) for e in errors[:n]], here)[1] for n in range(len(errors) + 1)]
    assert left == sorted(left, reverse=True)
    assert left[0] == pytest.approx(hypot(0.3, 0.1, 0.1))
    assert left[-1] > 0.1


def test_a_run_that_shares_nothing_says_nothing() -> None:
    shift, left = learn([Run(error=0.7, doubts={"stack a": 0.3, RUN: 0.1})], {"stack b": 0.2, RUN: 0.1})
    assert (shift, left) == (0.0, pytest.approx(hypot(0.2, 0.1)))


@pytest.mark.parametrize("stack", stack_names())
def test_the_parts_of_a_stack_make_up_its_spread_and_the_interval_is_that_of_all_doubts(stack: str) -> None:
    eff = efficiencies(ASK.cluster.device, stack)
    whole = spread(step_classes(ASK.model.family, stack, ASK.cluster), eff.novelty)
    assert hypot(*stack_doubts(stack, whole).values()) == pytest.approx(whole)
    around = interval(ASK.model, ASK.cluster, eff)
    assert log(around.high) == pytest.approx(Z80 * max(hypot(*doubts(ASK.model, ASK.cluster, eff).values()), 0.047))


@pytest.mark.parametrize("layout", [Layout(dp=64), Layout(dp=8, tp=2, pp=4), Layout(dp=64, zero=3)], ids=str)
def test_a_factor_is_on_every_part_and_on_the_walk_and_the_interval_narrows(layout: Layout) -> None:
    here = doubts(ASK.model, ASK.cluster, efficiencies(ASK.cluster.device))
    asked = replace(ASK, known=known([Run(error=log(1.3), doubts=here)], here))
    before, after = estimate(ASK, layout), estimate(asked, layout)
    assert asked.known is not None
    assert 1 < asked.factor < 1.3
    for part, seconds in before.time.items():
        assert after.time[part] == pytest.approx(asked.factor * seconds)
    assert after.memory == before.memory
    assert timeline(asked, layout).step_s == pytest.approx(asked.factor * timeline(ASK, layout).step_s)
    assert log(after.interval[1] / after.interval[0]) < log(before.interval[1] / before.interval[0])
    assert f"corrected by 1 measured run: x{asked.factor:.3g}" in after.basis


def test_what_a_run_does_not_share_is_said_and_an_odd_one_is_warned_of() -> None:
    found = known(
        [Run(error=log(5), doubts={"stack": 0.2, RUN: 0.1}, says="mine")], {"stack": 0.2, "device": 0.1, RUN: 0.1}
    )
    assert "count for less: not on device" in found.says
    assert found.warnings == (
        "mine took 5 times as long as predicted: check that its batch and its layout are what was run",
    )
    assert found.factor == pytest.approx(exp(log(5) * 0.04 / 0.05))
    assert found.spread == pytest.approx(sqrt(0.06 - 0.04**2 / 0.05))

"""plan and scale: the answers a person sees, and the refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from machines import A100, selene
from rigwise.cost.estimate import Question
from rigwise.cost.money import Rates
from rigwise.errors import InfeasibleError, UsageError
from rigwise.layouts.rules import broken
from rigwise.layouts.runnable import not_run
from rigwise.models.zoo import load
from rigwise.search.plan import plan
from rigwise.search.scale import devices_warnings, part_of, scale

GPT = load("gpt3-6.7b", seq=2048)
ASK = Question(model=GPT, cluster=selene(16), batch=128)


def test_a_plan_is_ranked_legal_and_fits() -> None:
    found = plan(ASK, top=8)
    times = [row.step_s for row in found.layouts]
    assert times == sorted(times)
    assert len(times) == 8
    for row in (*found.layouts, *found.pareto):
        assert row.fits
        assert not broken(row.layout, GPT, ASK.cluster, ASK.batch)
    assert found.considered > found.legal > found.feasible > 0


def test_the_pareto_front_trades_time_for_memory() -> None:
    front = plan(ASK).pareto
    assert [row.step_s for row in front] == sorted(row.step_s for row in front)
    assert [row.memory_total for row in front] == sorted((row.memory_total for row in front), reverse=True)


def test_a_fixed_axis_stays_fixed() -> None:
    assert {row.layout.tp for row in plan(ASK, fix={"tp": 4}).layouts} == {4}


def test_fixing_dp_leaves_the_rest_to_the_search() -> None:
    assert {row.layout.dp for row in plan(ASK, fix={"dp": 2}).layouts} == {2}


def test_plain_data_parallel_is_compared_in_words() -> None:
    assert any("plain data parallel does not fit" in line for line in plan(ASK).why)
    small = replace(ASK, model=load("gpt3-125m", seq=1024))
    assert any("plain data parallel" in line and "does not fit" not in line for line in plan(small).why)


def test_nothing_fits_names_the_constraint_and_what_would_do() -> None:
    tiny = replace(ASK, cluster=selene(2, replace(A100, memory=8 * 2.0**30)), batch=16)
    with pytest.raises(InfeasibleError) as caught:
        plan(tiny, fix={"offload": "none"})
    assert "does not fit" in caught.value.says
    assert "GiB" in caught.value.says
    assert caught.value.nearest
    assert caught.value.exit_code == 3


def test_offload_is_tried_before_giving_up() -> None:
    tight = replace(ASK, cluster=selene(1, replace(A100, memory=40 * 2.0**30)), batch=8)
    assert plan(tight).best.layout.offload != "none"


def test_offload_that_run_does_comes_before_what_it_does_not() -> None:
    tight = replace(ASK, cluster=selene(1, replace(A100, memory=60 * 2.0**30)), batch=8)
    found = [row.layout for row in plan(tight).layouts]
    assert not any(not_run(layout) for layout in found)


def test_no_legal_layout_says_so() -> None:
    with pytest.raises(InfeasibleError, match="no legal layout"):
        plan(replace(ASK, batch=1), fix={"dp": 16})


@pytest.mark.parametrize(
    ("words", "says"),
    [({"objective": "speed"}, "objective"), ({"top": 0}, "top"), ({"fix": {"xp": 2}}, "xp")],
)
def test_wrong_words(words: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        plan(ASK, **words)  # type: ignore[arg-type]


def test_cost_needs_a_price() -> None:
    with pytest.raises(UsageError, match="price"):
        plan(ASK, objective="cost")
    found = plan(replace(ASK, rates=Rates(hourly=2.0)), objective="cost")
    assert found.best.cost_usd == min(row.cost_usd or 0 for row in found.layouts)


def test_dense_layers_of_alexnet_go_model_parallel() -> None:
    """Krizhevsky 2014: data-parallel convolutions, model-parallel dense layers, over a slow link."""
    slow = selene(4)
    slow = replace(slow, node=replace(slow.node, link=replace(slow.node.link, kind="pcie-host", bandwidth=6e9)))
    ask = Question(model=load("alexnet"), cluster=slow, batch=512, stack="eager-2018")
    assert dict(plan(ask, precision="float32").best.layout.blocks).get("dense4") == "slices"


def test_scaling_starts_at_one_and_says_where_it_hurts() -> None:
    slow = selene(8)
    slow = replace(slow, node=replace(slow.node, link=replace(slow.node.link, kind="ethernet", bandwidth=1e9)))
    ask = Question(model=load("vgg16"), cluster=slow, batch=256)
    found = scale(ask)
    assert found.speedups("best")[0] == pytest.approx(1.0)
    assert all(a is None or a <= (b or 0) * 1.001 for a, b in zip(found.speedups("data"), found.speedups("best")))
    assert "gradient exchange" in found.turns["data"]
    assert any("32 samples" in says for says in found.warnings)


def test_batch_warnings_of_article_5() -> None:
    model = load("alexnet")
    assert "16 samples" in devices_warnings(model, 128, [8])[0]
    assert devices_warnings(model, 128, [1, 2]) == ()
    assert any("multiple of 32" in says for says in devices_warnings(model, 200, [2]))
    assert devices_warnings(GPT, 128, [8]) == ()


def test_parts_of_a_cluster() -> None:
    assert (part_of(selene(16), 4).devices, part_of(selene(16), 16).nodes) == (4, 2)
    with pytest.raises(UsageError, match="whole"):
        part_of(selene(32), 12)
    with pytest.raises(UsageError, match="1 to 16"):
        part_of(selene(16), 17)

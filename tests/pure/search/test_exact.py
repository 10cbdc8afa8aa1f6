"""The search is exact: it finds what trying every layout one by one finds."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines import A100, selene
from rigwise.cost.estimate import Question, estimate, evaluate
from rigwise.cost.money import Rates
from rigwise.layouts.layout import SCHEDULES, Layout
from rigwise.layouts.rules import broken, legal
from rigwise.models.zoo import load
from rigwise.search.exact import OBJECTIVES, anything_fits, search
from rigwise.search.space import Axes, axes, divisors, space

GPT = load("gpt3-125m", seq=512)
SMALL = replace(A100, memory=4 * 2.0**30)
ASK = Question(model=GPT, cluster=selene(4, SMALL), batch=16)
AXES = Axes(
    tp=(1, 2, 4),
    pp=(1, 2, 4),
    vpp=(1, 3),
    cp=(1,),
    ep=(1,),
    micro=(1, 4),
    sp=("off", "on"),
    recompute=("none", "full"),
    zero=(0, 1),
    overlap=("none", "dp"),
)


def every_layout(on: Axes) -> list[Layout]:
    """The same space, one Layout at a time, without the search's tables."""
    found = []
    for tp, pp, vpp, micro, sp, recompute, zero, overlap in product(
        on.tp, on.pp, on.vpp, on.micro, on.sp, on.recompute, on.zero, on.overlap
    ):
        if 4 % (tp * pp) == 0 and pp * vpp <= GPT.units:
            dp = 4 // (tp * pp)
            found.append(
                Layout(
                    dp=dp, tp=tp, pp=pp, vpp=vpp, micro=micro, sp=sp, recompute=recompute, zero=zero, overlap=overlap
                )
            )
    return found


@pytest.fixture(scope="module")
def one_by_one() -> list[tuple[float, float, Layout]]:
    legal = [row for row in every_layout(AXES) if not broken(row, GPT, ASK.cluster, ASK.batch)]
    rows = [(estimate(ASK, layout), layout) for layout in legal]
    return [(row.step_s, row.memory_total, layout) for row, layout in rows]


def test_search_finds_what_trying_every_layout_finds(one_by_one: list[tuple[float, float, Layout]]) -> None:
    found = search(ASK, space(GPT, ASK.cluster, AXES, "bfloat16"), top=5)
    fits = sorted((row for row in one_by_one if row[1] <= SMALL.memory), key=lambda row: (row[0], row[1]))
    assert 0 < len(fits) < len(one_by_one), "the case must have layouts that do not fit"
    assert (found.legal, found.feasible) == (len(one_by_one), len(fits))
    assert [row[0] for row in found.best] == pytest.approx([row[0] for row in fits[:5]], rel=1e-12)
    assert found.least_memory is not None
    assert found.least_memory[0] == pytest.approx(min(row[1] for row in one_by_one))


def test_the_frontier_is_what_no_other_layout_beats(one_by_one: list[tuple[float, float, Layout]]) -> None:
    found = search(ASK, space(GPT, ASK.cluster, AXES, "bfloat16"))
    fits = [row for row in one_by_one if row[1] <= SMALL.memory]
    unbeaten = {
        (round(s, 9), round(m))
        for s, m, _ in fits
        if not any((s2 < s and m2 <= m) or (s2 <= s and m2 < m) for s2, m2, _ in fits)
    }
    assert {(round(s, 9), round(m)) for s, m, *_ in found.frontier} == unbeaten


@pytest.mark.parametrize("objective", ["time", "energy", "memory"])
def test_the_best_is_best_by_its_objective(objective: str, one_by_one: list[tuple[float, float, Layout]]) -> None:
    found = search(ASK, space(GPT, ASK.cluster, AXES, "bfloat16"), objective=objective, top=1)
    value = {"time": lambda e: e.step_s, "energy": lambda e: e.energy_j, "memory": lambda e: e.memory_total}[objective]
    least = min(value(estimate(ASK, layout)) for _, memory, layout in one_by_one if memory <= SMALL.memory)
    assert value(estimate(ASK, found.best[0][2])) == pytest.approx(least)


def test_slices_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    table = space(GPT, ASK.cluster, AXES, "bfloat16")
    whole = search(ASK, table, top=3)
    monkeypatch.setattr("rigwise.search.exact._CELLS", 16)
    assert search(ASK, table, top=3) == whole


MIXED = load("mixtral-8x7b", seq=512)
EXPERTS = Question(model=MIXED, cluster=selene(16, A100), batch=32, rates=Rates(hourly=2.0))
LONG = load("llama-3-8b")
CONTEXT = Question(model=LONG, cluster=selene(32, A100), batch=64, rates=Rates(hourly=2.0))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("ask", [EXPERTS, CONTEXT], ids=["experts", "context"])
def test_a_bound_leaves_out_nothing_that_could_win(ask: Question, objective: str, monkeypatch) -> None:
    table = space(ask.model, ask.cluster, axes(ask.model, ask.cluster, ask.batch), "bfloat16")
    monkeypatch.setattr("rigwise.search.exact._LARGE", 10**9)
    whole = search(ask, table, objective=objective)
    monkeypatch.setattr("rigwise.search.exact._LARGE", 0)
    bounded = search(ask, table, objective=objective)
    assert [row.layout for row in bounded.best] == [row.layout for row in whole.best]
    assert [row.layout for row in bounded.frontier] == [row.layout for row in whole.frontier]
    assert (bounded.legal, bounded.feasible) == (whole.legal, whole.feasible)


@pytest.mark.parametrize("ask", [ASK, EXPERTS, CONTEXT], ids=["dense", "experts", "context"])
def test_no_step_is_sooner_than_its_bound(ask: Question) -> None:
    every = axes(ask.model, ask.cluster, ask.batch, every=True)
    few = replace(every, micro=every.micro[:2], vpp=every.vpp[:2], offload=("none", "all"), schedule=SCHEDULES[:3])
    table = space(ask.model, ask.cluster, few, "bfloat16")
    answer = evaluate(ask, table)
    allowed = np.broadcast_to(legal(table, ask.model, ask.cluster, ask.batch), table.shape)
    share = np.broadcast_to(answer.step.least() / answer.seconds, table.shape)[allowed]
    assert share.min() > 0
    assert 0.8 < share.max() <= 1 + 1e-9, "near the best ones it is tight"


def test_what_fits_is_known_without_its_time() -> None:
    table = space(GPT, ASK.cluster, AXES, "bfloat16")
    assert anything_fits(ASK, table)
    tiny = replace(ASK, cluster=selene(4, replace(A100, memory=2.0**28)))
    assert not anything_fits(tiny, table)


def test_pairs_of_a_table_are_its_layouts() -> None:
    table = space(GPT, ASK.cluster, AXES, "bfloat16")
    row, column = np.array([0, 1, table.shape[0] - 1]), np.array([1, 0, table.shape[1] - 1])
    pairs = table.pairs(row, column)
    assert pairs.shape == (3, *table.shape[2:])
    places = np.array([0, pairs.size // 2, pairs.size - 1])
    for place, layout in zip(places, pairs.layouts(places), strict=True):
        i, *rest = (int(n) for n in np.unravel_index(place, pairs.shape))
        assert layout == pairs.layout(i, *rest) == table.layout(int(row[i]), int(column[i]), *rest)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 10_000))
def test_divisors(n: int) -> None:
    found = divisors(n)
    assert found == sorted(set(found))
    assert found[0] == 1
    assert found[-1] == n
    assert all(n % d == 0 for d in found)
    assert len(found) == sum(n % d == 0 for d in range(1, n + 1))

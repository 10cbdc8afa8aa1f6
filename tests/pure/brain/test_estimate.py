"""The estimate: percentiles, identities of its terms, what can be set and switched in, and speed of the draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigwise.brain.demands import CORTICAL, demands, flops, omissions
from rigwise.brain.distributions import Distribution
from rigwise.brain.estimate import estimate
from rigwise.brain.parameters import parameters, points, shipped
from rigwise.errors import NotFoundError, UsageError


def test_every_quantity_has_its_percentiles_in_order_its_unit_and_its_source() -> None:
    said = estimate(draws=2000).to_dict()
    for name in ("flops", "memory", "bandwidth", "messages", "exchange"):
        q = said[name]
        assert 0 < q["p10"] < q["p50"] < q["p90"]
        assert q["unit"]
        assert q["source"]
    for name, q in said["parameters"].items():
        assert q["p10"] <= q["p50"] <= q["p90"], name
        assert all(q[word] for word in ("unit", "source", "checked")), name


def test_the_same_seed_gives_the_same_draws_and_another_others() -> None:
    one, same, other = (estimate(draws=1000, seed=seed).quantities["flops"] for seed in (1, 1, 2))
    assert one == same
    assert one.p50 != other.p50


def test_a_hundred_thousand_draws_are_stable() -> None:
    first, second = (estimate(seed=seed).quantities["flops"] for seed in (0, 1))
    assert first.p50 == pytest.approx(second.p50, rel=0.03)
    assert first.p90 == pytest.approx(second.p90, rel=0.05)


def test_the_terms_sum_to_the_whole() -> None:
    e = estimate(draws=500)
    assert sum(q.value for q in e.terms.values()) == pytest.approx(e.quantities["flops"].value)
    at = flops(e.samples)
    assert np.allclose(sum(at.values()), e.drawn["flops"])


@given(st.sampled_from(["purkinje_cells", "purkinje_rate", "ops_per_weight"]), st.floats(0.1, 10))
@settings(deadline=None, max_examples=30)
def test_the_purkinje_term_is_proportional_to_its_factors(name: str, times: float) -> None:
    at = points(shipped())
    more = flops(at | {name: at[name] * times})["purkinje"]
    assert float(more) == pytest.approx(times * float(flops(at)["purkinje"]))


def test_time_counts_twice_in_the_dendrite() -> None:
    at = points(shipped())
    double = flops(at | {"time_steps": 10.0})["purkinje"] / flops(at)["purkinje"]
    assert float(double) == pytest.approx(4, rel=1e-3)


def test_an_input_that_is_set_is_fixed_and_a_range_is_kept() -> None:
    fixed = parameters(["synapses_per_neuron=8000"])["synapses_per_neuron"]
    assert (fixed.value, fixed.spread.kind) == (8000, "fixed")
    ranged = parameters({"cortex_rate": "50..500"})["cortex_rate"]
    assert ranged.spread.quantile(0.1) == pytest.approx(50)
    assert ranged.spread.quantile(0.9) == pytest.approx(500)
    assert ranged.value == pytest.approx(np.sqrt(50 * 500))


def test_words_may_be_one_text_with_commas() -> None:
    e = estimate(sets="rate=100,time_steps=3..6", include="learning,glia", draws=100)
    assert (e.points["granule_rate"], e.include) == (100, ("learning", "glia"))


def test_every_input_can_be_set() -> None:
    for name, parameter in shipped().items():
        value = max(parameter.value, 1.0) if parameter.unit != "share" else 0.5
        assert parameters({name: value})[name].value == value


def test_everything_fixed_has_no_spread() -> None:
    sets = {name: p.value for name, p in shipped().items() if p.value > 0}
    q = estimate(sets=sets, draws=100).quantities["flops"]
    assert q.p10 == pytest.approx(q.p90)
    assert q.p50 == pytest.approx(q.value)
    assert estimate(sets=sets, draws=100).bars == []


@pytest.mark.parametrize(
    ("sets", "match"),
    [
        (["rate"], "name=value"),
        (["rate=fast"], "a number above 0"),
        (["rate=0"], "a number above 0"),
        (["rate=-3"], "a number above 0"),
        (["rate=9..3"], "a number above 0"),
        (["rate=1e999"], "a number above 0"),
        (["rate=1e31"], "1e-30 to 1e\\+30"),
        (["rate=1e-31..1"], "1e-30 to 1e\\+30"),
        (["learning=0.5"], "at least 1"),
        (["linpack_share=2"], "at most 1"),
    ],
)
def test_a_value_that_cannot_be_is_refused(sets, match) -> None:
    with pytest.raises(UsageError, match=match):
        estimate(sets=sets, draws=100)


def test_an_unknown_name_has_its_neighbours() -> None:
    with pytest.raises(NotFoundError, match="purkinje_cells"):
        estimate(sets=["purkinje_cell=1"], draws=100)
    with pytest.raises(NotFoundError, match="learning"):
        estimate(include=["lerning"], draws=100)


def test_each_omission_only_adds_and_all_of_them_end_the_bound() -> None:
    bound = estimate(draws=200).quantities["flops"].value
    for name in omissions(shipped()):
        assert estimate(include=[name], draws=200).quantities["flops"].value > bound, name
    whole = estimate(include=["all"], draws=200)
    assert not whole.is_lower_bound
    assert set(whole.include) == set(omissions(shipped()))


def test_learning_doubles_and_cortical_dendrites_are_a_term() -> None:
    bound, learning, cortical = (estimate(include=some, draws=200) for some in ([], ["learning"], [CORTICAL]))
    assert learning.quantities["flops"].value == pytest.approx(2 * bound.quantities["flops"].value)
    assert cortical.terms["purkinje"] == bound.terms["purkinje"]
    assert cortical.terms["cortex"].value > 100 * bound.terms["cortex"].value


def test_memory_is_what_the_networks_hold() -> None:
    from rigwise.brain.mapping import PURKINJE, network

    at = {**points(shipped()), "granule_cells": 0.0, "cortex_cells": 0.0, "other_cells": 0.0}
    held = network(PURKINJE).parameters + PURKINJE.inputs * PURKINJE.steps
    assert float(demands(at)["memory"]) == pytest.approx(at["purkinje_cells"] * held * at["bytes_per_value"])
    assert float(demands(at)["bandwidth"]) == pytest.approx(at["purkinje_rate"] * float(demands(at)["memory"]))


def test_a_rate_is_that_of_a_type_of_cell_and_rate_is_that_of_all() -> None:
    base, slow = (flops(points(parameters(sets))) for sets in ((), ["cortex_rate=1"]))
    assert float(slow["cortex"]) == pytest.approx(float(base["cortex"]) / 200)
    assert (slow["purkinje"], slow["granule"]) == (base["purkinje"], base["granule"])
    for sets in (["rate=100", "cortex_rate=1"], ["cortex_rate=1", "rate=100"]):
        at = points(parameters(sets))
        assert (at["purkinje_rate"], at["granule_rate"], at["cortex_rate"]) == (100, 100, 1)


@pytest.mark.parametrize("kind", ["uniform", "loguniform", "lognormal"])
def test_draws_have_the_quantiles_that_are_said(kind: str) -> None:
    spread = Distribution(kind=kind, low=3.0, high=40.0)
    drawn = spread.draw(100_000, np.random.default_rng(0))
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(drawn, share) == pytest.approx(spread.quantile(share), rel=0.02)
    if kind == "lognormal":
        assert spread.quantile(0.1) == pytest.approx(3.0)


def test_a_distribution_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="low end first"):
        Distribution(kind="uniform", low=2, high=1)
    with pytest.raises(UsageError, match="above 0"):
        Distribution(kind="lognormal", low=0, high=1)
    with pytest.raises(UsageError, match="one of"):
        Distribution(kind="cauchy", low=0, high=1)

"""The worked examples of the 2015 article, each with the number that it must give."""

from __future__ import annotations

import pytest

from rigwise.brain.estimate import estimate
from rigwise.brain.mapping import CELLS, GRANULE, PURKINJE, network, steps_of
from rigwise.brain.neuron import wait_probability
from rigwise.brain.scenarios import (
    ARTICLE_TARGET,
    crossing,
    doubling_years,
    doublings,
    electricity,
    knowledge_then,
    scenarios,
)


@pytest.fixture(scope="module")
def article():
    return estimate(draws=100)


@pytest.mark.parametrize(("ms", "steps"), [(20, 0.6), (80, 2.4), (200, 6.0)])
def test_steps_of_time_at_thirty_frames_a_second(ms: float, steps: float) -> None:
    assert steps_of(ms / 1000) == pytest.approx(steps)


def test_filters_and_inputs() -> None:
    assert (GRANULE.weights, PURKINJE.weights) == (60, 50_000)
    assert [cell.inputs * cell.steps for cell in (GRANULE, PURKINJE)] == [75, 500_000]
    for cell in CELLS.values():
        soma = next(block for block in network(cell).blocks if block.name == "soma")
        assert soma.parameters == 5


def test_the_terms_and_their_sum(article) -> None:
    assert article.terms["purkinje"].value == pytest.approx(1e21, rel=1e-4)
    assert article.terms["granule"].value == pytest.approx(7.5e19, rel=1e-4)
    total = article.quantities["flops"].value
    assert f"{total:.3e}" == "1.075e+21"
    assert article.is_lower_bound


def test_the_convolutions_alone_give_the_published_sum_exactly() -> None:
    from rigwise.brain.mapping import dendrite_flops

    purkinje = 1e8 * 200 * dendrite_flops(1e5, 10, 1000, 5)
    granule = 5e10 * 200 * dendrite_flops(15, 10, 1000, 5)
    assert (purkinje, granule) == (pytest.approx(1e21, rel=1e-12), pytest.approx(7.5e19, rel=1e-12))
    assert purkinje + granule == pytest.approx(ARTICLE_TARGET, rel=1e-12)


def test_with_the_filter_that_the_text_names_granule_cells_hardly_count() -> None:
    own = estimate(sets=["granule_reach=3", "granule_dendrites=4"], draws=100)
    assert own.terms["granule"].value == pytest.approx(9.16e16, rel=1e-3)
    assert own.quantities["flops"].value >= 1e21


def test_doublings_from_hpcg() -> None:
    assert round(doublings(0.58e15, ARTICLE_TARGET), 2) == 20.82


@pytest.mark.parametrize(("years", "year"), [(1.8, 2052.8), (3.0, 2078.0), (1.5, 2046.5)])
def test_whole_doublings_from_hpcg(years: float, year: float) -> None:
    assert crossing(0.58e15, ARTICLE_TARGET, 2015, years, whole=True) == pytest.approx(year)


def test_the_stated_2037_follows_from_linpack_and_not_from_hpcg() -> None:
    assert crossing(33.86e15, ARTICLE_TARGET, 2015, 1.5) == pytest.approx(2037.4, abs=0.05)
    stated = {(s.key, s.start): s for s in scenarios() if s.stated}
    assert set(stated) == {("moore", "linpack"), ("sixty_years", "hpcg"), ("network", "hpcg")}
    for s in stated.values():
        assert s.stated in (round(s.year), round(s.year_whole))


def test_waiting_times_are_poisson() -> None:
    assert [round(wait_probability(k), 4) for k in range(4)] == [0.6065, 0.3033, 0.0758, 0.0126]


def test_knowledge_of_ten_years_before() -> None:
    assert knowledge_then(10) == 1 / 1024
    assert f"{knowledge_then(10):.4%}" == "0.0977%"


@pytest.mark.parametrize(("usd_a_day", "cents"), [(65_000, 11.3), (100_000, 17.4), (23e6 / 365, 10.9)])
def test_electricity_of_a_supercomputer(usd_a_day: float, cents: float) -> None:
    energy, price = electricity(24e6, usd_a_day)
    assert energy == 576_000
    assert round(100 * price, 1) == cents


def test_the_kurzweil_type_figure_and_the_gap() -> None:
    from rigwise.brain.methods import methods

    baseline = next(m for m in methods(draws=100) if m.key == "dettmers_baseline")
    assert baseline.quantity.value == 2e15
    assert f"{ARTICLE_TARGET / baseline.quantity.value:.1e}" == "5.4e+05"


@pytest.mark.parametrize(("growth", "years"), [(0.07, 10.2), (0.10, 7.3)])
def test_factories_double_in_price(growth: float, years: float) -> None:
    assert round(doubling_years(growth), 1) == years

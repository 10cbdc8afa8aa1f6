"""The year of crossing: limits only delay, targets order, seeds repeat, and the look back from 2015 says what came."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from rigwise import api
from rigwise.brain.forecast import METRICS, forecast, look_back
from rigwise.brain.history import history
from rigwise.brain.limits import assumptions, bend, limit_names, settable
from rigwise.brain.scenarios import scenarios
from rigwise.brain.tables import toml
from rigwise.brain.trend import Prior, follow, paths
from rigwise.errors import NotFoundError, UsageError


@pytest.fixture(scope="module")
def brain():
    return api.brain_estimate(draws=2000)


@pytest.fixture(scope="module")
def ahead(brain):
    return forecast(brain, draws=1000)


def ordered(*years: float | None) -> list[float]:
    return [np.inf if year is None else year for year in years]


def test_the_crossing_has_percentiles_in_order_and_a_chance_of_none(ahead) -> None:
    for crossing in ahead.crossings:
        p10, p50, p90 = ordered(crossing.year.p10, crossing.year.p50, crossing.year.p90)
        assert 2026 < p10 <= p50 <= p90
        assert (crossing.none > 0.1) == (p90 == np.inf)
    assert 0 < ahead.chosen.none < 1


def test_a_limit_only_delays_and_all_of_them_delay_most(ahead) -> None:
    free, *single, every = ahead.crossings
    assert free.limits == ()
    assert [crossing.limits for crossing in single] == [(name,) for name in limit_names()]
    for crossing in [*single, every]:
        assert crossing.none >= free.none
        for name in ("p10", "p50", "p90"):
            early, late = ordered(getattr(free.year, name), getattr(crossing.year, name))
            assert late >= early
    assert every.none >= max(crossing.none for crossing in single)


@pytest.mark.parametrize("metric", METRICS)
def test_no_path_under_limits_is_above_its_free_self(metric: str) -> None:
    past = history(metric)
    years = np.arange(past.years[-1] + 0.5, 2100.0, 0.5)
    free = paths(follow(past)[-1], years, 300, np.random.default_rng(0))
    rising = np.maximum.accumulate(np.maximum(free, past.log2[-1]), axis=1)
    for name in limit_names():
        assert (bend(rising, years, past, (name,), assumptions(), 0) <= rising + 1e-9).all()


def test_a_higher_target_is_reached_later(brain) -> None:
    rows = [forecast(brain, metric="linpack", target=10.0**n, draws=400).chosen for n in (18, 20, 22, 24)]
    for lower, higher in pairwise(rows):
        assert higher.none >= lower.none
        assert ordered(higher.year.p50)[0] >= ordered(lower.year.p50)[0]


def test_the_estimate_as_a_target_spreads_the_year(brain) -> None:
    fixed, spread = (forecast(brain, target=target, draws=1000).chosen for target in ("article", "estimate"))
    assert spread.year.p10 < fixed.year.p10


def test_the_same_seed_gives_the_same_years(brain) -> None:
    one, same = (forecast(brain, draws=300, seed=4).to_dict()["crossing"] for _ in range(2))
    assert one == same


def test_fitted_to_a_year_the_forecast_starts_there(brain) -> None:
    back = forecast(brain, metric="linpack", fitted_to=2015.0, draws=300)
    assert back.past.years[-1] <= 2015.0
    assert back.years[0] == pytest.approx(back.past.years[-1] + 0.5)


@pytest.mark.parametrize("metric", ["hpcg", "linpack", "sum", "last"])
def test_fitted_on_data_to_2015_the_interval_held_what_came(metric: str) -> None:
    look = look_back(metric, 2015.99)
    assert look.fitted_to < 2016 < 2025 < look.year
    assert look.held


def test_how_well_each_scenario_foresaw_the_last_list() -> None:
    off = {(s.key, s.start): s.off for s in scenarios()}
    assert off["moore", "hpcg"] > off["sixty_years", "hpcg"] > 0 > off["network", "hpcg"]
    assert abs(off["sixty_years", "linpack"]) < 0.2, "1.8 years a doubling foresaw LINPACK of 2025"
    assert off["moore", "linpack"] > 1


def test_every_figure_of_limits_and_scenarios_can_be_set() -> None:
    for name in settable():
        own = {"left": 0.5, "year": 2030.0, "from_year": 2030.0}.get(
            name.split(".")[-1], 0.5 if "share" in name else 3.0
        )
        data = assumptions({name: own})
        value = {**data["limit"], **data["scenario"], **data["start"], **data["prior"]}
        for key in name.split("."):
            value = value[key]
        assert value in (own, [own, own])
    shipped = {**toml("scenarios")["limit"], **toml("scenarios")["scenario"]}
    assert shipped["energy"]["watts"] == [1e8, 1e10], "setting does not change what is shipped"


def test_every_figure_that_can_be_set_is_listed_with_how_sure_it_is_and_its_source() -> None:
    listed = api.brain_forecast(sets=["atoms.left=0.5"]).to_dict()["figures"]
    assert list(listed) == settable()
    assert listed["atoms.left"]["value"] == [0.5, 0.5]
    assert all(figure["sure"] in ("yes", "assumed") and figure["source"] for figure in listed.values())
    assert listed["energy.share.hpcg"]["sure"] == "assumed"
    assert listed["factory.usd"] == {"value": 9e9, "sure": "yes", "source": listed["factory.left"]["source"]}


def test_the_small_sums_stand_beside_what_the_article_says(ahead) -> None:
    sums = {one["says"]: one for one in ahead.to_dict()["sums"]}
    known = next(one for says, one in sums.items() if "knowledge" in says)
    assert known["value"] == 1 / 1024
    assert round(known["value"], 5) == known["stated"]
    assert [round(100 * one["value"], 1) for one in sums.values() if one["unit"] == "USD/kWh"] == [11.3, 17.4, 10.9]
    assert [round(one["value"], 1) for says, one in sums.items() if "factory" in says] == [10.2, 7.3]


def test_lines_drawn_on_from_2015_stand_beside_the_trend(ahead) -> None:
    by_metric = {look.metric: look for look in ahead.foresight}
    for look in by_metric.values():
        assert look.off[0] == pytest.approx(np.log2(look.foreseen.p50 / look.came))
    assert by_metric["linpack"].off[1] > 3, "the lines of 2015 did not see that growth had slowed"
    assert by_metric["hpcg"].drawn_on == pytest.approx(0.58e15, rel=1e-6), "four lists with one machine on top"


def test_what_is_believed_before_any_data_can_be_set() -> None:
    past = history("device")
    slow, fast = (follow(past, Prior(rate=rate, spread=0.05))[2].mean[:, 1].mean() for rate in (0.2, 2.0))
    assert slow < 0.5 < 1.2 < fast
    shipped, other = api.brain_forecast(), api.brain_forecast(sets=["trend.doublings_a_year=3", "trend.spread=0.01"])
    assert shipped.coverage["device"][0] > 0.7 > other.coverage["device"][0], "nothing supports such a prior"


def test_a_slower_scenario_is_later_and_more_power_brings_the_brain_nearer() -> None:
    slow = api.brain_forecast(sets=["moore.years=3"])
    assert next(s for s in slow.scenarios if s.key == "moore").year > 2070
    some, more = (api.brain_forecast(limits=["energy"], sets=[f"energy.watts={watts}"]) for watts in ("1e8", "1e12"))
    assert more.chosen.none < some.chosen.none


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"metric": "hpgc"}, NotFoundError),
        ({"target": "brain"}, NotFoundError),
        ({"target": -1.0}, UsageError),
        ({"limits": ["atom"]}, NotFoundError),
        ({"until": 2020}, UsageError),
        ({"until": 9999}, UsageError),
        ({"fitted_to": 1990.0}, UsageError),
        ({"sets": ["energy.volts=3"]}, NotFoundError),
        ({"sets": ["energy.watts=0"]}, UsageError),
        ({"sets": ["moore.years=1e-9"]}, UsageError),
        ({"sets": ["atoms.year=3..9"]}, UsageError),
        ({"sets": ["energy.share.hpcg=0.5..2"]}, UsageError),
        ({"sets": ["trend.doublings_a_year=1e10"]}, UsageError),
    ],
)
def test_what_cannot_be_is_refused(wrong, error) -> None:
    with pytest.raises(error):
        api.brain_forecast(**wrong)


def test_every_growth_has_a_doubling_time_with_an_interval(ahead) -> None:
    said = ahead.to_dict()["growth"]
    assert set(said) == {"linpack", "sum", "last", "hpcg", "training", "device"}
    for growth in said.values():
        for segment in growth["segments"]:
            doubling = segment["doubling"]
            assert doubling["p10"] <= doubling["value"]
            assert doubling["unit"] == "month"

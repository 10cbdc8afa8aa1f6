"""Histories, their growth with change points, and the trend whose intervals are earned on rolling origins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigwise.brain.growth import doubling_months, fit
from rigwise.brain.history import History, history, names, year_of
from rigwise.brain.trend import coverage, follow, forecasts, paths
from rigwise.errors import NotFoundError


def line(rate: float, noise: float = 0.0, years: int = 30) -> History:
    at = np.arange(1990.0, 1990.0 + years)
    y = rate * (at - 1990) + noise * np.random.default_rng(0).standard_normal(years)
    return History(name="made", says="made", unit="", years=at, log2=y, source="made")


@pytest.mark.parametrize(("start", "end", "months"), [(1993.5, 2013.5, 13.6), (2013.5, 2025.5, 24.2)])
def test_the_sum_of_the_top500_doubled_in(start: float, end: float, months: float) -> None:
    assert round(doubling_months(history("sum"), start, end), 1) == months


def test_the_fit_finds_that_growth_changed_about_2013() -> None:
    growth = fit(history("sum"))
    assert any(2011.5 <= year <= 2014.5 for year in growth.changes)
    before, after = growth.segments[-2:]
    assert after.latest - after.earliest < 3
    assert before.months == pytest.approx(13.4, abs=1)
    assert after.low < 12 / 24.2 < after.high


def test_the_last_line_goes_on() -> None:
    growth = fit(line(0.5))
    assert growth.ahead(2029.0) == pytest.approx(2.0 ** (0.5 * 39))


def test_the_fastest_accelerators_are_epoch_s_and_hold_their_record() -> None:
    past = history("device")
    assert "Epoch AI" in past.source
    assert (past.years[0], past.years[-1]) == (2008.5, 2025.5)
    assert (np.diff(past.log2) >= 0).all()
    assert past.at(2025.5) == pytest.approx(2.5166e15, rel=1e-3)


def test_a_change_point_has_an_interval_that_holds_the_truth() -> None:
    at = np.arange(1990.0, 2020.0)
    bent = np.where(at < 2005, at - 1990, 15 + (at - 2005) / 4)
    noise = np.random.default_rng(3).standard_normal(len(at))
    sharp, blurred = (
        fit(History(name="x", says="x", unit="", years=at, log2=bent + size * noise, source="")).segments[1]
        for size in (0.02, 1.0)
    )
    for segment in (sharp, blurred):
        assert segment.earliest <= 2005 <= segment.latest
        assert segment.earliest <= segment.start <= segment.latest
    assert blurred.latest - blurred.earliest > sharp.latest - sharp.earliest


@given(st.floats(0.1, 3.0))
@settings(deadline=None, max_examples=20)
def test_a_straight_line_has_one_segment_and_its_own_slope(rate: float) -> None:
    growth = fit(line(rate))
    assert growth.changes == ()
    assert growth.segments[0].doublings == pytest.approx(rate)


def test_noise_makes_no_change_points_and_the_interval_holds_the_truth() -> None:
    growth = fit(line(0.7, noise=0.3))
    assert growth.changes == ()
    assert growth.segments[0].low < 0.7 < growth.segments[0].high


@pytest.mark.parametrize("name", names())
def test_a_history_rises_in_time_and_says_its_source(name: str) -> None:
    past = history(name)
    assert (np.diff(past.years) > 0).all()
    assert np.isfinite(past.log2).all()
    assert past.source
    assert past.until(2015.0).years.max() <= 2015.0


def test_dates_are_decimal_years() -> None:
    assert year_of("2015-07-27") == pytest.approx(2015.56, abs=0.01)
    assert year_of("2009") == 2009.5
    with pytest.raises(NotFoundError, match="hpcg"):
        history("hpgc")


@pytest.mark.parametrize("name", names())
def test_eighty_percent_intervals_hold_seventy_to_ninety_percent_from_rolling_origins(name: str) -> None:
    share, count = coverage(history(name))
    assert count > 30
    assert 0.7 <= share <= 0.9


@pytest.mark.parametrize("horizon", [1.0, 3.0, 5.0, 8.0, 10.0, 15.0])
def test_they_do_so_at_every_horizon(horizon: float) -> None:
    rows = [row for name in names() for row in forecasts(history(name), horizon)]
    assert 0.7 <= np.mean([low <= seen <= high for _, low, high, seen in rows]) <= 0.9


def test_a_forecast_knows_nothing_that_came_after_its_origin() -> None:
    whole, known = history("linpack"), history("linpack").until(2010.0)
    last = follow(known)[-1]
    same = next(beliefs for beliefs in follow(whole) if beliefs.year == last.year)
    assert np.array_equal(last.weight, same.weight)
    assert np.array_equal(last.mean, same.mean)


def test_a_short_history_starts_from_what_its_like_had_taught_by_then() -> None:
    first = follow(history("hpcg"))[0]
    before = [beliefs for beliefs in follow(history("linpack")) if beliefs.year < first.year][-1]
    assert np.allclose(first.weight, before.weight)


def test_the_trend_of_a_straight_line_is_the_line() -> None:
    past = line(0.5)
    at = paths(follow(past)[-1], [2020.0, 2030.0], 2000, np.random.default_rng(0))
    assert np.median(at[:, 0]) == pytest.approx(0.5 * 30, abs=0.3)
    low, high = np.percentile(at, [10, 90], axis=0)
    assert high[1] - low[1] > high[0] - low[0]

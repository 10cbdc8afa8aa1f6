"""One day for all tests, and no prices that somebody refreshed on this machine."""

from __future__ import annotations

from datetime import date

import pytest

from rigwise.advise import refresh
from rigwise.advise.prices import PriceBook, price_book

DAY = date(2026, 11, 22)


@pytest.fixture(autouse=True)
def packaged_prices_only(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(refresh, "place", lambda: tmp_path / "none" / "cloud_prices.csv")


@pytest.fixture
def today() -> date:
    return DAY


@pytest.fixture
def book() -> PriceBook:
    return price_book(today=DAY)

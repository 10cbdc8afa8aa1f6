"""Cards are ordered as they were measured: Lambda's rows of one device each, with at least five cards a model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigwise.calibration.backtest import predict_rows
from rigwise.calibration.cardorder import CardOrder, card_orders
from rigwise.calibration.outcomes import Outcome
from rigwise.measurements.published import rows

LEAST = 0.95  # rank correlation across cards, on each model
WORST, GOOD = 0.85, 11  # what is reached: no model below, and so many of 13 at the wanted one


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return predict_rows([row for row in rows() if row.prefix == "lambda" and row.n_devices == 1])


@pytest.fixture(scope="module")
def orders(outcomes: list[Outcome]) -> list[CardOrder]:
    return card_orders(outcomes)


def test_each_model_has_its_cards(orders: list[CardOrder]) -> None:
    assert all(len(order.devices) >= 5 for order in orders)
    assert len(orders) >= 12


def test_cards_are_ordered_as_measured_on_each_model(orders: list[CardOrder]) -> None:
    short = [(order.group, order.correlation) for order in orders if order.correlation < LEAST - 1e-9]
    assert len(orders) - len(short) >= GOOD, short
    assert min(order.correlation for order in orders) > WORST, short


def test_an_order_turned_round_is_seen(outcomes: list[Outcome]) -> None:
    turned = [replace(o, predicted=1 / o.predicted) for o in outcomes if o.predicted]
    assert all(order.correlation < 0 for order in card_orders(turned))

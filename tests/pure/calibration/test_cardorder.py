"""Cards are ordered as they were measured: Lambda's rows of one device each, with at least five cards a model.

lambda_cards.csv: figures of lambdal/deeplearning-benchmark, as published; which rows the efficiencies were fitted on
does not matter here, as one constant serves a whole family of cards.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rigwise.calibration.backtest import predict_rows
from rigwise.calibration.cardorder import CardOrder, card_orders
from rigwise.measurements.tables import read_table

TABLE = Path(__file__).with_name("lambda_cards.csv")
LEAST = 0.95  # rank correlation across cards, on each model


@pytest.fixture(scope="module")
def orders() -> list[CardOrder]:
    return card_orders(predict_rows(read_table(TABLE)))


def test_each_model_has_its_cards(orders: list[CardOrder]) -> None:
    assert all(len(order.devices) >= 5 for order in orders)
    assert len(orders) >= 12


def test_cards_are_ordered_as_measured_on_each_model(orders: list[CardOrder]) -> None:
    wrong = [(order.group, order.correlation) for order in orders if order.correlation < LEAST - 1e-9]
    assert not wrong


def test_an_order_turned_round_is_seen() -> None:
    outcomes = [o for o in predict_rows(read_table(TABLE)) if o.predicted]
    turned = [replace(o, predicted=1 / o.predicted) for o in outcomes]
    for before, after in zip(card_orders(outcomes), reversed(card_orders(turned)), strict=True):
        assert after.correlation == pytest.approx(-before.correlation, abs=0.35)

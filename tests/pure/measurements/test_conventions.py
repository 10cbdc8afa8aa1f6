"""FLOP conventions, by hand, and against published pairs of tokens/s and TFLOP/s of the same run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import NotFoundError
from rigwise.measurements.conventions import CONVENTIONS, TokenWork, flops_per_token

SMALL = TokenWork(parameters=10.0, body_parameters=7.0, layers=2, hidden=3, vocab=5, seq=4, label_parameters=100.0)


@pytest.mark.parametrize(
    ("convention", "flops"),
    [
        ("all-parameters", 6 * 10 + 12 * 2 * 3 * 4),
        ("body-parameters", 6 * 7 + 12 * 2 * 3 * 4),
        ("causal", 6 * 7 + 6 * 2 * 3 * 4),
        ("hardware-96", 96 * 2 * 9 * (1 + 4 / 18 + 5 / 96)),
        ("model-96", 72 * 2 * 9 * (1 + 4 / 18 + 5 / 72)),
        ("eight-p", 800),
    ],
)
def test_by_hand(convention: str, flops: float) -> None:
    assert flops_per_token(convention, SMALL) == pytest.approx(flops)


def test_hardware_flops_are_four_thirds_of_the_models_where_the_vocabulary_is_small() -> None:
    work = TokenWork(parameters=1, body_parameters=1, layers=96, hidden=12288, vocab=1e-9, seq=2048)
    assert flops_per_token("hardware-96", work) / flops_per_token("model-96", work) == pytest.approx(4 / 3)


def test_an_unknown_convention_is_an_error() -> None:
    with pytest.raises(NotFoundError, match="causal"):
        flops_per_token("causals", SMALL)


@given(st.sampled_from(CONVENTIONS), st.floats(1, 1e6))
def test_longer_sequences_never_cost_less(convention: str, seq: float) -> None:
    def at(length: float) -> float:
        return flops_per_token(
            convention, TokenWork(parameters=1e9, body_parameters=9e8, layers=24, hidden=2048, vocab=5e4, seq=length)
        )

    assert at(2 * seq) >= at(seq)

"""Optimizers: bytes a parameter as their papers and the field count them."""

from __future__ import annotations

import pytest

from rigwise.errors import NotFoundError
from rigwise.models.optimizers import optimizer, optimizers


@pytest.mark.parametrize(
    ("name", "state", "traffic"),
    [
        ("sgd", 0, 12),
        ("momentum", 4, 20),
        ("adam", 8, 28),
        ("adamw", 8, 28),
        ("lamb", 8, 36),
        ("adam8bit", 2.03125, 16.0625),
        ("muon", 4, 28),
    ],
)
def test_bytes(name: str, state: float, traffic: float) -> None:
    assert (optimizer(name).state_bytes, optimizer(name).traffic_bytes) == (state, traffic)


@pytest.mark.parametrize("name", optimizers())
def test_every_optimizer_has_a_source_and_reads_what_it_keeps(name: str) -> None:
    one = optimizer(name)
    assert one.source
    assert one.state_reads == one.state_writes == one.state_bytes
    assert one.flops > 0


def test_a_factored_state_is_small() -> None:
    assert (optimizer("adafactor").state_bytes, optimizer("adafactor").side_bytes) == (0, 4)
    assert (optimizer("adamw").state_bytes, optimizer("adamw").side_bytes) == (8, 0)


@pytest.mark.parametrize("spelling", ["AdamW", "adam_w", "ADAMW"])
def test_spelling_does_not_matter(spelling: str) -> None:
    assert optimizer(spelling).name == "adamw"


def test_unknown_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="adamw"):
        optimizer("adamww")

"""A pipeline trains as one process with the same micro-batches does: losses, weights, running statistics."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from pipes import alone, piped
from rigwise.layouts.layout import Layout
from rigwise.layouts.schedule import in_flight
from together import together

FLOAT32, FLOAT64 = 1e-5, 1e-12
reference = cache(alone)


def agree(name: str, layout: Layout, kind: str, micros: int, steps: int = 3, within: float = FLOAT64) -> list[Any]:
    ranks = together(layout.ranks, piped, name, layout, kind, micros, steps)
    losses, weights = reference(name, micros, steps)
    assert ranks[-1][0] == pytest.approx(losses, rel=within)
    held: set[str] = set()
    for _, state, *_ in ranks:
        held |= set(state)
        for key, value in state.items():
            assert np.abs(value - weights[key]).max() <= within * max(1.0, np.abs(weights[key]).max()), key
    assert held == set(weights) - ({"head.weight"} if name == "crossed" else set())
    for stage, (*_, most, _, _) in enumerate(ranks):
        assert most / layout.vpp == in_flight(kind, stage, layout.pp, micros, layout.vpp)  # type: ignore[arg-type]
    return ranks


@pytest.mark.parametrize("kind", ["gpipe", "1f1b", "zero_bubble"])
@pytest.mark.parametrize(("pp", "micros"), [(2, 3), (3, 4), (4, 2)])
def test_every_schedule_trains_as_one_process(kind: str, pp: int, micros: int) -> None:
    agree("crossed", Layout(pp=pp), kind, micros)


@pytest.mark.parametrize(("pp", "vpp", "micros"), [(2, 2, 4), (3, 2, 3)])
def test_interleaved_chunks_train_as_one_process(pp: int, vpp: int, micros: int) -> None:
    agree("crossed", Layout(pp=pp, vpp=vpp), "interleaved", micros)


@pytest.mark.parametrize("kind", ["1f1b", "zero_bubble"])
def test_convolutions_of_unequal_cost(kind: str) -> None:
    agree("images", Layout(pp=3), kind, 4)

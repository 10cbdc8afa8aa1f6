"""Experts shared out beside every other axis train as one process does."""

from __future__ import annotations

from pipes import agree

import pytest

from rigwise.layouts.layout import Layout

FOUR = [
    Layout(cp=4, ep=4),
    Layout(dp=4, ep=2, zero=3, shard=2),
    Layout(dp=2, ep=2, tp=2, zero=2),
    Layout(dp=2, ep=2, pp=2, zero=1),
]
MORE = [
    Layout(dp=2, ep=2, tp=2),
    Layout(dp=2, ep=2, cp=2),
    Layout(dp=2, ep=2, pp=2),
    Layout(dp=4, ep=4, zero=1),
    Layout(dp=4, ep=2, zero=3),
    Layout(dp=4, ep=2, zero=1, shard=2),
]


@pytest.mark.parametrize("layouts", [FOUR, pytest.param(MORE, marks=pytest.mark.slow)])
def test_four_ranks(layouts: list[Layout]) -> None:
    agree(*(("experts", layout, 2) for layout in layouts))

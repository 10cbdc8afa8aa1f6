"""Sequences cut over ranks train as one process does."""

from __future__ import annotations

from pipes import agree

import pytest

from rigwise.layouts.layout import Layout


@pytest.mark.parametrize(
    "layout", [Layout(cp=2), Layout(cp=4), Layout(cp=2, pp=2), Layout(cp=2, dp=2), Layout(cp=2, tp=2)]
)
def test_tokens_cut_over_ranks(layout: Layout) -> None:
    agree("words", layout, 2)

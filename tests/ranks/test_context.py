"""Sequences cut over ranks train as one process does."""

from __future__ import annotations

import pytest

from pipes import agree
from rigwise.layouts.layout import Layout


@pytest.mark.parametrize("layout", [Layout(cp=2), Layout(cp=4), Layout(cp=2, pp=2), Layout(cp=2, dp=2), Layout(cp=2, tp=2)])
def test_tokens_cut_over_ranks(layout: Layout) -> None:
    agree("words", layout, 2)

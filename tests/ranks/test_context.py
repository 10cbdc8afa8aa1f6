"""Sequences cut over ranks train as one process does."""

from __future__ import annotations

import pytest

from rigwise.layouts.layout import Layout
from pipes import agree


@pytest.mark.parametrize("cp", [2, 4])
def test_tokens_cut_over_ranks(cp: int) -> None:
    agree("words", Layout(cp=cp), "1f1b", 2)


def test_with_a_pipeline() -> None:
    agree("words", Layout(cp=2, pp=2), "1f1b", 3)

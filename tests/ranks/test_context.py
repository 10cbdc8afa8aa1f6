"""Sequences cut over ranks train as one process does."""

from __future__ import annotations

from pipes import agree

from rigwise.layouts.layout import Layout


def test_tokens_cut_over_two_ranks_for_twenty_steps() -> None:
    agree(("words", Layout(cp=2), 2), steps=20)


def test_tokens_cut_over_four_ranks_and_beside_every_other_axis() -> None:
    layouts = [Layout(cp=4), Layout(cp=2, pp=2), Layout(cp=2, dp=2), Layout(cp=2, tp=2)]
    agree(*(("words", layout, 2) for layout in layouts))

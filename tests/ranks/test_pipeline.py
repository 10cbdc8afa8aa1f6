"""A pipeline trains as one process with the same micro-batches does: losses, weights, running statistics."""

from __future__ import annotations

from pipes import Case, agree

import pytest

from rigwise.layouts.layout import Layout

KINDS = ("gpipe", "1f1b", "zero_bubble")
SCHEDULES: dict[int, list[Case]] = {
    2: [*(("crossed", Layout(pp=2, schedule=kind), 3) for kind in KINDS), ("crossed", Layout(pp=2, vpp=2), 4)],
    3: [*(("crossed", Layout(pp=3, schedule=kind), 4) for kind in KINDS), ("crossed", Layout(pp=3, vpp=2), 3)],
    4: [("crossed", Layout(pp=4, schedule=kind), 2) for kind in KINDS],
}


@pytest.mark.parametrize("ranks", SCHEDULES)
def test_every_schedule_trains_as_one_process(ranks: int) -> None:
    """Fewer micro-batches than stages among them, and chunks that take turns."""
    agree(*SCHEDULES[ranks])


def test_convolutions_of_unequal_cost() -> None:
    agree(*(("images", Layout(pp=3, schedule=kind), 4) for kind in KINDS[1:]))


def test_pipelines_of_several_ranks_a_stage() -> None:
    layouts = [Layout(pp=2, dp=2), Layout(pp=2, dp=2, zero=1), Layout(pp=2, dp=2, zero=3), Layout(pp=2, tp=2)]
    agree(*(("words", layout, 2) for layout in layouts))


def test_eight_ranks() -> None:
    agree(("words", Layout(pp=2, dp=2, tp=2), 2))


def test_twenty_steps() -> None:
    agree(("crossed", Layout(pp=2), 3), ("crossed", Layout(pp=2, schedule="zero_bubble"), 3), steps=20)


def test_blocks_that_run_again() -> None:
    """Buffers are written once, tied weights added once; beside sequences cut in two ways."""
    full, attention = {"recompute": "full"}, {"recompute": "selective"}
    agree(
        ("crossed", Layout(pp=2, **full), 3),
        ("crossed", Layout(pp=2, schedule="zero_bubble", **full), 3),
        ("words", Layout(dp=2, zero=3, **full), 2),
        ("words", Layout(dp=2, **attention), 2),
        ("words", Layout(cp=2, **full), 2),
        ("words", Layout(tp=2, sp="on", **full), 2),
        ("words", Layout(tp=2, sp="on", **attention), 2),
    )

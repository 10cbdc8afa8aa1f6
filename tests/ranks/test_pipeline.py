"""A pipeline trains as one process with the same micro-batches does: losses, weights, running statistics."""

from __future__ import annotations

from pipes import agree

import pytest

from rigwise.layouts.layout import Layout


@pytest.mark.parametrize("kind", ["gpipe", "1f1b", "zero_bubble"])
@pytest.mark.parametrize(("pp", "micros"), [(2, 3), (3, 4), (4, 2)])
def test_every_schedule_trains_as_one_process(kind: str, pp: int, micros: int) -> None:
    agree("crossed", Layout(pp=pp, schedule=kind), micros)


@pytest.mark.parametrize(("pp", "vpp", "micros"), [(2, 2, 4), (3, 2, 3)])
def test_interleaved_chunks_train_as_one_process(pp: int, vpp: int, micros: int) -> None:
    agree("crossed", Layout(pp=pp, vpp=vpp), micros)


@pytest.mark.parametrize("kind", ["1f1b", "zero_bubble"])
def test_convolutions_of_unequal_cost(kind: str) -> None:
    agree("images", Layout(pp=3, schedule=kind), 4)


@pytest.mark.parametrize(
    "layout", [Layout(pp=2, dp=2), Layout(pp=2, dp=2, zero=1), Layout(pp=2, dp=2, zero=3), Layout(pp=2, tp=2)]
)
def test_pipelines_of_several_ranks_a_stage(layout: Layout) -> None:
    agree("words", layout, 2)


def test_eight_ranks() -> None:
    agree("words", Layout(pp=2, dp=2, tp=2), 2)

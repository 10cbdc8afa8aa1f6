"""Pipeline schedules: each action once, nothing before what it needs, and the closed forms equal the walk."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import pipelines
from rigwise.errors import UsageError
from rigwise.layouts.schedule import Action, Schedule, bubble, in_flight, schedule
from rigwise.layouts.walk import walk


def text(rows: Schedule) -> list[str]:
    return [" ".join(map(str, row)) for row in rows]


def test_small_schedules_in_full() -> None:
    assert text(schedule("gpipe", 2, 3)) == ["F0 F1 F2 B0 B1 B2"] * 2
    assert text(schedule("1f1b", 3, 4)) == [
        "F0 F1 F2 B0 F3 B1 B2 B3",
        "F0 F1 B0 F2 B1 F3 B2 B3",
        "F0 B0 F1 B1 F2 B2 F3 B3",
    ]
    assert text(schedule("interleaved", 2, 2, chunks=2)) == [
        "F0 F1 F0.1 F1.1 B0.1 B1.1 B0 B1",
        "F0 F1 F0.1 B0.1 F1.1 B1.1 B0 B1",
    ]
    assert text(schedule("zero_bubble", 2, 3)) == ["F0 F1 B0 W0 F2 B1 W1 B2 W2", "F0 B0 F1 B1 W0 F2 B2 W1 W2"]


def test_one_chunk_interleaved_is_1f1b() -> None:
    assert schedule("interleaved", 4, 7) == schedule("1f1b", 4, 7)


@given(pipelines())
def test_every_pass_once(pipeline: tuple[str, int, int, int]) -> None:
    kind, stages, micros, chunks = pipeline
    rows = schedule(kind, stages, micros, chunks)
    assert len(rows) == stages
    passes = "FBW" if kind == "zero_bubble" else "FB"
    wanted = Counter(Action(k, m, c) for k in passes for m in range(micros) for c in range(chunks))
    assert all(Counter(row) == wanted for row in rows)


@settings(deadline=None)
@given(pipelines(), st.integers(0, 2**32 - 1))
def test_nothing_starts_before_what_it_needs(pipeline: tuple[str, int, int, int], seed: int) -> None:
    kind, stages, micros, chunks = pipeline
    parts = stages * chunks
    rng = np.random.default_rng(seed)
    forward, backward, weight = rng.uniform(0, 2, (3, parts))
    send = rng.uniform(0, 1, parts - 1)
    walked = walk(schedule(kind, stages, micros, chunks), forward, backward, send, weight)
    when = {
        (a.kind, a.micro, a.chunk * stages + i): (walked.start[i][n], walked.end[i][n])
        for i, row in enumerate(walked.schedule)
        for n, a in enumerate(row)
    }
    for (k, micro, part), (start, end) in when.items():
        assert end - start == pytest.approx({"F": forward, "B": backward, "W": weight}[k][part])
        wait = 0.0 if stages == 1 else 1.0
        if k == "F" and part:
            assert start >= when["F", micro, part - 1][1] + wait * send[part - 1] - 1e-9
        if k == "B":
            assert start >= when["F", micro, part][1] - 1e-9
            if part + 1 < parts:
                assert start >= when["B", micro, part + 1][1] + wait * send[part] - 1e-9
        if k == "W":
            assert start >= when["B", micro, part][1] - 1e-9
    for starts, ends in zip(walked.start, walked.end, strict=True):
        assert np.all(starts[1:] >= ends[:-1] - 1e-9)


@settings(deadline=None)
@given(pipelines())
def test_in_flight_is_what_the_walk_holds(pipeline: tuple[str, int, int, int]) -> None:
    kind, stages, micros, chunks = pipeline
    walked = walk(schedule(kind, stages, micros, chunks), 1.0, 2.0, weight_s=1.0)
    held = [walked.held(stage) / chunks for stage in range(stages)]
    assert in_flight(kind, np.arange(stages), stages, micros, chunks) == pytest.approx(held)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.floats(0.1, 3), st.floats(0.1, 6))
def test_makespan_of_even_stages_is_the_closed_form(p: int, groups: int, v: int, f: float, b: float) -> None:
    m = groups * p
    for kind in ("gpipe", "1f1b"):
        walked = walk(schedule(kind, p, m), f, b)
        assert walked.makespan == pytest.approx((m + p - 1) * (f + b))
        assert walked.bubble_share == pytest.approx((p - 1) / (m + p - 1))
    walked = walk(schedule("interleaved", p, m, v), f / v, b / v)
    assert walked.makespan == pytest.approx((m + bubble("interleaved", p, v)) * (f + b))


@given(st.integers(1, 6), st.integers(0, 8))
def test_zero_bubble_leaves_a_third_of_the_bubble(p: int, more: int) -> None:
    m = 2 * p + more
    walked = walk(schedule("zero_bubble", p, m), 1.0, 1.0, weight_s=1.0)
    assert walked.makespan == pytest.approx(3 * (m + bubble("zero_bubble", p)))


def test_the_slowest_stage_sets_the_pace() -> None:
    # stage 1 waits for the first forward pass and stage 0 for the last backward pass; stage 2 has time while 1 works on
    assert walk(schedule("1f1b", 3, 10), [1, 3, 1], [2, 6, 2]).makespan == pytest.approx(1 + 10 * 9 + 2)


def test_sending_is_paid_once_each_way_in_a_filled_pipeline() -> None:
    plain, sent = (walk(schedule("gpipe", 4, 8), 1.0, 2.0, send_s=s).makespan for s in (0.0, 0.25))
    assert sent - plain == pytest.approx(2 * 3 * 0.25)


def test_in_flight_broadcasts() -> None:
    held = in_flight("interleaved", np.array([[0], [3]]), 4, np.array([4, 8, 16]), np.array([1, 2, 4]))
    assert held.tolist() == [[4.0, 5.5, 4.75], [1.0, 2.5, 3.25]]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("dualpipe", 2, 2, 1), "no pipeline schedule 'dualpipe'"),
        (("1f1b", 0, 2, 1), "0 stages, 2 micro-batches, 1 chunks"),
        (("gpipe", 2, 2, 2), "2 chunks a stage in schedule gpipe"),
        (("interleaved", 4, 6, 2), "6 micro-batches over 4 interleaved stages"),
    ],
)
def test_impossible_schedules_are_refused(arguments: tuple, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        schedule(*arguments)
    assert caught.value.says == says


def test_a_schedule_that_waits_for_itself_is_refused() -> None:
    crossed = ((Action("B", 0), Action("F", 0)), (Action("F", 0), Action("B", 0)))
    with pytest.raises(UsageError, match="stage 0 at B0, stage 1 at F0"):
        walk(crossed, 1.0, 1.0)


@pytest.mark.parametrize(("forward", "send"), [([1.0, 2.0], 0.0), (1.0, [0.1] * 3)])
def test_arrays_of_another_length_are_refused(forward: object, send: object) -> None:
    with pytest.raises(UsageError, match="has shape"):
        walk(schedule("1f1b", 3, 3), forward, 1.0, send)

"""Messages of a pipeline: both ends agree, queues keep their order, and no schedule waits for itself."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import pipelines
from rigwise.layouts.messages import Message, frees, needed, parts_of
from rigwise.layouts.messages import given as gives
from rigwise.layouts.schedule import Schedule, schedule

Pipe = tuple[str, int, int, int]


def actions_of(pipeline: Pipe) -> Schedule:
    return schedule(*pipeline)  # type: ignore[arg-type]


@given(pipelines())
def test_what_is_sent_is_what_is_awaited_in_the_same_order(pipeline: Pipe) -> None:
    actions = actions_of(pipeline)
    sent, awaited = defaultdict(list), defaultdict(list)
    for stage, row in enumerate(actions):
        for action in row:
            for found, lists in ((gives, sent), (needed, awaited)):
                message = found(action, stage, len(actions), parts_of(actions))
                if message:
                    lists[message.channel].append(message)
    assert sent == awaited
    assert all(len(set(row)) == len(row) for row in sent.values())


def deadlock(actions: Schedule, ahead: int) -> str:
    """Run stages against queues that hand over a message only when both ends have come to it; "" if all end.

    A stage posts the receives of its next `ahead` actions, then waits for what its action needs; sends never wait.
    """
    stages, parts = len(actions), parts_of(actions)
    queues: dict[tuple[str, int, int], list[Message]] = defaultdict(list)
    posted: dict[tuple[str, int, int], list[Message]] = defaultdict(list)
    at = [0] * stages
    while any(at[i] < len(row) for i, row in enumerate(actions)):
        before = list(at)
        for stage, row in enumerate(actions):
            while at[stage] < len(row):
                for later in row[at[stage] : at[stage] + ahead]:
                    asked = needed(later, stage, stages, parts)
                    if asked and asked not in posted[asked.channel]:
                        posted[asked.channel].append(asked)
                message = needed(row[at[stage]], stage, stages, parts)
                if message:
                    place = posted[message.channel].index(message)
                    if len(queues[message.channel]) <= place:
                        break
                    assert queues[message.channel][place] == message
                done = gives(row[at[stage]], stage, stages, parts)
                if done:
                    queues[done.channel].append(done)
                at[stage] += 1
        if at == before:
            return ", ".join(f"stage {i} at {row[at[i]]}" for i, row in enumerate(actions) if at[i] < len(row))
    return ""


@settings(deadline=None)
@given(pipelines(), st.integers(1, 4))
def test_no_schedule_waits_for_itself(pipeline: Pipe, ahead: int) -> None:
    assert deadlock(actions_of(pipeline), ahead) == ""


@given(pipelines())
def test_a_pass_is_freed_once(pipeline: Pipe) -> None:
    actions = actions_of(pipeline)
    assert frees(actions) == ("W" if pipeline[0] == "zero_bubble" else "B")
    assert parts_of(actions) == pipeline[1] * pipeline[3]

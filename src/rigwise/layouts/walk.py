"""A pipeline schedule walked action by action: when each starts and ends, what the step takes, how long stages idle.

The closed forms of schedule.py hold for even stages; this holds for any, and is what a Gantt chart is drawn from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.errors import UsageError
from rigwise.layouts.schedule import Action, Schedule

Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A schedule with its times, in seconds from the start of the step. start, end: one array a stage, an entry an
    action.
    """

    schedule: Schedule
    start: tuple[Seconds, ...]
    end: tuple[Seconds, ...]

    @property
    def makespan(self) -> float:
        """Seconds from the first start to the last end."""
        return float(max(times.max() for times in self.end))

    @property
    def busy(self) -> Seconds:
        """Seconds that each stage works, shape [stages]."""
        return np.array([(end - start).sum() for start, end in zip(self.start, self.end, strict=True)])

    @property
    def bubble_share(self) -> float:
        """Share of all stages' time that is idle, 0 to 1."""
        whole = self.makespan * len(self.schedule)
        return 1 - float(self.busy.sum()) / whole if whole else 0.0

    def held(self, stage: int) -> int:
        """Passes whose activations a stage holds at its peak: from F to B, or to W where the schedule has one."""
        actions = self.schedule[stage]
        frees = "W" if any(a.kind == "W" for a in actions) else "B"
        change = [1 if a.kind == "F" else -1 if a.kind == frees else 0 for a in actions]
        return int(np.cumsum(change).max())


def walk(
    actions: Schedule,
    forward_s: ArrayLike,
    backward_s: ArrayLike,
    send_s: ArrayLike = 0.0,
    weight_s: ArrayLike = 0.0,
) -> Walk:
    """Walk a schedule: an action starts when its stage is free and what it needs has arrived.

    forward_s, backward_s, weight_s: seconds of F, B and W, one for all, one a stage [p], or one a part of the model
    [p*v], part c*p + i being chunk c of stage i. Where a schedule has no W, backward_s is the whole backward pass.
    send_s: seconds between the end of a pass and the start of the next part's, one for all or one a boundary
    [p*v - 1]; nothing between parts on one stage. Left out: sends that wait for each other on one link.
    UsageError: an array of another length, or a schedule that waits for itself.

    >>> from rigwise.layouts.schedule import schedule
    >>> walk(schedule("1f1b", stages=4, micro_batches=8), forward_s=1.0, backward_s=2.0).makespan
    33.0
    """
    parts = len(actions) * (1 + max(a.chunk for stage in actions for a in stage))
    seconds = {
        kind: _spread(name, value, len(actions), parts)
        for kind, name, value in (
            ("F", "forward_s", forward_s),
            ("B", "backward_s", backward_s),
            ("W", "weight_s", weight_s),
        )
    }
    sends = _sends(send_s, len(actions), parts)
    end: dict[tuple[str, int, int], float] = {}
    free = [0.0] * len(actions)
    times: list[list[tuple[float, float]]] = [[] for _ in actions]
    for stage, action in _in_turn(actions, end):
        part = action.chunk * len(actions) + stage
        begin = max([free[stage], *(end[need] + wait for need, wait in _needs(action, part, parts, sends))])
        free[stage] = begin + seconds[action.kind][part]
        end[action.kind, action.micro, part] = free[stage]
        times[stage].append((begin, free[stage]))
    return Walk(
        schedule=actions,
        start=tuple(np.array([begin for begin, _ in row]) for row in times),
        end=tuple(np.array([finish for _, finish in row]) for row in times),
    )


def _in_turn(actions: Schedule, end: dict[tuple[str, int, int], float]) -> Iterator[tuple[int, Action]]:
    """The actions in an order in which each comes after those that it needs; `end` is filled by whoever iterates."""
    stages, done = len(actions), [0] * len(actions)
    parts = stages * (1 + max(a.chunk for stage in actions for a in stage))
    sends = [0.0] * parts
    while any(n < len(row) for n, row in zip(done, actions, strict=True)):
        before = sum(done)
        for stage, row in enumerate(actions):
            while done[stage] < len(row):
                action = row[done[stage]]
                part = action.chunk * stages + stage
                if not all(need in end for need, _ in _needs(action, part, parts, sends)):
                    break
                done[stage] += 1
                yield stage, action
        if sum(done) == before:
            waiting = ", ".join(
                f"stage {i} at {row[n]}" for i, (n, row) in enumerate(zip(done, actions)) if n < len(row)
            )
            raise UsageError(f"the schedule waits for itself: {waiting}", rule="no action waits for a later one")


def _needs(action: Action, part: int, parts: int, sends: list[float]) -> list[tuple[tuple[str, int, int], float]]:
    """What an action needs to have ended, and the seconds that it takes to arrive."""
    if action.kind == "F":
        return [(("F", action.micro, part - 1), sends[part - 1])] if part else []
    if action.kind == "W":
        return [(("B", action.micro, part), 0.0)]
    own = (("F", action.micro, part), 0.0)
    return [own, (("B", action.micro, part + 1), sends[part])] if part + 1 < parts else [own]


def _spread(name: str, value: ArrayLike, stages: int, parts: int) -> list[float]:
    """Seconds of each part, from one for all, one a stage or one a part."""
    given = np.asarray(value, dtype=np.float64)
    if given.shape not in ((), (stages,), (parts,)):
        raise UsageError(f"{name} has shape {list(given.shape)}", rule=f"one number, {stages} or {parts} of them")
    if given.shape == (stages,):
        given = np.tile(given, parts // stages)
    spread: list[float] = np.broadcast_to(given, (parts,)).tolist()
    return spread


def _sends(value: ArrayLike, stages: int, parts: int) -> list[float]:
    """Seconds between each part and the next; nothing where both are on one stage."""
    given = np.asarray(value, dtype=np.float64)
    if given.shape not in ((), (parts - 1,)):
        raise UsageError(f"send_s has shape {list(given.shape)}", rule=f"one number, or {parts - 1} of them")
    alone = stages == 1
    sends: list[float] = np.broadcast_to(0.0 if alone else given, (parts - 1,)).tolist()
    return sends

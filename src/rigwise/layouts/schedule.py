"""Pipeline schedules as data: for each stage the actions in their order, and how long they take when walked.

p stages (index i from 0), m micro-batches, v chunks a stage; chunk c of stage i is part c*p + i of the model.
Read by the laws of cost and by the runtime, so that what is predicted is what is run.

    gpipe        all forward passes, then all backward passes (Huang et al., arXiv 1811.06965)
    1f1b         after p - i - 1 forward passes, forward and backward in turn (Harlap et al., arXiv 1806.03377)
    interleaved  the same over v chunks a stage, micro-batches in groups of p (arXiv 2104.04473); v = 1 is 1f1b
    zero_bubble  1f1b with the weight gradients apart and late, ZB-H1 (Qi et al., arXiv 2401.10241)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.errors import UsageError

ScheduleKind = Literal["gpipe", "1f1b", "interleaved", "zero_bubble"]
KINDS: tuple[ScheduleKind, ...] = get_args(ScheduleKind)


@dataclass(frozen=True, slots=True)
class Action:
    """One pass of one micro-batch through one chunk of a stage.

    kind: F forward; B backward; W the weight gradients, where they are apart from B (which then is the input gradient).
    """

    kind: Literal["F", "B", "W"]
    micro: int
    chunk: int = 0

    def __str__(self) -> str:
        return f"{self.kind}{self.micro}" + (f".{self.chunk}" if self.chunk else "")


Schedule = tuple[tuple[Action, ...], ...]


def schedule(kind: ScheduleKind, stages: int, micro_batches: int, chunks: int = 1) -> Schedule:
    """The ordered actions of every stage.

    UsageError: an unknown kind, sizes below 1, chunks in a kind that has none, micro-batches that p does not divide
    where interleaved.

    >>> [" ".join(map(str, stage)) for stage in schedule("1f1b", stages=2, micro_batches=3)]
    ['F0 F1 B0 F2 B1 B2', 'F0 B0 F1 B1 F2 B2']
    """
    _check(kind, stages, micro_batches, chunks)
    if kind == "gpipe":
        return tuple(
            _merge(_plain("F", micro_batches), _plain("B", micro_batches), micro_batches) for _ in range(stages)
        )
    if kind == "zero_bubble":
        return tuple(_zero_bubble(stage, stages, micro_batches) for stage in range(stages))
    forward, backward = (_grouped(k, stages, micro_batches, chunks) for k in ("F", "B"))
    warm = warm_up(np.arange(stages), stages, micro_batches, chunks)
    return tuple(_merge(forward, backward, int(ahead)) for ahead in warm)


def warm_up(stage: ArrayLike, stages: ArrayLike, micro_batches: ArrayLike, chunks: ArrayLike = 1) -> NDArray[np.int64]:
    """Forward passes that a stage does before its first backward pass comes in turn, 1f1b and interleaved; broadcasts.

    p - i - 1, and 2 (p - i - 1) + (v - 1) p interleaved; never more than there are.

    >>> warm_up(np.arange(4), 4, 8).tolist(), warm_up(np.arange(4), 4, 8, chunks=2).tolist()
    ([3, 2, 1, 0], [10, 8, 6, 4])
    """
    i, p, m, v = (np.asarray(a, dtype=np.int64) for a in (stage, stages, micro_batches, chunks))
    ahead = np.where(v > 1, 2 * (p - i - 1) + (v - 1) * p, p - i - 1)
    capped: NDArray[np.int64] = np.minimum(ahead, m * v)
    return capped


def in_flight(
    kind: ScheduleKind, stage: ArrayLike, stages: ArrayLike, micro_batches: ArrayLike, chunks: ArrayLike = 1
) -> NDArray[np.float64]:
    """Micro-batches whose activations a stage holds at its peak; broadcasts.

    gpipe m; 1f1b min(m, p - i); interleaved (2 (p - i - 1) + (v - 1) p + 1) / v, a chunk being 1/v of a stage;
    zero_bubble min(m, p), as what waits for its weight gradient is held too. Left out: chunks of unequal size.

    >>> in_flight("1f1b", np.arange(4), 4, 16).tolist(), in_flight("interleaved", 0, 4, 16, chunks=2).item()
    ([4.0, 3.0, 2.0, 1.0], 5.5)
    """
    i, p, m, v = (np.asarray(a, dtype=np.float64) for a in (stage, stages, micro_batches, chunks))
    if kind == "gpipe":
        return m + 0 * (i + p)
    if kind == "zero_bubble":
        return np.minimum(m, p) + 0 * i
    return np.minimum(m * v, warm_up(i, p, m, v) + 1) / v


def bubble(kind: ScheduleKind, stages: ArrayLike, chunks: ArrayLike = 1) -> NDArray[np.float64]:
    """Idle time of a step, in forward and backward passes of one micro-batch through one stage, for even stages.

    p - 1, and (p - 1) / v interleaved. zero_bubble: (p - 1) / 3, where forward, input gradient and weight gradient take
    the same time. Left out: uneven stages and what sending takes; `walk` has both.

    >>> bubble("1f1b", 4).item(), bubble("interleaved", 4, chunks=3).item()
    (3.0, 1.0)
    """
    p, v = np.asarray(stages, dtype=np.float64), np.asarray(chunks, dtype=np.float64)
    return (p - 1) / (3.0 if kind == "zero_bubble" else v)


def _check(kind: str, stages: int, micro_batches: int, chunks: int) -> None:
    if kind not in KINDS:
        raise UsageError(f"no pipeline schedule {kind!r}", rule=f"a schedule is one of {', '.join(KINDS)}")
    if min(stages, micro_batches, chunks) < 1:
        raise UsageError(
            f"{stages} stages, {micro_batches} micro-batches, {chunks} chunks",
            rule="a schedule has at least one of each",
        )
    if chunks > 1 and kind != "interleaved":
        raise UsageError(f"{chunks} chunks a stage in schedule {kind}", rule="only interleaved has several")
    if chunks > 1 and micro_batches % stages:
        near = max(1, round(micro_batches / stages)) * stages
        raise UsageError(
            f"{micro_batches} micro-batches over {stages} interleaved stages",
            rule="an interleaved pipeline takes its micro-batches in groups of pp",
            nearest=f"{near} micro-batches",
        )


def _plain(kind: Literal["F", "B"], micro_batches: int) -> list[Action]:
    return [Action(kind, micro) for micro in range(micro_batches)]


def _grouped(kind: Literal["F", "B"], stages: int, micro_batches: int, chunks: int) -> list[Action]:
    """Groups of p micro-batches pass the chunks one after the other; backward from the last chunk to the first."""
    order = range(chunks) if kind == "F" else range(chunks - 1, -1, -1)
    groups = range(0, micro_batches, stages)
    return [
        Action(kind, micro, chunk)
        for first in groups
        for chunk in order
        for micro in range(first, min(first + stages, micro_batches))
    ]


def _merge(forward: list[Action], backward: list[Action], warm: int) -> tuple[Action, ...]:
    """`warm` forward passes, then forward and backward in turn, then the backward passes that are left."""
    steady = len(forward) - warm
    turns = [a for pair in zip(forward[warm:], backward, strict=False) for a in pair]
    return (*forward[:warm], *turns, *backward[steady:])


def _zero_bubble(stage: int, stages: int, micro_batches: int) -> tuple[Action, ...]:
    """1f1b whose weight gradients come `stage` backward passes late, which lets later stages hand back at once."""
    late = min(stage, micro_batches)
    plain = _merge(_plain("F", micro_batches), _plain("B", micro_batches), int(warm_up(stage, stages, micro_batches)))
    actions: list[Action] = []
    for action in plain:
        actions.append(action)
        if action.kind == "B" and action.micro >= late:
            actions.append(Action("W", action.micro - late))
    return (*actions, *(Action("W", micro) for micro in range(micro_batches - late, micro_batches)))

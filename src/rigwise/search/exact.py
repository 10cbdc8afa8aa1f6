"""The exact search: every layout of the space is judged by the rules, then by memory, then by time.

The table is walked in slices of its first dim that fit the processor's cache. Of each slice the best few and the
layouts that no other beats in both time and memory are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rigwise.cost.estimate import Answer, Question, evaluate
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.layouts.rules import legal

Floats = NDArray[np.float64]
OBJECTIVES = ("time", "cost", "energy", "memory")
_CELLS = 250_000  # layouts a slice: about 2 MB an array
_TIE = 1e-6  # of a step: what decides between layouts of equal time


@dataclass(slots=True, kw_only=True)
class Found:
    """What a search saw: how many layouts, and of the feasible ones the best and the frontier.

    best, frontier: (score or seconds, memory in bytes, layout). least_memory: the layout that needs least memory among
    all legal ones, which is what to show when nothing fits.
    """

    considered: int = 0
    legal: int = 0
    feasible: int = 0
    best: list[tuple[float, float, Layout]] = field(default_factory=list)
    frontier: list[tuple[float, float, Layout]] = field(default_factory=list)
    least_memory: tuple[float, Layout] | None = None

    def merged(self, other: Found, top: int) -> Found:
        """Both searches as one."""
        least = [found.least_memory for found in (self, other) if found.least_memory]
        return Found(
            considered=self.considered + other.considered,
            legal=self.legal + other.legal,
            feasible=self.feasible + other.feasible,
            best=sorted([*self.best, *other.best], key=lambda kept: (kept[0], kept[1]))[:top],
            frontier=_undominated([*self.frontier, *other.frontier]),
            least_memory=min(least, key=lambda kept: kept[0], default=None),
        )


def search(question: Question, table: LayoutTable, *, objective: str = "time", top: int = 10) -> Found:
    """Judge every layout of a table for a question."""
    found = Found()
    for rows in _slices(table):
        _judge(question, rows, objective, top, found)
    found.frontier = _undominated(found.frontier)
    return found


def _slices(table: LayoutTable) -> Iterator[LayoutTable]:
    per_row = max(table.size // max(table.shape[0], 1), 1)
    length = max(_CELLS // per_row, 1)
    for start in range(0, table.shape[0], length):
        yield table.rows(start, min(start + length, table.shape[0]))


def _judge(question: Question, table: LayoutTable, objective: str, top: int, found: Found) -> None:
    allowed: NDArray[np.bool_] = np.broadcast_to(
        legal(table, question.model, question.cluster, question.batch), table.shape
    )
    found.considered += table.size
    rows = np.asarray(allowed.any(axis=tuple(range(1, allowed.ndim))))
    found.legal += int(allowed.sum())
    if not rows.any():
        return
    table, allowed = table.take(rows), allowed[rows]
    answer = evaluate(question, table)
    _remember_least(answer, allowed, found)
    feasible = allowed & np.broadcast_to(answer.fits, table.shape)
    count = int(feasible.sum())
    found.feasible += count
    if count:
        _keep(answer, feasible, objective, top, found)


def _remember_least(answer: Answer, allowed: NDArray[np.bool_], found: Found) -> None:
    memory = np.where(allowed, np.broadcast_to(answer.memory, answer.table.shape), np.inf)
    at = np.unravel_index(int(np.argmin(memory)), memory.shape)
    if found.least_memory is None or memory[at] < found.least_memory[0]:
        found.least_memory = float(memory[at]), answer.table.layout(*(int(i) for i in at))


def _keep(answer: Answer, feasible: NDArray[np.bool_], objective: str, top: int, found: Found) -> None:
    """The best `top` by score, and the frontier of seconds and memory."""
    at = np.flatnonzero(feasible)
    seconds = np.broadcast_to(answer.seconds, answer.table.shape).ravel()[at]
    memory = np.broadcast_to(answer.memory, answer.table.shape).ravel()[at]
    score = _score(answer, objective, seconds, memory, at)
    first = np.argpartition(score, min(top, len(at)) - 1)[:top]
    if len(found.best) == top:
        first = first[score[first] <= found.best[-1][0]]
    front = _front(seconds, memory, found.frontier)
    shape = answer.table.shape

    def row(i: int, value: float) -> tuple[float, float, Layout]:
        where = np.unravel_index(int(at[i]), shape)
        return value, float(memory[i]), answer.table.layout(*(int(j) for j in where))

    found.best = sorted(
        [*found.best, *(row(int(i), float(score[i])) for i in first)], key=lambda kept: (kept[0], kept[1])
    )[:top]
    found.frontier = _undominated([*found.frontier, *(row(int(i), float(seconds[i])) for i in front)])


def _front(seconds: Floats, memory: Floats, known: list[tuple[float, float, Layout]]) -> NDArray[np.intp]:
    """Rows that no other row beats in both seconds and memory, and none of the known frontier either."""
    order = np.lexsort((memory, seconds))
    least = np.minimum.accumulate(memory[order])
    front = np.asarray(order[np.concatenate([[True], least[1:] < least[:-1]])])
    if not known:
        return front
    before = np.searchsorted([row[0] for row in known], seconds[front], side="right") - 1
    beaten = (before >= 0) & (np.array([row[1] for row in known])[before] <= memory[front])
    return np.asarray(front[~beaten])


def _score(answer: Answer, objective: str, seconds: Floats, memory: Floats, at: NDArray[np.intp]) -> Floats:
    if objective == "memory":
        return memory
    if objective == "energy" and answer.joules is not None:
        return np.broadcast_to(answer.joules, answer.table.shape).ravel()[at]
    if objective == "cost" and answer.usd is not None:
        return np.broadcast_to(answer.usd, answer.table.shape).ravel()[at]
    if answer.feed is not None:  # all layouts may wait for the same data: then the one that would be fastest without
        waits = np.broadcast_to(answer.parts["loader"], answer.table.shape).ravel()[at]
        return seconds + _TIE * (seconds - waits)
    return seconds


def _undominated(rows: list[tuple[float, float, Layout]]) -> list[tuple[float, float, Layout]]:
    kept: list[tuple[float, float, Layout]] = []
    for row in sorted(rows, key=lambda r: (r[0], r[1])):
        if not kept or row[1] < kept[-1][1]:
            kept.append(row)
    return kept

"""The exact search: every layout of the space is judged by the rules, then by memory, then by time.

The table is walked in slices of its first dim that fit the processor's cache. Of each slice the best few and the
layouts that no other beats in both time and memory are kept. In a large table the time of most layouts need not be
known: no step is sooner than its work and its pipeline alone, and what even then is beaten by a layout that was found
already is left out. The layouts that look best go first, so that much is beaten. What comes out is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rigwise.cost.estimate import Answer, Question, evaluate
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.layouts.rules import legal

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
OBJECTIVES = ("time", "cost", "energy", "memory")
_CELLS = 250_000  # layouts a slice: about 2 MB an array
_LARGE = 60_000  # layouts from which a bound saves more than it takes
_ROUNDS = ((16, 4), (64, 8), (0, 0))  # of a slice: into how many parts by memory, how many pairs of each; all
_ROUNDING = 1e-9  # of a bound, which adds up the same figures in another order
_TIE = 1e-6  # of a step: what decides between layouts of equal time


class Row(NamedTuple):
    """A layout that a search keeps. value: its score, or its seconds. memory: bytes. place: in its table."""

    value: float
    memory: float
    layout: Layout
    seconds: float
    place: int

    @property
    def order(self) -> tuple[float, float, float, int]:
        """What it is ranked by; of equal ones the first of the table goes first."""
        return self.value, self.memory, self.seconds, self.place


@dataclass(slots=True, kw_only=True)
class Found:
    """What a search saw: how many layouts, and of the feasible ones the best and the frontier.

    best: by score. frontier: by seconds. least_memory: the layout that needs least memory among all legal ones, which
    is what to show when nothing fits.
    """

    considered: int = 0
    legal: int = 0
    feasible: int = 0
    best: list[Row] = field(default_factory=list)
    frontier: list[Row] = field(default_factory=list)
    least_memory: tuple[float, Layout] | None = None

    def merged(self, other: Found, top: int) -> Found:
        """Both searches as one."""
        least = [found.least_memory for found in (self, other) if found.least_memory]
        return Found(
            considered=self.considered + other.considered,
            legal=self.legal + other.legal,
            feasible=self.feasible + other.feasible,
            best=sorted([*self.best, *other.best], key=lambda kept: (kept.value, kept.memory))[:top],
            frontier=_undominated([*self.frontier, *other.frontier]),
            least_memory=min(least, key=lambda kept: kept[0], default=None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Rows of a table. at: the place of the first layout of each in the whole table."""

    table: LayoutTable
    at: NDArray[np.intp]

    def take(self, keep: Bools) -> _Part:
        return _Part(table=self.table.take(keep), at=self.at[keep])

    def pairs(self, keep: Bools) -> _Part:
        """Pairs of the first two dims, by mask, as one dim: so that hardly a layout is worked out for nothing."""
        shape = self.table.shape
        row, column = np.nonzero(keep)
        return _Part(table=self.table.pairs(row, column), at=self.at[row] + column * int(np.prod(shape[2:])))

    def kept(self, places: NDArray[np.intp], values: Floats, memory: Floats, seconds: Floats) -> list[Row]:
        """Layouts of it, by their places in it."""
        row, rest = np.divmod(places, self.table.size // len(self.at))
        figures = zip(values, memory, self.table.layouts(places), seconds, self.at[row] + rest, strict=True)
        return [Row(float(v), float(m), layout, float(s), int(p)) for v, m, layout, s, p in figures]


def search(question: Question, table: LayoutTable, *, objective: str = "time", top: int = 10) -> Found:
    """Judge every layout of a table for a question."""
    found = Found()
    for part in _slices(table):
        _judge(question, part, objective, top, found, bounded=table.size >= _LARGE and len(table.shape) > 2)
    return found


def anything_fits(question: Question, table: LayoutTable) -> bool:
    """Whether a legal layout of a table fits in memory; how long its step takes is not asked."""
    for part in _slices(table):
        allowed = _legal(question, part.table)
        rows = _rows(allowed)
        if rows.any() and np.any(allowed[rows] & evaluate(question, part.table.take(rows)).fits):
            return True
    return False


def _slices(table: LayoutTable) -> Iterator[_Part]:
    per_row = max(table.size // max(table.shape[0], 1), 1)
    length = max(_CELLS // per_row, 1)
    for start in range(0, table.shape[0], length):
        stop = min(start + length, table.shape[0])
        yield _Part(table=table.rows(start, stop), at=np.arange(start, stop) * per_row)


def _legal(question: Question, table: LayoutTable) -> Bools:
    return np.broadcast_to(legal(table, question.model, question.cluster, question.batch), table.shape)


def _rows(some: Bools) -> Bools:
    """The rows of the first dim that have any."""
    return np.asarray(some.any(axis=tuple(range(1, some.ndim))))


def _judge(question: Question, part: _Part, objective: str, top: int, found: Found, *, bounded: bool) -> None:
    """Judge a slice. bounded: leave out the time of what a bound on it rules out."""
    allowed = _legal(question, part.table)
    found.considered += part.table.size
    rows = _rows(allowed)
    found.legal += int(allowed.sum())
    if not rows.any():
        return
    part, allowed = part.take(rows), allowed[rows]
    answer = evaluate(question, part.table)
    _remember_least(answer, allowed, found)
    feasible = allowed & np.broadcast_to(answer.fits, part.table.shape)
    count = int(feasible.sum())
    found.feasible += count
    if not (count and bounded):
        _keep(answer, part, feasible, objective, top, found)
        return
    least = answer.step.least() * question.factor * (1 - _ROUNDING)
    left = _pairs(feasible)
    for bins, each in _ROUNDS:
        alive = feasible & _may_win(answer, least, objective, top, found)
        left &= _pairs(alive)
        chosen = _scouts(left, least, answer.memory, feasible, bins, each) if bins else left
        if chosen.any():
            some = part.pairs(chosen)
            _keep(evaluate(question, some.table), some, alive[chosen], objective, top, found)
            left = left & ~chosen


def _pairs(some: Bools) -> Bools:
    """The pairs of the first two dims that have any."""
    return np.asarray(some.any(axis=tuple(range(2, some.ndim))))


def _scouts(left: Bools, least: Floats, memory: Floats, feasible: Bools, bins: int, each: int) -> Bools:
    """Pairs that are to go first: of those that need about as much memory the few that may be soonest."""
    rest = tuple(range(2, feasible.ndim))
    at = np.flatnonzero(left)
    soonest, smallest = (np.where(feasible, some, np.inf).min(axis=rest).ravel()[at] for some in (least, memory))
    by_memory = np.empty(len(at), dtype=np.int64)
    by_memory[np.argsort(smallest)] = np.arange(len(at)) * bins // max(len(at), 1)
    order = np.lexsort((soonest, by_memory))
    start = np.searchsorted(by_memory[order], np.arange(bins))
    nth = np.arange(len(at)) - start[by_memory[order]]
    chosen = np.zeros(left.size, dtype=np.bool_)
    chosen[at[order[nth < each]]] = True
    return chosen.reshape(left.shape)


def _may_win(answer: Answer, least: Floats, objective: str, top: int, found: Found) -> Bools:
    """Which layouts may still be among the best or on the frontier, if no step is sooner than `least`."""
    sooner = np.searchsorted([row.value for row in found.frontier], least, side="left")
    room = np.array([np.inf, *(row.memory for row in found.frontier)])[sooner]
    worst = found.best[top - 1].value if len(found.best) >= top else np.inf
    return np.asarray((answer.memory < room) | (_least_score(answer, least, objective) <= worst))


def _least_score(answer: Answer, least: Floats, objective: str) -> Floats:
    """A score below which no layout is whose step is not sooner than `least`."""
    if objective == "memory":
        return answer.memory
    score = {"energy": answer.joules_of, "cost": answer.usd_of}.get(objective)
    return least if score is None or (found := score(least)) is None else found


def _remember_least(answer: Answer, allowed: Bools, found: Found) -> None:
    memory = np.where(allowed, np.broadcast_to(answer.memory, answer.table.shape), np.inf)
    at = np.unravel_index(int(np.argmin(memory)), memory.shape)
    if found.least_memory is None or memory[at] < found.least_memory[0]:
        found.least_memory = float(memory[at]), answer.table.layout(*(int(i) for i in at))


def _keep(answer: Answer, part: _Part, feasible: Bools, objective: str, top: int, found: Found) -> None:
    """The best `top` by score, and the frontier of seconds and memory."""
    at = np.flatnonzero(feasible)
    if not len(at):
        return
    seconds = np.broadcast_to(answer.seconds, part.table.shape).ravel()[at]
    memory = np.broadcast_to(answer.memory, part.table.shape).ravel()[at]
    score = _score(answer, objective, seconds, memory, at)
    worst = np.partition(score, min(top, len(at)) - 1)[min(top, len(at)) - 1]
    if len(found.best) == top:
        worst = min(worst, found.best[-1].value)
    first = np.flatnonzero(score <= worst)
    first = first[np.lexsort((seconds[first], memory[first], score[first]))[:top]]
    front = _front(seconds, memory, found.frontier)

    def rows(some: NDArray[np.intp], values: Floats) -> list[Row]:
        return part.kept(at[some], values[some], memory[some], seconds[some])

    found.best = sorted([*found.best, *rows(first, score)], key=lambda kept: kept.order)[:top]
    found.frontier = _undominated([*found.frontier, *rows(front, seconds)])


def _front(seconds: Floats, memory: Floats, known: list[Row]) -> NDArray[np.intp]:
    """Rows that no other row beats in both seconds and memory, and none of the known frontier either."""
    order = np.lexsort((memory, seconds))
    least = np.minimum.accumulate(memory[order])
    front = np.asarray(order[np.concatenate([[True], least[1:] < least[:-1]])])
    if not known:
        return front
    before = np.searchsorted([row.value for row in known], seconds[front], side="left") - 1
    beaten = (before >= 0) & (np.array([row.memory for row in known])[before] <= memory[front])
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


def _undominated(rows: list[Row]) -> list[Row]:
    kept: list[Row] = []
    for row in sorted(rows, key=lambda r: r.order):
        if not kept or row.memory < kept[-1].memory:
            kept.append(row)
    return kept

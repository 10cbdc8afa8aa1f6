"""Rivals timed in turns in one process, and results kept a line each, so that a run that was cut off can go on."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Work = Callable[[], object]
LONG_S = 2.0  # a round of all rivals that takes this long is run twice, and the lesser is taken
TURN_S = 1e-3  # of what is short, at least so long a turn
LEFT_BEHIND = 1.5  # what first runs find this many times behind the best is out of the race


@dataclass(frozen=True, slots=True)
class State:
    """Results so far."""

    path: Path | None
    rows: dict[str, Any]
    deadline: float

    @classmethod
    def read(cls, path: Path | None, budget: float) -> State:
        """What the file has; nothing new is begun after `budget` seconds."""
        rows = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                rows[row["key"]] = row["value"]
        return cls(path, rows, time.monotonic() + budget)

    def get(self, key: str, measure: Callable[[], Any]) -> Any:
        """A result, measured unless it is known; None when the time is up."""
        if key not in self.rows:
            if time.monotonic() > self.deadline:
                return None
            self.rows[key] = measure()
            if self.path is not None:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "value": self.rows[key]}) + "\n")
        return self.rows[key]


def rounds(works: Mapping[str, Work], least_s: float = 0.15, most: int = 60) -> dict[str, list[float]]:
    """Seconds of each in every round; a round runs all, in ever another order.

    What is short runs some times at each turn, alike for all. What is long runs twice, its first run counted.
    """
    first = {name: once(work) for name, work in works.items()}
    if sum(first.values()) > LONG_S:
        return {name: [first[name], once(work)] for name, work in works.items()}
    times = max(1, int(TURN_S / min(once(work) for work in works.values())))
    took: dict[str, list[float]] = {name: [] for name in works}
    draw, order, spent = random.Random(0), list(works), 0.0
    for _ in range(most):
        draw.shuffle(order)
        for name in order:
            took[name].append(once(works[name], times))
            spent += took[name][-1] * times
        if spent > least_s * len(works):
            break
    return took


def rivals(works: Mapping[str, Work], least_s: float = 0.15, most: int = 60) -> dict[str, float]:
    """The median seconds of each over such rounds; of what is long the lesser."""
    took = rounds(works, least_s, most)
    return {name: statistics.median(each) if len(each) > 2 else min(each) for name, each in took.items()}


def paired(took: Mapping[str, list[float]], one: str, other: str) -> float:
    """How many times the seconds of `one` those of `other` are: the median of the ratios within a round."""
    return statistics.median(b / a for a, b in zip(took[one], took[other]))


def hopeful(works: Mapping[str, Work]) -> dict[str, Work]:
    """Those that the least of a few first runs does not leave behind by half."""
    first = {}
    for name, work in works.items():
        work()
        first[name] = once(work)
        for _ in range(min(9, int(5e-3 / first[name]))):
            first[name] = min(first[name], once(work))
    return {name: work for name, work in works.items() if first[name] < LEFT_BEHIND * min(first.values())}


def once(work: Work, times: int = 1) -> float:
    """Seconds of one call, the mean of so many."""
    start = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - start) / times

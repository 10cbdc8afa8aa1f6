"""Where a step's time goes. On a GPU the marks are events in its stream, so that nothing waits for a mark.

Each lap's time goes to one part. Exposed communication is the lap from the moment a rank's last gradient is there to
the moment the backward pass returns with all gradients exchanged: what the backward pass did not hide, waiting for
slower ranks included. On a CPU what a rank waits for inside its passes (weights gathered, cut operations added, other
stages of a pipeline) belongs to it too; a GPU waits in its own queue, and there it is part of the pass.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch

from rigwise.run.parallel.sending import waited
from rigwise.units import MILLI


@dataclass(slots=True)
class Laps:
    """The marks of one step."""

    cuda: bool
    marks: list[tuple[str, Any]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds waited for other ranks until each mark

    def lap(self, part: str) -> None:
        """What passed since the last mark was `part`."""
        mark: Any = time.perf_counter()
        if self.cuda:
            mark = torch.cuda.Event(enable_timing=True)
            mark.record()
        self.marks.append((part, mark))
        self.waits.append(0.0 if self.cuda else waited())

    def seconds(self) -> tuple[float, dict[str, float]]:
        """Seconds of the whole step and of its parts; waits for the last mark."""
        if self.cuda:
            self.marks[-1][1].synchronize()
        parts: dict[str, float] = defaultdict(float)
        waits = [after - before for before, after in pairwise(self.waits)]
        for ((_, before), (part, mark)), wait in zip(pairwise(self.marks), waits, strict=True):
            parts[part] += self._between(before, mark) - wait
            parts["communication"] += wait
        parts.pop("", None)
        return self._between(self.marks[0][1], self.marks[-1][1]), dict(parts)

    def _between(self, before: Any, after: Any) -> float:
        return float(before.elapsed_time(after)) * MILLI if self.cuda else float(after - before)


class Clock:
    """The laps of the step that is under way."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self.laps = Laps(self._cuda)

    def start(self) -> None:
        """A step begins."""
        self.laps = Laps(self._cuda)
        self.laps.lap("")

    def lap(self, part: str) -> None:
        """What passed since the last mark was `part`; the empty part is counted in the step only."""
        self.laps.lap(part)

    def over(self) -> None:
        """The backward pass has returned. Since its last gradient was there, where that was marked, it was waiting."""
        self.lap("communication" if self.laps.marks[-1][0] == "backward" else "backward")

"""How busy the machine is with what is not ours: what a timing should be read beside."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

SOME = 0.1  # cores of other programs from which timings are to be doubted


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Processor seconds of the whole machine since it started, and the clock."""

    seconds: float
    clock: float

    @classmethod
    def now(cls) -> Busy:
        """As it is."""
        spent = psutil.cpu_times()
        return cls(seconds=spent.user + spent.system + getattr(spent, "nice", 0.0), clock=time.monotonic())

    def others(self, own: float, until: Busy | None = None) -> float:
        """Cores that others kept busy on average since then, where `own` processor seconds were ours.

        >>> Busy(seconds=10.0, clock=0.0).others(4.0, Busy(seconds=20.0, clock=10.0))
        0.6
        """
        end = until or Busy.now()
        return max(0.0, (end.seconds - self.seconds - own) / max(end.clock - self.clock, 1e-9))

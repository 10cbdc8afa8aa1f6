"""How busy the machine is with what is not ours: what a timing should be read beside."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

_SLACK = 0.05  # of the kernel's ticks
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
        return others(end.seconds - self.seconds, own, end.clock - self.clock)


def others(machine: float, own: float, clock: float) -> float:
    """Cores that others kept busy, from processor seconds of the machine and of ours in so many seconds of the clock.

    A virtual machine's counters jump now and then, by seconds that were never there: more than all cores can do says
    nothing, and counts as nothing.

    >>> others(10.0, 4.0, 10.0), others(1e6, 4.0, 10.0)
    (0.6, 0.0)
    """
    if clock <= 0 or machine > (psutil.cpu_count() or 1) * clock * (1 + _SLACK):
        return 0.0
    return max(0.0, machine - own) / clock

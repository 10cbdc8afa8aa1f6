"""What a rank used of the machine while it trained: evidence for why a run was slow."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

from rigwise.hardware.busy import Busy
from rigwise.run.result import warm_up

EVIDENCE = ("processor_s", "faults", "switches", "machine_s", "wall_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Processor seconds of this process, pages that it faulted in, and times that it was put aside for others."""

    processor: float
    faults: int
    switches: int
    machine: Busy


def usage() -> Usage:
    """So far."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(
        processor=time.process_time(),
        faults=own.ru_minflt + own.ru_majflt,
        switches=own.ru_nivcsw,
        machine=Busy.now(),
    )


class Spending:
    """What a run of `steps` uses once it is warm: its first steps bring their memory, which says nothing of a step."""

    def __init__(self, steps: int) -> None:
        self._warm = warm_up(steps)
        self._from, self._steps = usage(), 0

    def step(self) -> None:
        """A step is done."""
        self._steps += 1
        if self._steps == self._warm:
            self._from = usage()

    def used(self) -> dict[str, float]:
        """Since then, by EVIDENCE; of a run that was stopped before, since its start."""
        return used(self._from, usage(), self._steps - self._warm if self._steps > self._warm else self._steps)


def used(before: Usage, after: Usage, steps: int) -> dict[str, float]:
    """Between two looks, by EVIDENCE: faults and switches of a step, seconds in all."""
    count = max(steps, 1)
    return {
        "processor_s": after.processor - before.processor,
        "faults": (after.faults - before.faults) / count,
        "switches": (after.switches - before.switches) / count,
        "machine_s": after.machine.seconds - before.machine.seconds,
        "wall_s": after.machine.clock - before.machine.clock,
    }

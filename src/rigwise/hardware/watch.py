"""What slowed the machine while something ran: a GPU's throttling is seen only while it works, a processor's counts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rigwise.hardware.sensors import GpuState, gpu_states, in_use

_EVERY_S = 0.5
_OFTEN = 0.2  # of the looks at a GPU, from which a limit is worth a word: boosts end at one now and then
_PROCESSORS = Path("/sys/devices/system/cpu")
_COUNTS = {"core": "core_throttle_count", "package": "package_throttle_count"}


def hot_counts(folder: Path = _PROCESSORS) -> dict[str, int]:
    """How often cores and packages were slowed by heat since the machine started (Linux, Intel); empty where nobody
    counts. A package's count stands at each of its cores and is told once, by the largest.

    >>> hot_counts(Path("/nowhere"))
    {}
    """
    found: dict[str, int] = {}
    for what, name in _COUNTS.items():
        counts = []
        for path in folder.glob(f"cpu[0-9]*/thermal_throttle/{name}"):
            try:
                counts.append(int(path.read_text()))
            except (OSError, ValueError):
                continue
        if counts:
            found[what] = sum(counts) if what == "core" else max(counts)
    return found


def slowed(looks: Sequence[Sequence[GpuState]], before: Mapping[str, int], after: Mapping[str, int]) -> tuple[str, ...]:
    """What to say of GPUs that ran under a limit in a fifth of the looks, and of processors that were slowed by heat.

    >>> slowed([], {"core": 3}, {"core": 10})
    ('heat slowed the processor 7 times (core)',)
    """
    seen, often = Counter[int](), Counter[tuple[int, str]]()
    for state in (state for look in looks for state in look):
        seen[state.index] += 1
        often.update((state.index, reason) for reason in state.throttled)
    gpus = [
        f"GPU {index}: {reason} in {count} of {seen[index]} looks"
        for (index, reason), count in sorted(often.items())
        if count >= _OFTEN * seen[index]
    ]
    heats = [(what, after[what] - before[what]) for what in before if after.get(what, 0) > before[what]]
    return (*gpus, *(f"heat slowed the processor {count} times ({what})" for what, count in heats))


class Watch:
    """Looks at GPUs twice a second while a block runs, and at the processors' counters before and after it.

    with Watch() as watch:
        train()
    watch.says        # what slowed the machine, in words
    watch.used        # GPUs that somebody else computed on when it began, in words
    """

    def __init__(self) -> None:
        self.says: tuple[str, ...] = ()
        self.used: tuple[str, ...] = ()
        self._looks: list[Sequence[GpuState]] = []
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._before = hot_counts()
        if states := gpu_states():
            self.used = in_use(states)
            self._thread = threading.Thread(target=self._look, name="rigwise-watch", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        self.says = slowed(self._looks, self._before, hot_counts())

    def _look(self) -> None:
        while not self._over.wait(_EVERY_S):
            self._looks.append(gpu_states())

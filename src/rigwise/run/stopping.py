"""How a process of a run ends: a rank that is asked to stop finishes its step; and none outlives who started it."""

from __future__ import annotations

import ctypes
import signal
import sys
from types import FrameType

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies (Linux); elsewhere the pipe's end has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Stop:
    """Asked to stop by SIGTERM, which the launcher sends on the first Ctrl-C, and a batch system before its own end."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """From now on; in the process's main thread."""
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

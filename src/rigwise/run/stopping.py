"""How a process of a run ends: a rank that is asked to stop finishes its step; and none outlives who started it."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        self._tell: Callable[[], None] | None = None

    def listen(self) -> None:
        """From now on; in the process's main thread."""
        signal.signal(signal.SIGTERM, self._ask)

    @contextmanager
    def listening(self, on_stop: Callable[[], None] | None) -> Iterator[None]:
        """As long as this lasts, also to Ctrl-C, whose second ends the process; on_stop is called at the first. Outside
        the main thread whoever started it hears the signals.
        """
        self._tell = on_stop
        heard = (signal.SIGTERM, signal.SIGINT) if threading.current_thread() is threading.main_thread() else ()
        before = {number: signal.signal(number, self._ask) for number in heard}
        try:
            yield
        finally:
            for number, how in before.items():
                signal.signal(number, how)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.asked and self._tell:
            self._tell()
        self.asked = True

"""A rank that is asked to stop: it finishes its step, and all ranks agree after which."""

from __future__ import annotations

import signal
from types import FrameType


class Stop:
    """Asked to stop by SIGTERM, which the launcher sends on the first Ctrl-C, and a batch system before its own end."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        """From now on; in the process's main thread."""
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

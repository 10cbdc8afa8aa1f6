"""What a rank tells the launcher: JSON lines down one pipe that all ranks share."""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Mapping
from typing import Any

_LINE_LIMIT = min(select.PIPE_BUF, 4096)  # a write up to this size is never mixed with another rank's
_TEXT_LIMITS = (600, 200, 60)  # characters of one text in a report; the whole stands in what the rank printed
_PAUSE_S = 0.05  # at most so many seconds are step records held back, so that quick steps do not wake the launcher


class Reporter:
    """Writes the reports of one rank of one job."""

    def __init__(self, pipe: int, job: str, rank: int) -> None:
        self.pipe = pipe
        self.job = job
        self.rank = rank
        self._waiting: list[bytes] = []
        self._sent_at = 0.0

    def send(self, kind: str, **values: Any) -> None:
        """One report, at once, after those that wait."""
        self.flush()
        os.write(self.pipe, self._line(kind, values))

    def step(self, record: Mapping[str, Any]) -> None:
        """A step's record; may wait a moment for the next."""
        self._waiting.append(self._line("step", {"record": record}))
        if time.monotonic() - self._sent_at > _PAUSE_S:
            self.flush()

    def flush(self) -> None:
        """Write what waits, in pieces that stay whole."""
        self._sent_at = time.monotonic()
        waiting, self._waiting = self._waiting, []
        piece = b""
        for line in waiting:
            if len(piece) + len(line) > _LINE_LIMIT:
                os.write(self.pipe, piece)
                piece = b""
            piece += line
        if piece:
            os.write(self.pipe, piece)

    def _line(self, kind: str, values: Mapping[str, Any]) -> bytes:
        for limit in _TEXT_LIMITS:
            short = {key: shorten(value, limit) if isinstance(value, str) else value for key, value in values.items()}
            line = json.dumps({"job": self.job, "rank": self.rank, "kind": kind, **short}).encode() + b"\n"
            if len(line) <= _LINE_LIMIT:
                return line
        raise AssertionError(f"a report of {len(line)} bytes")


def shorten(text: str, limit: int = _TEXT_LIMITS[0]) -> str:
    """The head and the tail of a long text.

    >>> shorten("one line"), shorten("abcdefghij", 4)
    ('one line', 'ab ... ij')
    """
    half = limit // 2
    return text if len(text) <= limit else f"{text[:half]} ... {text[-half:]}"

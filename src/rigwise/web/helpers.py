"""Processes that answer beside the server's own: Python works on one core at a time, and many people ask at once.

A helper (web/helper.py) reads a question a line and writes an answer a line. Where none is ready the server answers
itself, so that helpers make it quicker and nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from rigwise.errors import InfeasibleError, LaunchError, NotFoundError, RigwiseError, UsageError

_KINDS = {kind.exit_code: kind for kind in (RigwiseError, UsageError, InfeasibleError, NotFoundError, LaunchError)}
ANSWER, PROBLEM = b"+", b"-"
"""What a helper's line begins with."""


class Helpers:
    """count: how many. folder: where they may read files; "" for nowhere."""

    def __init__(self, count: int, folder: str) -> None:
        self._count, self._folder = count, folder
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._lock, self._closed = Lock(), False

    def start(self) -> None:
        """Start them; each is used once it says that it is ready."""
        for _ in range(self._count):
            Thread(target=self._begin, daemon=True).start()

    def close(self) -> None:
        """End them."""
        with self._lock:
            self._closed = True
            for process in self._all:
                process.kill()
                process.communicate()

    def answer(self, verb: str, request: str) -> bytes | None:
        """The answer as JSON, as a helper has it; None where none is free. Raises the errors of the Python API."""
        try:
            process = self._idle.get_nowait()
        except Empty:
            return None
        assert process.stdin
        assert process.stdout
        line = b""
        with suppress(OSError, ValueError):
            process.stdin.write(json.dumps([verb, request, self._folder]).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line.endswith(b"\n"):  # it died: another takes its place, and the server answers
            process.kill()
            Thread(target=self._begin, daemon=True).start()
            return None
        self._idle.put(process)
        if line.startswith(PROBLEM):
            code, says, rule, nearest = json.loads(line[1:])
            raise _KINDS[code](says, rule=rule, nearest=nearest)
        return line[1:-1]

    def _begin(self) -> None:
        with self._lock:
            if self._closed:
                return
            process = subprocess.Popen(
                [sys.executable, "-m", "rigwise.web.helper"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is the server's, which ends its helpers
            )
            self._all.append(process)
        assert process.stdout
        if process.stdout.readline():
            self._idle.put(process)

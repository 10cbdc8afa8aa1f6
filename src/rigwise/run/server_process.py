"""The launcher's end of server.py: starting it, telling it, hearing it, keeping it for the next job."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rigwise.errors import LaunchError

INSTALL = "pip install 'rigwise[run]'"
_CLOSE_S = 5.0  # seconds that a server may take to leave before it is killed
_CHUNK = 1 << 16
_LAST_LINES = 3
# glibc gives big tensors back to the kernel at every free and faults them in again at every malloc; kept, a step of a
# dense net takes a third of the time.
_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}
# Threads that spin while they wait take the cores from whoever should be computing: with one other busy process on the
# machine, a step on two threads took 18 to 80 times as long as with threads that sleep.
_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
_idle: list[ServerProcess] = []
_owner = os.getpid()
_lock = threading.Lock()


class ServerProcess:
    """Commands in, reports out. busy: ranks of a job may still live in it."""

    def __init__(self) -> None:
        if importlib.util.find_spec("torch") is None:
            raise LaunchError("run needs torch, which is not installed", nearest=INSTALL)
        self.busy = False
        self._text = b""
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rigwise.run.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=process_environment(),
            start_new_session=True,  # Ctrl-C is the launcher's to hear
            bufsize=0,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._commands, self._reports = self._process.stdin, self._process.stdout

    @property
    def alive(self) -> bool:
        """Is the process there?"""
        return self._process.poll() is None

    def tell(self, **command: Any) -> None:
        """Send a command."""
        text = json.dumps(command).encode() + b"\n"
        try:
            while text:
                text = text[self._commands.write(text) or 0 :]
        except BrokenPipeError:
            raise self._gone() from None

    def hear(self, seconds: float | None = None) -> list[dict[str, Any]]:
        """The reports that have come, waiting up to `seconds` for the first (None: as long as it takes)."""
        if not select.select([self._reports], [], [], seconds)[0]:
            return []
        chunk = os.read(self._reports.fileno(), _CHUNK)
        if not chunk:
            raise self._gone()
        *lines, self._text = (self._text + chunk).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End the server and its ranks."""
        with suppress(BrokenPipeError):
            self._commands.close()  # it kills its ranks and leaves when nothing more can come
        self._reports.close()
        try:
            self._process.wait(timeout=_CLOSE_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._said.close()

    def drop(self) -> None:
        """End a server that has no ranks, at once."""
        self._process.kill()
        self.close()

    def _gone(self) -> LaunchError:
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()[-_LAST_LINES:]
        return LaunchError(
            f"the process that starts the ranks ended with code {code}: {' | '.join(lines) or 'it said nothing'}",
            nearest=f"{INSTALL}, if torch cannot be imported",
        )


def process_environment() -> dict[str, str]:
    """What a Python that trains is started with."""
    home = str(Path(__file__).parents[2])
    paths = [home, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**rank_environment(), **os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def rank_environment() -> dict[str, str]:
    """What must stand in the environment before a process that trains on CPUs begins."""
    return {**_MALLOC, **_THREADS}


def begin() -> None:
    """Start a server for the job to come, if none is idle: it reads torch while this process does something else."""
    with _lock, suppress(LaunchError):  # who borrows it says what is wrong
        _own()
        if not any(server.alive for server in _idle):
            _idle[:] = [ServerProcess()]


def waiting() -> bool:
    """Is there a server for the next job, or one that will be ready soon?"""
    with _lock:
        _own()
        return any(server.alive for server in _idle)


def _own() -> None:
    """After a fork the servers that are known are another process's."""
    global _owner
    if _owner != os.getpid():
        _owner = os.getpid()
        _idle.clear()


@contextmanager
def borrowed() -> Iterator[ServerProcess]:
    """An idle server or a new one; it is kept for the next job unless it died or a rank may be left in it."""
    with _lock:
        _own()
        server = _idle.pop() if _idle else None
    if server is None or not server.alive:
        server = ServerProcess()
    try:
        yield server
    finally:
        if server.alive and not server.busy:
            with _lock:
                _idle.append(server)
        else:
            server.close()


@atexit.register
def close_servers() -> None:
    """End the servers that wait for a next job: they have no ranks, and may still be reading torch."""
    while _idle and _owner == os.getpid():
        _idle.pop().drop()

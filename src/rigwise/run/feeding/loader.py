"""A process beside a rank that loads its next batches while the step computes.

It is a fork of the rank, so it has the data as the rank has it, and random numbers of its own: what it draws while it
loads cannot touch what training draws. One batch waits, ready, and one is in the making.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch

from rigwise.errors import LaunchError
from rigwise.run.failures import raised
from rigwise.run.feeding.feed import Batch
from rigwise.run.feeding.parcel import receive, send
from rigwise.run.stopping import die_with_parent

Tell = Callable[[Exception], Mapping[str, Any]]
_FETCHED = b"+"


class Loader:
    """The process. It leaves when this object is closed or the rank is gone."""

    def __init__(self, batches: Iterator[Batch], position: Callable[[], Any], tell: Tell) -> None:
        """batches: what it goes through. position: asked after each. tell: what is reported of an exception."""
        self._here, there = socket.socketpair()
        with warnings.catch_warnings():
            # Python warns of forks beside threads: the child takes no lock that they may hold, and starts none.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process = os.fork()
        if self.process == 0:
            self._here.close()
            _serve(there, batches, position, tell)
        there.close()

    def take(self) -> tuple[Batch, Any]:
        """The next batch, and the position after it; waits for it."""
        try:
            batch, note = receive(self._here)
        except (EOFError, OSError):
            raise self._ended() from None
        if "error" in note:
            raise raised(note["error"])
        with suppress(OSError):
            self._here.send(_FETCHED)
        return batch, note["position"]

    def close(self) -> None:
        """End the process."""
        self._here.close()
        if self.process:
            with suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self.process, 0)
            self.process = 0

    def _ended(self) -> LaunchError:
        _, status = os.waitpid(self.process, 0)
        self.process = 0
        code = os.waitstatus_to_exitcode(status)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return LaunchError(
            f"the process that loads the data {how}",
            rule="the kernel kills with SIGKILL when memory runs out" if code == -signal.SIGKILL else "",
            nearest="loaders 0: the rank loads between its steps",
        )


def _serve(to: socket.socket, batches: Iterator[Batch], position: Callable[[], Any], tell: Tell) -> None:
    """What the process does, to its end."""
    code = 1
    try:
        parent = os.getppid()
        die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the rank is told to stop, and closes this process itself
        torch.set_num_threads(1)
        if os.getppid() == parent:
            _deal(to, batches, position, tell)
        code = 0
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _deal(to: socket.socket, batches: Iterator[Batch], position: Callable[[], Any], tell: Tell) -> None:
    waiting = 0  # sent, and not yet fetched
    while True:
        try:
            batch, note = next(batches), {"position": position()}
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            batch, note = ((), ()), {"error": dict(tell(error))}
        while waiting:
            if not to.recv(1):
                return
            waiting -= 1
        send(to, batch, note)
        waiting += 1
        if "error" in note:
            to.recv(1)
            return

"""Starting the ranks of a job on this machine and watching them: one that dies ends all, and it is said why."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from rigwise.errors import LaunchError
from rigwise.run.failures import Failure, cause, ended, told
from rigwise.run.job import Start
from rigwise.run.server_process import ServerProcess, borrowed

_GRACE_S = 2.0  # a rank that lost its neighbour may be heard before the neighbour's own end
_KILL_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a run takes that goes beside others. threads: of a rank; None is a rank's share of all cores. environment:
    of its ranks, beside this process's. asked: is it to finish its step, save and leave? Asked whenever a rank reports.
    """

    threads: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    asked: Callable[[], bool] = bool


ALONE = Place()


def launch(
    job: Start,
    prints: Path,
    hear: Callable[[dict[str, Any]], None],
    on_stop: Callable[[], None] | None = None,
    place: Place = ALONE,
) -> None:
    """Run a job to its end. hear: called with every report of a rank, in the order of the ranks' telling.

    prints: the folder for what each rank prints. The first Ctrl-C (or SIGTERM) asks the ranks to finish their step and
    save, and on_stop is called; the second ends them. Raises the error of the rank that failed first; KeyboardInterrupt
    and whatever hear raises end all ranks and go on up. place: as Place has it.
    """
    with borrowed() as server:
        watch = _Watch(job, prints, hear)
        server.busy = True
        try:
            server.tell(**_start(job, watch.id, prints, place))
            with _asked_twice(lambda: watch.stop(server, on_stop)):
                watch.until_the_end(server, place.asked)
        finally:
            server.busy = not watch.clear(server)
    if watch.failures:
        raise cause(watch.failures).error
    if watch.left_early:
        raise KeyboardInterrupt


@contextmanager
def _asked_twice(first: Callable[[], None]) -> Iterator[None]:
    """The first SIGINT or SIGTERM calls `first`, the next is KeyboardInterrupt. Only where Python's own handlers stand,
    and in the main thread; elsewhere whoever put another one knows what is to be done.
    """
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        first()

    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if threading.current_thread() is not threading.main_thread():
        usual = {}
    taken = {number: how for number, how in usual.items() if signal.getsignal(number) is how}
    for number in taken:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, how in taken.items():
            signal.signal(number, how)


def _start(job: Start, identity: str, prints: Path, place: Place) -> dict[str, Any]:
    threads = str(job.threads)
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    return {
        "job": identity,
        "world": job.world,
        "work": job.work,
        "start": job.to_dict(),
        "needs": list(job.needs),
        "prints": str(prints / "rank-{rank}.txt"),
        "environment": {
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            **loopback,
            **os.environ,
            **place.environment,
        },
        "folder": str(Path.cwd()),
        "path": [entry for entry in sys.path if isinstance(entry, str)],
    }


class _Watch:
    """Which ranks still live, and what went wrong."""

    def __init__(self, job: Start, prints: Path, hear: Callable[[dict[str, Any]], None]) -> None:
        self.id = uuid.uuid4().hex
        self.world = job.world
        self.prints = prints
        self.hear = hear
        self.living = set(range(job.world))
        self.done: set[int] = set()
        self.failures: list[Failure] = []
        self.step = 0
        self.stopping = False
        self.left_early = False

    def stop(self, server: ServerProcess, on_stop: Callable[[], None] | None) -> None:
        """Ask the ranks to finish their step."""
        self.stopping = True
        server.tell(stop=True)
        if on_stop:
            on_stop()

    def until_the_end(self, server: ServerProcess, asked: Callable[[], bool]) -> None:
        """Take reports until every rank is done, or one has failed and it is clear which was the first."""
        deadline: float | None = None
        while self.living and not self.left_early and not any(failure.certain for failure in self.failures):
            if self.failures and deadline is None:
                deadline = time.monotonic() + _GRACE_S
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            for report in server.hear(left):
                self._take(report)
            if not self.stopping and asked():
                self.stop(server, None)

    def _take(self, report: dict[str, Any]) -> None:
        if report["job"] != self.id:
            return
        rank, kind = report["rank"], report["kind"]
        if kind == "exit":
            self.living.discard(rank)
            if self.stopping and report["code"] == -signal.SIGTERM:  # it was asked before it could listen
                self.left_early = True
                return
            known = any(failure.rank == rank for failure in self.failures)
            if not known and (report["code"] or rank not in self.done):
                prints = self.prints / f"rank-{rank}.txt"
                self.failures.append(ended(rank, self.world, report["code"], self.step, prints))
        elif kind == "error":
            self.failures.append(told(rank, self.world, report))
        else:
            if kind == "done":
                self.done.add(rank)
            elif kind == "step":
                self.step = report["record"]["step"]
            self.hear(report)

    def clear(self, server: ServerProcess) -> bool:
        """Kill what still lives; is nothing left?"""
        deadline = time.monotonic() + _KILL_S
        try:
            if self.living:
                server.tell(kill=True)
            while self.living and time.monotonic() < deadline:
                for report in server.hear(deadline - time.monotonic()):
                    if report["job"] == self.id and report["kind"] == "exit":
                        self.living.discard(report["rank"])
        except LaunchError:  # the server is gone, and its ranks with it
            return False
        return not self.living

"""The order of a group's exchanges, and the thread that makes them while the model computes.

MPI asks every rank to make the exchanges of a group in the same order, one at a time. What somebody waits for at once
is done in the caller's own thread, if nothing is queued: a hop to another thread and back costs more than a small
exchange.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import _create_work_from_future

_Exchange = Callable[[], object]


class Lane:
    """One group's queue. threaded: MPI grants calls from several threads at once; else all is done in the caller's."""

    def __init__(self, threaded: bool) -> None:
        self.threaded = threaded
        self._queue: SimpleQueue[tuple[_Exchange, Any, Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._turn = threading.RLock()  # who makes an exchange
        self._count = threading.Lock()
        self._queued = 0

    def run(self, exchange: _Exchange, result: Any, later: bool) -> dist.Work:
        """Make an exchange, now or `later` in the lane's thread; its Work, whose result is `result`."""
        future: torch.futures.Future[Any] = torch.futures.Future()
        if self._now(later):
            with self._turn:
                exchange()
            future.set_result(result)
        else:
            self._queue.put((exchange, future, result))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="mpi", daemon=True)
                self._thread.start()
        return _create_work_from_future(future)

    def _now(self, later: bool) -> bool:
        if not self.threaded or threading.current_thread() is self._thread:
            return True
        with self._count:
            now = not later and self._queued == 0
            self._queued += not now
        return now

    def _serve(self) -> None:
        while (entry := self._queue.get()) is not None:
            exchange, future, result = entry
            try:
                with self._turn:
                    exchange()
            except BaseException:  # ranks that no longer agree on what is exchanged cannot go on
                traceback.print_exc(file=sys.stderr)
                sys.stderr.flush()
                os._exit(1)
            with self._count:
                self._queued -= 1
            future.set_result(result)

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None


class Mail(dist.Work):
    """A message under way. done: called once after it has come."""

    def __init__(self, mpi: Any, request: Any, done: Callable[[], object], result: list[torch.Tensor]) -> None:
        super().__init__()
        self._mpi = mpi
        self._request = request
        self._done: Callable[[], object] | None = done
        self._result = result
        self._source = -1

    def wait(self, timeout: object = None) -> bool:
        """Until the message has left (it may be overwritten) or come."""
        if self._done is not None:
            status = self._mpi.Status()
            self._request.Wait(status)
            self._finish(status)
        return True

    def is_completed(self) -> bool:
        """Has it?"""
        status = self._mpi.Status()
        if self._done is not None and self._request.Test(status):
            self._finish(status)
        return self._done is None

    def _finish(self, status: Any) -> None:
        done, self._done = self._done, None
        self._source = status.Get_source()
        if done is not None:
            done()

    def is_success(self) -> bool:
        """An error in MPI ends the process, so what is complete went well."""
        return self.is_completed()

    def source_rank(self) -> int:
        """Who sent it, in the group's count."""
        return self._source

    _source_rank = source_rank

    def result(self) -> list[torch.Tensor]:
        """The tensors."""
        return self._result

    def get_future(self) -> torch.futures.Future[list[torch.Tensor]]:
        """A future that is there once the message is: asking for it waits."""
        self.wait()
        future: torch.futures.Future[list[torch.Tensor]] = torch.futures.Future()
        future.set_result(self._result)
        return future

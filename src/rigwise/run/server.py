"""The process that all ranks are forked from: `python -m rigwise.run.server`.

It imports torch once and then only forks: no tensor, no thread pool and no process group may exist before a fork.
Reading torch and what DistributedDataParallel imports late takes 2 s; a fork takes some milliseconds, so two ranks
start quicker than two fresh interpreters, and the next job starts in a tenth of a second.

It reads commands as JSON lines on stdin: {"job": id, "work": module, "start": ..., ...} (a rank calls the module's
`work`), {"stop": true} (SIGTERM to the ranks, which finish their step) or {"kill": true}; when stdin ends, it kills its
ranks and leaves. On its stdout, which the ranks share, go JSON lines of less than PIPE_BUF bytes: {"job": id, "rank":
r, "kind": "exit", "code": c}, and what ranks report (reporter.py).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import sys
from contextlib import suppress
from typing import Any

from rigwise.run.preload import ALWAYS, preload
from rigwise.run.reporter import Reporter
from rigwise.run.stopping import die_with_parent

_CHUNK = 1 << 16


class Server:
    """Forks ranks, waits for them, kills them."""

    def __init__(self, commands: int, reports: int) -> None:
        self.commands = commands
        self.reports = reports
        self.ranks: dict[int, tuple[str, int]] = {}  # process id -> job, rank
        self.wake, wake_end = os.pipe()
        for end in (self.wake, wake_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until stdin ends."""
        text = b""
        while True:
            ready, _, _ = select.select([self.commands, self.wake], [], [])
            if self.wake in ready:
                os.read(self.wake, _CHUNK)
                self._reap()
            if self.commands in ready:
                chunk = os.read(self.commands, _CHUNK)
                if not chunk:
                    break
                *lines, text = (text + chunk).split(b"\n")
                for line in lines:
                    self._obey(json.loads(line))
        self._kill()

    def _obey(self, command: dict[str, Any]) -> None:
        if command.get("kill"):
            self._kill()
            return
        if command.get("stop"):
            for process in self.ranks:
                os.kill(process, signal.SIGTERM)
            return
        with suppress(ImportError):  # another torch may not have it; a rank that cannot do without says so
            preload(command["needs"])
        for rank in range(command["world"]):
            process = os.fork()
            if process == 0:
                self._become_rank(command, rank)
            self.ranks[process] = (command["job"], rank)

    def _become_rank(self, command: dict[str, Any], rank: int) -> None:
        code = 1
        try:
            parent = os.getppid()
            die_with_parent()
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.close(self.commands)
            told = os.open(command["prints"].format(rank=rank), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(told, 1)
            os.dup2(told, 2)
            os.environ.clear()
            os.environ.update(command["environment"])
            os.chdir(command["folder"])
            sys.path[:] = command["path"]
            if os.getppid() == parent:  # else the server died before prctl could notice
                work = importlib.import_module(command["work"]).work
                code = work(command["start"], rank, Reporter(self.reports, command["job"], rank))
        finally:
            with suppress(OSError):  # a full disk must not keep a rank from ending
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while self.ranks:
            process, status = os.waitpid(-1, os.WNOHANG)
            if process == 0:
                return
            if process in self.ranks:
                job, rank = self.ranks.pop(process)
                Reporter(self.reports, job, rank).send("exit", code=os.waitstatus_to_exitcode(status))

    def _kill(self) -> None:
        for process in self.ranks:
            for kill in (os.killpg, os.kill):  # the group may not exist yet, in the first instant of a rank
                try:
                    kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def main() -> None:
    """Serve on stdin and stdout; what anything prints goes to stderr."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands, reports = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    gc.disable()  # a tenth of the time to read torch goes into looking for garbage that is not there
    preload(ALWAYS)
    gc.freeze()  # nor do the ranks look through it
    gc.enable()
    Reporter(reports, "", -1).send("ready")
    Server(commands, reports).serve()
    os._exit(0)  # taking torch down in good order takes longer than anything above


if __name__ == "__main__":
    main()

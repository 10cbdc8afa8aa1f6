"""`rigwise run --nnodes` on the hosts of hosts.py: started, watched, and hurt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from hosts import Hosts
from training import TASKS

PATIENCE_S = 4  # the ranks' patience: what a fault is noticed by when nobody says anything
_PORT = 29400


class Running:
    """A run on hosts. task: of taskfile.py, or a packaged one."""

    def __init__(self, hosts: Hosts, task: str, *words: str, nnodes: str = "2", steps: int = 60) -> None:
        self.hosts = hosts
        self.output = Path("out").absolute()
        self.nnodes = nnodes
        where = ["--nnodes", nnodes, "--rendezvous", f"{hosts.address(0)}:{_PORT}", "--output", str(self.output)]
        spec = f"{TASKS}{task}" if task.startswith(":") else task
        usual = ["--steps", str(steps), "--device", "cpu", "--checkpoint-every", "5", "--patience", str(PATIENCE_S)]
        self.command = [sys.executable, "-m", "rigwise", "run", spec, *usual, *where, *words]
        self.launchers = [self.launched(host) for host in range(hosts.count)]

    def launched(self, host: int, *words: str) -> subprocess.Popen[Any]:
        """The launcher of a host."""
        own = {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        with Path(f"host-{host}.txt").open("ab") as said:
            return self.hosts.popen(host, [*self.command, *words], own, stdout=said, stderr=said)

    def said(self, host: int) -> str:
        """What a launcher and its ranks printed."""
        return Path(f"host-{host}.txt").read_text()

    def losses(self) -> list[float]:
        """Of all steps so far."""
        log = self.output / "log.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line)["loss"] for line in lines if line.endswith("}")]

    def newest(self) -> str:
        """What LATEST says; empty before the first checkpoint."""
        pointer = self.output / "checkpoints" / "LATEST"
        return pointer.read_text().strip() if pointer.exists() else ""

    def reached(self, step: int, within: float = 300.0) -> float:
        """Wait until a step is in the log; the seconds that took."""
        return until(lambda: len(self.losses()) >= step, within)

    def trains_again(self, before: int, within: float = 300.0) -> float:
        """Wait until a rank that is not `before` has the first host's seat, and the log grows; the seconds."""
        seen = [1 << 30]

        def grows() -> bool:
            lines = len(self.losses())
            more = lines > seen[-1]
            seen.append(lines)
            return more and self._rank_now() not in (before, None)

        return until(grows, within)

    def _rank_now(self) -> int | None:
        try:
            return self.rank(0).pid
        except (StopIteration, IndexError, psutil.Error):
            return None

    def agent(self, host: int) -> psutil.Process:
        """The agent of a host."""
        return self._process(host, "rigwise.run.agent")

    def store(self, host: int = 0) -> psutil.Process:
        """The store."""
        return self._process(host, "rigwise.run.store")

    def rank(self, host: int) -> psutil.Process:
        """The first rank of a host."""
        return self.agent(host).children()[0]

    def everyone(self) -> list[psutil.Process]:
        """Launchers, agents, ranks and the store."""
        found = []
        for launcher in self.launchers:
            if launcher.poll() is None:
                top = psutil.Process(launcher.pid)
                found += [top, *top.children(recursive=True)]
        return found

    def ended(self, within: float = 300.0) -> list[int]:
        """The launchers' codes, when all have left."""
        until(lambda: all(launcher.poll() is not None for launcher in self.launchers), within)
        return [launcher.returncode for launcher in self.launchers]

    def _process(self, host: int, module: str) -> psutil.Process:
        children = psutil.Process(self.launchers[host].pid).children(recursive=True)
        return next(child for child in children if module in child.cmdline())


def until(so: Callable[[], bool], within: float) -> float:
    """Wait for something; the seconds that took."""
    begun = time.monotonic()
    while not so():
        assert time.monotonic() - begun < within, f"not within {within:g} s"
        time.sleep(0.05)
    return time.monotonic() - begun


def kill(process: psutil.Process) -> None:
    """At once."""
    process.send_signal(signal.SIGKILL)

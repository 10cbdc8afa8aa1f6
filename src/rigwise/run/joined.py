"""A rank that a launcher started joins the others: the ranks are there, so none is started and none is watched.

Rank 0 prepares the output folder and names it to the others, hears the reports of its own training in process, writes
the result and gives it to all. What a rank prints goes to ranks/rank-N.txt, as it does in a run that starts its ranks.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr, redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from rigwise.errors import LaunchError, RigwiseError, UsageError
from rigwise.run.board import Board
from rigwise.run.failures import LOST_CODE, ToldElsewhere, told
from rigwise.run.hearing import Asked, Heard
from rigwise.run.job import Job
from rigwise.run.output import PRINTS, prepare
from rigwise.run.preload import ALWAYS, preload
from rigwise.run.ranks import Ranks, group_words, pick_device
from rigwise.run.reporter import Reporter
from rigwise.run.result import RunResult
from rigwise.run.seats import Seat
from rigwise.run.stopping import Stop, die_with_parent
from rigwise.run.worker import work

_START_S = 120.0  # seconds that the ranks may take to come together: torch is read from a disk that all share
_JOB = "rigwise/job"


class Direct(Reporter):
    """Reports that are heard where they are made. hear: None on a rank that nobody listens to."""

    def __init__(self, rank: int, hear: Callable[[Mapping[str, Any]], None] | None) -> None:
        super().__init__(-1, "", rank)
        self.hear = hear
        self.failure: Mapping[str, Any] | None = None

    def send(self, kind: str, **values: Any) -> None:
        """One report."""
        if kind == "error":
            self.failure = values
        elif self.hear:
            self.hear({"kind": kind, **values})

    def step(self, record: Mapping[str, Any]) -> None:
        """A step's record."""
        self.send("step", record=record)

    def flush(self) -> None:
        """Nothing waits."""


def join(here: Seat, joining: Asked) -> RunResult:
    """Train as one rank of several; the result, on every rank.

    Raises what this rank failed with; ToldElsewhere where another rank has to say why.
    """
    die_with_parent()
    network(here)
    stop = Stop()
    with ExitStack() as stack:
        stack.enter_context(stop.listening(joining.on_stop))
        try:
            store = store_of(here)
            job = _agreed(here, joining, store, stack)
            device = pick_device(job.device, here.local, here.near)
            dist.init_process_group(
                store=store, rank=here.rank, world_size=here.world, **group_words(device, job.patience_s, job.backend)
            )
        except (dist.DistError, RuntimeError) as error:
            raise lost(here, " ".join(str(error).split())) from error
        result = _train(here, joining, job, stop, Ranks(rank=here.rank, world=here.world, device=device))
        dist.destroy_process_group()
    return result


def store_of(here: Seat) -> Any:
    """Where the ranks find each other."""
    found = rendezvous(here.rendezvous, here.rank, here.world, timeout=timedelta(seconds=_START_S))
    return next(iter(found))[0]


def _agreed(here: Seat, joining: Asked, store: Any, stack: ExitStack) -> Job:
    """The job, made by rank 0 while the others wait; what it is refused for ends all."""
    if here.rank == 0:
        try:
            job = joining.job(here.rendezvous)
            held = prepare(Path(job.output), wait_s=2 * (job.patience_s or 0) if job.resume else 0.0)
        except RigwiseError as error:
            store.set(_JOB, json.dumps({"code": error.exit_code}))
            raise
        stack.callback(os.close, held)
        store.set(_JOB, json.dumps({"job": job.to_dict()}))
        return job
    said = json.loads(store.get(_JOB))
    if "code" in said:
        raise ToldElsewhere(said["code"])
    job = Job.from_dict(said["job"])
    if not (Path(job.output) / PRINTS).is_dir():
        raise UsageError(
            f"rank {here.rank} on {socket.gethostname()} sees no folder {job.output}",
            rule="all ranks share the output folder",
            nearest="a folder on a file system that every machine has",
        )
    return job


def _train(here: Seat, joining: Asked, job: Job, stop: Stop, ranks: Ranks) -> RunResult:
    folder = Path(job.output)
    with ExitStack() as stack:
        hear = None
        if here.rank == 0:
            board = stack.enter_context(Board(folder)) if joining.tensorboard else None
            heard = Heard(joining.on_step, folder, board)
            hear = _aloud(heard)
        reporter = Direct(here.rank, hear)
        with _printing(folder / PRINTS / f"rank-{here.rank}.txt"):
            with suppress(ImportError):  # as where ranks are forked (server.py)
                preload((*ALWAYS, *job.needs))
            work(job.to_dict(), here.rank, reporter, stop, nullcontext(ranks))
        if reporter.failure:
            raise _failed(here, reporter.failure)
        mine = [heard.result(joining.task, job) if here.rank == 0 else None]
    if here.world > 1:
        try:
            dist.broadcast_object_list(mine, src=0)
        except (dist.DistError, RuntimeError) as error:
            raise lost(here, str(error)) from error
    result: RunResult | None = mine[0]
    assert result is not None
    return result


def _aloud(heard: Heard) -> Callable[[Mapping[str, Any]], None]:
    """Hears with the output that this process had before what it prints went to a file."""
    out, err = sys.stdout, sys.stderr

    def hear(report: Mapping[str, Any]) -> None:
        with redirect_stdout(out), redirect_stderr(err):
            heard(report)

    return hear


@contextmanager
def _printing(path: Path) -> Iterator[None]:
    """What is printed in here goes to a file."""
    try:
        with path.open("a", buffering=1) as file, redirect_stdout(file), redirect_stderr(file):
            yield
    except OSError as error:
        raise LaunchError(f"cannot write {path}: {error.strerror}") from error


def _failed(here: Seat, report: Mapping[str, Any]) -> RigwiseError:
    failure = told(here.rank, here.world, report)
    return failure.error if failure.certain else lost(here, report["says"])


def lost(here: Seat, says: str) -> RigwiseError:
    """The others are gone; the first rank says so, or our agent, which starts them again."""
    error = LaunchError(f"rank {here.rank} of {here.world} lost its neighbours: {says}")
    if here.guarded:
        return ToldElsewhere(LOST_CODE, error.says if here.rank == 0 else "")
    return error if here.rank == 0 else ToldElsewhere(error.exit_code)


def network(here: Seat) -> None:
    """Have gloo take the interface by which rank 0 is reached: a machine's name often stands for its loopback."""
    name = "lo" if here.one_host else _interface(here.address)
    if name and here.world > 1 and name in psutil.net_if_addrs():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def _interface(address: str) -> str:
    """The interface whose address packets to there have; empty where there is no way, or `address` is our own."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # sends nothing
            own = probe.getsockname()[0]
    except OSError:
        return ""
    return next((name for name, each in psutil.net_if_addrs().items() if any(own == one.address for one in each)), "")

"""Whether this process is one rank of several that a launcher has started, and which: read from its environment.

torchrun and Ray say RANK and WORLD_SIZE, Open MPI and MPICH have names of their own, and so has Slurm within a step. A
world of one is a process like any other, except under torchrun, whose worlds may shrink to one. Knows no torch.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from rigwise.errors import RigwiseError, UsageError
from rigwise.run.failures import ToldElsewhere

_ELASTIC, _AGENT = "TORCHELASTIC_RUN_ID", "RIGWISE_AGENT"
_LOOPBACK = ("127.", "localhost", "::1")
_FAMILIES = (
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    ("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
     "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("MPI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ("Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", ""),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A rank that somebody else started. local: its number on its host. near: ranks of the host. address: where rank 0
    is to be found; empty where the launcher does not say. guarded: our own agent starts the ranks anew (agent.py).
    """

    launcher: str
    rank: int
    world: int
    local: int
    near: int
    address: str = ""
    guarded: bool = False

    @property
    def one_host(self) -> bool:
        """Are all ranks on this machine?"""
        return self.near == self.world

    @property
    def rendezvous(self) -> str:
        """Where the ranks find each other, as torch's init_method. Raises UsageError where there is no such place.

        On one machine that is a file of the launcher's own: named by the process that started the ranks.
        """
        if self.address:
            return "env://"
        if not self.one_host:
            raise UsageError(
                f"{self.launcher} started {self.world} ranks, {self.near} of them on this machine",
                rule="ranks on several machines find each other at MASTER_ADDR and MASTER_PORT",
                nearest="export MASTER_ADDR=<the first machine> MASTER_PORT=29500",
            )
        parent = psutil.Process(os.getppid())
        folder = Path(tempfile.gettempdir()) / f"rigwise-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return f"file://{folder}/{parent.pid}-{parent.create_time():.2f}"


def seat(environment: Mapping[str, str] | None = None) -> Seat | None:
    """This process's seat; None where it is no rank.

    >>> seat({"PMI_RANK": "1", "PMI_SIZE": "4", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}).near
    2
    """
    said = os.environ if environment is None else environment
    for launcher, rank, world, local, near in _FAMILIES:
        if rank not in said or world not in said or (launcher == "Slurm" and "SLURM_STEP_ID" not in said):
            continue
        own, size = _number(said, rank), _number(said, world)
        if size == 1 and _ELASTIC not in said:
            return None
        if own >= size:
            raise UsageError(f"{rank}={own} and {world}={size}", rule="ranks are counted from 0")
        address = said.get("MASTER_ADDR", "")
        if address and "MASTER_PORT" not in said:
            raise UsageError("MASTER_ADDR without MASTER_PORT", rule="rank 0 is found at an address and a port")
        together = not address or address.startswith(_LOOPBACK) or said.get("SLURM_STEP_NUM_NODES") == "1"
        return Seat(
            launcher=launcher,
            rank=own,
            world=size,
            local=_number(said, local, own),
            near=_number(said, near, size if together else 1),
            address=address,
            guarded=_AGENT in said,
        )
    return None


def _number(said: Mapping[str, str], name: str, other: int = 0) -> int:
    text = said.get(name, str(other))
    if not text.isdigit():
        raise UsageError(f"{name}={text!r} in the environment", rule="a launcher counts its ranks in whole numbers")
    return int(text)


@contextmanager
def once_a_host(here: Seat | None) -> Iterator[None]:
    """What is refused in here is refused by every rank: it is said by the first of each host."""
    try:
        yield
    except RigwiseError as error:
        if here is None or here.local == 0:
            raise
        raise ToldElsewhere(error.exit_code) from error

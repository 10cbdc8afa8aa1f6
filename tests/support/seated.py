"""Ranks as another launcher starts them on one machine: told their place, and not where to meet.

Each is a process of its own, forked from one that has torch already, which saves the seconds of reading it.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from together import PRELOAD

MPICH = ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID")
WITHIN_S = 300.0


class Seated:
    """Ranks of `rigwise run` with these words."""

    def __init__(self, words: list[str], names: tuple[str, str, str] = MPICH, world: int = 2, **more: str) -> None:
        context = mp.get_context("forkserver")
        context.set_forkserver_preload(PRELOAD)
        self.prints = Path("prints").absolute()
        self.prints.mkdir(exist_ok=True)
        places = [dict(zip(names, (str(rank), str(world), str(rank)), strict=True)) for rank in range(world)]
        # ranks meet in a file named by their parent: here the same for all starts, so each has a folder of its own
        self._meeting = tempfile.TemporaryDirectory(prefix="rigwise-")
        own = {"OMP_NUM_THREADS": "1", **more}
        self.ranks: list[Any] = [
            context.Process(target=_rank, args=(words, {**place, **own}, self._print(rank), self._meeting.name))
            for rank, place in enumerate(places)
        ]
        for rank in self.ranks:
            rank.start()

    def ended(self) -> list[tuple[int, str, str]]:
        """Code, stdout and stderr of each, when all have left."""
        for rank in self.ranks:
            rank.join(WITHIN_S)
        late = [rank for rank in self.ranks if rank.exitcode is None]
        for rank in late:
            rank.kill()
            rank.join()
        self._meeting.cleanup()
        assert not late, [self._said(number) for number in range(len(self.ranks))]
        return [(rank.exitcode, *self._said(number)) for number, rank in enumerate(self.ranks)]

    def _print(self, rank: int) -> str:
        return str(self.prints / str(rank))

    def _said(self, rank: int) -> tuple[str, str]:
        out, error = (Path(f"{self._print(rank)}.{kind}").read_text() for kind in ("out", "err"))
        return out, error


def _rank(words: list[str], environment: Mapping[str, str], prints: str, meeting: str) -> None:
    import torch

    from rigwise.cli import run
    from rigwise.cli.main import main

    run._FIRST_SPEAKS_S = 0.0  # nobody ends these ranks when one leaves
    torch.set_num_threads(1)
    os.environ.update(environment)
    tempfile.tempdir = meeting
    for kind, stream in (("out", sys.stdout), ("err", sys.stderr)):
        file = os.open(f"{prints}.{kind}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream.fileno())
    code = main(["run", *words])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

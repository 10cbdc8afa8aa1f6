"""The output folder of a run: which it is, and that nobody else is at work in it."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Literal

from rigwise.errors import UsageError

RUNS, PRINTS, RESULT, CHECKPOINTS = "rigwise-runs", "ranks", "result.json", "checkpoints"
_POLL_S = 0.1
Resume = bool | Literal["auto"]
"""Go on from the checkpoint in the output folder: yes, no, or where there is one."""


def choose(name: str, output: Path | str | None, resume: Resume) -> tuple[Path, bool]:
    """The output folder, and whether to go on from a checkpoint in it. One that holds another run is refused, and so
    is resuming from one that holds none.
    """
    if output is None:
        if resume:
            raise UsageError("resume without an output folder", rule="a run is resumed from its output folder")
        return _fresh((Path(RUNS) / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}").absolute()), False
    folder = Path(output).expanduser().absolute()
    begun = any((folder / CHECKPOINTS).glob("step-*"))
    if begun and not resume:
        raise UsageError(
            f"{folder} holds another run's checkpoints",
            rule="a run never writes over another",
            nearest="resume, or another output folder",
        )
    if resume is True and not begun:
        raise UsageError(
            f"no checkpoint to resume from in {folder / CHECKPOINTS}",
            rule="a run is resumed from its output folder",
            nearest="the same without resume",
        )
    return folder, begun


def prepare(folder: Path, wait_s: float = 0.0) -> int:
    """Make the output folder and see that it can be written; what holds it for this run, to be closed. wait_s: how long
    an older run may take to leave it.
    """
    try:
        (folder / PRINTS).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            held = _alone(folder, time.monotonic() + wait_s)
        for old in (folder / PRINTS).glob("rank-*.txt"):
            old.unlink()
        return held
    except OSError as error:
        raise UsageError(
            f"cannot write to output folder {folder}: {error.strerror}", rule="output is a folder that can be written"
        ) from error


def _alone(folder: Path, until: float) -> int:
    """A lock on the folder, which the kernel gives free however this process ends."""
    held = os.open(folder, os.O_RDONLY)
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(_POLL_S)
                continue
            os.close(held)
            raise UsageError(
                f"another run is at work in {folder}",
                rule="a run never writes over another",
                nearest="another output folder",
            ) from None
        except OSError:
            pass  # a file system without locks
        return held


def _fresh(folder: Path) -> Path:
    names = chain([folder], (folder.with_name(f"{folder.name}-{number}") for number in count(2)))
    return next(path for path in names if not path.exists())

"""`rigwise launch TASK --launcher slurm`: the script that starts a run's ranks, and starting it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from rigwise import api
from rigwise.cli.export import answer
from rigwise.cli.files import check_file, write_aside
from rigwise.cli.options import ClusterName, Look
from rigwise.errors import LaunchError

if TYPE_CHECKING:
    from rigwise.export.subject import Exported


@Parameter(name="*", group=Group("Job", sort_key=20))
@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How the job is told to a queue or a cloud."""

    hours: float = 24.0
    """What a queue is asked for."""
    image: str = ""
    """Container with rigwise[run] in it, for Kubernetes."""
    volume: str = ""
    """Name of a PersistentVolumeClaim in which all pods work, for Kubernetes."""
    name: str | None = None
    """Of the job; the task's by default."""
    port: int = 29500
    """Where the ranks find each other on the first node."""


def launch(
    task: str,
    /,
    *,
    cluster: ClusterName,
    launcher: str,
    layout: str = "",
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    output: Path = Path("rigwise-run"),
    checkpoint_every: int | None = None,
    script: Path | None = None,
    start: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    queue: Queue = Queue(),
    look: Look = Look(),
) -> None:
    """Write the script that starts a run on several ranks or nodes, and start it where asked.

    Parameters
    ----------
    task
        A packaged task (digits, characters, mlp, experts) or file.py:function, as every node finds it.
    launcher
        torchrun, slurm, mpi, ray, kubernetes, jobset or skypilot.
    layout
        How to split it; data parallel over all devices by default.
    steps
        Optimizer steps.
    batch
        Samples of one step, all ranks together; the task's own by default.
    seed
        Of the weights and of the order of the samples.
    output
        Folder of the run, which all nodes share.
    checkpoint_every
        Steps between checkpoints.
    script
        Write to this file instead of printing.
    start
        Write the script and start it.
    """
    check_file(script)
    found = api.launch(
        task, cluster, layout, launcher=launcher, steps=steps, batch=batch, seed=seed, output=output,
        checkpoint_every=checkpoint_every, **asdict(queue),
    )  # fmt: skip
    if start:
        _started(look, found, launcher, script or Path(found.name))
    else:
        answer(look, found, script)


def _started(look: Look, found: Exported, launcher: str, place: Path) -> None:
    """The script written, and handed to what starts it."""
    write_aside(place, found.text)
    words = [*api.starts(launcher), str(place)]
    if shutil.which(words[0]) is None:
        raise LaunchError(
            f"cannot start {place}: there is no {words[0]} on this machine",
            rule=f"{launcher} is started by {' '.join(words)}",
            nearest="that command where it is; the script is written",
        )
    answer(look, found, place)
    done = subprocess.run(words, check=False)
    if done.returncode:
        raise LaunchError(f"{' '.join(words)} ended with {done.returncode}")

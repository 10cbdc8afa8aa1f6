"""The verb of doing on several hosts: each runs it, and they find each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rigwise.errors import UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.run.output import Resume


def run_hosts(
    task: str,
    layout: str,
    *,
    nnodes: str,
    rendezvous: str,
    output: str | Path | None,
    restarts: int | None = None,
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    resume: Resume = False,
    device: str = "auto",
    checkpoint_every: int | None = None,
    loaders: int | None = None,
    patience_s: float | None = None,
    words: tuple[str, ...] = (),
    say: Callable[[str], None] = print,
) -> int:
    """This host's part of `rigwise run` on several, to the end of the run; the exit code.

    nnodes: hosts, or fewest:most, where dp shrinks with the hosts. rendezvous: HOST:PORT of the first host. output: the
    folder that all hosts share. restarts: in a row without a new checkpoint. words: more for the ranks, as the command
    line has them. say: told of what is started again. Raises UsageError, NotFoundError (task) and LaunchError (no
    store, no way to it, an agent that dies again and again).
    """
    from rigwise.layouts.runnable import check_layout
    from rigwise.run.hosts import RESTARTS, is_here, read, supervise
    from rigwise.run.limits import read_layout
    from rigwise.run.output import choose
    from rigwise.run.task import locate

    hosts = read(nnodes, rendezvous, RESTARTS if restarts is None else restarts)
    locate(task)
    said = read_layout(layout or f"dp={hosts.most}")[0]
    check_layout(said)
    check_whole(steps=steps, batch=batch, checkpoint_every=checkpoint_every)
    if output is None:
        raise UsageError("a run on several hosts without --output", rule="all hosts share the output folder")
    folder = Path(output).expanduser().absolute()
    if is_here(hosts.address):  # later hosts may find the run begun
        choose(task, folder, resume)
    options = {
        "layout": layout or str(said), "steps": steps, "batch": batch, "seed": seed, "output": folder, "device": device,
        "checkpoint-every": checkpoint_every, "loaders": loaders, "patience": patience_s,
    }  # fmt: skip
    own = [word for key, value in options.items() if value is not None for word in (f"--{key}", str(value))]
    shrink = ("--shrink",) if hosts.fewest < hosts.most else ()
    return supervise(hosts, [task, *own, "--resume-if-any", *shrink, *words], said, folder, say)

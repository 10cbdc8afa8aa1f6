"""The verbs that write for others: a layout for a framework, a run for a launcher."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from rigwise.api.names import load_cluster
from rigwise.api.question import Settings, ask
from rigwise.errors import UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.export.subject import Exported
    from rigwise.hardware.cluster import Cluster
    from rigwise.layouts.layout import Layout
    from rigwise.models.model import Model


def export(
    model: str | Model, cluster: str | Cluster, layout: str | Layout, *, to: str, **settings: Unpack[Settings]
) -> Exported:
    """A layout in the words of a training framework: torchtitan, megatron, deepspeed or accelerate.

    Raises NotFoundError for an unknown framework and InfeasibleError for what it cannot express, or no cluster can.
    """
    from rigwise.export.frameworks import export as write
    from rigwise.export.subject import Subject

    asked = ask(model, cluster, layout=layout, **settings)
    on = asked.estimate(layout).layout
    question = asked.question
    return write(
        Subject(
            model=asked.model, cluster=asked.cluster, layout=on, batch=question.batch, optimizer=question.optimizer
        ),
        to,
    )


def launch(
    task: str,
    cluster: str | Cluster,
    layout: str | Layout = "",
    *,
    launcher: str,
    steps: int = 200,
    batch: int | None = None,
    seed: int = 0,
    output: str | Path = "rigwise-run",
    checkpoint_every: int | None = None,
    hours: float = 24.0,
    image: str = "",
    volume: str = "",
    name: str | None = None,
    port: int = 29500,
) -> Exported:
    """`rigwise run` on several ranks as the script of a launcher: torchrun, slurm, mpi, ray, kubernetes, jobset or
    skypilot.

    cluster: nodes and devices a node, each of which is a rank; layout: of as many ranks, data parallel by default.
    output: where all ranks find it. image, volume: for Kubernetes, a container with rigwise[run] in it, and the name of
    a PersistentVolumeClaim in which all pods work. Raises NotFoundError for an unknown launcher, UsageError for what
    does not fit.
    """
    from rigwise.export.launchers import Job, in_clouds, script
    from rigwise.layouts.runnable import check_layout
    from rigwise.run.limits import read_layout

    check_whole(steps=steps, **({"batch": batch} if batch is not None else {}))
    where = load_cluster(cluster)
    on = read_layout(layout or f"dp={where.devices}")[0]
    check_layout(on)
    if on.ranks != where.devices:
        raise UsageError(
            f"layout {on} has {on.ranks} ranks, {where.name} {where.devices} devices",
            rule="every device is a rank",
            nearest=f"a layout of {where.devices} ranks, or a cluster of {on.ranks} devices",
        )
    said: dict[str, object] = {"layout": layout or f"dp={where.devices}", "steps": steps, "batch": batch, "seed": seed}
    said |= {"output": output, "checkpoint-every": checkpoint_every}
    words = [word for key, value in said.items() if value is not None for word in (f"--{key}", str(value))]
    job = Job(
        name=name or _name(task),
        command=("rigwise", "run", task, *words, "--resume-if-any"),
        nodes=where.nodes,
        per_node=where.node.count,
        device="cpu" if where.device.kind == "cpu" else "gpu",
        accelerator=in_clouds(where.device.name),
        hours=hours,
        image=image,
        volume=volume,
        port=port,
    )
    return script(job, launcher)


def starts(launcher: str) -> tuple[str, ...]:
    """The words that start a launcher's file; its name follows."""
    from rigwise.export.launchers import STARTS

    return STARTS[launcher]


def _name(task: str) -> str:
    """A job's name from that of a task or its file."""
    stem = Path(task.rpartition(":")[0] or task).stem
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "train"

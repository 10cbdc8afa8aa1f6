"""What a rank does, from the job to its last report."""

from __future__ import annotations

import platform
import re
import sys
import traceback
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from rigwise import __version__
from rigwise.errors import InfeasibleError, RigwiseError, UsageError
from rigwise.hardware.cpus import read_processor
from rigwise.layouts.layout import Layout
from rigwise.models.python_file import blame
from rigwise.run import memory
from rigwise.run.asking import TaskCodeError, asking
from rigwise.run.clock import Clock
from rigwise.run.compress.prepare import warnings as compress_warnings
from rigwise.run.feeding.ahead import Ahead, Wanted
from rigwise.run.feeding.feed import Feed, cut, place
from rigwise.run.job import Job
from rigwise.run.keeping.filling import fill
from rigwise.run.keeping.keeper import Restored, agree, restore
from rigwise.run.limits import settle
from rigwise.run.log import NAME, Log
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.parallel import Parallel, parallelize
from rigwise.run.ranks import Ranks, connected
from rigwise.run.reporter import Reporter
from rigwise.run.result import median_parts, summary
from rigwise.run.seeds import BUILDING, TRAINING, reseed
from rigwise.run.stopping import Stop
from rigwise.run.task import Task, load_task, locate
from rigwise.run.tracing import Tracer
from rigwise.run.trainer import Setting, Trainer
from rigwise.run.usage import Spending

_LOST = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Connection refused",
    "Broken pipe",
    "No route to host",
    "Timed out waiting",
    "Application timeout",
    "Gloo connectFullMesh failed",
    "NCCL communicator was aborted",
)
_PLACES = re.compile(
    r"Got the following error when running the callback: |\b(Dist\w+|Runtime)Error: |\[[^][ ]*/[^][ ]*:\d+\] "
)
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def work(
    start: Mapping[str, Any],
    rank: int,
    reporter: Reporter,
    stop: Stop | None = None,
    ranks: AbstractContextManager[Ranks] | None = None,
) -> int:
    """Do a rank's part of a job; the exit code. Every failure is reported as one of the family.

    stop: listens already. ranks: those that are connected already.
    """
    job = Job.from_dict(start)
    if stop is None:
        stop = Stop()
        stop.listen()
    try:
        _train(job, rank, reporter, stop, ranks or connected(job, rank, job.patience_s))
    except Exception as error:
        reporter.send("error", **_report(error, job, rank))  # first: on a full disk nothing can be printed
        traceback.print_exc(file=sys.stderr)
        return 1
    return 0


def _report(error: Exception, job: Job, rank: int) -> dict[str, Any]:
    inner = error.__cause__ if isinstance(error, TaskCodeError) and error.__cause__ else error
    text = " ".join(str(inner).split()) or "no message"
    who = f"rank {rank} of {job.world}"
    if isinstance(inner, (dist.DistNetworkError, dist.DistBackendError, dist.DistStoreError)) or any(
        words in text for words in _LOST
    ):
        return {"error": "lost", "says": _plain(text), "rule": "", "nearest": ""}
    if isinstance(inner, RigwiseError):
        return inner.to_dict()
    if isinstance(inner, MemoryError) or any(words in text for words in _NO_MEMORY):
        return InfeasibleError(
            f"{who} ran out of memory: {text}",
            rule="a rank holds the model, its optimizer and a micro-batch",
            nearest="a smaller micro, or a smaller batch",
        ).to_dict()
    if isinstance(error, TaskCodeError):
        return blame(inner, locate(job.task)[0], f"{who}: the task's {error}").to_dict()
    return RigwiseError(f"{who}: {type(inner).__name__}: {text}").to_dict()


def _plain(text: str) -> str:
    """What gloo says, without the lines of its source and its advice.

    >>> _plain("[/a/gloo/pair.cc:537] Read error [10.0.0.1]:16: Connection reset by peer. This is typically caused by")
    'Read error [10.0.0.1]:16: Connection reset by peer'
    """
    return re.split(r"\.? This is typically| Check the logs| Exception raised from", _PLACES.sub("", text))[0]


def _train(job: Job, rank: int, reporter: Reporter, stop: Stop, group: AbstractContextManager[Ranks]) -> None:
    torch.set_num_threads(job.threads)
    with group as ranks:
        _set_precision(job.layout.precision, ranks.device)
        reseed(BUILDING, job.seed, 0)
        task = load_task(job.task, job.settings)
        held = sum(tensor.nbytes for tensor in (*task.model.parameters(), *task.model.buffers()))
        memory.give_back()  # what reading the libraries left is no base: training would fill it
        memory.set_back()
        own = memory.resident(ranks.device) - memory.libraries(ranks.device)
        base = max(0, own - (held if ranks.device.type == "cpu" else 0))
        task.model.to(ranks.device).train()
        with asking("data"):
            feed = Feed(task.data, job.seed, data_place(job.layout, rank))
        _same_everywhere(ranks.gather(feed.seen))
        batch = job.batch or feed.own_batch or task.batch
        mesh = Mesh.join(settle(job.layout, batch, job.whole), ranks.device)
        _train_task(job, task, ranks, feed, mesh, batch, base, reporter, stop)


def _same_everywhere(seen: list[str]) -> None:
    """Refuse data that differ from rank to rank: each would train on its part of another batch."""
    other = next((rank for rank, what in enumerate(seen) if what != seen[0]), 0)
    if other:
        raise UsageError(
            f"rank 0 has {seen[0]}, rank {other} has {seen[other]}",
            rule="every rank takes its part of one and the same global batch",
            nearest="a seed for what shuffles them, and the same files on every host",
        )


def data_place(layout: Layout, rank: int) -> int:
    """Which share of the batch a rank takes: ranks that differ in other axes take the same."""
    return Mesh(layout=layout, rank=rank, device=torch.device("cpu")).coordinate("dp")


def _train_task(
    job: Job,
    task: Task,
    ranks: Ranks,
    feed: Feed,
    mesh: Mesh,
    batch: int,
    base: int,
    reporter: Reporter,
    stop: Stop,
) -> None:
    layout, own_place = mesh.layout, mesh.coordinate("dp")
    share = slice(own_place * (batch // layout.dp), (own_place + 1) * (batch // layout.dp))
    clock = Clock(ranks.device)
    parallel = _parallel(task, mesh, feed, batch, share, job.seed, clock)
    layout = parallel.layout
    own = {"task": job.task, "batch": batch, "seed": job.seed, "settings": dict(job.settings)}
    own |= {"data": feed.seen} if feed.indexed else {}
    setting = Setting(
        layout=layout,
        batch=batch,
        steps=job.steps,
        seed=job.seed,
        output=Path(job.output),
        checkpoint_every=job.checkpoint_every,
        own=own,
        ideal_s=job.ideal_s,
    )
    parts = {"exchange": parallel.exchange} if parallel.exchange else {}
    trainer = Trainer(task, parallel, ranks, setting, clock, parts)
    restored = restore(setting.output, ranks) if job.resume else None
    begin, anew, position = _resume(job, trainer, restored) if restored else (0, (), None)
    log = None
    if ranks.rank == 0:
        facts = {"device": device_name(ranks.device), "versions": versions(ranks), "resumed_from": begin}
        reporter.send("start", layout=layout.to_dict(), batch=batch, tokens=task.tokens, **facts)
        said = parallel.seen.warnings(layout.dp) if parallel.seen else []
        packing = compress_warnings(layout.compress, job.layout.compress, trainer.optimizer, ranks.device)
        for says in (*said, *packing, *anew):
            reporter.send("warning", says=says)
        log = Log(Path(job.output) / NAME, keep=begin)
    spending = Spending(job.steps - begin)
    wanted = Wanted(batch=batch, share=share, start=begin, position=position, loaders=job.loaders)
    batches = Ahead(feed, wanted, ranks.device, lambda error: _report(_of_data(error), job, rank=ranks.rank))
    with Tracer(ranks, job.steps - begin, job.trace) as tracer:
        path = trainer.train(batches, begin, log, reporter, stop, tracer, spending)
    batches.close()
    parallel.close()
    tracer.write(Path(job.output))
    peak = memory.peak(ranks.device)
    peaks = {"peak": peak, "base": min(base + memory.libraries(ranks.device), peak)}
    reports = ranks.gather({**median_parts(trainer.records), **peaks, **spending.used()})
    if ranks.rank == 0:
        reporter.send("summary", checkpoint=path.name, stopped=trainer.step, **summary(reports))
    reporter.send("done")


def _of_data(error: Exception) -> Exception:
    """An exception that the data raised in a process that loads."""
    failed = TaskCodeError("data")
    failed.__cause__ = error
    return failed


def _parallel(task: Task, mesh: Mesh, feed: Feed, batch: int, share: slice, seed: int, clock: Clock) -> Parallel:
    with asking("data"):
        inputs, targets = next(feed.deal(batch=batch, share=share, start=0))
    reseed(TRAINING, seed, 0, mesh.coordinate("dp"))
    micro = mesh.layout.micro
    first, wanted = place((cut(inputs, 0, micro), cut(targets, 0, micro)), mesh.device)
    with asking("model or loss"):
        return parallelize(task.model, mesh.layout, mesh, inputs=first, targets=wanted, loss=task.loss, clock=clock)


def _resume(job: Job, trainer: Trainer, restored: Restored) -> tuple[int, tuple[str, ...], Mapping[str, Any] | None]:
    """Go back to a checkpoint; its step, what is to be said of it, and where the data stood."""
    agree(restored.record, trainer.setting.own)
    step = int(restored.record["step"])
    if step >= job.steps:
        raise UsageError(
            f"the checkpoint is at step {step}, and {job.steps} steps are asked for",
            rule="steps counts from the very first",
            nearest=f"steps {step + job.steps}",
        )
    anew = fill(trainer.contents, restored.path, restored.record)
    return step, (*restored.skipped, *anew), restored.record["loader"]["position"]


def _set_precision(precision: str, device: torch.device) -> None:
    """float32 means float32, also where a GPU would round to TF32 by itself."""
    if precision == "tf32" and device.type != "cuda":
        raise UsageError("precision=tf32 on a CPU", rule="TF32 is a GPU's number format", nearest="precision=float32")
    backends: Any = torch.backends
    rounded = precision == "tf32"
    backends.cudnn.allow_tf32 = backends.cuda.matmul.allow_tf32 = rounded  # torch.export asks the older flags too
    backends.fp32_precision = "tf32" if rounded else "ieee"


def device_name(device: torch.device) -> str:
    """The name that the maker gave it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return read_processor().name or platform.machine()


def versions(ranks: Ranks) -> dict[str, str]:
    """What a timing depends on."""
    backend = "none" if ranks.world == 1 else str(dist.get_backend())
    return {
        "rigwise": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "backend": backend,
    }

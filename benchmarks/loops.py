"""What rigwise costs: the step of `parallelize` beside a loop written by hand with torch's own pieces.

    python benchmarks/loops.py            DDP, FSDP2, tensor, pipeline: two ranks of this machine

Both are built in the same processes, from the same weights, and take steps in turn, some of one and some of the other,
so that what else the machine does meets both. Time is the median over rounds of the ratio of their medians, and its
quartiles; memory is the highest resident size of rank 0, each way in processes of its own, the median of five, as the
heap falls to pieces in another way each time.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

WIDTH, DEPTH, BATCH = 1024, 6, 128  # samples of each rank; a pipeline and tensor ranks take both ranks'
ROUNDS, STEPS, MEMORIES = 10, 5, 5
KINDS = ("DDP", "FSDP2", "tensor", "pipeline")
MICRO = 4  # micro-batches of the pipeline
MIB = 2**20
Step = Callable[[], Any]


def measure() -> list[Mapping[str, Any]]:
    """A row for each kind: kind, seconds of ours and theirs, ratio with its quartiles, memory of both in bytes."""
    return [_row(kind) for kind in KINDS]


def _row(kind: str) -> dict[str, Any]:
    both = _asked(kind, "both")
    ours, theirs = both["ours"], both["theirs"]
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    found = [{way: _asked(kind, way)["memory"] for way in ("ours", "theirs")} for _ in range(MEMORIES)]
    memory = {way: statistics.median(one[way] for one in found) for way in ("ours", "theirs")}
    return {
        "kind": kind,
        "ours": statistics.median(ours),
        "theirs": statistics.median(theirs),
        "ratio": middle,
        "low": low,
        "high": high,
        "memory": memory,
    }


def _asked(kind: str, ways: str) -> dict[str, Any]:
    """Two ranks, to their end; what rank 0 wrote."""
    from rigwise.run.server_process import rank_environment

    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()
        own = {**os.environ, **rank_environment(), "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
        own |= {"MASTER_PORT": port, "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
        words = [sys.executable, __file__, "--rank", kind, ways, f"{folder}/out"]
        ranks = [subprocess.Popen(words, env={**own, "RANK": str(rank)}) for rank in range(2)]
        codes = [rank.wait() for rank in ranks]
        if any(codes):
            raise RuntimeError(f"{kind}, {ways}: the ranks ended with {codes}")
        found: dict[str, Any] = json.loads(Path(folder, "out").read_text())
        return found


def _rank(kind: str, ways: str, out: str) -> None:
    import torch
    import torch.distributed as dist
    import torch.distributed.fsdp
    import torch.distributed.pipelining

    import rigwise.run.parallel.parallel  # noqa: F401 - imported before anything is timed

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    made = {way: {"ours": ours, "theirs": theirs}[way](kind) for way in ("ours", "theirs") if ways in (way, "both")}
    took: dict[str, list[float]] = {way: [] for way in made}
    for turn in range(-1, ROUNDS if ways == "both" else 1):
        order = list(made) if turn % 2 else list(made)[::-1]
        for way in order:
            each = [_seconds(made[way]) for _ in range(STEPS)]
            took[way] += [statistics.median(each)] if turn >= 0 else []
    if dist.get_rank() == 0:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        Path(out).write_text(json.dumps({**took, "memory": peak}))
    dist.barrier()
    os._exit(0)


def _seconds(step: Step) -> float:
    import torch.distributed as dist

    dist.barrier()
    begun = time.perf_counter()
    step()
    dist.barrier()
    return time.perf_counter() - begun


def _network() -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    return nn.Sequential(*(layer for _ in range(DEPTH) for layer in (nn.Linear(WIDTH, WIDTH), nn.ReLU())))


def _batch(kind: str) -> tuple[Any, Any]:
    import torch
    import torch.distributed as dist

    copies = kind in ("DDP", "FSDP2")
    torch.manual_seed(1 + dist.get_rank() * copies)
    rows = BATCH if copies else 2 * BATCH
    return torch.randn(rows, WIDTH), torch.randn(rows, WIDTH)


def _optimizer(parameters: Any) -> Any:
    import torch

    return torch.optim.AdamW(parameters, lr=1e-4)


def ours(kind: str) -> Step:
    """A step of ours."""
    from torch.nn.functional import mse_loss

    from rigwise.layouts.layout import Layout
    from rigwise.run.parallel.parallel import parallelize

    splits = {"DDP": Layout(dp=2), "FSDP2": Layout(dp=2, zero=3), "tensor": Layout(tp=2)}
    inputs, targets = _batch(kind)
    micro = len(inputs) // (MICRO if kind == "pipeline" else 1)
    layout = replace(splits.get(kind, Layout(pp=2)), micro=micro, precision="float32")
    parallel = parallelize(_network(), layout, inputs=inputs[:micro], targets=targets[:micro], loss=mse_loss)
    optimizer = _optimizer(parallel.parameters())

    def step() -> None:
        parallel.step(inputs, targets, mse_loss)
        optimizer.step()
        optimizer.zero_grad()

    return step


def theirs(kind: str) -> Step:
    """A step as one writes it with torch alone."""
    from torch.nn.functional import mse_loss

    inputs, targets = _batch(kind)
    if kind == "pipeline":
        return _piped(inputs, targets)
    model = _split(kind)
    optimizer = _optimizer(model.parameters())

    def step() -> None:
        mse_loss(model(inputs), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _split(kind: str) -> Any:
    from torch import nn
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module

    model, mesh = _network(), init_device_mesh("cpu", (2,))
    if kind == "DDP":
        return nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    if kind == "tensor":
        layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
        cuts: dict[str, ParallelStyle] = {
            name: (RowwiseParallel if number % 2 else ColwiseParallel)() for number, name in enumerate(layers)
        }
        return parallelize_module(model, mesh, cuts)
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def _piped(inputs: Any, targets: Any) -> Step:
    import torch
    import torch.distributed as dist
    from torch.distributed.pipelining import PipelineStage, Schedule1F1B
    from torch.nn.functional import mse_loss

    first = dist.get_rank() == 0
    whole = _network()
    stage = whole[: len(whole) // 2] if first else whole[len(whole) // 2 :]
    schedule = Schedule1F1B(PipelineStage(stage, dist.get_rank(), 2, torch.device("cpu")), MICRO, loss_fn=mse_loss)
    optimizer = _optimizer(stage.parameters())

    def step() -> None:
        if first:
            schedule.step(inputs)
        else:
            schedule.step(target=targets)
        optimizer.step()
        optimizer.zero_grad()

    return step


def main(argv: list[str]) -> int:
    """Print the table; or be a rank."""
    if argv[:1] == ["--rank"]:
        _rank(*argv[1:])
        return 0
    print("step of rigwise over the same by hand, 2 ranks: ratio (quartiles), memory")
    for row in (_row(kind) for kind in argv or KINDS):
        mine, hand = row["memory"]["ours"], row["memory"]["theirs"]
        print(
            f"{row['kind']:9} {row['ours'] * 1e3:7.1f} ms {row['theirs'] * 1e3:7.1f} ms"
            f"  {row['ratio']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
            f"  {mine / MIB:,.0f} MiB {hand / MIB:,.0f} MiB {mine / hand:.3f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Compressed gradients beside plain DistributedDataParallel: on links of a known rate, in error, and in loss.

    python benchmarks/compression.py speed --ranks 2 3 4 --rates 100mbit 1gbit    (root: network namespaces)
    python benchmarks/compression.py codecs
    python benchmarks/compression.py errors
    python benchmarks/compression.py losses

speed trains four dense layers of 1000 x 1000 with 64 samples a rank, one way after the other in the same processes over
the same link, and prints medians, their ranges and ratios. Without --rates the link is the machine's own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from rigwise.layouts.layout import Layout
from rigwise.run.compress.codecs import CODECS, codec
from rigwise.run.parallel.parallel import parallelize
from rigwise.run.ranks import Ranks
from rigwise.run.server_process import rank_environment

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from hosts import Hosts, why_not

WIDTH, DEPTH, BATCH = 1000, 4, 64
WAYS = ("none", "bf16", "8bit", "8bit-dynamic", "1bit", "auto")
CPU = torch.device("cpu")
MB = 1e6
_MORE = 4  # steps of a compressed way for one of plain's, which are as much longer


def main() -> None:
    """One of the four tables; or a rank of the first."""
    if "RIGWISE_BENCH" in os.environ:
        be_rank(json.loads(os.environ["RIGWISE_BENCH"]))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("table", choices=("speed", "codecs", "errors", "losses"))
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--rates", nargs="+", default=[None])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--batch", type=int, default=BATCH, help="samples a rank, of speed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    said = parser.parse_args()
    if said.table == "speed":
        for rate in said.rates:
            for ranks in said.ranks:
                speed(ranks, rate, said.steps, said.ways, said.batch)
    elif said.table == "losses":
        losses(said.ranks, said.seeds)
    else:
        {"codecs": codecs, "errors": errors}[said.table]()


def speed(count: int, rate: str | None, steps: int, ways: Sequence[str], batch: int) -> None:
    """Step times of every way on hosts of their own."""
    if why_not():
        sys.exit(f"speed: {why_not()}")
    with Hosts(count, rate) as hosts, tempfile.TemporaryDirectory() as folder:
        ranks = []
        for rank in range(count):
            asked = {"rank": rank, "world": count, "steps": steps, "ways": ways, "batch": batch, "out": f"{folder}/out"}
            environment = {**rank_environment(), "OMP_NUM_THREADS": "1", "RIGWISE_BENCH": json.dumps(asked)}
            environment |= {"MASTER_ADDR": hosts.address(0), "MASTER_PORT": "29500"}
            command = [sys.executable, __file__]
            with Path(folder, f"{rank}").open("w") as said:
                ranks.append(hosts.popen(rank, command, environment, stderr=said))
        codes = [process.wait() for process in ranks]
        if any(codes):
            sys.exit("".join(Path(folder, f"{rank}").read_text() for rank, code in enumerate(codes) if code))
        found = json.loads(Path(folder, "out").read_text())
    print(f"\n{count} ranks, {rate or 'link not shaped'}, {batch} samples a rank:")
    plain = found[0]["ms"]
    for row in found:
        took = f"{row['low']:.0f} to {row['high']:.0f}"
        print(
            f"  {row['way']:13s} {row['ms']:7.1f} ms ({took:>13s})  {plain / row['ms']:5.2f}x"
            f"  {row['sent'] / MB:6.2f} MB sent  replicas {'equal' if row['equal'] else 'DIFFER'}  {row['took']}",
            flush=True,
        )


def be_rank(asked: dict[str, Any]) -> None:
    """Train every way in turn; rank 0 writes what was found."""
    torch.set_num_threads(1)
    rank, world = asked["rank"], asked["world"]
    dist.init_process_group("gloo", rank=rank, world_size=world)
    ranks = Ranks(rank=rank, world=world, device=CPU)
    found = [trained(way, ranks, asked["steps"], asked["batch"]) for way in asked["ways"]]
    if rank == 0:
        Path(asked["out"]).write_text(json.dumps(found))
    dist.barrier()
    os._exit(0)


def trained(way: str, ranks: Ranks, steps: int, batch: int) -> dict[str, Any]:
    """Some steps one way."""
    torch.manual_seed(0)
    model = nn.Sequential(*(layer for _ in range(DEPTH) for layer in (nn.Linear(WIDTH, WIDTH), nn.ReLU())))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    torch.manual_seed(ranks.rank)
    inputs, targets = torch.randn(batch, WIDTH), torch.randn(batch, WIDTH)
    layout = Layout(dp=ranks.world, micro=batch, compress=way, precision="float32")
    loss = nn.functional.mse_loss
    parallel = parallelize(model, layout, inputs=inputs, targets=targets, loss=loss)
    sent: int | None = 0
    times = []
    for _ in range((steps if way == "none" else _MORE * steps) + 2):
        dist.barrier()
        begin = time.perf_counter()
        parallel.step(inputs, targets, loss)
        optimizer.step()
        optimizer.zero_grad()
        times.append((time.perf_counter() - begin) * 1e3)
        sent = parallel.take_sent()
    times = sorted(times[2:])
    weights = float(sum(p.detach().double().abs().sum() for p in model.parameters()))
    equal = len(set(ranks.gather(weights))) == 1
    parallel.close()
    middle = {"ms": statistics.median(times), "low": times[0], "high": times[-1]}
    return {
        "way": way,
        "took": parallel.layout.compress if way == "auto" else "",
        "sent": sent,
        "equal": equal,
        **middle,
    }


def codecs() -> None:
    """Milliseconds a MB of float32, one thread."""
    torch.set_num_threads(1)
    numbers = torch.randn(1 << 20)
    out = torch.empty_like(numbers)
    print("\nms a MB of gradients      encode   decode      add")
    for name in CODECS:
        for plain in (False, True) if name != "bf16" else (False,):
            made = codec(name, CPU, plain=plain)
            wire = torch.zeros(made.size(numbers.numel()), dtype=torch.uint8)
            works = (partial(made.encode, numbers, wire), partial(made.decode, wire, out), partial(made.add, wire, out))
            took = [quickest(work) * 1e3 / (numbers.nbytes / MB) for work in works]
            source = "torch" if name == "bf16" else "NumPy" if plain else "numba"
            print(f"  {name:13s} {source:6s} " + " ".join(f"{ms:8.3f}" for ms in took))


def quickest(work: Callable[[], object]) -> float:
    """Seconds of the quickest of ten calls."""
    took = []
    for _ in range(10):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return min(took)


def errors() -> None:
    """Relative errors on gradients of the digits task, early and late in training."""
    from rigwise.run.compress.report import codec_errors

    print("\nrelative error             mean of numbers      of the whole (L2)")
    for step, gradients in digits_gradients((1, 50, 400)).items():
        for name in CODECS:
            found = codec_errors(name, gradients)
            print(f"  step {step:3d}  {name:13s} {found.mean:12.4%} {found.whole:18.4%}")


def digits_gradients(steps: Sequence[int]) -> dict[int, torch.Tensor]:
    """All gradients of the digits task as one row, at some steps of training with one rank."""
    from rigwise.run.task import load_task

    torch.manual_seed(0)
    task = load_task("digits")
    optimizer = task.optimizer(task.model.parameters())
    order, found = np.random.default_rng(0), {}
    for step in range(1, max(steps) + 1):
        rows = order.choice(len(task.data), BATCH, replace=False)
        inputs, targets = task.data[torch.from_numpy(rows)]
        optimizer.zero_grad()
        task.loss(task.model(inputs), targets).backward()
        if step in steps:
            found[step] = torch.cat([p.grad.reshape(-1).clone() for p in task.model.parameters() if p.grad is not None])
        optimizer.step()
    return found


def losses(counts: Sequence[int], seeds: int) -> None:
    """Loss after 200 steps of digits, the mean of the last 20, for every way, optimizer and number of ranks."""
    from rigwise.run.start import run

    task = Path(__file__).with_name("digits_tasks.py")
    ways = ("none", "bf16", "8bit", "8bit-dynamic", "1bit", "powersgd")
    print(
        "\nloss of digits, mean of steps 181 to 200, a figure a seed\n"
        + " " * 13
        + "".join(f"{way:>22s}" for way in ways)
    )
    for optimizer in ("sgd", "adam"):
        for ranks in counts:
            cells = []
            for way in ways:
                ends = []
                for seed in range(seeds):
                    with tempfile.TemporaryDirectory() as folder:
                        layout = f"dp={ranks},compress={way}"
                        done = run(f"{task}:{optimizer}", layout, steps=200, batch=48, seed=seed, output=f"{folder}/x")
                        ends.append(statistics.mean(done.losses[-20:]))
                cells.append(" ".join(f"{end:.4f}" for end in ends))
            print(f"{optimizer:5s} {ranks} ranks " + "".join(f"{cell:>22s}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()

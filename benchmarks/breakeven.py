"""From which batch on data parallel is quicker than tensor parallel over a slow link: measured, and as planned.

    python benchmarks/breakeven.py [100mbit 1gbit ...]     (root: network namespaces)

Two hosts with a cable of a known rate train two square dense layers. Data parallel ranks send the gradients,
whose size the batch does not change; tensor parallel ranks send activations, which grow with it. The two take turns,
step by step, so that what else the machine does strikes both. A batch's time is the median of its steps; between two
batches the ratio is interpolated on logarithmic scales.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from hosts import Hosts, bits, why_not

WIDTHS = {"100mbit": 256, "1gbit": 512}  # wider on the quicker link, so that it is the exchange that counts
USUAL, STEPS, WARM = 256, 30, 3
PAYLOAD = 1448 / 1538  # of an Ethernet frame on the cable, with the headers of IP and TCP
LATENCY_S = 1e-4  # of a bare cable: the kernel's own way through two network namespaces
Times = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Seconds a step by layout and batch, measured and planned, and the batches where data and tensor meet."""

    rate: str
    batches: Sequence[int]
    measured: Times
    planned: Times

    @property
    def crossings(self) -> tuple[float, float]:
        """Measured, planned."""
        return crossing(self.batches, self.measured), crossing(self.batches, self.planned)


def crossing(batches: Sequence[int], times: Times) -> float:
    """The batch from which data parallel is the quicker; not a number where it is always or never."""
    ratios = [math.log(a / b) for a, b in zip(times["dp"], times["tp"], strict=True)]
    for at, (before, after) in enumerate(pairwise(ratios)):
        if before >= 0 > after:
            part = before / (before - after)
            return float(batches[at] * (batches[at + 1] / batches[at]) ** part)
    return math.nan


def measure(rate: str) -> Found:
    """Both, at a rate as tc spells it."""
    width = WIDTHS.get(rate, USUAL)
    return Found(rate=rate, batches=batches_of(width), measured=_measured(rate, width), planned=_planned(rate, width))


def batches_of(width: int) -> Sequence[int]:
    """Around twice the width, where the bytes of both ways are the same."""
    return [width // 2, width, 2 * width, 4 * width, 8 * width]


def _layout(way: str, batch: int) -> str:
    return f"dp=2,micro={batch // 2}" if way == "dp" else f"tp=2,micro={batch}"


def _planned(rate: str, width: int) -> Times:
    """By estimate, for this processor and a link of that rate."""
    import rigwise
    from rigwise.hardware.device import Link

    here = rigwise.load_cluster("this")
    rated = bits(rate) / 8
    cable = Link(name=rate, kind="ethernet", bandwidth=rated * PAYLOAD, latency=LATENCY_S, rated=rated)
    node = replace(here.node, count=1, nic=cable, nics=1)
    two = replace(here, name="two hosts", node=node, nodes=2, topology="fat-tree")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "two.toml")
        layers = f'layers = ["dense {width}", "relu", "dense {width}"]'
        model.write_text(f'name = "two"\ninput = [{width}]\n\n[[block]]\n{layers}\n')
        return {
            way: [
                rigwise.estimate(
                    str(model), _layout(way, batch), two, batch=batch, precision="float32", optimizer="sgd"
                ).step_s
                for batch in batches_of(width)
            ]
            for way in ("dp", "tp")
        }


def _measured(rate: str, width: int) -> Times:
    from rigwise.run.server_process import rank_environment

    with Hosts(2, rate) as hosts, tempfile.TemporaryDirectory() as folder:
        ranks = []
        for rank in range(2):
            own = {**rank_environment(), "OMP_NUM_THREADS": "1", "RANK": str(rank), "WORLD_SIZE": "2"}
            own |= {
                "MASTER_ADDR": hosts.address(0),
                "MASTER_PORT": "29500",
                "RIGWISE_BENCH": json.dumps([f"{folder}/out", width]),
            }
            ranks.append(hosts.popen(rank, [sys.executable, __file__], own))
        codes = [rank.wait() for rank in ranks]
        if any(codes):
            raise RuntimeError(f"the ranks ended with {codes}")
        found: Times = json.loads(Path(folder, "out").read_text())
        return found


def _rank(out: str, width: int) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    both = [_in_turn(batch, width) for batch in batches_of(width)]
    if dist.get_rank() == 0:
        Path(out).write_text(json.dumps({way: [took[way] for took in both] for way in ("dp", "tp")}))
    dist.barrier()
    os._exit(0)


def _in_turn(batch: int, width: int) -> dict[str, float]:
    """Median seconds of a step of both ways."""
    import torch.distributed as dist

    steps = {way: _stepping(way, batch, width) for way in ("dp", "tp")}
    took: dict[str, list[float]] = {way: [] for way in steps}
    for _ in range(STEPS + WARM):
        for way, step in steps.items():
            dist.barrier()
            begun = time.perf_counter()
            step()
            took[way].append(time.perf_counter() - begun)
    return {way: statistics.median(each[WARM:]) for way, each in took.items()}


def _stepping(way: str, batch: int, width: int) -> Callable[[], None]:
    """A step of training."""
    import torch
    from torch import nn

    from rigwise.run.parallel.parallel import parallelize

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
    rows = batch // 2 if way == "dp" else batch
    inputs, targets = torch.randn(rows, width), torch.randn(rows, width)
    loss: Any = nn.functional.mse_loss
    parallel = parallelize(model, _layout(way, batch), inputs=inputs, targets=targets, loss=loss)
    optimizer = torch.optim.SGD(parallel.parameters(), lr=0.01)

    def step() -> None:
        parallel.step(inputs, targets, loss)
        optimizer.step()
        optimizer.zero_grad()

    return step


def main(argv: list[str]) -> int:
    """Print what was found; or be a rank."""
    if "RIGWISE_BENCH" in os.environ:
        _rank(*json.loads(os.environ["RIGWISE_BENCH"]))
    if why_not():
        sys.exit(f"breakeven: {why_not()}")
    for rate in argv or WIDTHS:
        found = measure(rate)
        print(f"\n{rate}: step in ms, data / tensor parallel; measured, and as planned")
        for at, batch in enumerate(found.batches):
            cells = [
                f"{times['dp'][at] * 1e3:8.1f} {times['tp'][at] * 1e3:8.1f}"
                for times in (found.measured, found.planned)
            ]
            print(f"  batch {batch:5d} {'   '.join(cells)}")
        measured, planned = found.crossings
        print(f"  break-even at batch {measured:.0f}, planned {planned:.0f}: {planned / measured - 1:+.0%}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

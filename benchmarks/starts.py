"""How long a run takes that is over at once: two local ranks start, take one step, save and end.

    python benchmarks/starts.py

Cold is the command as a person types it; first and warm are calls of `run` in one process, whose server of ranks is
started by the first and kept. Beside it the same by hand under torchrun: digits' network, one step of DDP, no save.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPEATS, WARM = 3, 10
BY_HAND = """
import torch, torch.distributed as dist
from torch import nn
dist.init_process_group("gloo")
model = nn.parallel.DistributedDataParallel(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
nn.functional.cross_entropy(model(torch.randn(32, 64)), torch.randint(10, (32,))).backward()
optimizer.step()
dist.barrier()  # a rank that leaves while another still connects ends that one
dist.destroy_process_group()
"""


def timed(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    from rigwise.run.start import run

    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "hand.py")
        script.write_text(BY_HAND)
        spare = iter(range(1000))

        def typed() -> None:
            words = ["-m", "rigwise", "run", "digits", "--layout", "dp=2", "--steps", "1", "--device", "cpu", "--quiet"]
            words += ["--output", f"{folder}/{next(spare)}"]
            subprocess.run([sys.executable, *words], check=True, capture_output=True)

        def torchrun() -> None:
            words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
            subprocess.run([sys.executable, *words], check=True, capture_output=True)

        def called() -> None:
            run("digits", "dp=2", steps=1, device="cpu", output=f"{folder}/{next(spare)}")

        rows = {
            "rigwise run, cold": [timed(typed) for _ in range(REPEATS)],
            "torchrun, by hand": [timed(torchrun) for _ in range(REPEATS)],
            "run(), first": [timed(called)],
            "run(), warm": [timed(called) for _ in range(WARM)],
        }
    for name, took in rows.items():
        print(f"{name:20} {statistics.median(took):6.2f} s ({min(took):.2f} to {max(took):.2f})")


if __name__ == "__main__":
    main()

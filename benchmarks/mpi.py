"""An all-reduce over gloo and over MPI, side by side: `python benchmarks/mpi.py [ranks ...]`.

One mpirun for each number of ranks; in it both groups are made, and each size is exchanged over one and then over the
other. An entry is the median over repeats of the slowest rank's seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

SIZES = (2**10, 2**16, 2**20, 2**24, 2**26)  # bytes
RANKS = (2, 4)
_ENOUGH_S, _FEWEST, _MOST = 0.6, 5, 200
Row = Mapping[str, float]


def measure(ranks: int) -> tuple[list[Row], str]:
    """Rows of {"bytes", "gloo", "mpi"} in seconds; none, and why, where MPI is missing."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    mpirun = shutil.which("mpirun", path=beside)
    if mpirun is None or find_spec("mpi4py") is None:
        return [], "mpirun or mpi4py is missing: pip install 'rigwise[mpi]'"
    with tempfile.TemporaryDirectory() as folder:
        words = [mpirun, "-n", str(ranks), sys.executable, __file__, "--rank", f"{folder}/store"]
        own = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        done = subprocess.run(words, capture_output=True, text=True, env=own, check=False)
    if done.returncode:
        return [], (done.stderr.strip().splitlines() or ["mpirun failed"])[0]
    rows: list[Row] = json.loads(done.stdout)
    return rows, ""


def _rank(store: str) -> None:
    import torch
    import torch.distributed as dist

    from rigwise.run.mpi.group import NAME, register
    from rigwise.run.mpi.library import start

    register()
    torch.set_num_threads(1)
    world = start().COMM_WORLD
    dist.init_process_group(NAME, init_method=f"file://{store}", rank=world.Get_rank(), world_size=world.Get_size())
    groups = {"gloo": dist.new_group(backend="gloo"), "mpi": dist.group.WORLD}
    rows = []
    for size in SIZES:
        tensor = torch.ones(size // 4)
        row: dict[str, float] = {"bytes": size}
        for name, group in groups.items():
            took: list[float] = []
            start_s, repeats = time.perf_counter(), _MOST
            while len(took) < repeats:
                dist.barrier(group=group)
                begun = time.perf_counter()
                dist.all_reduce(tensor, group=group)
                slowest = torch.tensor([time.perf_counter() - begun, time.perf_counter() - start_s])
                dist.all_reduce(slowest, op=dist.ReduceOp.MAX, group=group)
                took.append(float(slowest[0]))
                if len(took) >= _FEWEST and float(slowest[1]) > _ENOUGH_S:
                    repeats = len(took)  # all ranks have read the same clock
                tensor.fill_(1.0)
            row[name] = statistics.median(took)
        rows.append(row)
    if world.Get_rank() == 0:
        print(json.dumps(rows), flush=True)
    dist.destroy_process_group()


def main(argv: list[str]) -> int:
    if argv[:1] == ["--rank"]:
        _rank(argv[1])
        return 0
    for ranks in map(int, argv or RANKS):
        rows, why_not = measure(ranks)
        print(why_not or f"{ranks} ranks: all-reduce, gloo, MPI, gloo / MPI")
        for row in rows:
            gloo, mpi = row["gloo"], row["mpi"]
            print(f"{row['bytes'] / 1024:10,.0f} KiB {gloo * 1e6:11,.0f} us {mpi * 1e6:11,.0f} us {gloo / mpi:8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

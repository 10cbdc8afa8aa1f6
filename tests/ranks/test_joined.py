"""Ranks that another launcher started: they join, and train as the ranks of `rigwise run` do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rigwise.run.seats import seat
from seated import WITHIN_S, Seated
from training import TASKS, train

RUN = [sys.executable, "-m", "rigwise", "run"]
SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")


def losses(output: str) -> list[float]:
    return [json.loads(line)["loss"] for line in Path(output, "log.jsonl").read_text().splitlines()]


def test_under_torchrun_the_losses_are_those_of_run() -> None:
    words = ["digits", "--layout", "dp=2", "--steps", "20", "--device", "cpu", "--json", "--output", "joined"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--no-python"]
    done = subprocess.run(
        [*torchrun, *RUN, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)  # of one rank only
    assert answer["world"] == 2
    assert tuple(answer["losses"]) == train("digits", steps=20).losses
    assert {path.name for path in Path("joined/ranks").iterdir()} == {"rank-0.txt", "rank-1.txt"}


def test_ranks_of_mpi_on_one_machine_need_no_address() -> None:
    words = [f"{TASKS}:plain", "--steps", "8", "--device", "cpu", "--output", "out", "--resume-if-any"]
    first, second = Seated(words).ended()
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert "loss" in first[1]
    assert second[1:] == ("", "")
    assert losses("out") == list(train(":plain", steps=8).losses)


def test_a_layout_of_other_ranks_is_refused_once_and_by_all() -> None:
    first, second = Seated([f"{TASKS}:plain", "--layout", "dp=3"]).ended()
    assert (first[0], second[0]) == (2, 2)
    assert "layout dp=3,micro=1,precision=float32 has 3 ranks, MPI started 2" in first[2]
    assert second[1:] == ("", "")


def test_the_rank_that_failed_says_why() -> None:
    first, second = Seated([f"{TASKS}:one_raises", "--device", "cpu", "--output", "out"]).ended()
    assert (first[0], second[0]) == (5, 2)
    assert "rank 0 of 2 lost its neighbours" in first[2]
    assert "rank 1 of 2: the task's model or loss raised KeyError at taskfile.py" in second[2]
    assert "Traceback" not in first[2] + second[2]
    assert "Traceback" in Path("out/ranks/rank-1.txt").read_text()


def test_asked_to_stop_all_save_and_leave_and_go_on_later() -> None:
    words = [f"{TASKS}:slow", "--steps", "40", "--device", "cpu", "--output", "out", "--resume-if-any"]
    ranks = Seated(words)
    deadline = time.monotonic() + WITHIN_S
    while not Path("out/log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(ranks.ranks[1].pid, signal.SIGTERM)
    (code, _, says), (other, *_) = ranks.ended()
    assert (code, other) == (130, 130), says
    assert "--resume" in says
    assert [code for code, *_ in Seated(words).ended()] == [0, 0]
    assert losses("out") == list(train(":slow", steps=40).losses)


def _seat(**said: Any) -> Any:
    return seat({name: str(value) for name, value in said.items()})


def test_seats_are_read_from_the_environment() -> None:
    assert _seat() is None
    assert _seat(SLURM_PROCID=0, SLURM_NTASKS=8) is None  # a batch script itself, outside of any step
    assert _seat(RANK=0, WORLD_SIZE=1) is None
    assert _seat(RANK=0, WORLD_SIZE=1, TORCHELASTIC_RUN_ID="a").world == 1
    place = _seat(RANK=3, WORLD_SIZE=4, LOCAL_RANK=1, LOCAL_WORLD_SIZE=2, MASTER_ADDR="10.0.0.1", MASTER_PORT=29500)
    assert (place.rank, place.local, place.near, place.one_host) == (3, 1, 2, False)
    assert _seat(OMPI_COMM_WORLD_RANK=1, OMPI_COMM_WORLD_SIZE=2, OMPI_COMM_WORLD_LOCAL_SIZE=1).near == 1
    step = {"SLURM_STEP_ID": 0, "SLURM_STEP_NUM_NODES": 1}
    assert _seat(**step, **dict(zip(SLURM, (1, 2, 1), strict=True))).one_host

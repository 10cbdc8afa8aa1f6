"""A function run on several ranks at once: forked from a process that has torch already, joined over gloo."""

from __future__ import annotations

import faulthandler
import multiprocessing as mp
import os
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from typing import Any
from unittest.mock import patch

PRELOAD = [
    "torch",
    "torch.distributed",
    "torch.nn.parallel",
    "torch._dynamo",
    "torch.distributed.fsdp",
    "rigwise.run.parallel.tracer",
    "sympy.tensor.tensor",
    "rigwise.run.parallel.parallel",
    "warm",
]
_LONGEST_S, _STUCK_S = 300.0, 240.0  # a slow machine is no failure


def _rank(pipe: Connection, meet: str, rank: int, world: int, function: Callable[..., Any], args: Any) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(_STUCK_S)
    try:
        if world > 1:
            dist.init_process_group(
                "gloo", init_method=f"file://{meet}", rank=rank, world_size=world, timeout=timedelta(seconds=_LONGEST_S)
            )
        pipe.send((True, function(*args)))
        if dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()
    except BaseException:
        pipe.send((False, traceback.format_exc()))


def _server() -> ForkServerContext:
    """The process to fork from, which also finds what lies in this folder."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(paths)):
        ensure_running()
    return context


def together(world: int, function: Callable[..., Any], *args: Any) -> list[Any]:
    """What `function(*args)` returns on each of `world` ranks; AssertionError with a rank's traceback if one fails."""
    context = _server()
    with tempfile.TemporaryDirectory() as folder:
        pipes, ranks = [], []
        for rank in range(world):
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_rank, args=(there, f"{folder}/ranks", rank, world, function, args))
            process.start()
            there.close()
            pipes.append(here)
            ranks.append(process)
        try:
            return [_result(pipe, rank) for rank, pipe in enumerate(pipes)]
        finally:
            for process in ranks:
                process.join(5)
                if process.is_alive():
                    process.kill()


def _result(pipe: Connection, rank: int) -> Any:
    if not pipe.poll(_LONGEST_S):
        raise AssertionError(f"rank {rank} says nothing")
    well, value = pipe.recv()
    assert well, f"rank {rank}: {value}"
    return value

"""The loop of one's own that docs/parallel.md shows, run as it stands there."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from together import together

PAGE = Path(__file__).parents[2] / "docs" / "parallel.md"


def script() -> str:
    (text,) = re.findall(r"```py\n(# train\.py;.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(text)


def expected() -> list[float]:
    """Losses of the first 32 samples, of one process that trains on those of both copies."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 512), torch.nn.Tanh(), torch.nn.Linear(512, 10))
    draws = [torch.Generator().manual_seed(copy) for copy in range(2)]
    rows = [(torch.randn(32, 64, generator=draw), torch.randint(10, (32,), generator=draw)) for draw in draws]
    inputs, targets = (torch.cat(parts) for parts in zip(*rows, strict=True))
    optimizer = torch.optim.AdamW(model.parameters())
    losses = []
    for _ in range(20):
        each = torch.nn.functional.cross_entropy(model(inputs), targets, reduction="none")
        each.mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(each[:32].detach().mean()))
    return losses


def told(text: str) -> list[float]:
    return [float(line.split()[1]) for line in text.splitlines()]


def _run(path: str, port: int) -> str:
    """What the script prints on this rank, which torchrun's variables describe."""
    rank, world = dist.get_rank(), dist.get_world_size()
    dist.barrier()  # a rank that leaves while another still connects breaks the other's connection
    dist.destroy_process_group()
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(path, run_name="__main__")
    return printed.getvalue()


def test_the_loop_of_the_page_trains_as_one_process() -> None:
    Path("train.py").write_text(script())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    first, *others = together(4, _run, str(Path("train.py").absolute()), port)
    assert others == [""] * 3
    assert told(first) == pytest.approx(expected(), rel=1e-5)


@pytest.mark.slow
def test_the_loop_of_the_page_under_torchrun() -> None:
    Path("train.py").write_text(script())
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "4", "train.py"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert told(done.stdout) == pytest.approx(expected(), rel=1e-5)

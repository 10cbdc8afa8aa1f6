"""The ranks of a test: `python resharding.py WORLD FOLDER`. Trains on dp=4, saves; goes on as tp=2,pp=2, saves;
goes on as dp=4 again. Dies with an AssertionError where a number is not exactly what it was.
"""

from __future__ import annotations

import os
import sys
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # an optimizer reads it late; once before the fork, not in every rank
import torch.distributed as dist
from torch import nn

from rigwise.run.keeping.contents import Contents, of_model
from rigwise.run.keeping.filling import fill
from rigwise.run.keeping.keeper import Keeper, restore
from rigwise.run.parallel.held import Held, Runs
from rigwise.run.ranks import Ranks

WIDTH = 31  # divides by nothing
LOADER: dict[str, Any] = {"position": None}


def network() -> nn.Sequential:
    """Two stages of two layers; the second layer is like a fused query, key and value: three blocks of 7 rows."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, WIDTH), nn.Linear(WIDTH, 21), nn.Linear(21, WIDTH), nn.Linear(WIDTH, 3))


def rows(name: str, tp: int) -> Runs:
    """The rows of a weight or bias that a rank of two holds."""
    if name.startswith("1."):
        first, last = ((0, 4), (4, 7))[tp]
        return tuple((block + first, block + last) for block in (0, 7, 14))
    size = network().state_dict()[name].shape[0]
    return ((0, size // 2), (size // 2, size))[tp : tp + 1]


def pieces(rank: int) -> list[tuple[Held, nn.Parameter]]:
    """What a rank of tp=2,pp=2 holds: rows of the layers of its stage, zero so far."""
    tp, stage = rank % 2, rank // 2
    found = []
    for name, whole in network().named_parameters():
        if int(name[0]) // 2 == stage:
            runs = (rows(name, tp), *(((0, size),) for size in whole.shape[1:]))
            book = Held(name=name, parameter=None, shape=tuple(whole.shape), runs=runs)
            parameter = nn.Parameter(torch.zeros(book.piece_shape))
            found.append((Held(name=name, parameter=parameter, shape=book.shape, runs=runs), parameter))
    return found


def adam(parameters: Any) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, lr=0.01, amsgrad=True)


def trained() -> tuple[nn.Module, torch.optim.Adam]:
    """The same on every rank, as data parallel training leaves it."""
    model = network()
    optimizer = adam(model.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.randn(6, 5)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def main(rank: int, world: int, folder: Path) -> None:
    """All of it."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/met", rank=rank, world_size=world, timeout=timedelta(seconds=60)
    )
    ranks = Ranks(rank=rank, world=world, device=torch.device("cpu"))
    model, optimizer = trained()
    whole = replace(of_model(model, optimizer), rank=rank)
    first = Keeper(folder / "dp", ranks, whole, {})
    first.save(3, LOADER, wait=False)
    first.finish()

    held, parameters = zip(*pieces(rank), strict=True)
    names = {name: name for name in network().state_dict()}
    cut = Contents(held=held, names=names, optimizer=adam(parameters), parts={}, rank=rank)
    restored = restore(folder / "dp", ranks)
    assert fill(cut, restored.path, restored.record) == []
    named = dict(model.named_parameters())
    for piece, parameter in zip(held, parameters, strict=True):
        assert torch.equal(parameter, piece.cut(named[piece.name].detach())), piece.name
        for key, value in optimizer.state[named[piece.name]].items():
            mine = cut.optimizer.state[parameter][key]
            assert torch.equal(mine, piece.cut(value) if value.dim() else value), (piece.name, key)
    second = Keeper(folder / "cut", ranks, cut, {})
    second.save(3, LOADER, wait=True)

    other = network()
    again = replace(of_model(other, adam(other.parameters())), rank=rank)
    restored = restore(folder / "cut", ranks)
    assert fill(again, restored.path, restored.record) == []
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in other.state_dict().items())
    for mine, theirs in zip(other.parameters(), model.parameters(), strict=True):
        for key, value in optimizer.state[theirs].items():
            assert torch.equal(again.optimizer.state[mine][key], value)
    dist.destroy_process_group()


def ranks(world: int, folder: Path) -> int:
    """Fork them all from this process, which has read torch once; how many failed."""
    children = []
    for rank in range(world):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                main(rank, world, folder)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


if __name__ == "__main__":
    sys.exit(ranks(int(sys.argv[1]), Path(sys.argv[2])))

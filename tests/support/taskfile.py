"""Tasks that behave, and tasks that do not; the tests run them as `taskfile.py:name`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import nets
from rigwise import Task
from rigwise.run.parallel import sending
from training import GO, KILLER

BATCH, INPUTS = 48, 8


def samples(count: int = 200) -> TensorDataset:
    draw = torch.Generator().manual_seed(1)
    inputs = torch.randn(count, INPUTS, generator=draw, dtype=torch.float32)
    return TensorDataset(inputs, inputs.sin().sum(1, keepdim=True))


def network(*inside: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(INPUTS, 16), *inside, nn.Tanh(), nn.Linear(16, 1))


def made(**other: Any) -> Task:
    usual: dict[str, Any] = {
        "model": network(),
        "loss": nn.functional.mse_loss,
        "data": samples(),
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
        "batch": BATCH,
    }
    return Task(**{**usual, **other})


def plain() -> Task:
    return made()


def deep() -> Task:
    """Layers enough for four chunks."""
    return made(model=network(nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.3), nn.Linear(16, 16)))


def dropout() -> Task:
    return made(model=network(nn.Dropout(0.3)), optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01))


def batches() -> Task:
    """Whole batches from a DataLoader that shuffles, the last of an epoch short."""
    return made(data=DataLoader(samples(), batch_size=BATCH, shuffle=True))


def once() -> Task:
    """An iterator that is over after two batches."""
    return made(data=iter(list(DataLoader(samples(2 * BATCH), batch_size=BATCH))))


def unseeded() -> Task:
    """Batches that come in another order on every rank."""
    rows = samples()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(os.getpid()))
    return made(data=[tuple(tensor[order[at : at + 24]] for tensor in rows.tensors) for at in range(0, 192, 24)])


def double() -> Task:
    inputs, targets = samples().tensors
    return made(model=network().double(), data=TensorDataset(inputs.double(), targets.double()))


def batchnorm() -> Task:
    return made(model=network(nn.BatchNorm1d(16)))


class Idle(nn.Module):
    """Half of its parameters are never used."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Linear(INPUTS, 1), nn.Linear(INPUTS, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.used(inputs)
        return out


def idle() -> Task:
    return made(model=Idle())


def counting(at: int, rank: int, act: Any) -> Any:
    """A mean squared error that calls `act` at its call number `at` on one rank."""
    calls = 0

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == at and dist.get_rank() == rank:
            act()
        return nn.functional.mse_loss(output, target)

    return loss


def refuse() -> None:
    raise KeyError("rank one says no")


def one_raises() -> Task:
    return made(loss=counting(4, 1, refuse))


def one_is_killed() -> Task:
    return made(loss=counting(4, 1, lambda: os.kill(os.getpid(), signal.SIGKILL)))


def one_leaves() -> Task:
    def leave() -> None:
        print("I have had enough", flush=True)
        os._exit(7)

    return made(loss=counting(4, 0, leave))


def one_exits() -> Task:
    return made(loss=counting(4, 0, lambda: sys.exit(3)))


def killed() -> Task:
    """Killed at the seventh step, if armed."""
    at = 8 if Path(KILLER).exists() else 0  # the probe is the first call
    return made(loss=counting(at, 0, lambda: os.kill(os.getpid(), signal.SIGKILL)))


def slow() -> Task:
    """Says who it is, then takes its time."""
    print(os.getpid(), flush=True)

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        return nn.functional.mse_loss(output, target)

    return made(loss=loss)


def held() -> Task:
    """Takes its 14th step, and those that follow, only when there is a file `go` in the working folder."""
    calls = 0

    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        while calls > 14 and not Path(GO).exists():  # the probe is the first call
            time.sleep(0.02)
        return nn.functional.mse_loss(output, target)

    return made(loss=loss)


def wide() -> Task:
    """A megabyte of gradients."""
    return made(model=network(nn.Tanh(), nn.Linear(16, 8192), nn.Linear(8192, 16)))


def explodes() -> Task:
    return made(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e30))


def greedy() -> Task:
    def loss(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        torch.empty(1 << 50)
        return nn.functional.mse_loss(output, target)

    return made(loss=loss)


def misfit() -> Task:
    return made(model=nn.Linear(INPUTS + 1, 1))


def no_mean() -> Task:
    return made(loss=lambda output, target: (output - target) ** 2)


def heavy() -> Task:
    """Its checkpoint is larger than a file may be in this process: what a full disk looks like."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, resource.RLIM_INFINITY))
    return made(model=nn.Sequential(nn.Linear(INPUTS, 1 << 14), nn.Linear(1 << 14, 1)))


class Noisy(torch.utils.data.Dataset[Any]):
    """Samples with noise, each taking its time; one of them may be broken."""

    def __init__(self, broken: int = -1) -> None:
        self.rows = samples()
        self.broken = broken

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        if row == self.broken:
            raise KeyError("a broken sample")
        inputs, targets = self.rows[row]
        return inputs + 0.1 * torch.randn(INPUTS), targets


def noisy() -> Task:
    return made(data=Noisy(), model=network(nn.Dropout(0.2)))


def broken_sample() -> Task:
    return made(data=Noisy(broken=7))


class Reader(nn.Module):
    """A recurrent layer, which cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.cells, self.head = nn.LSTM(INPUTS, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.cells(inputs.unsqueeze(1))[0][:, -1])
        return out


class Deciding(nn.Module):
    """Which way it goes depends on its data."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.tanh() if float(inputs.detach().sum()) > 0 else inputs.sin()


def recurrent() -> Task:
    return made(model=nn.Sequential(nn.Linear(INPUTS, INPUTS), Reader()))


def deciding() -> Task:
    return made(model=network(Deciding()))


class Resting(torch.optim.Adam):
    """Adam that rests after its third step: a checkpoint of any later step holds what was read from an older one."""

    def step(self, closure: Any = None) -> None:
        if not self.state or max(float(state["step"]) for state in self.state.values()) < 3:
            super().step(closure)


def tied() -> Task:
    """A small language model whose head is its table."""
    net = {"kind": "transformer", "heads": 2, "kv": 2, "width": 4, "ffn": 9, "layers": 3, "vocab": 21}
    made = nets.task_of({**net, "gated": False, "tied": True})
    return Task(made.model, made.loss, made.data, lambda p: Resting(p, lr=0.01, amsgrad=True), batch=12)


def drawn() -> Task:
    """The net that net.json in the working folder describes (nets.py)."""
    return nets.task_of(json.loads(Path("net.json").read_text()))


def counted() -> Task:
    """The same; each rank writes what it sent in its first step to sent-RANK.json."""
    made = drawn()
    counter = sending.counting()
    ledger = counter.__enter__()
    usual = made.optimizer

    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        built = usual(parameters)
        built.register_step_pre_hook(lambda *_: written())
        return built

    def written() -> None:
        rank = dist.get_rank() if dist.is_initialized() else 0
        rows = [(s.of, s.collective, s.elements, s.ranks, s.bytes) for s in ledger]
        if not Path(f"sent-{rank}.json").exists():
            Path(f"sent-{rank}.json").write_text(json.dumps(rows))

    made.model.counter = [counter]  # it lives as long as the model
    return Task(made.model, made.loss, made.data, optimizer, batch=made.batch, tokens=made.tokens)

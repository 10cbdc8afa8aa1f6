"""Networks of nets.py trained on ranks as layouts say, several cases for one start of the ranks, and on one process."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist

from nets import Net, task_of
from rigwise.layouts.layout import Layout
from rigwise.run.parallel.held import Held, assemble
from rigwise.run.parallel.mesh import Mesh
from rigwise.run.parallel.parallel import parallelize
from rigwise.run.parallel.sending import counting
from rigwise.run.parallel.sharing import local
from together import together

BATCH = 12
Case = tuple[Net, Layout]
Outcome = tuple[list[float], dict[str, torch.Tensor]]


def _made(net: Net) -> Any:
    torch.manual_seed(0)
    return task_of(net)


def _batch(task: Any, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The samples of a step, going round."""
    inputs, targets = task.data.tensors
    rows = (torch.arange(BATCH) + step * BATCH) % len(inputs)
    return inputs[rows], targets[rows]


def alone(net: Net, steps: int) -> Outcome:
    """Losses and weights of a plain loop."""
    task = _made(net)
    optimizer = task.optimizer(task.model.parameters())
    losses = []
    for step in range(steps):
        inputs, targets = _batch(task, step)
        loss = task.loss(task.model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses, {name: weight.detach().clone() for name, weight in task.model.named_parameters()}


def _on_rank(cases: list[Case], steps: int) -> list[Any]:
    return [_trained(net, layout, steps) for net, layout in cases]


def _trained(net: Net, layout: Layout, steps: int) -> Any:
    """Losses, this rank's pieces of the weights, and the bytes that it sent in the first step, by pass."""
    task, mesh = _made(net), Mesh.join(layout, "cpu")
    share = BATCH // layout.dp
    own = slice(mesh.coordinate("dp") * share, (mesh.coordinate("dp") + 1) * share)
    inputs, targets = (tensor[: layout.micro] for tensor in _batch(task, 0))
    part = parallelize(task.model, layout, mesh, inputs=inputs, targets=targets, loss=task.loss)
    optimizer = task.optimizer(part.parameters())
    losses, sent = [], Counter[str]()
    for step in range(steps):
        inputs, targets = _batch(task, step)
        with counting() as ledger:
            value = part.step(inputs[own], targets[own], task.loss).double()
        for one in ledger if not step else ():
            sent[one.of] += one.bytes
        if layout.dp > 1:
            dist.all_reduce(value, op=dist.ReduceOp.AVG, group=mesh.group("dp"))
        losses.append(float(value))
        optimizer.step()
        optimizer.zero_grad()
    pieces = [
        (replace(held, parameter=None), local(held.parameter.detach()).clone())
        for held in part.held()
        if isinstance(held.parameter, torch.nn.Parameter)
    ]
    return losses, [(held, piece.numpy()) for held, piece in pieces], sent


def train_each(cases: list[Case], steps: int) -> list[tuple[list[float], dict[str, torch.Tensor], list[Counter[str]]]]:
    """For each case losses and whole weights, put together from all ranks, and what each rank sent in the first step.
    All cases take as many ranks.
    """
    (world,) = {layout.ranks for _, layout in cases}
    ranks = together(world, _on_rank, cases, steps)
    return [_put_together([rank[number] for rank in ranks]) for number in range(len(cases))]


def _put_together(ranks: list[Any]) -> tuple[list[float], dict[str, torch.Tensor], list[Counter[str]]]:
    held: dict[str, list[tuple[Held, torch.Tensor]]] = {}
    for losses, pieces, _ in ranks:
        assert losses == ranks[0][0]  # every rank is told the same
        for book, piece in pieces:
            held.setdefault(book.name, []).append((book, torch.from_numpy(piece)))
    return ranks[0][0], {name: assemble(pieces) for name, pieces in held.items()}, [sent for *_, sent in ranks]

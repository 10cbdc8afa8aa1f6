"""A task that computes next to nothing: what its step takes is the training loop itself."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.data import IterableDataset

from rigwise.measure.sums import CLASSES, SAMPLES, WIDTH
from rigwise.run.task import Task


class _Same(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """One batch again and again, so that loading is the loop's own share of it."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        pair = torch.ones(SAMPLES, WIDTH), torch.zeros(SAMPLES, dtype=torch.long)
        while True:
            yield pair


def task() -> Task:
    """256-256-10, plain SGD."""
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, CLASSES))
    sgd = torch.optim.SGD
    return Task(model, nn.functional.cross_entropy, _Same(), lambda p: sgd(p, lr=1e-3), batch=SAMPLES)

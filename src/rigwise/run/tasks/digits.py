"""A convnet on 1,797 handwritten digits of 8 x 8 pixels (data/README.md has the credit)."""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from rigwise.run.task import Task

_LARGEST = 16.0  # pixel values are 0 to 16
_LEARNING_RATE, _MOMENTUM = 0.05, 0.9


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Images [1797, 1, 8, 8] from 0 to 1, and digits [1797]."""
    packed = (files("rigwise.run") / "data" / "digits.csv.gz").read_bytes()
    rows = np.array(gzip.decompress(packed).decode().replace("\n", ",").strip(",").split(","), dtype=np.float32)
    table = torch.from_numpy(rows.reshape(-1, 65))
    return table[:, :64].reshape(-1, 1, 8, 8) / _LARGEST, table[:, 64].long()


def network(channels: int = 32, classes: int = 10) -> nn.Module:
    """Two convolutions, a pooling, one more, two dense layers.

    GroupNorm, not BatchNorm: its statistics are a sample's own, so any number of ranks trains the same. SiLU and
    average pooling, not ReLU and maximum: where a function has a kink, the last digit of a sum can choose another
    branch, and two runs that add in another order part.
    """
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.GroupNorm(8, channels),
        nn.SiLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(channels, 2 * channels, 3, padding=1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(2 * channels * 16, 128),
        nn.SiLU(),
        nn.Linear(128, classes),
    )


def task(lr: float = _LEARNING_RATE) -> Task:
    """The digits task: cross entropy, SGD with momentum, 64 images a batch. lr: its learning rate."""
    return Task(
        network(),
        nn.functional.cross_entropy,
        TensorDataset(*images()),
        lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=_MOMENTUM),
    )

"""A perceptron with a mixture of experts that learns the answers of eight teachers, each asked about its own region.

Numbers drawn from a fixed seed, the same on every machine.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from rigwise.run.experts import MixtureOfExperts
from rigwise.run.task import Task

_SEED = 20_260_101
_SAMPLES, _INPUTS, _TEACHERS, _CLASSES = 8192, 32, 8, 10
_HIDDEN, _WIDTH, _EXPERTS, _TOP_K = 64, 128, 8, 2
_LEARNING_RATE, _MOMENTUM = 0.1, 0.9


def samples() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [8192, 32], normal, and the class [8192] that a teacher gives: the one whose direction is nearest."""
    draw = np.random.Generator(np.random.PCG64(_SEED))
    inputs = draw.standard_normal((_SAMPLES, _INPUTS), dtype=np.float32)
    regions = (inputs @ draw.standard_normal((_INPUTS, _TEACHERS), dtype=np.float32)).argmax(axis=1)
    teachers = draw.standard_normal((_TEACHERS, _INPUTS, _CLASSES), dtype=np.float32)
    answers = np.matmul(inputs[:, None, :], teachers[regions])[:, 0]
    return torch.from_numpy(inputs), torch.from_numpy(answers.argmax(axis=1))


class Network(nn.Module):
    """Inputs [B, 32] -> scores [B, 10]: a dense layer, a mixture added to what came in, and a dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(_INPUTS, _HIDDEN)
        self.mixture = MixtureOfExperts(_HIDDEN, _WIDTH, _EXPERTS, _TOP_K)
        self.last = nn.Linear(_HIDDEN, _CLASSES)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """[B, 32] -> [B, 10]."""
        x = nn.functional.silu(self.first(inputs))
        scores: torch.Tensor = self.last(x + self.mixture(x))
        return scores


def task() -> Task:
    """The experts task: 8 experts of width 128, 2 for each sample, cross entropy, SGD with momentum, 128 a batch."""
    return Task(
        Network(),
        nn.functional.cross_entropy,
        TensorDataset(*samples()),
        lambda parameters: torch.optim.SGD(parameters, lr=_LEARNING_RATE, momentum=_MOMENTUM),
        batch=128,
    )

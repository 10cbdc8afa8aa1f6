"""A perceptron that learns the answers of another one: numbers drawn from a fixed seed, the same on every machine."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from rigwise.run.task import Task

_SEED = 20_250_101
_SAMPLES, _INPUTS, _TEACHER, _WIDTH, _CLASSES = 8192, 64, 16, 512, 10
_LEARNING_RATE = 1e-3


def samples() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs [8192, 64], normal, and the class [8192] that the teacher gives each."""
    draw = np.random.Generator(np.random.PCG64(_SEED))
    inputs = draw.standard_normal((_SAMPLES, _INPUTS), dtype=np.float32)
    hidden = np.tanh(inputs @ draw.standard_normal((_INPUTS, _TEACHER), dtype=np.float32))
    answers = hidden @ draw.standard_normal((_TEACHER, _CLASSES), dtype=np.float32)
    return torch.from_numpy(inputs), torch.from_numpy(answers.argmax(axis=1))


def task(lr: float = _LEARNING_RATE) -> Task:
    """The mlp task: two hidden layers of 512, cross entropy, Adam, 128 samples a batch. lr: its learning rate."""
    model = nn.Sequential(
        nn.Linear(_INPUTS, _WIDTH),
        nn.ReLU(),
        nn.Linear(_WIDTH, _WIDTH),
        nn.ReLU(),
        nn.Linear(_WIDTH, _CLASSES),
    )
    return Task(
        model,
        nn.functional.cross_entropy,
        TensorDataset(*samples()),
        lambda parameters: torch.optim.Adam(parameters, lr=lr),
        batch=128,
    )

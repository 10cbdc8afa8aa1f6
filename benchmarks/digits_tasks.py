"""The digits task with two optimizers, for compression.py."""

from __future__ import annotations

from dataclasses import replace

import torch

from rigwise import Task
from rigwise.run.task import load_task


def sgd() -> Task:
    return load_task("digits")


def adam() -> Task:
    return replace(load_task("digits"), optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-3))

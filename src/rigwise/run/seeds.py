"""Random numbers: every step of every rank draws from a seed of its own, so a resumed run needs no saved state."""

from __future__ import annotations

import random

import numpy as np
import torch

BUILDING, LOADING, TRAINING, ORDER = range(4)  # what is drawn for
ALL_RANKS = 1 << 20  # stands where a rank would, for draws that all ranks must make alike


def reseed(purpose: int, seed: int, step: int, rank: int = ALL_RANKS) -> None:
    """Seed Python's, NumPy's and torch's generators for one purpose in one step of one rank, or alike for all ranks."""
    words = np.random.SeedSequence((seed, purpose, step, rank)).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))  # noqa: NPY002 - tasks may still draw from it
    torch.default_generator.manual_seed(int(words[2]))
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(int(words[2]))


def generator(seed: int, epoch: int) -> torch.Generator:
    """What the order of an epoch is drawn from, the same on every rank and for every layout."""
    words = np.random.SeedSequence((seed, ORDER, epoch, ALL_RANKS)).generate_state(1)
    return torch.Generator().manual_seed(int(words[0]))


def order(seed: int, epoch: int, samples: int) -> torch.Tensor:
    """The order of an epoch's samples [samples]."""
    return torch.randperm(samples, generator=generator(seed, epoch))

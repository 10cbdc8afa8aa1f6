"""The kernels of a task's first convolution: as it is built, and as a run left it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rigwise.errors import UsageError
from rigwise.run.keeping.filling import weights
from rigwise.run.keeping.folder import found
from rigwise.run.seeds import BUILDING, reseed
from rigwise.run.task import load_task

_DIMS = 4  # of the weights of a convolution over images: out, in, rows, columns


def before(task: str, seed: int) -> NDArray[np.float64]:
    """The kernels (out, in, rows, columns) with which a run of that seed begins. Raises UsageError where none is."""
    kept = torch.random.get_rng_state()
    try:
        reseed(BUILDING, seed, 0)
        made = load_task(task).model
    finally:
        torch.random.set_rng_state(kept)
    return _first({name: tensor.detach() for name, tensor in made.named_parameters()}, task)


def after(task: str, output: Path) -> NDArray[np.float64]:
    """The kernels in the last checkpoint of a run."""
    return _first(weights(found(output)[0]), task)


def _first(tensors: dict[str, torch.Tensor], task: str) -> NDArray[np.float64]:
    found = [tensor for tensor in tensors.values() if tensor.dim() == _DIMS]
    if not found:
        raise UsageError(f"the network of {task} has no convolution over images", rule="kernels have rows and columns")
    return np.asarray(found[0].double().numpy())

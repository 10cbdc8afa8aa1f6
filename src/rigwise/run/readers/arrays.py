"""NumPy arrays as a Dataset: in memory, memory-mapped from .npy files, or out of one .npz archive."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from rigwise.errors import UsageError, not_found
from rigwise.run.readers.paths import files_of

Source = str | Path | NDArray[Any]


class Arrays(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Sample number i is row i of both arrays."""

    def __init__(self, inputs: NDArray[Any], targets: NDArray[Any]) -> None:
        self.inputs = inputs
        self.targets = targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = self.gather(torch.tensor([row]))
        return inputs[0], targets[0]

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Several samples: [B, ...] of each array, in its own type."""
        index = rows.numpy()
        return _tensor(self.inputs[index]), _tensor(self.targets[index])


def arrays(inputs: Source, targets: Source | None = None, *, names: tuple[str, str] = ("inputs", "targets")) -> Arrays:
    """Two arrays with the samples along the first dim as a Dataset of (input, target).

    inputs and targets: arrays, or paths of .npy files, which are memory-mapped; or inputs alone: a .npz archive, in
    which names says what is which (it is read into memory as a whole). Objects are refused: they would run code.
    """
    if targets is None:
        if isinstance(inputs, np.ndarray) or Path(inputs).suffix != ".npz":
            raise UsageError("arrays of inputs without targets", rule="targets is given, or inputs is a .npz of both")
        found = _archive(files_of(inputs, (".npz",), "array file")[0], names)
    else:
        found = _array(inputs), _array(targets)
    lengths = [len(array) if array.ndim else 0 for array in found]
    if lengths[0] != lengths[1] or not lengths[0]:
        raise UsageError(
            f"inputs of {list(found[0].shape)} and targets of {list(found[1].shape)}",
            rule="both have a row for every sample, at least one",
        )
    return Arrays(*found)


def _array(source: Source) -> NDArray[Any]:
    if isinstance(source, np.ndarray):
        return _numbers(source, "the array")
    file = files_of(source, (".npy",), "array file")[0]
    try:
        return _numbers(np.load(file, mmap_mode="r", allow_pickle=False), str(file))
    except (ValueError, EOFError, OSError) as error:
        raise _refused(file, error) from error


def _archive(file: Path, names: tuple[str, str]) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            for name in names:
                if name not in archive.files:
                    raise not_found(f"array in {file.name}", name, archive.files, hint=", ".join(archive.files))
            return _numbers(archive[names[0]], str(file)), _numbers(archive[names[1]], str(file))
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise _refused(file, error) from error


def _refused(file: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{file} cannot be read: {' '.join(str(error).split())}", rule="it is as numpy writes it, whole and of numbers"
    )


def _numbers(array: NDArray[Any], where: str) -> NDArray[Any]:
    if array.dtype.kind not in "biufc":
        raise UsageError(f"{where} holds {array.dtype}", rule="samples are numbers")
    return array


def _tensor(rows: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("=")))

"""Numbers of tokens in flat binary files, memory-mapped: only what a step takes is read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Dataset

from rigwise.errors import UsageError, check_whole
from rigwise.run.readers.paths import Where, files_of

_KINDS: dict[str, np.dtype[Any]] = {"uint16": np.dtype("<u2"), "uint32": np.dtype("<u4")}
_SUFFIXES = (".bin", ".u16", ".u32", ".npy")


class Tokens(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Sample number i is `length` tokens [S], from token i x length of a file on, and the same one token later [S]."""

    def __init__(self, files: list[Path], length: int, kind: np.dtype[Any], vocabulary: int | None) -> None:
        self.files = files
        self.length = length
        self.vocabulary = vocabulary
        self._rows = [_mapped(file, kind) for file in files]
        samples = [max(0, (len(row) - 1) // length) for row in self._rows]
        self._ends = np.cumsum(samples)
        if not self._ends[-1]:
            longest = max(len(row) for row in self._rows)
            raise UsageError(
                f"{files[0]} holds {longest} tokens, a sample of length {length} takes {length + 1}",
                rule="a sample is `length` tokens and the one after",
                nearest=f"length {max(1, longest - 1)}",
            )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, targets = self.gather(torch.tensor([row]))
        return inputs[0], targets[0]

    def gather(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Several samples: inputs [B, S] and targets [B, S], int64."""
        taken = np.stack([self._sample(row) for row in rows.tolist()]).astype(np.int64)
        if self.vocabulary is not None and taken.max() >= self.vocabulary:
            at = int(rows[int(taken.max(axis=1).argmax())])
            raise UsageError(
                f"sample {at} holds token {taken.max()}, the vocabulary ends at {self.vocabulary - 1}",
                rule="tokens are numbers below the vocabulary; a wrong dtype shows so, too",
            )
        both = torch.from_numpy(taken)
        return both[:, :-1].contiguous(), both[:, 1:].contiguous()

    def _sample(self, row: int) -> NDArray[Any]:
        if not 0 <= row < len(self):
            raise IndexError(row)
        file = int(np.searchsorted(self._ends, row, side="right"))
        start = (row - (int(self._ends[file - 1]) if file else 0)) * self.length
        return self._rows[file][start : start + self.length + 1]


def tokens(where: Where, length: int, *, dtype: str = "uint16", vocabulary: int | None = None) -> Tokens:
    """Token files as a Dataset of (tokens, the same one later).

    where: a file, a pattern, or a folder of .bin files; a sample does not cross from one file to the next. length:
    tokens in a sample. dtype: of flat files, uint16 or uint32, little-endian (.u16, .u32 and .npy files say it
    themselves). vocabulary: a token at or above it is refused.
    """
    check_whole(length=length, vocabulary=vocabulary)
    return Tokens(files_of(where, _SUFFIXES, "token file"), length, _kind(dtype), vocabulary)


def write_tokens(path: str | Path, pieces: Iterable[ArrayLike], *, dtype: str = "uint16") -> int:
    """Write pieces of text, as arrays of token numbers, one after the other to a flat file; how many tokens it holds.

    Nothing is there until all is. Raises UsageError for a number that the type cannot hold.
    """
    kind, path = _kind(dtype), Path(path).expanduser()
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    count = 0
    try:
        with aside.open("wb") as file:
            for piece in pieces:
                numbers = np.atleast_1d(np.asarray(piece))
                if numbers.size and (numbers.dtype.kind not in "ui" or _beyond(numbers, kind)):
                    raise UsageError(
                        f"tokens from {numbers.min()} to {numbers.max()} ({numbers.dtype}) do not fit {dtype}",
                        rule=f"{dtype} holds whole numbers from 0 to {np.iinfo(kind).max}",
                        nearest="dtype='uint32'" if dtype == "uint16" else "",
                    )
                file.write(numbers.astype(kind).tobytes())
                count += numbers.size
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return count


def _beyond(numbers: NDArray[Any], kind: np.dtype[Any]) -> bool:
    return bool(numbers.min() < 0 or numbers.max() > np.iinfo(kind).max)


def _kind(dtype: str) -> np.dtype[Any]:
    if dtype not in _KINDS:
        raise UsageError(f"dtype={dtype!r}", rule=f"dtype is one of {', '.join(_KINDS)}")
    return _KINDS[dtype]


def _mapped(file: Path, kind: np.dtype[Any]) -> NDArray[Any]:
    kind = {".u16": _KINDS["uint16"], ".u32": _KINDS["uint32"]}.get(file.suffix, kind)
    if file.suffix == ".npy":
        try:
            row = np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise UsageError(
                f"{file} cannot be read: {error}", rule="a .npy file is as numpy.save writes it"
            ) from error
        if row.ndim != 1 or row.dtype.kind not in "ui":
            raise UsageError(f"{file} holds {row.dtype} {list(row.shape)}", rule="tokens are one row of whole numbers")
        return row  # type: ignore[no-any-return]
    size = file.stat().st_size
    if size % kind.itemsize:
        raise UsageError(
            f"{file} has {size} bytes, which is no multiple of {kind.itemsize}: it is cut off, or no {kind.name}",
            rule="a flat file holds whole tokens",
        )
    return np.memmap(file, dtype=kind, mode="r")

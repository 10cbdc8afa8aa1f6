"""WebDataset tar files: samples are neighbours in a tar that share a name up to its first dot.

A tar is read at any place, so the samples of a step are the same for every layout. Their order keeps the reading close
to a row: an epoch's shards, shuffled and in themselves shuffled, stand one after the other and are cut into lanes; a
batch takes a run from every lane. So ranks that take other parts of a batch read other shards.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from rigwise.errors import LaunchError, UsageError, not_found
from rigwise.run.readers.images import SUFFIXES, decoded, require_pillow
from rigwise.run.readers.paths import Where, files_of
from rigwise.run.seeds import generator

Decode = Callable[[Mapping[str, bytes]], tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class _Sample:
    """Where a sample lies: its file's number, its name, and (start, bytes) of each of its parts."""

    file: int
    name: str
    parts: Mapping[str, tuple[int, int]]


class Shards(Dataset[tuple[Any, Any]]):
    """Sample number i is what `decode` makes of the parts of sample i, over all shards."""

    def __init__(self, files: list[Path], samples: list[list[_Sample]], decode: Decode) -> None:
        self.files = files
        self.decode = decode
        self._samples = [sample for each in samples for sample in each]
        self._firsts = np.cumsum([0, *(len(each) for each in samples)])
        self._open: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        sample = self._samples[row]
        try:
            return self.decode({part: self._read(sample, *place) for part, place in sample.parts.items()})
        except UsageError as error:
            where = f"{self.files[sample.file]}, sample {sample.name}"
            raise UsageError(f"{where}: {error.says}", rule=error.rule, nearest=error.nearest) from error

    def rows_of(self, seed: int, epoch: int, batch: int) -> torch.Tensor:
        """The order of an epoch for batches of this size: all shards in a row, cut into lanes."""
        draw = generator(seed, epoch)
        row: list[int] = []
        for shard in torch.randperm(len(self.files), generator=draw).tolist():
            first, last = int(self._firsts[shard]), int(self._firsts[shard + 1])
            row += (first + torch.randperm(last - first, generator=draw)).tolist()
        lanes = max(count for count in range(1, min(len(self.files), batch) + 1) if batch % count == 0)
        batches = len(row) // batch
        table = torch.tensor(row[: batches * batch]).view(lanes, batches, batch // lanes)
        return table.transpose(0, 1).reshape(-1)

    def _read(self, sample: _Sample, start: int, size: int) -> bytes:
        if sample.file not in self._open:
            self._open[sample.file] = os.open(self.files[sample.file], os.O_RDONLY)
        data = os.pread(self._open[sample.file], size, start)
        if len(data) != size:
            raise LaunchError(f"{self.files[sample.file]} ends inside sample {sample.name}: it has been changed")
        return data


def shards(
    where: Where, *, inputs: str = "jpg", targets: str = "cls", size: int | None = None, decode: Decode | None = None
) -> Shards:
    """WebDataset tar files as a Dataset of (input, target).

    where: a tar, a pattern, or a folder of .tar files. inputs and targets: the endings of a sample's parts, read by
    what they are: pictures (scaled to size, as `images` does), .npy, .cls and .txt of one number, .json; every sample
    has both. decode: takes all parts (ending -> bytes) instead. Every tar is looked through once, its headers only.
    """
    files = files_of(where, (".tar",), "tar file")
    if decode is None:
        if any(f".{part.rpartition('.')[2]}" in SUFFIXES for part in (inputs, targets)):
            require_pillow()
        decode = _Parts(inputs, targets, size)
    samples = [_samples(number, file) for number, file in enumerate(files)]
    if not any(samples):
        raise UsageError(f"no samples in {files[0]}", rule="a tar holds files named NAME.ending")
    if isinstance(decode, _Parts):
        for sample in (sample for each in samples for sample in each):
            for part in (inputs, targets):
                if part not in sample.parts:
                    where = f"part of sample {sample.name} in {files[sample.file]}"
                    raise not_found(where, part, sample.parts, hint=", ".join(sample.parts))
    return Shards(files, samples, decode)


def _samples(number: int, file: Path) -> list[_Sample]:
    found: dict[str, dict[str, tuple[int, int]]] = {}
    whole = file.stat().st_size
    try:
        with tarfile.open(file, "r:") as tar:
            for member in tar:
                folder, _, base = member.name.rpartition("/")
                stem, dot, part = base.partition(".")
                if not member.isfile() or not stem or not dot:
                    continue
                if member.offset_data + member.size > whole:
                    raise tarfile.ReadError(f"it ends inside {member.name}")
                found.setdefault(f"{folder}/{stem}", {})[part.lower()] = (member.offset_data, member.size)
            if not tar.offset + tarfile.BLOCKSIZE <= whole:  # after the last member stands an empty block
                raise tarfile.ReadError("its end is missing")
    except tarfile.ReadError as error:
        raise UsageError(
            f"{file} cannot be read: {error}",
            rule="a shard is a whole tar file, not compressed: samples are read at any place",
        ) from error
    return [_Sample(number, name.lstrip("/"), parts) for name, parts in found.items()]


@dataclass(frozen=True, slots=True)
class _Parts:
    """Two parts of a sample, each read by its ending."""

    inputs: str
    targets: str
    size: int | None

    def __call__(self, parts: Mapping[str, bytes]) -> tuple[Any, Any]:
        return self._read(parts, self.inputs), self._read(parts, self.targets)

    def _read(self, parts: Mapping[str, bytes], part: str) -> Any:
        ending = f".{part.rpartition('.')[2]}"
        data = parts[part]
        try:
            if ending in SUFFIXES:
                return decoded(data, part, self.size)
            if ending == ".npy":
                return torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))
            if ending in (".cls", ".txt", ".id"):
                return int(data)
            if ending == ".json":
                return torch.tensor(json.loads(data))
        except (ValueError, TypeError, RuntimeError, EOFError) as error:
            raise UsageError(f"a part {part} cannot be read: {error}", rule="parts are read by their ending") from error
        raise UsageError(f"a part {part} is of no known kind", nearest="decode=, a function of a sample's parts")

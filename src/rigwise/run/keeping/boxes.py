"""Pieces of tensors in torch.distributed.checkpoint: saved as boxes of the whole tensor, read as any other boxes.

The files hold whole tensors by name, whatever layout wrote them, so any layout reads them, and so does every other tool
that reads the format (torch's `dcp_to_torch_save` makes a plain file of one).
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner, DefaultSavePlanner
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    StorageMeta,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadPlan,
    SavePlan,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list

from rigwise.run.parallel.held import Held

_SAFE = {
    ("builtins", "set"),
    ("collections", "OrderedDict"),
    ("pathlib", "Path"),
    ("pathlib", "PosixPath"),
    ("pathlib._local", "PosixPath"),
    ("torch", "Size"),
    ("torch.serialization", "_get_layout"),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    *(
        ("torch.distributed.checkpoint.metadata", name)
        for name in (
            "ChunkStorageMetadata",
            "Metadata",
            "MetadataIndex",
            "StorageMeta",
            "TensorProperties",
            "TensorStorageMetadata",
            "_MEM_FORMAT_ENCODING",
        )
    ),
}
"""All that a checkpoint's index is made of, besides torch's dtypes."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box of a whole tensor, and where this rank has it. name: in the checkpoint. shape: of the whole tensor."""

    name: str
    shape: tuple[int, ...]
    offset: tuple[int, ...]
    tensor: torch.Tensor

    @property
    def key(self) -> tuple[str, tuple[int, ...]]:
        """The box's name for all ranks."""
        return self.name, self.offset

    @property
    def index(self) -> MetadataIndex:
        """The same for torch."""
        return MetadataIndex(self.name, torch.Size(self.offset))

    @property
    def chunk(self) -> ChunkStorageMetadata:
        """Where it lies in the whole."""
        return ChunkStorageMetadata(offsets=torch.Size(self.offset), sizes=self.tensor.size())


def boxes(name: str, held: Held, tensor: torch.Tensor) -> Iterator[Box]:
    """The boxes that a piece consists of: one for each combination of runs; none of a piece without numbers.

    tensor: of the piece's shape: the weight, or something that its optimizer keeps for it.
    """
    spans = []
    for runs in held.runs:
        lengths = [stop - start for start, stop in runs]
        starts = [sum(lengths[:number]) for number in range(len(lengths))]
        spans.append([(run[0], start, length) for run, start, length in zip(runs, starts, lengths, strict=True)])
    for combination in product(*spans):
        view = tensor
        for dim, (_, start, length) in enumerate(combination):
            view = view.narrow(dim, start, length)
        if view.numel():
            yield Box(name, held.shape, tuple(whole for whole, _, _ in combination), view)


class SavePlanner(DefaultSavePlanner):
    """Writes boxes. torch checks that those of all ranks fill every tensor and do not overlap."""

    def __init__(self, parts: list[Box]) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._parts = {box.index: box for box in parts}

    def set_up_planner(
        self, state_dict: dict[str, Any], storage_meta: StorageMeta | None = None, is_coordinator: bool = False
    ) -> None:
        """The boxes are there already."""
        self.is_coordinator = is_coordinator

    def create_local_plan(self) -> SavePlan:
        """What this rank writes."""
        self.plan = SavePlan([_item(box) for box in self._parts.values()])
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> torch.Tensor:
        """The numbers of a box."""
        return self._parts[index].tensor


def _item(box: Box) -> WriteItem:
    properties = TensorProperties(dtype=box.tensor.dtype)
    whole = torch.Size(box.shape)
    return WriteItem(
        index=box.index,
        type=WriteItemType.SHARD,
        tensor_data=TensorWriteData(chunk=box.chunk, properties=properties, size=whole),
    )


class LoadPlanner(DefaultLoadPlanner):
    """Reads boxes, each from as many saved ones as it overlaps."""

    def __init__(self, parts: list[Box]) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self._parts = {box.index: box for box in parts}

    def set_up_planner(
        self, state_dict: dict[str, Any], metadata: Metadata | None = None, is_coordinator: bool = False
    ) -> None:
        """The boxes are there already."""
        self.metadata = metadata
        self.is_coordinator = is_coordinator

    def create_local_plan(self) -> LoadPlan:
        """What is read for each box. Raises ValueError where the checkpoint has not all of it."""
        assert self.metadata is not None
        items = []
        for box in self._parts.values():
            saved = self.metadata.state_dict_metadata.get(box.name)
            if not isinstance(saved, TensorStorageMetadata):
                raise ValueError(f"it has no {box.name}")
            if tuple(saved.size) != box.shape:
                raise ValueError(f"size mismatch for {box.name}: {list(saved.size)}, here {list(box.shape)}")
            reads = create_read_items_for_chunk_list(box.name, saved, [box.chunk])
            if sum(prod(read.lengths) for read in reads) != box.tensor.numel():
                raise ValueError(f"it has {box.name} only in part")
            items += reads
        return LoadPlan(items)

    def lookup_tensor(self, index: MetadataIndex) -> torch.Tensor:
        """Where a box is read to."""
        return self._parts[index].tensor


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = (module, name) in _SAFE or (module == "torch" and isinstance(getattr(torch, name, None), torch.dtype))
        if not known:
            raise pickle.UnpicklingError(f"its index holds a {module}.{name}, which is no part of a checkpoint")
        return super().find_class(module, name)


class Reader(FileSystemReader):
    """Reads a checkpoint without running code from it: its index may hold torch's records of checkpoints and nothing
    else, and tensors are read with weights_only.
    """

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The index. Raises UnpicklingError where it holds anything else."""
        with (Path(self.path) / ".metadata").open("rb") as file:
            metadata = _Unpickler(file).load()
        if not isinstance(metadata, Metadata):
            raise pickle.UnpicklingError("its index is no index of a checkpoint")
        return metadata


def saved(path: Path) -> Mapping[str, TensorStorageMetadata]:
    """The whole tensors of a checkpoint by name: their sizes and types."""
    found = Reader(path).read_metadata().state_dict_metadata
    return {name: entry for name, entry in found.items() if isinstance(entry, TensorStorageMetadata)}

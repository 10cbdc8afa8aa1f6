"""A Hugging Face dataset that a person has loaded, as a task's data: whole, or streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import Dataset, default_collate

from rigwise.errors import UsageError, not_found


class HubRows(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Sample number i is row i: two of its columns, as tensors."""

    def __init__(self, rows: Any, inputs: str, targets: str) -> None:
        self.rows = rows.with_format("torch", columns=[inputs, targets])
        self.names = inputs, targets

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        found = self.rows[row]
        return found[self.names[0]], found[self.names[1]]

    def gather(self, rows: torch.Tensor) -> tuple[Any, Any]:
        """Several rows at once."""
        found = self.rows[rows.tolist()]
        return _tensor(found[self.names[0]], self.names[0]), _tensor(found[self.names[1]], self.names[1])


class HubStream:
    """Global batches of a streamed dataset, in its own order.

    Where it stands is kept in checkpoints, unless a buffer of rows shuffles it: what lies in the buffer is not in what
    the dataset tells of its position, so a resumed run goes through all rows that were before.
    """

    def __init__(self, rows: Any, inputs: str, targets: str, batch: int) -> None:
        self.rows = rows
        self.names = inputs, targets
        self.batch = batch
        if not _buffered(getattr(rows, "_ex_iterable", None)):
            self.state_dict = rows.state_dict
            self.load_state_dict = rows.load_state_dict

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        waiting: list[Mapping[str, Any]] = []
        for row in self.rows:
            waiting.append(row)
            if len(waiting) == self.batch:
                found = [default_collate([_plain(each[name]) for each in waiting]) for name in self.names]
                waiting = []
                yield _tensor(found[0], self.names[0]), _tensor(found[1], self.names[1])


def hub(rows: Any, *, inputs: str, targets: str, batch: int | None = None) -> HubRows | HubStream:
    """Two columns of a dataset from `datasets.load_dataset` as a task's data.

    rows: a Dataset; or an IterableDataset (streaming=True), shuffled by its own `shuffle`, with batch: the global batch
    that it is then cut into. Columns hold numbers: tokenized text, labels, pictures as arrays.
    """
    if isinstance(rows, Mapping) or not hasattr(rows, "with_format"):
        raise UsageError(
            f"hub of a {type(rows).__name__}",
            rule="rows is a datasets.Dataset or IterableDataset",
            nearest=f"one split of it, as dataset[{next(iter(rows), 'train')!r}]" if isinstance(rows, Mapping) else "",
        )
    names = rows.column_names
    for name in (inputs, targets):
        if names is not None and name not in names:
            raise not_found("column", name, names, hint=", ".join(names))
    if hasattr(rows, "__len__"):
        if not len(rows):
            raise UsageError("the dataset has no rows", rule="data holds samples")
        return HubRows(rows, inputs, targets)
    if batch is None:
        raise UsageError("a streamed dataset without batch", rule="data that is iterated decides the global batch")
    return HubStream(rows, inputs, targets, batch)


def _buffered(source: Any) -> bool:
    """Does something shuffle rows in a buffer? True where it cannot be seen."""
    inner = [getattr(source, "ex_iterable", None), *getattr(source, "ex_iterables", ())]
    return source is None or hasattr(source, "buffer_size") or any(_buffered(one) for one in inner if one is not None)


def _plain(value: Any) -> Any:
    return torch.as_tensor(value) if isinstance(value, (list, int, float)) else value


def _tensor(found: Any, name: str) -> torch.Tensor:
    if not isinstance(found, torch.Tensor):
        raise UsageError(
            f"column {name} gives a {type(found).__name__}, not numbers of one shape",
            rule="a batch is one tensor",
            nearest="map the column to numbers of one length first",
        )
    return found

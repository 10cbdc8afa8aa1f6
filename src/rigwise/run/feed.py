"""Feeding: each step, every rank takes its part of one and the same global batch.

A Dataset is shuffled anew each epoch by the seed alone; batch number i of an epoch is the same samples in the same
order for every layout, and a rank takes a run of neighbours in it. An iterable yields whole global batches.
Incomplete batches at the end of an epoch are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import torch
from torch.utils.data import TensorDataset, default_collate

from rigwise.errors import UsageError
from rigwise.models.trace import is_dataset
from rigwise.run.seeds import LOADING, order, reseed

Batch = tuple[Any, Any]  # input and target


def cut(tree: Any, start: int, stop: int) -> Any:
    """Samples start to stop of a tensor, or of a tuple, list or dict of tensors."""
    if isinstance(tree, dict):
        return {key: cut(value, start, stop) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(cut(value, start, stop) for value in tree)
    return tree[start:stop]


def place(tree: Any, device: torch.device) -> Any:
    """The same on a device."""
    if isinstance(tree, dict):
        return {key: place(value, device) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return tuple(place(value, device) for value in tree)
    return tree.to(device, non_blocking=True)


def size(tree: Any) -> int:
    """Samples in a batch."""
    while isinstance(tree, (dict, tuple, list)):
        tree = next(iter(tree.values() if isinstance(tree, dict) else tree))
    return int(tree.shape[0])


def pair(item: Any) -> Batch:
    """What the data gave, as (input, target)."""
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        length = f" of {len(item)}" if isinstance(item, (tuple, list, dict)) else ""
        raise UsageError(f"the data gave a {type(item).__name__}{length}", rule="data gives pairs (input, target)")
    return item[0], item[1]


class Feed:
    """The batches of one rank. Random numbers that a Dataset draws for a sample are a rank's own; those that an
    iterable draws are the same on all ranks, as all must see the same global batch.
    """

    def __init__(self, data: Any, seed: int, rank: int) -> None:
        self.data = data
        self.seed = seed
        self.rank = rank
        self._dataset = is_dataset(data)
        self._first: list[Batch] = []
        self._iterator: Iterator[Any] | None = None
        if not self._dataset:
            self._open(0)

    @property
    def own_batch(self) -> int | None:
        """The global batch that the data fixes by coming in batches; None for a Dataset."""
        return size(self._first[0][0]) if self._first else None

    def deal(self, *, batch: int, share: slice, start: int) -> Iterator[Batch]:
        """Input and target of this rank's share (a slice of the global batch) from step `start` on, for ever."""
        self._check(batch)
        return self._samples(batch, share, start) if self._dataset else self._batches(batch, share, start)

    def _check(self, batch: int) -> None:
        if self._dataset and len(self.data) < batch:
            raise UsageError(
                f"the dataset has {len(self.data)} samples, the global batch {batch}",
                rule="a global batch holds no sample twice",
                nearest=f"batch {len(self.data)}" if len(self.data) else "a dataset with samples",
            )
        if self.own_batch not in (None, batch):
            raise UsageError(
                f"batch {batch}, but the data comes in batches of {self.own_batch}",
                rule="data that is iterated decides the global batch",
                nearest=f"batch {self.own_batch}",
            )

    def _samples(self, batch: int, share: slice, start: int) -> Iterator[Batch]:
        each = len(self.data) // batch
        epoch, at = divmod(start, each)
        while True:
            rows = order(self.seed, epoch, len(self.data))
            for number in range(at, each):
                reseed(LOADING, self.seed, epoch * each + number, self.rank)
                yield pair(self._rows(rows[number * batch : (number + 1) * batch][share]))
            epoch, at = epoch + 1, 0

    def _rows(self, rows: torch.Tensor) -> Any:
        if type(self.data) is TensorDataset:
            return tuple(tensor[rows] for tensor in self.data.tensors)
        return default_collate([self.data[row] for row in rows.tolist()])

    def _open(self, step: int) -> None:
        reseed(LOADING, self.seed, step)  # a DataLoader draws its order here
        self._iterator = iter(self.data)
        item = next(self._iterator, None)
        if item is None:
            raise UsageError(
                f"the data ended after {step} steps", rule="data can be iterated again, or lasts for all steps"
            )
        self._first = [pair(item)]

    def _batches(self, batch: int, share: slice, start: int) -> Iterator[Batch]:
        step = 0
        while True:
            assert self._iterator is not None
            items: Iterable[Any] = chain(self._first, self._iterator)
            for item in items:
                inputs, targets = pair(item)
                if size(inputs) != batch:
                    continue
                if step >= start:
                    yield cut(inputs, share.start, share.stop), cut(targets, share.start, share.stop)
                step += 1
                reseed(LOADING, self.seed, step)
            self._open(step)

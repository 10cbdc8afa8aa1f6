"""Feeding: each step, every rank takes its part of one and the same global batch.

A Dataset is shuffled anew each epoch by the seed alone; batch number i of an epoch is the same samples in the same
order for every layout, and a rank takes a run of neighbours in it. What a step loads follows from the seed and the
step's number, so any step can be loaded at any time, in any process. An iterable yields whole global batches.
Incomplete batches at the end of an epoch are left out.

A Dataset may say more of itself than torch's do (readers/ has such): `gather(rows)` gives a whole batch at once, and
`rows_of(seed, epoch, batch)` is an order of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, count
from typing import Any

import torch
from torch.utils._pytree import tree_leaves
from torch.utils.data import TensorDataset, default_collate

from rigwise.errors import UsageError
from rigwise.models.trace import is_dataset
from rigwise.run.seeds import LOADING, order, reseed

Batch = tuple[Any, Any]  # input and target
_LETTERS = 12


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
    if not isinstance(tree, torch.Tensor):
        raise no_tensor(tree)
    return tree.to(device, non_blocking=True)


def digest(tree: Any) -> str:
    """A few letters that differ where the numbers do."""
    seen = hashlib.sha256()
    for leaf in tree_leaves(tree):
        is_tensor = isinstance(leaf, torch.Tensor)
        seen.update(leaf.cpu().contiguous().view(-1).view(torch.uint8).numpy() if is_tensor else repr(leaf).encode())
    return seen.hexdigest()[:_LETTERS]


def no_tensor(value: Any) -> UsageError:
    """The refusal of what is no tensor where one is expected."""
    return UsageError(
        f"the data gave a {type(value).__name__} where a tensor is expected",
        rule="input and target are tensors, or tuples or dicts of tensors",
    )


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
        self.indexed = is_dataset(data)
        self._each: tuple[int, int] | None = None  # batch, and how many of it an epoch has
        self._epoch: tuple[tuple[int, int], torch.Tensor] | None = None
        self._first: list[Batch] = []
        self._iterator: Iterator[Any] | None = None
        if not self.indexed:
            self._open(0)

    @property
    def own_batch(self) -> int | None:
        """The global batch that the data fixes by coming in batches; None for a Dataset."""
        return size(self._first[0][0]) if self._first else None

    @property
    def seen(self) -> str:
        """What tells these data from others: how many samples, or what they begin with."""
        return f"{len(self.data)} samples" if self.indexed else f"batches that begin with {digest(self._first[0])}"

    def position(self) -> Mapping[str, Any] | None:
        """Where an iterable stands, if it can say so (`state_dict`); whatever else can be found from the step alone."""
        said = getattr(self.data, "state_dict", None)
        return dict(said()) if not self.indexed and callable(said) else None

    def deal(
        self, *, batch: int, share: slice, start: int, every: int = 1, position: Mapping[str, Any] | None = None
    ) -> Iterator[Batch]:
        """Input and target of this rank's share (a slice of the global batch) from step `start` on, for ever.

        every: of a Dataset, only each so-manieth step. position: what `position` said after the step before `start`;
        without it, an iterable goes through all that was before.
        """
        self._check(batch)
        if self.indexed:
            return (self._load(step, batch, share) for step in count(start, every))
        return self._batches(batch, share, start, position)

    def _check(self, batch: int) -> None:
        if self.indexed and len(self.data) < batch:
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

    def _load(self, step: int, batch: int, share: slice) -> Batch:
        if self._each is None or self._each[0] != batch:
            self._each = batch, len(self._rows(0, batch)) // batch
        epoch, number = divmod(step, self._each[1])
        rows = self._rows(epoch, batch)[number * batch : (number + 1) * batch][share]
        reseed(LOADING, self.seed, step, self.rank)
        return pair(self._gathered(rows))

    def _rows(self, epoch: int, batch: int) -> torch.Tensor:
        """The order of an epoch, kept for the next step; every epoch has as many samples."""
        if self._epoch is None or self._epoch[0] != (epoch, batch):
            own = getattr(self.data, "rows_of", None)
            rows = own(self.seed, epoch, batch) if own else order(self.seed, epoch, len(self.data))
            self._epoch = (epoch, batch), rows
        return self._epoch[1]

    def _gathered(self, rows: torch.Tensor) -> Any:
        if type(self.data) is TensorDataset:
            return tuple(tensor[rows] for tensor in self.data.tensors)
        if hasattr(self.data, "gather"):
            return self.data.gather(rows)
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

    def _batches(self, batch: int, share: slice, start: int, position: Mapping[str, Any] | None) -> Iterator[Batch]:
        step = 0
        if position is not None:
            self.data.load_state_dict(position)
            reseed(LOADING, self.seed, start)
            step, self._first, self._iterator = start, [], iter(self.data)
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

"""Which piece of which tensor of the whole model a rank holds.

A piece is an outer product: along each dim some runs of indices, in their order. Heads of a fused qkv weight are three
runs along its first dim, a column split is one, a copy of the whole is everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

Run = tuple[int, int]  # start and stop
Runs = tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A rank's piece of one tensor.

    name: of the tensor in the person's module. parameter: this rank's tensor, or None where only the book is wanted.
    shape: of the whole tensor. runs: for each dim the (start, stop) that are held, in the order in which they lie in
    the piece. Its optimizer state is cut in the same way.
    """

    name: str
    parameter: torch.Tensor | None
    shape: tuple[int, ...]
    runs: tuple[Runs, ...]

    @classmethod
    def whole(cls, name: str, tensor: torch.Tensor) -> Held:
        """A tensor that is held as it is."""
        shape = tuple(tensor.shape)
        return cls(name=name, parameter=tensor, shape=shape, runs=tuple(((0, size),) for size in shape))

    @property
    def piece_shape(self) -> tuple[int, ...]:
        """The shape of the piece."""
        return tuple(sum(stop - start for start, stop in runs) for runs in self.runs)

    @property
    def is_whole(self) -> bool:
        """Is it all of the tensor, in order?"""
        return all(runs == ((0, size),) for runs, size in zip(self.runs, self.shape, strict=True))

    def cut(self, whole: torch.Tensor) -> torch.Tensor:
        """The piece of a tensor of the whole's shape: weights, or their optimizer state."""
        piece = whole
        for dim, runs in enumerate(self.runs):
            if runs != ((0, self.shape[dim]),):
                cuts = [piece.narrow(dim, start, stop - start) for start, stop in runs]
                piece = torch.cat(cuts, dim) if cuts else piece.narrow(dim, 0, 0)
        return piece

    def put(self, whole: torch.Tensor, piece: torch.Tensor) -> None:
        """Write the piece to where it belongs in a tensor of the whole's shape, in place."""
        index = tuple(torch.from_numpy(indices(runs)) for runs in self.runs)
        if not index:
            whole.copy_(piece)
        elif piece.numel():
            whole[torch.meshgrid(*index, indexing="ij")] = piece

    def fits(self, tensor: torch.Tensor) -> bool:
        """Has a tensor the shape of the piece? An empty piece may have lost its other dims."""
        return tuple(tensor.shape) == self.piece_shape or (tensor.numel() == 0 and 0 in self.piece_shape)

    def narrowed(self, dim: int, start: int, stop: int, parameter: torch.Tensor | None = None) -> Held:
        """The part start:stop along a dim of this piece, as sharding cuts it further."""
        kept = runs_of(indices(self.runs[dim])[start:stop])
        runs = (*self.runs[:dim], kept, *self.runs[dim + 1 :])
        return Held(name=self.name, parameter=parameter, shape=self.shape, runs=runs)

    def inside(self, outer: Held) -> Held:
        """This piece of a tensor that is itself a piece of the whole."""
        runs = tuple(runs_of(indices(around)[indices(own)]) for around, own in zip(outer.runs, self.runs, strict=True))
        return Held(name=self.name, parameter=self.parameter, shape=outer.shape, runs=runs)


def indices(runs: Runs) -> NDArray[np.int64]:
    """The indices of runs.

    >>> indices(((0, 2), (4, 6))).tolist()
    [0, 1, 4, 5]
    """
    return np.concatenate([np.arange(start, stop) for start, stop in runs] or [np.arange(0)]).astype(np.int64)


def runs_of(held: Iterable[int] | NDArray[np.int64]) -> Runs:
    """Indices as runs; () for none.

    >>> runs_of([0, 1, 4, 5])
    ((0, 2), (4, 6))
    """
    index = np.asarray(list(held), dtype=np.int64)
    if not len(index):
        return ()
    cuts = [0, *(np.flatnonzero(np.diff(index) != 1) + 1).tolist(), len(index)]
    return tuple((int(index[a]), int(index[b - 1]) + 1) for a, b in pairwise(cuts))


def assemble(pieces: Sequence[tuple[Held, torch.Tensor]]) -> torch.Tensor:
    """The whole tensor from the pieces of all ranks; what several hold is taken from the last.

    >>> parts = [(Held(name="w", parameter=None, shape=(3,), runs=(r,)), torch.ones(n)) for r, n in
    ...          ((((0, 1),), 1), (((1, 3),), 2))]
    >>> assemble(parts).tolist()
    [1.0, 1.0, 1.0]
    """
    first, piece = pieces[0]
    whole = piece.new_zeros(first.shape)
    for held, part in pieces:
        held.put(whole, part)
    return whole

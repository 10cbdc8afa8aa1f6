"""Spectra that are kept: for the backward pass, and of kernels that do not change; both counted, both bounded."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_BYTES = 1 << 30
"""Of spectra kept for backward passes, in this process; beyond it they are made again."""
MOST_KERNEL_BYTES = 1 << 28
"""Of spectra of kernels kept in evaluation."""
_held = [0]


def held_bytes() -> int:
    """Bytes of spectra that wait for a backward pass now."""
    return _held[0]


class Kept:
    """The spectra of input and kernels that a backward pass will read, as long as it may come."""

    __slots__ = ("_bytes", "input", "kernels")

    def __init__(self, input_: Tensor | None, kernels: Tensor | None) -> None:
        self.input, self.kernels = input_, kernels
        self._bytes = sum(_size(s) for s in (input_, kernels) if s is not None)
        _held[0] += self._bytes

    @classmethod
    def of(cls, spectra: tuple[Tensor | None, Tensor | None]) -> Kept:
        """Those that fit under the bound, the smaller first."""
        room = MOST_BYTES - _held[0]
        kept: list[Tensor | None] = [None, None]
        for at in sorted((0, 1), key=lambda i: 0 if (s := spectra[i]) is None else _size(s)):
            spectrum = spectra[at]
            if spectrum is not None and _size(spectrum) <= room:
                kept[at] = spectrum
                room -= _size(spectrum)
        return cls(kept[0], kept[1])

    def __del__(self) -> None:
        _held[0] -= self._bytes


def _size(spectrum: Tensor) -> int:
    return spectrum.numel() * spectrum.element_size()


@dataclass(frozen=True, slots=True)
class _Entry:
    kernels: Tensor  # a copy: a tensor's version does not tell of writes through .data
    spectrum: Tensor

    @property
    def bytes(self) -> int:
        return _size(self.kernels) + _size(self.spectrum)


class Kernels:
    """Spectra of kernels by the tensor they are of, the longest unused dropped beyond a bound."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._entries: OrderedDict[tuple[int, Hashable], _Entry] = OrderedDict()

    @property
    def bytes(self) -> int:
        """Bytes kept now."""
        return sum(entry.bytes for entry in self._entries.values())

    def spectrum(self, w: Tensor, kind: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """The spectrum of w, made only if w is not the tensor, or has not the values, that it was made of."""
        key = (id(w), kind)
        entry = self._entries.get(key)
        if entry is not None and entry.kernels.shape == w.shape and torch.equal(entry.kernels, w):
            self._entries.move_to_end(key)
            return entry.spectrum
        entry = _Entry(w.detach().clone(), make().detach())
        if entry.bytes <= self.most:
            if key not in self._entries:
                weakref.finalize(w, self._entries.pop, key, None)
            self._entries[key] = entry
            while self.bytes > self.most:
                self._entries.popitem(last=False)
        return entry.spectrum

    def clear(self) -> None:
        """Drop all."""
        self._entries.clear()


KERNELS = Kernels(MOST_KERNEL_BYTES)

"""Batches on their way from one process to another: in memory that both see, so that only a name travels.

A parcel is a file without a name in memory: a header (what tensors, and the loader's position), then the numbers. It is
gone when nobody holds it, however the processes end. The two ends are forks of one process: the header is pickled.
"""

from __future__ import annotations

import mmap
import os
import pickle
import socket
import struct
import tempfile
from dataclasses import dataclass
from typing import Any

import torch

from rigwise.run.feeding.feed import no_tensor

_LINE = 64  # bytes that a tensor's place is a multiple of: a cache line
_WHERE = struct.Struct("qq")  # bytes of the header, of the whole
_POPULATE = getattr(mmap, "MAP_POPULATE", 0)  # all pages at once: a fifth of the time that a fault for each takes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    """A tensor in a parcel."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int


def _listed(tree: Any, tensors: list[torch.Tensor], at: int) -> tuple[Any, int]:
    """The tree with leaves in place of tensors, which are appended to `tensors`, and the first free byte."""
    if isinstance(tree, dict):
        listed = {}
        for key, value in tree.items():
            listed[key], at = _listed(value, tensors, at)
        return listed, at
    if isinstance(tree, (tuple, list)):
        several = []
        for value in tree:
            one, at = _listed(value, tensors, at)
            several.append(one)
        return tuple(several), at
    if not isinstance(tree, torch.Tensor):
        raise no_tensor(tree)
    tensors.append(tree)
    return _Leaf(dtype=tree.dtype, shape=tuple(tree.shape), offset=at), -(-(at + tree.nbytes) // _LINE) * _LINE


def _built(tree: Any, memory: mmap.mmap, base: int) -> Any:
    if isinstance(tree, dict):
        return {key: _built(value, memory, base) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(_built(value, memory, base) for value in tree)
    return _view(tree, memory, base)


def _view(leaf: _Leaf, memory: mmap.mmap, base: int) -> torch.Tensor:
    count = 1
    for length in leaf.shape:
        count *= length
    if count == 0:
        return torch.empty(leaf.shape, dtype=leaf.dtype)
    return torch.frombuffer(memory, dtype=leaf.dtype, count=count, offset=base + leaf.offset).view(leaf.shape)


def _nameless(size: int) -> int:
    """A file of `size` bytes in memory, without a name."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("rigwise-batch")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, size)
    return file


def send(to: socket.socket, tree: Any, note: Any) -> None:
    """Send a tree of tensors, and whatever else of plain values goes with it."""
    tensors: list[torch.Tensor] = []
    leaves, size = _listed(tree, tensors, 0)
    header = pickle.dumps((leaves, note))
    base = -(-len(header) // _LINE) * _LINE
    file = _nameless(base + size)
    try:
        memory = mmap.mmap(file, base + size, flags=mmap.MAP_SHARED | _POPULATE)
        memory[: len(header)] = header
        for leaf, tensor in zip(_flat(leaves), tensors, strict=True):
            if tensor.numel():
                _view(leaf, memory, base).copy_(tensor)
        socket.send_fds(to, [_WHERE.pack(len(header), base + size)], [file])
    finally:
        os.close(file)


def _flat(tree: Any) -> list[_Leaf]:
    if isinstance(tree, _Leaf):
        return [tree]
    return [leaf for value in (tree.values() if isinstance(tree, dict) else tree) for leaf in _flat(value)]


def receive(from_: socket.socket) -> tuple[Any, Any]:
    """The next parcel, as tensors in the memory that the sender wrote, and the note. Raises EOFError."""
    said, files, _, _ = socket.recv_fds(from_, _WHERE.size, 1)
    if not said or not files:
        raise EOFError
    header, whole = _WHERE.unpack(said)
    try:
        memory = mmap.mmap(files[0], whole, flags=mmap.MAP_SHARED | _POPULATE)
    finally:
        os.close(files[0])
    leaves, note = pickle.loads(memory[:header])  # noqa: S301 - from our own fork
    return _built(leaves, memory, -(-header // _LINE) * _LINE), note

"""Codecs: numbers to bytes on the wire and back; which implementation works depends on the device.

A message of n numbers is its scales (float32, one a block of 4096) and then its codes. On a CPU numba's kernels work,
or NumPy's where numba is missing; on a GPU Triton's. All give the same bits (tests), so ranks may differ in them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import torch

from rigwise.errors import UsageError
from rigwise.run.compress import reference
from rigwise.run.compress.reference import BLOCK

SLOW = "numba is not installed: gradients are packed by NumPy, some 30 times slower; pip install 'rigwise[compress]'"
_SCALE = 4  # bytes
_ALIGNED = 16  # bytes that a message's length is rounded up to, so that the next one's scales lie on a float's border
_Work = Callable[[Any, Any, Any], None]


class Codec(Protocol):
    """feedback: what was lost must be added to the next step's gradients, or training goes astray."""

    @property
    def name(self) -> str:
        """As a layout spells it."""

    @property
    def feedback(self) -> bool:
        """Must what was not sent be kept?"""

    def size(self, count: int) -> int:
        """Bytes of a message of `count` numbers."""

    def encode(self, numbers: torch.Tensor, wire: torch.Tensor) -> None:
        """Write float32 numbers [n] to a message: bytes, uint8 [size(n)] or longer."""

    def encode_rest(self, numbers: torch.Tensor, wire: torch.Tensor) -> None:
        """Write numbers [n] to a message, and leave in them what it does not say."""

    def decode(self, wire: torch.Tensor, numbers: torch.Tensor) -> None:
        """Read a message into numbers [n]."""

    def add(self, wire: torch.Tensor, numbers: torch.Tensor) -> None:
        """Add a message's numbers to numbers [n]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounded:
    """bfloat16: two bytes a number, rounded to the nearest even."""

    name: str = "bf16"
    feedback: bool = False

    def size(self, count: int) -> int:
        """Bytes of a message.

        >>> Rounded().size(1000)
        2000
        """
        return _padded(2 * count)

    def encode(self, numbers: torch.Tensor, wire: torch.Tensor) -> None:
        """Write a message."""
        self._halves(wire, numbers).copy_(numbers)

    def encode_rest(self, numbers: torch.Tensor, wire: torch.Tensor) -> None:
        """Write a message and leave the rest."""
        self.encode(numbers, wire)
        numbers.sub_(self._halves(wire, numbers))

    def decode(self, wire: torch.Tensor, numbers: torch.Tensor) -> None:
        """Read a message."""
        numbers.copy_(self._halves(wire, numbers))

    def add(self, wire: torch.Tensor, numbers: torch.Tensor) -> None:
        """Add a message."""
        numbers.add_(self._halves(wire, numbers))

    def _halves(self, wire: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        return wire[: 2 * numbers.numel()].view(torch.bfloat16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A scale a block and `bits` a number; the functions take (numbers, scales, codes) as their kind wants them."""

    name: str
    bits: int
    feedback: bool
    packs: _Work
    packs_rest: _Work
    unpacks: _Work
    adds: _Work
    arrays: bool  # the functions want NumPy arrays, not tensors

    def size(self, count: int) -> int:
        """Bytes of a message."""
        return _padded(_SCALE * -(-count // BLOCK) + -(-count * self.bits // 8))

    def encode(self, numbers: torch.Tensor, wire: torch.Tensor) -> None:
        """Write a message."""
        self.packs(*self._parts(wire, numbers, numbers_first=True))

    def encode_rest(self, numbers: torch.Tensor, wire: torch.Tensor) -> None:
        """Write a message and leave the rest."""
        self.packs_rest(*self._parts(wire, numbers, numbers_first=True))

    def decode(self, wire: torch.Tensor, numbers: torch.Tensor) -> None:
        """Read a message."""
        self.unpacks(*self._parts(wire, numbers))

    def add(self, wire: torch.Tensor, numbers: torch.Tensor) -> None:
        """Add a message."""
        self.adds(*self._parts(wire, numbers))

    def _parts(self, wire: torch.Tensor, numbers: torch.Tensor, numbers_first: bool = False) -> tuple[Any, Any, Any]:
        count = numbers.numel()
        border = _SCALE * -(-count // BLOCK)
        scales, codes = wire[:border].view(torch.float32), wire[border : border + -(-count * self.bits // 8)]
        parts = (numbers, scales, codes) if numbers_first else (scales, codes, numbers)
        return tuple(part.numpy() for part in parts) if self.arrays else parts  # type: ignore[return-value]


def _padded(length: int) -> int:
    return -(-length // _ALIGNED) * _ALIGNED


_KINDS = {"8bit": ("linear", 8, False), "8bit-dynamic": ("dynamic", 8, False), "1bit": ("sign", 1, True)}
CODECS = ("bf16", *_KINDS)


def codec(name: str, device: torch.device, plain: bool = False) -> Codec:
    """The codec of a name for tensors on a device. plain: NumPy's also where something quicker is installed.

    >>> codec("8bit", torch.device("cpu")).size(1_000_000), codec("1bit", torch.device("cpu"), plain=True).size(4096)
    (1000992, 528)
    """
    if name == "bf16":
        return Rounded()
    if name not in _KINDS:
        raise UsageError(f"codec {name!r}", rule=f"a codec is one of {', '.join(CODECS)}")
    kind, bits, feedback = _KINDS[name]
    source = _source(device, plain)
    packs, unpacks = getattr(source, f"encode_{kind}"), getattr(source, f"decode_{kind}")
    return Scaled(
        name=name,
        bits=bits,
        feedback=feedback,
        packs=packs,
        packs_rest=getattr(source, f"encode_rest_{kind}", None) or _leaving(packs, unpacks),
        unpacks=unpacks,
        adds=getattr(source, f"add_{kind}", None) or _adding(unpacks),
        arrays=device.type == "cpu",
    )


def quick() -> bool:
    """Is numba there?"""
    return find_spec("numba") is not None


def _source(device: torch.device, plain: bool) -> Any:
    if device.type == "cuda":
        from rigwise.run.compress import triton_kernels

        return triton_kernels
    if plain or not quick():
        return reference
    from rigwise.run.compress import kernels

    return kernels


def _leaving(packs: _Work, unpacks: _Work) -> _Work:
    def leaves(numbers: Any, scales: Any, codes: Any) -> None:
        packs(numbers, scales, codes)
        numbers -= _apart(unpacks, scales, codes, numbers)

    return leaves


def _adding(unpacks: _Work) -> _Work:
    def adds(scales: Any, codes: Any, numbers: Any) -> None:
        numbers += _apart(unpacks, scales, codes, numbers)

    return adds


def _apart(unpacks: _Work, scales: Any, codes: Any, like: Any) -> Any:
    apart = torch.empty_like(like) if isinstance(like, torch.Tensor) else np.empty_like(like)
    unpacks(scales, codes, apart)
    return apart

"""What each algorithm does in each pass: FLOPs by kind, bytes, calls. The only place where they are counted.

The kinds are told apart because their rates differ by tens: the library's own kernels (dense, depthwise, and single
channels, each pass apart), large matrix products, many small ones, fast transforms, and plain movement of bytes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import log2, prod

from rigwise.convolution.fourier import exact_lengths, good_length, lengths, tile, window_lengths
from rigwise.convolution.geometry import Geometry

COMPLEX_MULTIPLY_ADD = 8.0
"""FLOP of a product of complex numbers and its sum."""
_TRANSFORM = 2.5
_LANES = 16
"""Channels that the library's kernels compute at a time, wanted or not: oneDNN's blocked layouts (nChw16c) and
AVX-512's floats."""
_PARTS = {"forward": "xwy", "input_gradient": "gwd", "weight_gradient": "xgk"}


def transform_flops(n: tuple[int, ...]) -> float:
    """FLOP of a real transform of prod(n) values: 2.5 n log2 n, half of a complex one's (Cooley and Tukey).

    >>> transform_flops((8, 8))
    960.0
    """
    return _TRANSFORM * prod(n) * log2(max(prod(n), 2))


def frequencies(n: tuple[int, ...]) -> int:
    """Complex numbers of the half spectrum of real values.

    >>> frequencies((32, 32))
    544
    """
    return prod(n[:-1]) * (n[-1] // 2 + 1)


def tiles(out: tuple[int, ...], side: int | tuple[int, ...]) -> int:
    """Tiles of `side` outputs a dim that cover an output.

    >>> tiles((7, 7), 4)
    4
    """
    sides = (side,) * len(out) if isinstance(side, int) else side
    return prod(-(-size // max(one, 1)) for size, one in zip(out, sides))


def windows(out: tuple[int, ...], reach: tuple[int, ...], side: int | tuple[int, ...]) -> int:
    """Windows of `side` inputs a dim, which overlap by the kernel less one, that cover an output.

    >>> windows((56, 56), (5, 5), 32)
    4
    """
    sides = (side,) * len(out) if isinstance(side, int) else side
    return tiles(out, tuple(n - r + 1 for n, r in zip(sides, reach)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """FLOPs by kind; bytes written and read besides; calls of the interpreter's operations."""

    flops: dict[str, float]
    bytes: float
    calls: int


def kind_of(shape: Geometry, padded: bool = False) -> str:
    """The class of the library's kernels that a geometry falls into; padded: zeros are written before.

    >>> layer = Geometry(batch=1, c=16, k=16, groups=16, size=(40, 40), kernel=(21, 21), pad=((10, 10),) * 2)
    >>> kind_of(layer), kind_of(layer, padded=True)
    ('depthwise-wide', 'depthwise')
    """
    if shape.c == 1 and shape.k == 1:
        return "single"
    if shape.groups > 1 and shape.c // shape.groups == 1:
        around = 0 if padded else max(max(pair) for pair in shape.pad)
        return "depthwise-wide" if around > _MOST_PAD else "depthwise"
    return "wide" if max(shape.reach) > _WIDE else "dense"


_WIDE = 9  # from here on torch's own gradients of the input and the kernels leave their quick path
_MOST_PAD = 6  # of a depthwise layer on its quick path: the outputs that oneDNN's kernel holds in registers


def idle(which: str, shape: Geometry) -> float:
    """How many times its work the library does, for channels that fill no block of its kernels.

    Those are the channels that a pass writes; of the input gradient those that it reads too, whichever fills less.

    >>> one = Geometry(batch=1, c=24, k=1, size=(20, 20), kernel=(5, 5))
    >>> idle("forward", one), idle("input_gradient", one), idle("forward", replace(one, k=24))
    (16.0, 16.0, 1.3333333333333333)
    """
    kind = kind_of(shape)
    if kind == "single":  # has rates of its own
        return 1.0
    groups = 1 if kind.startswith("depthwise") else shape.groups
    counts = (shape.k,) if which != "input_gradient" else (shape.c, shape.k)
    return max(_LANES * -(-count // (groups * _LANES)) * groups / count for count in counts)


def work(algorithm: str, which: str, shape: Geometry, element: int) -> Work:
    """The work of one pass of one geometry."""
    moved = shape.bytes(element)
    if algorithm in ("library", "library-padded"):
        padded = algorithm == "library-padded"
        zeros = element * shape.batch * shape.c * prod(shape.padded) if padded else 0.0
        done = shape.flops * idle(which, shape)
        return Work(flops={f"{kind_of(shape, padded)}-{which}": done}, bytes=moved + 2 * zeros, calls=1)
    if algorithm == "direct":
        through = 3.0 * element * shape.taps * prod(shape.y_shape)
        return Work(flops={"small": shape.flops}, bytes=moved + through, calls=4 * shape.taps)
    if algorithm == "im2col":
        patches = 2.0 * element * shape.batch * shape.c * shape.taps * prod(shape.out)
        return Work(flops={"matmul": shape.flops}, bytes=moved + patches, calls=10 + shape.taps)
    if algorithm.startswith("winograd"):
        return _winograd(shape, which, element, int(algorithm[-1]))
    n = window_of(algorithm, shape)
    return _spectral(algorithm, which, shape, element, n)


def window_of(algorithm: str, shape: Geometry) -> tuple[int, ...]:
    """The length of the transforms of a spectral algorithm."""
    if algorithm == "fft":
        return lengths(shape)
    if algorithm == "dft":
        return exact_lengths(shape)
    if algorithm == "overlap-dft":
        return window_lengths(shape, DFT_WINDOW, DFT_TIMES, exact_lengths(shape))
    if algorithm == "overlap-add":
        return tile(shape)
    return save_lengths(shape)


DFT_WINDOW, DFT_TIMES = 24, 2.5  # windows of matrix transforms are short, as their work grows with the square
_SAVE_WINDOW = {1: 1024, 2: 128, 3: 16}
_SAVE_TIMES = 4.0


def save_lengths(shape: Geometry) -> tuple[int, ...]:
    """Windows of overlap-save: about 4 times the reach, at least 128 in two dims, of round lengths."""
    whole = lengths(shape)
    found = window_lengths(shape, _SAVE_WINDOW[shape.dims], _SAVE_TIMES, whole)
    return tuple(min(good_length(n), most) for n, most in zip(found, whole))


def _winograd(shape: Geometry, which: str, element: int, m: int) -> Work:
    points, count = (m + 2) ** shape.dims, shape.batch * tiles(shape.out, m)
    products = 2.0 * points * count * shape.k * shape.c / shape.groups
    maps = count * (shape.c + shape.k) + shape.k * shape.c / shape.groups
    changes = 2.0 * shape.dims * (m + 2) * points * maps
    return Work(
        flops={"batched": products, "small": changes}, bytes=6.0 * element * points * maps, calls=20 + 10 * shape.dims
    )


def _spectral(algorithm: str, which: str, shape: Geometry, element: int, n: tuple[int, ...]) -> Work:
    """Two transforms there, the products, one back; an image of several windows counts once for each."""
    over = shape if algorithm in ("fft", "dft") else _as_windows(shape, n)
    maps = spectra(over)
    here = [maps[part] for part in _PARTS[which]]
    bins, depthwise = frequencies(n), over.groups == over.c == over.k
    products = COMPLEX_MULTIPLY_ADD * bins * over.batch * over.k * over.c / over.groups
    through = 2.0 * element * bins * sum(here) * (2 if depthwise else 4)
    flops = {"pointwise" if depthwise else "batched": products}
    if algorithm in ("dft", "overlap-dft"):
        flops["matmul"] = sum(dft_flops(over, part, n) * maps[part] for part in _PARTS[which])
    else:
        flops["fft"] = transform_flops(n) * sum(here)
    extra = 0.0 if over is shape else 3.0 * element * over.batch * prod(n) * (over.c + over.k)
    return Work(flops=flops, bytes=shape.bytes(element) + through + extra, calls=15 if over is shape else 30)


def _as_windows(shape: Geometry, n: tuple[int, ...]) -> Geometry:
    count = windows(shape.dense_out, shape.reach, n)
    none = ((0, 0),) * shape.dims
    return replace(shape, batch=shape.batch * count, size=n, pad=none, stride=(1,) * shape.dims)


def spectra(shape: Geometry) -> Counter[str]:
    """How many maps each tensor has: x, d (its gradient), y, g (its gradient), w, k (its gradient)."""
    x, y, w = shape.batch * shape.c, shape.batch * shape.k, shape.k * shape.c // shape.groups
    return Counter(x=x, d=x, y=y, g=y, w=w, k=w)


def dft_flops(shape: Geometry, part: str, n: tuple[int, ...]) -> float:
    """FLOP of one map's transform as matrix products: real to half spectrum, then complex in the other dim."""
    sizes = {"x": shape.size, "d": shape.size, "w": shape.reach, "k": shape.reach}.get(part, shape.dense_out)
    half = n[0] // 2 + 1
    first = 4.0 * half * sizes[0] * prod(sizes[1:])
    return first + (COMPLEX_MULTIPLY_ADD * half * n[1] * sizes[1] if len(n) > 1 else 0.0)


def spectra_bytes(shape: Geometry, element: int) -> float:
    """Bytes of the spectra of input and kernels that a whole transform keeps for the backward passes.

    >>> spectra_bytes(Geometry(batch=4, c=64, k=64, groups=64, size=(56, 56), kernel=(31, 31), pad=((15, 15),) * 2), 4)
    6819840.0
    """
    maps = spectra(shape)
    return 2.0 * element * frequencies(lengths(shape)) * (maps["x"] + maps["w"])

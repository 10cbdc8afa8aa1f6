"""Convolution through the Fourier transform in NumPy: whole, by overlap-save and by overlap-add.

The convolution theorem: a cyclic cross-correlation of length n is a product of spectra, Y = X conj(W). One length n
serves all three passes, and wrapped-around sums fall only where nothing is read:

    n >= max(H + max(p, p'), out at stride 1, reach), rounded up to a length with small prime factors
    forward          Y  = sum over c of X V              read at reach - 1 - p .. + out, V of the kernels turned
    input gradient   DX = sum over k of G W              read at p .. p + H
    weight gradient  DW = sum over n of X conj(G)        read at 0 .. reach, with x laid at offset p

Dims are transformed one after the other, and back the other way, so that rows that are zero, or not read, never are.
A stride computes every position and keeps some; a dilated kernel has zeros between its taps.
Overlap-save cuts the output into tiles and transforms the (overlapping) windows that each tile reads; overlap-add cuts
the input into tiles and adds their (overlapping) outputs. Both keep transforms near the kernel's size, where they are
cheaper and stay in cache. Source: Cooley and Tukey 1965; Stockham 1966; overlap methods as in Oppenheim and Schafer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from importlib import import_module
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.geometry import Geometry
from rigwise.convolution.kernels import Floats, inside, pad, turn

Spectrum = NDArray[np.complexfloating]
_LARGEST = 1 << 20
_TILE = 7  # times the kernel's reach: less is read twice, more falls out of cache
_LEAST_TILE = 128
_MOST_TILE = {1: 1 << 15, 2: 512, 3: 64}  # beyond these a tile falls out of cache
_SMALL = 1 << 13  # elements of a transform below which one call for all dims costs less than what it does too much
_AT_ONCE = 1 << 18  # elements of the tiles of a row that go through together


@cache
def _smooth(primes: tuple[int, ...] = (2, 3, 5, 7), step: int = 2) -> list[int]:
    """Lengths of these prime factors that are multiples of `step`; and 1."""
    found = {1}
    for prime in primes:
        for length in sorted(found):
            power = prime
            while length * power <= _LARGEST:
                found.add(length * power)
                power *= prime
    return sorted(n for n in found if n == 1 or n % step == 0)


def good_length(least: int) -> int:
    """The shortest even length of at least `least` that transforms of most libraries are quick at.

    >>> good_length(87), good_length(1), good_length(127)
    (90, 1, 128)
    """
    return _shortest(least, _smooth())


def _shortest(least: int, among: list[int]) -> int:
    return 1 << (least - 1).bit_length() if least > _LARGEST else among[bisect_left(among, least)]


def exact_lengths(shape: Geometry) -> tuple[int, ...]:
    """The least length in each dim at which nothing that is read wraps around."""
    rows = zip(shape.size, shape.pad, shape.dense_out, shape.reach)
    return tuple(max(h + max(pads), out, reach) for h, pads, out, reach in rows)


@lru_cache(maxsize=4096)
def lengths(shape: Geometry) -> tuple[int, ...]:
    """The length of the whole transform in each dim, one for the three passes.

    >>> lengths(Geometry(batch=1, c=1, k=1, size=(56,), kernel=(31,), pad=((15, 15),)))
    (72,)
    """
    return tuple(good_length(n) for n in exact_lengths(shape))


@lru_cache(maxsize=4096)
def _lengths(shape: Geometry) -> tuple[int, ...]:
    """The same for NumPy and SciPy, whose complex transforms are quick at factors up to 11, and real ones up to 5."""
    *ahead, last = exact_lengths(shape)
    return (*(_shortest(n, _smooth((2, 3, 5, 7, 11), 1)) for n in ahead), _shortest(last, _smooth((2, 3, 5), 1)))


def window_lengths(shape: Geometry, least: int, times: float, whole: tuple[int, ...]) -> tuple[int, ...]:
    """Windows of about `times` the reach and at least `least` that cut the output evenly; none beyond `whole`."""
    found = []
    for reach, out, most in zip(shape.reach, shape.dense_out, whole):
        wanted = min(max(least, round(times * reach)), most)
        count = max(1, round(out / max(wanted - reach + 1, 1)))
        found.append(min(-(-out // count) + reach - 1, most))
    return tuple(found)


@lru_cache(maxsize=4096)
def tile(shape: Geometry) -> tuple[int, ...]:
    """The length of the windows of overlap-save and overlap-add in each dim: 7 times the reach, at least 128."""
    whole, most = lengths(shape), _MOST_TILE[shape.dims]
    wanted = (max(min(_LEAST_TILE, most), min(most, _TILE * reach), 2 * reach) for reach in shape.reach)
    return tuple(min(good_length(want), n) for want, n in zip(wanted, whole))


def spread(w: Floats, shape: Geometry) -> Floats:
    """The kernels with the zeros of their dilation."""
    if not shape.dilated:
        return w
    wide = np.zeros((*w.shape[:2], *shape.reach), dtype=w.dtype)
    wide[inside(slice(None, None, d) for d in shape.dilation)] = w
    return wide


def unspread(dw: Floats, shape: Geometry) -> Floats:
    """The taps of a dilated kernel's gradient."""
    taps: Floats = dw[inside(slice(None, None, d) for d in shape.dilation)]
    return taps


def spread_output(g: Floats, shape: Geometry) -> Floats:
    """An output's gradient with zeros at the positions that the stride left out."""
    if not shape.strided:
        return g
    wide = np.zeros((*g.shape[:2], *shape.dense_out), dtype=g.dtype)
    wide[inside(slice(None, (o - 1) * s + 1, s) for o, s in zip(shape.out, shape.stride))] = g
    return wide


def keep_strided(y: Floats, shape: Geometry) -> Floats:
    """The outputs that the stride keeps."""
    if not shape.strided:
        return y
    return np.ascontiguousarray(y[inside(slice(None, None, s) for s in shape.stride)])


def _lay(x: Floats, shape: Geometry, n: tuple[int, ...]) -> Floats:
    """The input at its offset in zeros of length n."""
    widths = ((before, length - h - before) for h, (before, _), length in zip(shape.size, shape.pad, n))
    return np.pad(x, ((0, 0), (0, 0), *widths))


@cache
def engine() -> Any:
    """SciPy's transforms where it is installed, which are about twice as quick as NumPy's."""
    try:
        return import_module("scipy.fft")
    except ImportError:
        return np.fft


def _spectrum(x: Floats, n: tuple[int, ...]) -> Spectrum:
    """Zeros behind x up to the lengths n; the last dim first, while the others are short."""
    if prod(n) <= _SMALL:
        small: Spectrum = engine().rfftn(x, n, axes=range(-len(n), 0))
        return small
    spectrum: Spectrum = engine().rfft(x, n[-1], axis=-1)
    for axis in range(-2, -len(n) - 1, -1):
        spectrum = engine().fft(spectrum, n[axis], axis=axis)
    return spectrum


def _image(spectrum: Spectrum, n: tuple[int, ...], starts: Iterable[int], counts: Iterable[int]) -> Floats:
    """What is read of the image, each dim cut before the next is transformed."""
    reads = [slice(start, start + count) for start, count in zip(starts, counts)]
    if prod(n) <= _SMALL:
        small: Floats = engine().irfftn(spectrum, n, axes=range(-len(n), 0))
        part: Floats = small[inside(reads)]
        return part
    for axis, read in zip(range(-len(n), -1), reads):
        spectrum = engine().ifft(spectrum, axis=axis)[(..., read, *(slice(None),) * (-axis - 1))]
    image: Floats = engine().irfft(spectrum, n[-1], axis=-1)
    return image[..., reads[-1]]


def _by_group(spectrum: Spectrum, groups: int) -> Spectrum:
    """(N, G C/G, frequencies) as (frequencies, G, N, C/G), matrices behind."""
    first, channels, count = spectrum.shape[0], spectrum.shape[1], prod(spectrum.shape[2:])
    return spectrum.reshape(first, groups, channels // groups, count).transpose(3, 1, 0, 2)


def _banks(spectrum: Spectrum, groups: int) -> Spectrum:
    """(K, C/G, frequencies) as (frequencies, G, K/G, C/G)."""
    k, c, count = spectrum.shape[0], spectrum.shape[1], prod(spectrum.shape[2:])
    return spectrum.reshape(groups, k // groups, c, count).transpose(3, 0, 1, 2)


def _ungroup(product_: Spectrum, frequencies: tuple[int, ...]) -> Spectrum:
    """(frequencies, G, N, C/G) as (N, C, frequencies)."""
    _, groups, first, channels = product_.shape
    return product_.transpose(2, 1, 3, 0).reshape(first, groups * channels, *frequencies)


def contract_forward(x: Spectrum, w: Spectrum, groups: int) -> Spectrum:
    """Sum over c of X V: (N, C, f) and (K, C/G, f) to (N, K, f)."""
    if w.shape[1] == 1 and w.shape[0] == groups:
        return np.asarray(x * w[:, 0])
    return _ungroup(np.matmul(_by_group(x, groups), _banks(w, groups).swapaxes(-1, -2)), x.shape[2:])


def contract_input_gradient(g: Spectrum, w: Spectrum, groups: int) -> Spectrum:
    """Sum over k of G W: (N, K, f) and (K, C/G, f) to (N, C, f)."""
    if w.shape[1] == 1 and w.shape[0] == groups:
        return np.asarray(g * w[:, 0])
    return _ungroup(np.matmul(_by_group(g, groups), _banks(w, groups)), g.shape[2:])


def contract_weight_gradient(x: Spectrum, g: Spectrum, groups: int) -> Spectrum:
    """Sum over n of X conj(G): (N, C, f) and (N, K, f) to (K, C/G, f)."""
    grads = np.conj(_by_group(g, groups)).swapaxes(-1, -2)
    product_ = np.matmul(grads, _by_group(x, groups))  # (f, G, K/G, C/G)
    _, _, k, c = product_.shape
    dw: Spectrum = product_.transpose(1, 2, 3, 0).reshape(groups * k, c, *x.shape[2:])
    return dw


def _turned(w: Floats, shape: Geometry, n: tuple[int, ...]) -> Spectrum:
    """The spectrum of the kernels turned by 180 degrees, whose convolution is the cross-correlation."""
    return _spectrum(turn(spread(w, shape), shape.dims), n)


def fft_forward(x: Floats, w: Floats, shape: Geometry) -> Floats:
    """The whole image in one transform."""
    n = _lengths(shape)
    starts = [reach - 1 - before for reach, (before, _) in zip(shape.reach, shape.pad)]
    if min(starts) < 0:  # outputs that see nothing but zeros
        starts = [reach - 1 for reach in shape.reach]
        n = tuple(good_length(max(h, r)) for h, r in zip(shape.padded, shape.reach))
        x = pad(x, shape)
    spectrum = contract_forward(_spectrum(x, n), _turned(w, shape, n), shape.groups)
    return keep_strided(np.ascontiguousarray(_image(spectrum, n, starts, shape.dense_out)), shape)


def whole_transform(shape: Geometry) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    """Lengths of the one transform of an image, where its reading starts, how far it goes; None if of zeros alone."""
    starts = tuple(reach - 1 - before for reach, (before, _) in zip(shape.reach, shape.pad))
    return None if min(starts) < 0 else (_lengths(shape), starts, shape.dense_out)


def plain(x: Floats, w: Floats, n: tuple[int, ...], starts: tuple[int, ...], counts: tuple[int, ...]) -> Floats:
    """The true convolution of an image and a kernel without channels, as `whole_transform` has it."""
    one, other = _spectrum(x, n), _spectrum(w, n)
    product_ = np.multiply(one, other, out=one if one.dtype == other.dtype else None)
    return np.ascontiguousarray(_image(product_, n, starts, counts))


def fft_input_gradient(g: Floats, w: Floats, shape: Geometry) -> Floats:
    """The whole gradient in one transform."""
    n = _lengths(shape)
    grads = _spectrum(spread_output(g, shape), n)
    spectrum = contract_input_gradient(grads, _spectrum(spread(w, shape), n), shape.groups)
    return np.ascontiguousarray(_image(spectrum, n, (before for before, _ in shape.pad), shape.size))


def fft_weight_gradient(x: Floats, g: Floats, shape: Geometry) -> Floats:
    """Input and output gradient whole, their product summed over the images."""
    n = _lengths(shape)
    grads = _spectrum(spread_output(g, shape), n)
    spectrum = contract_weight_gradient(_spectrum(_lay(x, shape, n), n), grads, shape.groups)
    dw = _image(spectrum, n, (0,) * shape.dims, shape.reach)
    return np.ascontiguousarray(unspread(dw, shape))


def overlap_save_forward(x: Floats, w: Floats, shape: Geometry) -> Floats:
    """Tiles of the output, each from the window of the input that it reads; those of a row go through together."""
    n = tile(shape)
    kernels = _turned(w, shape, n)
    steps = tuple(length - reach + 1 for length, reach in zip(n, shape.reach))
    many = max(1, _AT_ONCE // (shape.batch * max(shape.c, shape.k) * prod(n)))
    y = np.empty((shape.batch, shape.k, *shape.dense_out), dtype=np.result_type(x, w))
    for corner in _corners(shape.dense_out, (*steps[:-1], many * steps[-1])):
        count = min(many, -(-(shape.dense_out[-1] - corner[-1]) // steps[-1]))
        row = _window(x, shape, corner, (*n[:-1], count * steps[-1] + shape.reach[-1] - 1))
        windows = np.lib.stride_tricks.sliding_window_view(row, n[-1], axis=-1)[..., :: steps[-1], :]
        windows = np.moveaxis(windows, -2, 1).reshape(shape.batch * count, shape.c, *n)
        spectrum = contract_forward(_spectrum(windows, n), kernels, shape.groups)
        part = _image(spectrum, n, (reach - 1 for reach in shape.reach), steps)
        tiles = np.moveaxis(part.reshape(shape.batch, count, shape.k, *steps), 1, -2)
        ends = tuple(
            min(step, out - at) for step, out, at in zip((*steps[:-1], count * steps[-1]), shape.dense_out, corner)
        )
        here = tuple(slice(at, at + end) for at, end in zip(corner, ends))
        row = tiles.reshape(*tiles.shape[:-2], count * steps[-1])
        y[inside(here)] = row[inside(slice(end) for end in ends)]
    return keep_strided(y, shape)


def overlap_save_input_gradient(g: Floats, w: Floats, shape: Geometry) -> Floats:
    """Overlap-save of the gradient with the turned kernels, which is what an input gradient is."""
    turned, turns = as_forward(shape, w)
    return overlap_save_forward(spread_output(g, shape), turns, turned)


def overlap_save_weight_gradient(x: Floats, g: Floats, shape: Geometry) -> Floats:
    """Spectra of windows and of the gradient's tiles, multiplied and summed; one inverse transform at the end."""
    n = tile(shape)
    grads = spread_output(g, shape)
    steps = tuple(length - reach + 1 for length, reach in zip(n, shape.reach))
    parts = [
        contract_weight_gradient(
            _spectrum(_window(x, shape, corner, n), n),
            _spectrum(grads[inside(slice(at, at + step) for at, step in zip(corner, steps))], n),
            shape.groups,
        )
        for corner in _corners(shape.dense_out, steps)
    ]
    dw = _image(np.asarray(sum(parts)), n, (0,) * shape.dims, shape.reach)
    return np.ascontiguousarray(unspread(dw, shape))


def overlap_add_forward(x: Floats, w: Floats, shape: Geometry) -> Floats:
    """Tiles of the input, each to its full output, added where those overlap."""
    n = tile(shape)
    kernels = _turned(w, shape, n)
    steps = tuple(length - reach + 1 for length, reach in zip(n, shape.reach))
    y = np.zeros((shape.batch, shape.k, *shape.dense_out), dtype=np.result_type(x, w))
    for corner in _corners(shape.size, steps):
        piece = x[inside(slice(at, at + step) for at, step in zip(corner, steps))]
        sizes = tuple(h + reach - 1 for h, reach in zip(piece.shape[2:], shape.reach))
        spectrum = contract_forward(_spectrum(piece, n), kernels, shape.groups)
        first = tuple(at + before - reach + 1 for at, (before, _), reach in zip(corner, shape.pad, shape.reach))
        _add(y, _image(spectrum, n, (0,) * shape.dims, sizes), first, sizes)
    return keep_strided(y, shape)


def overlap_add_input_gradient(g: Floats, w: Floats, shape: Geometry) -> Floats:
    """Overlap-add of the gradient with the turned kernels."""
    turned, turns = as_forward(shape, w)
    return overlap_add_forward(spread_output(g, shape), turns, turned)


def _add(y: Floats, part: Floats, first: tuple[int, ...], count: tuple[int, ...]) -> None:
    """Add the first `count` elements of `part` at `first`, as far as they lie inside."""
    starts = tuple(max(at, 0) for at in first)
    ends = tuple(min(at + many, out) for at, many, out in zip(first, count, y.shape[2:]))
    if any(end <= start for start, end in zip(starts, ends)):
        return
    from_part = tuple(slice(s - at, e - at) for s, e, at in zip(starts, ends, first))
    y[inside(slice(s, e) for s, e in zip(starts, ends))] += part[inside(from_part)]


def _corners(size: tuple[int, ...], steps: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*(range(0, whole, step) for whole, step in zip(size, steps)))


def _window(x: Floats, shape: Geometry, corner: tuple[int, ...], n: tuple[int, ...]) -> Floats:
    """N elements of the padded input from `corner`, zeros beyond it, without padding the whole."""
    cuts, widths = [], []
    for at, (before, _), h, length in zip(corner, shape.pad, shape.size, n):
        first, last = max(at - before, 0), min(max(at - before + length, 0), h)
        cuts.append(slice(first, max(last, first)))
        ahead = min(max(before - at, 0), length)
        widths.append((ahead, length - ahead - max(last - first, 0)))
    return np.pad(x[inside(cuts)], ((0, 0), (0, 0), *widths))


def as_forward(shape: Geometry, w: Floats) -> tuple[Geometry, Floats]:
    """An input gradient at stride 1 as a cross-correlation: its geometry, and the kernels turned by 180 degrees.

    Padding turns to reach - 1 - padding, which is negative where an output saw only zeros: those are not read.
    """
    pad = tuple((r - 1 - before, r - 1 - after) for r, (before, after) in zip(shape.reach, shape.pad))
    dense = replace(shape, c=shape.k, k=shape.c, size=shape.dense_out, pad=pad, stride=(1,) * shape.dims)
    groups = shape.groups
    banks = w.reshape(groups, shape.k // groups, shape.c // groups, *shape.kernel).swapaxes(1, 2)
    turned = turn(banks, shape.dims).reshape(shape.c, shape.k // groups, *shape.kernel)
    return dense, turned

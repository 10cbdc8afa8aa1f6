"""Convolution through the Fourier transform in NumPy: whole, by overlap-save and by overlap-add.

The convolution theorem: a cyclic cross-correlation of length n is a product of spectra, Y = X conj(W). One length n
serves all three passes, and wrapped-around sums fall only where nothing is read:

    n >= max(H + max(p, p'), out at stride 1, reach), rounded up to a length with small prime factors
    forward          Y  = sum over c of X conj(W)        read at 0 .. out
    input gradient   DX = sum over k of G W              read at p .. p + H
    weight gradient  DW = sum over n of X conj(G)        read at 0 .. reach

with x laid at offset p. A stride computes every position and keeps some; a dilated kernel has zeros between its taps.
Overlap-save cuts the output into tiles and transforms the (overlapping) windows that each tile reads; overlap-add cuts
the input into tiles and adds their (overlapping) outputs. Both keep transforms near the kernel's size, where they are
cheaper and stay in cache. Source: Cooley and Tukey 1965; Stockham 1966; overlap methods as in Oppenheim and Schafer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.geometry import Geometry
from rigwise.convolution.kernels import Floats, inside

Spectrum = NDArray[np.complexfloating]
_LARGEST = 1 << 20
_TILES = (4, 8)  # times the kernel's reach, between which tiles of overlap-save lie
_LEAST_TILE = 128
_MOST_TILE = {1: 1 << 15, 2: 512, 3: 64}  # beyond these a tile falls out of cache


@cache
def _smooth() -> list[int]:
    """Even lengths of prime factors 2, 3, 5 and 7, which transforms are fastest at; and 1."""
    found = {1}
    for prime in (2, 3, 5, 7):
        for length in sorted(found):
            power = prime
            while length * power <= _LARGEST:
                found.add(length * power)
                power *= prime
    return sorted(n for n in found if n == 1 or n % 2 == 0)


def good_length(least: int) -> int:
    """The shortest length of at least `least` that a transform is quick at.

    >>> good_length(87), good_length(1), good_length(127)
    (90, 1, 128)
    """
    if least > _LARGEST:
        return 1 << (least - 1).bit_length()
    return _smooth()[bisect_left(_smooth(), least)]


def exact_lengths(shape: Geometry) -> tuple[int, ...]:
    """The least length in each dim at which nothing that is read wraps around."""
    rows = zip(shape.size, shape.pad, shape.dense_out, shape.reach)
    return tuple(max(h + max(pads), out, reach) for h, pads, out, reach in rows)


def lengths(shape: Geometry) -> tuple[int, ...]:
    """The length of the whole transform in each dim, one for the three passes.

    >>> lengths(Geometry(batch=1, c=1, k=1, size=(56,), kernel=(31,), pad=((15, 15),)))
    (72,)
    """
    return tuple(good_length(n) for n in exact_lengths(shape))


def window_lengths(shape: Geometry, least: int, times: float, whole: tuple[int, ...]) -> tuple[int, ...]:
    """Windows of about `times` the reach and at least `least` that cut the output evenly; none beyond `whole`."""
    found = []
    for reach, out, most in zip(shape.reach, shape.dense_out, whole):
        wanted = min(max(least, round(times * reach)), most)
        count = max(1, round(out / max(wanted - reach + 1, 1)))
        found.append(min(-(-out // count) + reach - 1, most))
    return tuple(found)


def tile(shape: Geometry) -> tuple[int, ...]:
    """The length of the windows of overlap-save and overlap-add in each dim: 4 to 8 times the reach, at least 128."""
    whole, most = lengths(shape), _MOST_TILE[shape.dims]
    wanted = (max(min(_LEAST_TILE, most), min(most, _TILES[0] * reach), 2 * reach) for reach in shape.reach)
    return tuple(min(good_length(want), n) for want, n in zip(wanted, whole))


def _axes(shape: Geometry) -> tuple[int, ...]:
    return tuple(range(-shape.dims, 0))


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
def _engine() -> Any:
    """SciPy's transforms where it is installed, which are about twice as quick as NumPy's."""
    try:
        return import_module("scipy.fft")
    except ImportError:
        return np.fft


def _spectrum(x: Floats, shape: Geometry, n: tuple[int, ...]) -> Spectrum:
    spectrum: Spectrum = _engine().rfftn(x, s=n, axes=_axes(shape))
    return spectrum


def _image(spectrum: Spectrum, shape: Geometry, n: tuple[int, ...]) -> Floats:
    image: Floats = _engine().irfftn(spectrum, s=n, axes=_axes(shape))
    return image


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
    """Sum over c of X conj(W): (N, C, f) and (K, C/G, f) to (N, K, f)."""
    if w.shape[1] == 1 and w.shape[0] == groups:
        return np.asarray(x * np.conj(w[:, 0]))
    banks = np.conj(_banks(w, groups)).swapaxes(-1, -2)
    return _ungroup(np.matmul(_by_group(x, groups), banks), x.shape[2:])


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


def fft_forward(x: Floats, w: Floats, shape: Geometry) -> Floats:
    """The whole image in one transform."""
    n = lengths(shape)
    spectrum = contract_forward(
        _spectrum(_lay(x, shape, n), shape, n), _spectrum(spread(w, shape), shape, n), shape.groups
    )
    y = _image(spectrum, shape, n)[inside(slice(o) for o in shape.dense_out)]
    return keep_strided(np.ascontiguousarray(y), shape)


def fft_input_gradient(g: Floats, w: Floats, shape: Geometry) -> Floats:
    """The whole gradient in one transform."""
    n = lengths(shape)
    grads = _spectrum(spread_output(g, shape), shape, n)
    spectrum = contract_input_gradient(grads, _spectrum(spread(w, shape), shape, n), shape.groups)
    dx = _image(spectrum, shape, n)
    return np.ascontiguousarray(dx[inside(slice(b, b + h) for (b, _), h in zip(shape.pad, shape.size))])


def fft_weight_gradient(x: Floats, g: Floats, shape: Geometry) -> Floats:
    """Input and output gradient whole, their product summed over the images."""
    n = lengths(shape)
    grads = _spectrum(spread_output(g, shape), shape, n)
    spectrum = contract_weight_gradient(_spectrum(_lay(x, shape, n), shape, n), grads, shape.groups)
    dw = _image(spectrum, shape, n)[inside(slice(r) for r in shape.reach)]
    return np.ascontiguousarray(unspread(dw, shape))


def overlap_save_forward(x: Floats, w: Floats, shape: Geometry) -> Floats:
    """Tiles of the output, each from the window of the input that it reads."""
    n = tile(shape)
    kernels = _spectrum(spread(w, shape), shape, n)
    steps = tuple(length - reach + 1 for length, reach in zip(n, shape.reach))
    y = np.empty((shape.batch, shape.k, *shape.dense_out), dtype=np.result_type(x, w))
    for corner in _corners(shape.dense_out, steps):
        spectrum = contract_forward(_spectrum(_window(x, shape, corner, n), shape, n), kernels, shape.groups)
        part = _image(spectrum, shape, n)
        ends = tuple(min(step, out - at) for step, out, at in zip(steps, shape.dense_out, corner))
        here = tuple(slice(at, at + end) for at, end in zip(corner, ends))
        y[inside(here)] = part[inside(slice(end) for end in ends)]
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
            _spectrum(_window(x, shape, corner, n), shape, n),
            _spectrum(grads[inside(slice(at, at + step) for at, step in zip(corner, steps))], shape, n),
            shape.groups,
        )
        for corner in _corners(shape.dense_out, steps)
    ]
    dw = _image(np.asarray(sum(parts)), shape, n)[inside(slice(r) for r in shape.reach)]
    return np.ascontiguousarray(unspread(dw, shape))


def overlap_add_forward(x: Floats, w: Floats, shape: Geometry) -> Floats:
    """Tiles of the input, each to its full output, added where those overlap."""
    n = tile(shape)
    kernels = _spectrum(spread(w, shape), shape, n)
    steps = tuple(length - reach + 1 for length, reach in zip(n, shape.reach))
    y = np.zeros((shape.batch, shape.k, *shape.dense_out), dtype=np.result_type(x, w))
    for corner in _corners(shape.size, steps):
        piece = x[inside(slice(at, at + step) for at, step in zip(corner, steps))]
        laid = ((reach - 1, n_ - reach + 1 - h) for reach, n_, h in zip(shape.reach, n, piece.shape[2:]))
        spectrum = _spectrum(np.pad(piece, ((0, 0), (0, 0), *laid)), shape, n)
        part = _image(contract_forward(spectrum, kernels, shape.groups), shape, n)
        first = tuple(at + before - reach + 1 for at, (before, _), reach in zip(corner, shape.pad, shape.reach))
        _add(y, part, first, tuple(h + reach - 1 for h, reach in zip(piece.shape[2:], shape.reach)))
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
    turned = np.flip(banks, axis=tuple(range(-shape.dims, 0))).reshape(shape.c, shape.k // groups, *shape.kernel)
    return dense, turned

"""The codecs of reference.py in machine code (numba): the same bits, without Python's lock, 10 to 50 times as fast.

Needs numba (the extra `compress`). The first use on a machine compiles for some seconds and keeps the result.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from rigwise.run.compress import tree
from rigwise.run.compress.reference import BLOCK, LANES, LEVELS, SMALLEST

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
_MAGNITUDE = np.int32(0x7FFFFFFF)
_INFINITY = np.int32(0x7F800000)
_ROUND = np.float32(1.5 * 2**23)  # added and taken away, it leaves the nearest whole number, ties to even
_LOW_BITS = np.int32(15)
_LOOKUP, _THRESHOLDS, _DECODING = tree.lookup(), tree.thresholds(), tree.decoding()
_kernel = numba.njit(nogil=True, cache=True, error_model="numpy")


@_kernel
def _largest(numbers: Floats) -> np.float32:
    """As reference.largest, of one block; magnitudes compare as the whole numbers that their bits are."""
    bits = numbers.view(np.int32)
    top = np.int32(0)
    for i in range(bits.size):
        top = max(top, bits[i] & _MAGNITUDE)
    if top >= _INFINITY:
        return np.float32(np.nan)
    found = np.array([top], dtype=np.int32).view(np.float32)[0]
    return np.float32(0) if found < SMALLEST else found


@_kernel
def encode_linear(numbers: Floats, scales: Floats, codes: Bytes) -> None:
    """As in reference.py."""
    for b in range(scales.size):
        x, out = numbers[b * BLOCK : (b + 1) * BLOCK], codes[b * BLOCK : (b + 1) * BLOCK]
        top = _largest(x)
        scales[b] = top / LEVELS
        if not top > 0:
            out[:] = 0
            continue
        factor = LEVELS / top
        for i in range(x.size):
            out[i] = np.uint8(np.int32(x[i] * factor + _ROUND - _ROUND))


@_kernel
def decode_linear(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """As in reference.py."""
    steps = codes.view(np.int8)
    for b in range(scales.size):
        q, out, scale = steps[b * BLOCK : (b + 1) * BLOCK], numbers[b * BLOCK : (b + 1) * BLOCK], scales[b]
        for i in range(q.size):
            out[i] = np.float32(q[i]) * scale


@_kernel
def add_linear(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """Add what decode_linear gives."""
    steps = codes.view(np.int8)
    for b in range(scales.size):
        q, out, scale = steps[b * BLOCK : (b + 1) * BLOCK], numbers[b * BLOCK : (b + 1) * BLOCK], scales[b]
        for i in range(q.size):
            out[i] += np.float32(q[i]) * scale


@_kernel
def encode_dynamic(numbers: Floats, scales: Floats, codes: Bytes) -> None:
    """As in reference.py."""
    for b in range(scales.size):
        x, out = numbers[b * BLOCK : (b + 1) * BLOCK], codes[b * BLOCK : (b + 1) * BLOCK]
        top = _largest(x)
        scales[b] = top
        if not top > 0:
            out[:] = 0
            continue
        factor = np.float32(1) / top
        share = np.minimum(np.abs(x * factor), np.float32(1))
        bins = share.view(np.int32)
        for i in range(x.size):
            low = _LOOKUP[bins[i] >> _LOW_BITS]
            found = np.uint8(low + (share[i] >= _THRESHOLDS[low]))
            out[i] = found + 128 if x[i] < 0 and found > 0 else found


@_kernel
def decode_dynamic(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """As in reference.py."""
    for b in range(scales.size):
        q, out, scale = codes[b * BLOCK : (b + 1) * BLOCK], numbers[b * BLOCK : (b + 1) * BLOCK], scales[b]
        for i in range(q.size):
            out[i] = _DECODING[q[i]] * scale


@_kernel
def add_dynamic(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """Add what decode_dynamic gives."""
    for b in range(scales.size):
        q, out, scale = codes[b * BLOCK : (b + 1) * BLOCK], numbers[b * BLOCK : (b + 1) * BLOCK], scales[b]
        for i in range(q.size):
            out[i] += _DECODING[q[i]] * scale


@_kernel
def _mean(numbers: Floats) -> np.float32:
    """The mean magnitude of a block, added in the order of reference.encode_sign."""
    sums = np.zeros(LANES, np.float32)
    whole = numbers.size // LANES * LANES
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            sums[lane] += abs(numbers[start + lane])
    for i in range(whole, numbers.size):
        sums[i - whole] += abs(numbers[i])
    half = LANES // 2
    while half:
        for lane in range(half):
            sums[lane] += sums[half + lane]
        half //= 2
    mean = sums[0] / np.float32(numbers.size)
    return mean if np.isfinite(mean) else np.float32(np.nan)


@_kernel
def _signs(numbers: Floats, codes: Bytes) -> None:
    """One block's signs."""
    for j in range(numbers.size // 8):
        byte = np.uint8(0)
        for k in range(8):
            byte |= np.uint8(numbers[8 * j + k] < 0) << np.uint8(k)
        codes[j] = byte
    if numbers.size % 8:
        byte = np.uint8(0)
        for i in range(numbers.size // 8 * 8, numbers.size):
            byte |= np.uint8(numbers[i] < 0) << np.uint8(i & 7)
        codes[numbers.size // 8] = byte


@_kernel
def encode_sign(numbers: Floats, scales: Floats, codes: Bytes) -> None:
    """As in reference.py."""
    for b in range(scales.size):
        x = numbers[b * BLOCK : (b + 1) * BLOCK]
        scales[b] = _mean(x)
        _signs(x, codes[b * BLOCK // 8 : (b + 1) * BLOCK // 8])


@_kernel
def _signed(mean: np.float32, bits: Bytes, numbers: Floats) -> None:
    """One block: the mean's bits with a sign bit each."""
    own = np.array([mean], dtype=np.float32).view(np.int32)[0]
    out = numbers.view(np.int32)
    for j in range(out.size // 8):
        byte = np.int32(bits[j])
        for k in range(8):
            out[8 * j + k] = own ^ ((byte >> np.int32(k)) << np.int32(31))
    for i in range(out.size // 8 * 8, out.size):
        out[i] = own ^ (np.int32(bits[i >> 3] >> (i & 7)) << np.int32(31))


@_kernel
def decode_sign(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """As in reference.py."""
    for b in range(scales.size):
        _signed(scales[b], codes[b * BLOCK // 8 : (b + 1) * BLOCK // 8], numbers[b * BLOCK : (b + 1) * BLOCK])


@_kernel
def add_sign(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """Add what decode_sign gives."""
    block = np.empty(BLOCK, np.float32)
    for b in range(scales.size):
        out = numbers[b * BLOCK : (b + 1) * BLOCK]
        _signed(scales[b], codes[b * BLOCK // 8 : (b + 1) * BLOCK // 8], block[: out.size])
        for i in range(out.size):
            out[i] += block[i]


@_kernel
def encode_rest_sign(numbers: Floats, scales: Floats, codes: Bytes) -> None:
    """encode_sign, and what was not sent stays in numbers: a block is in the cache for all of it."""
    block = np.empty(BLOCK, np.float32)
    for b in range(scales.size):
        x, bits = numbers[b * BLOCK : (b + 1) * BLOCK], codes[b * BLOCK // 8 : (b + 1) * BLOCK // 8]
        scales[b] = _mean(x)
        _signs(x, bits)
        _signed(scales[b], bits, block[: x.size])
        for i in range(x.size):
            x[i] -= block[i]

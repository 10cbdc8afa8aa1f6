"""The codecs in NumPy: what every other implementation must give, bit for bit.

    8bit           block of 4096 numbers: absmax / 127, and a whole number from -127 to 127 a number
    8bit-dynamic   block of 4096 numbers: absmax, and a code of the dynamic tree type (tree.py) a number
    1bit           block of 4096 numbers: the mean of their magnitudes, and a sign a number

Each takes its scales (float32, one a block) and its codes (bytes) apart. A block that holds an infinity or no number
at all decodes to no numbers throughout, so that a loss that is no longer finite is seen on every rank.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rigwise.run.compress.tree import codes as tree_codes
from rigwise.run.compress.tree import decoding

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
BLOCK = 4096
SMALLEST = np.float32(
    2.0**-100
)  # a block whose largest magnitude is below is sent as zero: 127 / absmax must be finite
LEVELS = np.float32(127)
LANES = 64  # running sums of a 1-bit block: number i goes to sum i mod 64, then sums are added in halves


def blocks_of(numbers: Floats) -> Floats:
    """The numbers as rows of a block each, the last filled up with zeros."""
    rows = -(-numbers.size // BLOCK)
    filled = np.zeros((rows, BLOCK), np.float32)
    filled.reshape(-1)[: numbers.size] = numbers
    return filled


def largest(blocks: Floats) -> Floats:
    """The largest magnitude of each row; not a number where the row holds one that is not finite."""
    top = np.abs(blocks).max(axis=1)
    top[~np.isfinite(top)] = np.nan
    return np.where(top < SMALLEST, np.float32(0), top)


def _shares(blocks: Floats, top: Floats, whole: np.float32) -> Floats:
    """The numbers times whole / top; zero where top is zero or not a number."""
    sound = top > 0
    factor = np.divide(whole, top, out=np.zeros_like(top), where=sound)
    return np.asarray(np.where(sound[:, None], blocks, np.float32(0)) * factor[:, None])


def encode_linear(numbers: Floats, scales: Floats, codes: Bytes) -> None:
    """Scales are absmax / 127; a code is the nearest whole number of scales, ties to even, as int8."""
    blocks = blocks_of(numbers)
    top = largest(blocks)
    scales[:] = top / LEVELS
    steps = np.rint(_shares(blocks, top, LEVELS)).astype(np.int8)
    codes[:] = steps.reshape(-1)[: numbers.size].view(np.uint8)


def decode_linear(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """Numbers from encode_linear."""
    numbers[:] = codes.view(np.int8).astype(np.float32) * np.repeat(scales, BLOCK)[: numbers.size]


def encode_dynamic(numbers: Floats, scales: Floats, codes: Bytes) -> None:
    """Scales are absmax; a code is the sign (upper bit) and the magnitude of the dynamic tree type."""
    blocks = blocks_of(numbers)
    top = largest(blocks)
    scales[:] = top
    magnitudes = np.minimum(np.abs(_shares(blocks, top, np.float32(1))), np.float32(1)).reshape(-1)[: numbers.size]
    signs = np.where(np.signbit(numbers), np.uint8(128), np.uint8(0))
    found = tree_codes(magnitudes)
    codes[:] = np.where(found > 0, found | signs, np.uint8(0))


def decode_dynamic(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """Numbers from encode_dynamic."""
    numbers[:] = decoding()[codes] * np.repeat(scales, BLOCK)[: numbers.size]


def encode_sign(numbers: Floats, scales: Floats, codes: Bytes) -> None:
    """Scales are the mean magnitudes; bit k of byte j says that number 8 j + k is negative."""
    sums = np.abs(blocks_of(numbers)).reshape(-1, BLOCK // LANES, LANES).sum(axis=1)
    half = LANES // 2
    while half:
        sums = sums[:, :half] + sums[:, half : 2 * half]
        half //= 2
    counts = np.minimum(numbers.size - BLOCK * np.arange(len(sums)), BLOCK).astype(np.float32)
    means = sums[:, 0] / counts
    scales[:] = np.where(np.isfinite(means), means, np.float32(np.nan))
    codes[:] = np.packbits(numbers < 0, bitorder="little")


def decode_sign(scales: Floats, codes: Bytes, numbers: Floats) -> None:
    """Numbers from encode_sign."""
    negative = np.unpackbits(codes, count=numbers.size, bitorder="little").view(np.bool_)
    means = np.repeat(scales, BLOCK)[: numbers.size]
    numbers[:] = np.where(negative, -means, means)

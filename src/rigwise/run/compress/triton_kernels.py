"""The codecs of reference.py on a GPU, in Triton: one program a block of 4096 numbers, the same bits.

Divisions are asked for as IEEE has them, products and sums are not fused, and the sums of a 1-bit block are added in
reference.py's order: 64 running sums down the rows, then halves.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import triton
import triton.language as tl

from rigwise.run.compress import tree
from rigwise.run.compress.reference import BLOCK, LANES, LEVELS, SMALLEST

_BLOCK: tl.constexpr = tl.constexpr(BLOCK)
_LANES: tl.constexpr = tl.constexpr(LANES)
_LEVELS: tl.constexpr = tl.constexpr(float(LEVELS))
_SMALLEST: tl.constexpr = tl.constexpr(float(SMALLEST))
_ROUND: tl.constexpr = tl.constexpr(1.5 * 2**23)
_INFINITY: tl.constexpr = tl.constexpr(0x7F800000)

_IEEE = {"enable_fp_fusion": False}


@cache
def _tables(device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return tuple(torch.from_numpy(t).to(device) for t in (tree.lookup(), tree.thresholds(), tree.decoding()))  # type: ignore[return-value]


@triton.jit  # type: ignore[untyped-decorator]
def _top(x: Any) -> Any:
    """As reference.largest: not a number where a number is not finite, zero where all are too small."""
    bits = tl.max(x.to(tl.int32, bitcast=True) & 0x7FFFFFFF, axis=0)
    top = bits.to(tl.float32, bitcast=True)
    top = tl.where(top < _SMALLEST, 0.0, top)
    return tl.where(bits >= _INFINITY, float("nan"), top)


@triton.jit  # type: ignore[untyped-decorator]
def _encode_linear(numbers: Any, scales: Any, codes: Any, count: Any) -> Any:
    block = tl.program_id(0)
    at = block * _BLOCK + tl.arange(0, _BLOCK)
    x = tl.load(numbers + at, mask=at < count, other=0.0)
    top = _top(x)
    tl.store(scales + block, tl.div_rn(top, _LEVELS))
    sound = top > 0
    factor = tl.div_rn(_LEVELS, tl.where(sound, top, 1.0))
    share = tl.where(sound, x * factor, 0.0)
    level = (share + _ROUND) - _ROUND
    tl.store(codes + at, level.to(tl.int32).to(tl.uint8), mask=at < count)


@triton.jit  # type: ignore[untyped-decorator]
def _decode_linear(scales: Any, codes: Any, numbers: Any, count: Any, ADD: tl.constexpr) -> Any:
    block = tl.program_id(0)
    at = block * _BLOCK + tl.arange(0, _BLOCK)
    steps = tl.load(codes + at, mask=at < count, other=0).to(tl.int8, bitcast=True)
    _put(numbers, at, count, steps.to(tl.float32) * tl.load(scales + block), ADD)


@triton.jit  # type: ignore[untyped-decorator]
def _put(numbers: Any, at: Any, count: Any, said: Any, ADD: tl.constexpr) -> Any:
    if ADD:
        said += tl.load(numbers + at, mask=at < count, other=0.0)
    tl.store(numbers + at, said, mask=at < count)


@triton.jit  # type: ignore[untyped-decorator]
def _encode_dynamic(numbers: Any, scales: Any, codes: Any, count: Any, lookup: Any, thresholds: Any) -> Any:
    block = tl.program_id(0)
    at = block * _BLOCK + tl.arange(0, _BLOCK)
    x = tl.load(numbers + at, mask=at < count, other=0.0)
    top = _top(x)
    tl.store(scales + block, top)
    sound = top > 0
    factor = tl.div_rn(1.0, tl.where(sound, top, 1.0))
    share = tl.minimum(tl.abs(tl.where(sound, x * factor, 0.0)), 1.0)
    low = tl.load(lookup + (share.to(tl.int32, bitcast=True) >> 15)).to(tl.int32)
    found = low + (share >= tl.load(thresholds + low)).to(tl.int32)
    sign = tl.where((x < 0) & (found > 0), 128, 0)
    tl.store(codes + at, (found + sign).to(tl.uint8), mask=at < count)


@triton.jit  # type: ignore[untyped-decorator]
def _decode_dynamic(scales: Any, codes: Any, numbers: Any, count: Any, decoding: Any, ADD: tl.constexpr) -> Any:
    block = tl.program_id(0)
    at = block * _BLOCK + tl.arange(0, _BLOCK)
    code = tl.load(codes + at, mask=at < count, other=0).to(tl.int32)
    _put(numbers, at, count, tl.load(decoding + code) * tl.load(scales + block), ADD)


@triton.jit  # type: ignore[untyped-decorator]
def _encode_sign(numbers: Any, scales: Any, codes: Any, count: Any) -> Any:
    block = tl.program_id(0)
    lanes = tl.arange(0, _LANES)
    sums = tl.zeros((_LANES,), tl.float32)
    for row in range(_BLOCK // _LANES):
        at = block * _BLOCK + row * _LANES + lanes
        sums += tl.abs(tl.load(numbers + at, mask=at < count, other=0.0))
    for _ in tl.static_range(6):  # 64 = 2^6
        low, high = tl.split(tl.trans(tl.reshape(sums, (2, sums.shape[0] // 2))))
        sums = low + high
    mean = tl.div_rn(tl.sum(sums, axis=0), tl.minimum(count - block * _BLOCK, _BLOCK).to(tl.float32))
    mean = tl.where(mean.to(tl.int32, bitcast=True) >= _INFINITY, float("nan"), mean)
    tl.store(scales + block, mean)
    at = block * _BLOCK + tl.arange(0, _BLOCK)
    negative = (tl.load(numbers + at, mask=at < count, other=0.0) < 0).to(tl.int32)
    eights = tl.reshape(negative, (_BLOCK // 8, 8)) << tl.arange(0, 8)[None, :]
    byte = block * (_BLOCK // 8) + tl.arange(0, _BLOCK // 8)
    tl.store(codes + byte, tl.sum(eights, axis=1).to(tl.uint8), mask=byte * 8 < count)


@triton.jit  # type: ignore[untyped-decorator]
def _decode_sign(scales: Any, codes: Any, numbers: Any, count: Any, ADD: tl.constexpr) -> Any:
    block = tl.program_id(0)
    at = block * _BLOCK + tl.arange(0, _BLOCK)
    bit = (tl.load(codes + at // 8, mask=at < count, other=0).to(tl.int32) >> (at % 8)) & 1
    mean = tl.load(scales + block)
    _put(numbers, at, count, tl.where(bit > 0, -mean, mean), ADD)


def encode_linear(numbers: torch.Tensor, scales: torch.Tensor, codes: torch.Tensor) -> None:
    """As in reference.py."""
    _encode_linear[(scales.numel(),)](numbers, scales, codes, numbers.numel(), **_IEEE)


def decode_linear(scales: torch.Tensor, codes: torch.Tensor, numbers: torch.Tensor) -> None:
    """As in reference.py."""
    _decode_linear[(scales.numel(),)](scales, codes, numbers, numbers.numel(), ADD=False, **_IEEE)


def add_linear(scales: torch.Tensor, codes: torch.Tensor, numbers: torch.Tensor) -> None:
    """Add what decode_linear gives."""
    _decode_linear[(scales.numel(),)](scales, codes, numbers, numbers.numel(), ADD=True, **_IEEE)


def encode_dynamic(numbers: torch.Tensor, scales: torch.Tensor, codes: torch.Tensor) -> None:
    """As in reference.py."""
    lookup, thresholds, _ = _tables(numbers.device)
    _encode_dynamic[(scales.numel(),)](numbers, scales, codes, numbers.numel(), lookup, thresholds, **_IEEE)


def decode_dynamic(scales: torch.Tensor, codes: torch.Tensor, numbers: torch.Tensor) -> None:
    """As in reference.py."""
    decoding = _tables(numbers.device)[2]
    _decode_dynamic[(scales.numel(),)](scales, codes, numbers, numbers.numel(), decoding, ADD=False, **_IEEE)


def add_dynamic(scales: torch.Tensor, codes: torch.Tensor, numbers: torch.Tensor) -> None:
    """Add what decode_dynamic gives."""
    decoding = _tables(numbers.device)[2]
    _decode_dynamic[(scales.numel(),)](scales, codes, numbers, numbers.numel(), decoding, ADD=True, **_IEEE)


def encode_sign(numbers: torch.Tensor, scales: torch.Tensor, codes: torch.Tensor) -> None:
    """As in reference.py."""
    _encode_sign[(scales.numel(),)](numbers, scales, codes, numbers.numel(), **_IEEE)


def decode_sign(scales: torch.Tensor, codes: torch.Tensor, numbers: torch.Tensor) -> None:
    """As in reference.py."""
    _decode_sign[(scales.numel(),)](scales, codes, numbers, numbers.numel(), ADD=False, **_IEEE)


def add_sign(scales: torch.Tensor, codes: torch.Tensor, numbers: torch.Tensor) -> None:
    """Add what decode_sign gives."""
    _decode_sign[(scales.numel(),)](scales, codes, numbers, numbers.numel(), ADD=True, **_IEEE)

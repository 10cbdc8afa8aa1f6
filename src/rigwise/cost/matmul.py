"""Laws of matrix products and fused attention.

A library cuts the M x N result into tiles, each worked on by one processor; K may be cut too, where the tiles would
leave processors idle. Letters: B products side by side, M x K times K x N, S processors, P FLOP/s, BW bytes/s.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.efficiencies import DeviceEfficiencies, Value
from rigwise.cost.ledger import heard, tell, told
from rigwise.errors import UsageError
from rigwise.hardware.device import Device
from rigwise.layouts.layout import PRECISIONS

Floats = NDArray[np.float64]
_TILES = [(256, 128), (128, 256), (128, 128), (128, 64), (64, 128), (64, 64), (32, 128), (128, 32), (32, 32), (8, 128)]
_CPU_TILES = [(16, 16), (4, 16)]
_CUTS = (1, 4, 16, 64)
_LEAST_WAVE = 0.25  # a quarter of the processors already saturates the memory that feeds them
_FLASH_TILE = 128  # keys of a tile of fused attention, which does those on the diagonal whole
_TENSOR_MULTIPLE = 8  # elements that tensor cores want the critical dim to be a multiple of


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A device at one precision, as the laws see it: rates already capped and scaled.

    rate: FLOP/s of a long product. vector: float32 FLOP/s outside tensor cores. bandwidth: bytes/s of a long stream.
    tensor: whether the rate is that of tensor cores. element: bytes of an operand. transposed, unaligned, winograd:
    what the software makes of convolutions (StackEfficiencies).
    """

    rate: Value
    vector: Value
    bandwidth: Value
    processors: Value
    tensor: bool
    element: float
    activation: float
    eff: DeviceEfficiencies
    cpu: bool
    transposed: Value = 0.0
    unaligned: Value = 1.0
    winograd: bool = True


_NARROW = ("float8", "float4")
_WORTH = 512  # products from which it is worth looking for equal ones
_HALF = 1.5  # the float16-summing rate over the float32-summing one, above which the latter counts as held


@told("engine")
def engine(
    device: Device,
    precision: str,
    eff: DeviceEfficiencies,
    share: Value = 1.0,
    *,
    transposed: Value = 0.0,
    unaligned: Value = 1.0,
    winograd: bool = True,
) -> Engine:
    """The engine of a device for products in `precision`; share: a stack's factor on the rate.

    A card sustains what its power allows: P = peak / (1 + (peak/cap)^4)^(1/4) with cap = c x watts / nm, c fitted.
    A 16-bit type that the device lacks runs at the float32 rate with two bytes an element, as frameworks do.
    float8 and float4 keep eff.low_precision of what each halving adds; a narrow operation takes less energy, so that
    the cap is the 16-bit rate's. Tensor cores held to half their rate where they sum in float32 (GeForce) get their
    operands in time: eff.held of the rate. No factor takes a product beyond the capped rate itself. Raises UsageError
    for a narrow type that the hardware lacks or a device without a float32 rate.
    """
    peak = device.peak.get(precision)
    if peak is None and precision in ("float16", "bfloat16", "tf32"):
        peak = device.peak.get("float32")
    if peak is None:
        known = ", ".join(sorted(device.peak))
        raise UsageError(f"{device.name} has no {precision} rate", rule=f"its types are {known}", nearest="bfloat16")
    vector = device.peak.get("float32", peak)
    tensor = device.kind != "cpu" and (peak > 1.5 * vector or "tf32" == precision in device.peak)
    half = device.peak.get("bfloat16", device.peak.get("float16", peak)) if precision in _NARROW else peak
    gain = np.maximum(1.0, (peak / half) ** (1 + np.log2(eff.low_precision)))
    rate = _capped(half, device, eff.power_tensor if tensor else eff.power_vector) * gain
    tell(precision=precision, peak=peak, capped=rate, share=share)
    return Engine(
        rate=rate * np.minimum((eff.matmul_tensor * _held(device, eff) if tensor else eff.matmul_vector) * share, 1.0),
        vector=_capped(vector, device, eff.power_vector) * eff.matmul_vector * share,
        bandwidth=device.bandwidth * eff.bandwidth,
        processors=float(device.processors or 1),
        tensor=tensor,
        element={"float32": 4.0, "tf32": 4.0, "float8": 1.0, "float4": 0.5}.get(precision, 2.0),
        activation=4.0 if precision in ("float32", "tf32") else 2.0,
        eff=eff,
        cpu=device.kind == "cpu",
        transposed=transposed,
        unaligned=unaligned,
        winograd=winograd,
    )


def _held(device: Device, eff: DeviceEfficiencies) -> Value:
    """What tensor cores at half their rate reach beyond their share of it; 1 for those at the full one."""
    full = device.peak.get("float16_fp16acc", 0.0)
    return eff.held if full > _HALF * device.peak.get("float16", full) else 1.0


def _capped(peak: float, device: Device, per_watt: Value) -> Value:
    if device.tdp is None or device.process_nm is None or device.vendor != "NVIDIA":
        return peak
    cap = per_watt * device.tdp / max(device.process_nm, 4.0)
    return peak / (1 + (peak / cap) ** 4) ** 0.25


def engines(device: Device, eff: DeviceEfficiencies, share: Value = 1.0) -> dict[str, Engine]:
    """The engines of all precisions that the device has."""
    return {p: engine(device, p, eff, share) for p in PRECISIONS if p in device.peak or p in ("float16", "bfloat16")}


@told("product")
def gemm_seconds(
    batch: ArrayLike,
    m: ArrayLike,
    n: ArrayLike,
    k: ArrayLike,
    on: Engine,
    *,
    moved: ArrayLike | None = None,
    share: ArrayLike = 1.0,
    cutting: bool = True,
) -> Floats:
    """Seconds of B products (M x K)(K x N), arrays broadcast.

    t = min over tiles and cuts of [ T_math^4 + T_mem^4 ]^(1/4) + t_kernel
    T_math = waves x 2 tm tn (K/cut + K0) / (P/S x tile rate),  waves = w ceil(x) + (1-w) max(x, 1/4 below one wave),
             x = B ceil(M/tm) ceil(N/tn) cut / S;  tile rate r/(r+r0), r = tm tn/(tm+tn)
    T_mem  = element x B (MK + KN + MN) / BW, plus the partial sums of a cut
    moved: bytes through memory, None for each operand once at the library's
    share. share: of the rate, for products that a kernel forms on the fly. cutting: whether the library may cut K.
    Left out: caches between products, clocks that move with temperature.
    Source: tile and wave model as in NVIDIA's matrix multiplication guide; constants in data/efficiencies.toml.

    >>> from rigwise.cost.efficiencies import efficiencies
    >>> from rigwise.hardware.device import Device
    >>> card = Device(name="x", kind="gpu", vendor="x", arch="Ampere", year=2020, form="sxm", memory=80e9,
    ...               bandwidth=2.0e12, peak={"bfloat16": 312e12, "float32": 19.5e12}, processors=108)
    >>> on = engine(card, "bfloat16", efficiencies(card).device)
    >>> t = gemm_seconds(1, 8192, 8192, 8192, on)
    >>> bool(240 < 2 * 8192**3 / t / 1e12 < 300)  # TFLOP/s
    True
    """
    if (runs := _runs(batch, m, n, k, moved, share, on)) is not None:
        once, again, shape = runs
        return gemm_seconds(*once, on, cutting=cutting)[again].reshape(shape)
    b, m_, n_, k_ = (np.asarray(x, dtype=np.float64)[..., None] for x in (batch, m, n, k))
    tm, tn, cut = _candidates(on.cpu, cutting)
    eff = on.eff
    r0 = _last(eff.tile_tensor if on.tensor else eff.tile_vector)
    lost = _last(eff.saturation_tensor if on.tensor else eff.saturation_vector)
    partial_wave, floor, processors = _last(eff.waves), _last(eff.kernel_s), _last(on.processors)
    full = 256 * 128 / (256 + 128)
    r = tm * tn / (tm + tn)
    tile_rate = np.minimum(r / (r + r0) * (full + r0) / full, 1.0) if not on.cpu else np.ones_like(r)
    x = b * np.ceil(m_ / tm) * np.ceil(n_ / tn) * cut / processors
    waves = partial_wave * np.ceil(x) + (1 - partial_wave) * np.where(x < 1, np.maximum(x, _LEAST_WAVE), x)
    rate = _last(on.rate) * tile_rate * _last(share)
    math = waves * processors * 2 * tm * tn * (k_ / cut + lost) / rate
    partial = np.where(cut > 1, 8.0 * b * m_ * n_ * cut, 0.0)
    if moved is None:
        operands = on.element * b * (m_ * k_ + k_ * n_) + on.activation * b * m_ * n_
        operands = operands / _last(eff.matmul_bandwidth)
    else:
        operands = _last(moved)
    memory = (operands + partial) / _last(on.bandwidth)
    both = np.sqrt(np.sqrt(math**4 + memory**4)) + np.where(cut > 1, floor / 2, 0.0)
    if heard():
        _tell_choice(both, B=b, M=m_, N=n_, K=k_, tile_m=tm, tile_n=tn, cut=cut, waves=waves, T_math=math, T_mem=memory)
        tell(t_kernel=eff.kernel_s, rate=on.rate, bandwidth=on.bandwidth, flop=2 * b * m_ * n_ * k_)
    return np.asarray(both.min(axis=-1) + eff.kernel_s)


def _runs(
    batch: ArrayLike, m: ArrayLike, n: ArrayLike, k: ArrayLike, moved: ArrayLike | None, share: ArrayLike, on: Engine
) -> tuple[Floats, NDArray[np.intp], tuple[int, ...]] | None:
    """Products without those that equal the one before, the place of each among what is left, and the shape of all.

    In a table of layouts many rows in a row differ in what no product sees. None where that is not worth the while, or
    where more than the sizes differs.
    """
    shape = np.broadcast_shapes(np.shape(batch), np.shape(m), np.shape(n), np.shape(k))
    figures = (on.rate, on.bandwidth, on.processors, on.eff.kernel_s, on.eff.matmul_bandwidth)
    if moved is not None or int(np.prod(shape)) < _WORTH or any(np.ndim(x) for x in (share, *figures)) or heard():
        return None
    sizes = np.stack([np.broadcast_to(x, shape).ravel() for x in (batch, m, n, k)])
    other = np.concatenate([[True], (sizes[:, 1:] != sizes[:, :-1]).any(axis=0)])
    return (sizes[:, other], np.cumsum(other) - 1, shape) if 2 * np.count_nonzero(other) < other.size else None


def _tell_choice(seconds: Floats, **values: Floats) -> None:
    """Values at the tile and the cut that were chosen, of the first layout."""
    best = int(seconds.reshape(-1, seconds.shape[-1])[0].argmin())
    rows = {key: np.broadcast_to(value, seconds.shape).reshape(-1, seconds.shape[-1]) for key, value in values.items()}
    tell(**{key: row[0, best] for key, row in rows.items()})


def _last(value: ArrayLike) -> Floats:
    """With a dim at the end for the tiles to choose from."""
    return np.asarray(value, dtype=np.float64)[..., None]


@cache
def _candidates(cpu: bool, cutting: bool) -> tuple[Floats, Floats, Floats]:
    tiles, cuts = (_CPU_TILES, (1,)) if cpu else (_TILES, _CUTS if cutting else (1,))
    rows = [(tm, tn, cut) for tm, tn in tiles for cut in cuts]
    tm, tn, cut = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return tm, tn, cut


def misalignment(size: ArrayLike, slow: Value, on: Engine) -> Floats:
    """Factor on a product whose critical dim is no multiple of 8: slow, to a power that grows from 4 to 2 to odd.

    A dim that ranks do not share evenly is taken as the smaller share.
    Vector units do not mind.
    """
    size = np.floor(np.asarray(size, dtype=np.float64))
    if not on.tensor:
        return np.ones_like(size)
    four, two, odd = on.eff.misaligned_powers
    exponent = np.select([size % _TENSOR_MULTIPLE == 0, size % 4 == 0, size % 2 == 0], [0.0, four, two], odd)
    return np.asarray(slow**exponent)


@told("attention")
def attention_seconds(
    heads: ArrayLike, m: ArrayLike, n: ArrayLike, k: ArrayLike, on: Engine, *, causal: bool
) -> tuple[Floats, Floats]:
    """Seconds of fused attention forward and backward: `heads` of M queries over N keys with head size K.

    forward = 4 heads M N K (1/2 where causal)(1 + 128/N) / (P e_flash K/(K + K0)) + t_kernel; backward about 2.75 of
    it. Left out: sliding windows (give N as the window), masks. Source: FlashAttention-2 (arXiv 2307.08691) reaches
    50 to 73 % of an A100's peak forward; constants in data/efficiencies.toml.
    """
    h, m_, n_, k_ = (np.asarray(x, dtype=np.float64) for x in (heads, m, n, k))
    eff = on.eff
    scale = eff.matmul_tensor if on.tensor else eff.matmul_vector
    rate = on.rate / scale * eff.flash * k_ / (k_ + eff.flash_head)
    work = 4 * h * m_ * n_ * k_ * (0.5 if causal else 1.0) * (1 + _FLASH_TILE / n_)
    forward = work / rate
    memory = on.activation * h * k_ * (2 * m_ + 2 * n_) / on.bandwidth
    tell(heads=h, M=m_, N=n_, K=k_, flop=work, rate=rate, T_math=forward, T_mem=memory, t_kernel=eff.kernel_s)
    forward = np.maximum(forward, memory)
    return forward + eff.kernel_s, forward * eff.flash_backward + 2 * eff.kernel_s

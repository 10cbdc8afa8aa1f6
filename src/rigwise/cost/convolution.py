"""Law of convolutions: three passes as implicit matrix products, with Winograd and FFT where libraries gain from them.

    pass              M      N              K (reduced)
    forward           K/G    N P Q          (C/G) R S
    input gradient    C/G    N H W          (K/G) R S (P Q)/(H W)
    weight gradient   K/G    (C/G) R S      N P Q

G products side by side. Source: cuDNN's implicit GEMM (arXiv 1410.0759); Winograd F(2x2,3x3) and F(4x4,3x3) (arXiv
1509.09308); FFT by tiles of 32 x 32 (arXiv 1412.7580).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.convolution.counts import COMPLEX_MULTIPLY_ADD, frequencies, tiles, windows
from rigwise.cost.ledger import tell, told
from rigwise.cost.matmul import Engine, gemm_seconds
from rigwise.models.operations import Conv

Floats = NDArray[np.float64]
PASSES = ("forward", "input_gradient", "weight_gradient")
_ALIGNED = 8  # channels that tensor cores want a multiple of
_THIN = 4  # channels a group below which a direct kernel is worth its while
_DEEP = 16  # channels from which Winograd's transforms are worth theirs
_FLOAT32 = 4.0  # bytes of an operand
_SIDE = 32  # of the windows of a Fourier transform
_FOURIER_FROM = 5  # kernel size from which libraries take it


@dataclass(frozen=True, slots=True, kw_only=True)
class Convs:
    """The geometry of many convolutions, one array entry each; the arrays broadcast to the batch and the cuts.

    c, k: channels in and out. taps: elements of a kernel. here, there: positions that the kernel is applied from and
    to. reads, writes: elements of input and output. tiles: of 2 x 2 and 4 x 4 outputs. windows: of 32 x 32 inputs, in
    frequencies. strided, unaligned, thin, winograd, fourier: what a library can do with them.
    """

    c: Floats
    k: Floats
    groups: Floats
    taps: Floats
    here: Floats
    there: Floats
    reads: Floats
    writes: Floats
    work: Floats
    tiles: tuple[Floats, Floats]
    windows: Floats
    strided: NDArray[np.bool_]
    unaligned: NDArray[np.bool_]
    thin: NDArray[np.bool_]
    winograd: NDArray[np.bool_]
    fourier: NDArray[np.bool_]

    @classmethod
    def of(cls, shapes: Sequence[Conv], behind: int = 0) -> Convs:
        """Convolutions along the first axis, with `behind` axes of length 1 after it."""
        lead = (len(shapes), *(1,) * behind)

        def column(values: Sequence[float]) -> Floats:
            return np.array(values, dtype=np.float64).reshape(lead)

        def flags(values: Sequence[bool]) -> NDArray[np.bool_]:
            return np.array(values, dtype=np.bool_).reshape(lead)

        sizes = [(s.out, s.size) if s.transposed else (s.size, s.out) for s in shapes]
        return cls(
            c=column([s.c for s in shapes]),
            k=column([s.k for s in shapes]),
            groups=column([s.groups for s in shapes]),
            taps=column([prod(s.kernel) for s in shapes]),
            here=column([prod(here) for here, _ in sizes]),
            there=column([prod(there) for _, there in sizes]),
            reads=column([s.c * prod(s.size) for s in shapes]),
            writes=column([s.k * prod(s.out) for s in shapes]),
            work=column([s.flops for s in shapes]),
            tiles=(column([tiles(s.out, 2) for s in shapes]), column([tiles(s.out, 4) for s in shapes])),
            windows=column([_windows(s) for s in shapes]),
            strided=flags([max(s.stride) > 1 for s in shapes]),
            unaligned=flags([bool(s.c // s.groups % _ALIGNED or s.k // s.groups % _ALIGNED) for s in shapes]),
            thin=flags([min(s.c, s.k) // s.groups < _THIN for s in shapes]),
            winograd=flags([_plain(s) and s.kernel == (3, 3) and min(s.c, s.k) >= _DEEP for s in shapes]),
            fourier=flags([_plain(s) and _wide(s) for s in shapes]),
        )


def _windows(shape: Conv) -> int:
    """Of 32 x 32 inputs that overlap by the kernel less one."""
    return windows(shape.out, shape.kernel, _SIDE)


def _wide(shape: Conv) -> bool:
    return len(shape.kernel) == 2 and min(shape.kernel) >= _FOURIER_FROM and max(shape.kernel) < _SIDE


def _plain(shape: Conv) -> bool:
    return shape.groups == 1 and not shape.transposed and set(shape.stride) == {1}


@told("convolution")
def conv_seconds(
    s: Convs, batch: ArrayLike, which: str, on: Engine, cut_out: ArrayLike = 1.0, cut_in: ArrayLike = 1.0
) -> Floats:
    """Seconds of one pass of convolutions over `batch` images, arrays broadcast.

    which: "forward", "input_gradient" or "weight_gradient". cut_out, cut_in: over how many ranks the output and the
    input channels are divided. The least of the implicit product, a direct kernel bound by bytes (depthwise), and
    on vector units Winograd's and Fourier's forms. Products in TF32 have operands of float32, so that a library may
    give them to the vector units as well: where those are as fast as the tensor cores, as GeForce's are, it does.

    >>> from rigwise.cost.efficiencies import efficiencies
    >>> from rigwise.cost.matmul import engine
    >>> from rigwise.hardware.device import Device
    >>> card = Device(name="x", kind="gpu", vendor="x", arch="Pascal", year=2017, form="pcie", memory=11e9,
    ...               bandwidth=484e9, peak={"float32": 11.3e12}, processors=28)
    >>> on = engine(card, "float32", efficiencies(card).device)
    >>> shape = Conv(c=64, k=64, size=(56, 56), kernel=(3, 3), stride=(1, 1), pad=(1, 1))
    >>> milliseconds = conv_seconds(Convs.of([shape]), 32, "forward", on)[0].item() * 1e3
    >>> 0.29 < milliseconds < 1.3  # 16 of 36 of the 7.4 GFLOP at the rated speed, and all of them at half of it
    True
    """
    images = np.asarray(batch, dtype=np.float64)
    k = s.k / np.asarray(cut_out, dtype=np.float64)
    c = s.c / np.asarray(cut_in, dtype=np.float64)
    moved = on.activation * images * (s.reads * c / s.c + s.writes * k / s.k)
    seconds = _soonest(s, images, k, c, moved, which, on)
    if on.tensor and on.element == _FLOAT32:
        vector = replace(on, tensor=False, rate=on.vector)
        seconds = np.minimum(seconds, _soonest(s, images, k, c, moved, which, vector))
    tell(N=images, K=k, C=c, taps=s.taps, positions=s.there, flop=s.work * images * (k / s.k) * (c / s.c))
    tell(T_math=seconds, T_mem=moved / on.bandwidth, t_kernel=on.eff.kernel_s, bandwidth=on.bandwidth)
    return np.asarray(seconds)


def _soonest(s: Convs, images: Floats, k: Floats, c: Floats, moved: Floats, which: str, on: Engine) -> Floats:
    """Seconds by the soonest algorithm on an engine's own units, tensor cores or vector units."""
    seconds = implicit_seconds(s, images, k, c, moved, which, on)
    if s.thin.any():
        work = s.work * images * (k / s.k) * (c / s.c)
        direct = np.maximum(moved / on.bandwidth, work / (on.vector * on.eff.direct)) + on.eff.kernel_s
        seconds = np.where(s.thin, np.minimum(seconds, direct), seconds)
    if on.winograd and s.winograd.any() and not on.tensor:
        fewer = _winograd(s, images, k, c, moved, which, on)
        seconds = np.where(s.winograd, np.minimum(seconds, fewer), seconds)
    if s.fourier.any() and not on.tensor:
        seconds = np.where(s.fourier, np.minimum(seconds, _fourier(s, images, k, c, moved, on)), seconds)
    seconds = np.maximum(seconds, moved / on.bandwidth + on.eff.kernel_s)
    if on.tensor:  # they want channels last: activations that are not are laid out anew, read once and written once
        seconds = seconds + 2 * on.transposed * moved / on.bandwidth
    return np.asarray(seconds)


def implicit_seconds(s: Convs, images: Floats, k: Floats, c: Floats, moved: Floats, which: str, on: Engine) -> Floats:
    """The pass as one matrix product whose patches are formed on the fly. moved: bytes of activations."""
    eff, g = on.eff, s.groups
    most = 1 / np.asarray(eff.matmul_tensor if on.tensor else eff.matmul_vector)  # no more than the device sustains
    share = np.minimum(eff.conv, most) * np.where(s.unaligned & on.tensor, on.unaligned, 1.0)
    weights = on.element * k * c / g * s.taps
    if which == "forward":
        m, n, inner = k / g, images * s.there, c / g * s.taps
    elif which == "input_gradient":
        share = share * eff.conv_input * np.where(s.strided, eff.conv_strided, 1.0)
        m, n, inner = c / g, images * s.here, k / g * s.taps * s.there / s.here
    else:
        assert which == "weight_gradient", which
        share = share * eff.conv_weight
        m, n, inner = k / g, c / g * s.taps, images * s.there
    cutting = which == "weight_gradient"  # the other two have tiles enough, and libraries do not cut them
    everything = moved + weights
    return gemm_seconds(g, m, n, inner, on, moved=everything, share=share, cutting=cutting)


def _winograd(s: Convs, images: Floats, k: Floats, c: Floats, moved: Floats, which: str, on: Engine) -> Floats:
    """The sooner of both forms; the weight gradient has no fused one."""
    apart = winograd_unfused(s, images, k, c, moved, which, on)
    if which == "weight_gradient":
        return apart
    return np.asarray(np.minimum(winograd_fused(s, images, k, c, moved, on), apart))


def winograd_unfused(s: Convs, images: Floats, k: Floats, c: Floats, moved: Floats, which: str, on: Engine) -> Floats:
    """F(4x4, 3x3): 36 products for 144, between transforms that read and write each tile once."""
    eff = on.eff
    tiles = images * s.tiles[1]
    shape = (k, c, tiles) if which == "weight_gradient" else (k, tiles, c)
    kept = np.maximum(eff.winograd_unfused, 1e-9)
    apart = gemm_seconds(36.0, *shape, on, share=kept) + 2 * eff.kernel_s
    return np.asarray(apart + (moved + on.activation * 36 * tiles * (c + k)) / on.bandwidth)


def winograd_fused(s: Convs, images: Floats, k: Floats, c: Floats, moved: Floats, on: Engine) -> Floats:
    """F(2x2, 3x3): 16 products for 36 in one kernel."""
    fewer = images * s.tiles[0]
    kept = on.eff.conv * np.maximum(on.eff.winograd, 1e-9)
    return gemm_seconds(1.0, k, 16 * fewer, c, on, moved=moved, share=kept, cutting=False)


def _fourier(s: Convs, images: Floats, k: Floats, c: Floats, moved: Floats, on: Engine) -> Floats:
    """Products of 32 x 17 complex frequencies over windows of 32 x 32, between transforms through memory."""
    bins, count = frequencies((_SIDE, _SIDE)), images * s.windows
    work = COMPLEX_MULTIPLY_ADD * bins * count * c * k / (on.vector * np.maximum(on.eff.fourier, 1e-9))
    through = 16 * bins * (count * (c + k) + c * k)  # complex float32, written and read
    return np.asarray(work + (moved + through) / on.bandwidth + 4 * on.eff.kernel_s)

"""Laws of the ways to compute a convolution, one by one: seconds of each where it can be done at all.

    implicit     the matrix product, its patches formed on the fly (what libraries take most often)
    im2col       the patches written out first: their bytes on top
    direct       the definition on vector units
    winograd-2   F(2x2, 3x3) in one kernel: 16 products for 36
    winograd-4   F(4x4, 3x3): 36 products for 144, between transforms through memory
    fft          spectra of the whole image
    fft-tiles    spectra of overlapping windows, of the side that is soonest

`conv_seconds` takes the least of what libraries take; here all stand side by side. The Fourier law extends theirs from
windows of 32 to any side and counts the transforms; its share of the vector rate was fitted at 32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.counts import COMPLEX_MULTIPLY_ADD, frequencies, transform_flops, windows
from rigwise.cost.convolution import Convs, implicit_seconds, winograd_fused, winograd_unfused
from rigwise.cost.matmul import Engine
from rigwise.models.operations import Conv

ALGORITHMS = ("implicit", "im2col", "direct", "winograd-2", "winograd-4", "fft", "fft-tiles")
_SIDES = (16, 32, 64, 128, 256, 512)
_COMPLEX = 8.0  # bytes of a complex number of single precision


def algorithm_seconds(
    shapes: Sequence[Conv], batch: float, which: str, on: Engine
) -> Mapping[str, NDArray[np.float64]]:
    """Seconds of one pass over `batch` images by each of ALGORITHMS, an entry a shape; NaN where it cannot be done.

    which: "forward", "input_gradient" or "weight_gradient".

    >>> from rigwise.cost.efficiencies import efficiencies
    >>> from rigwise.cost.matmul import engine
    >>> from rigwise.hardware.device import Device
    >>> card = Device(name="x", kind="gpu", vendor="x", arch="Pascal", year=2017, form="pcie", memory=11e9,
    ...               bandwidth=484e9, peak={"float32": 11.3e12}, processors=28)
    >>> on = engine(card, "float32", efficiencies(card).device)
    >>> same = [Conv(c=64, k=64, size=(64, 64), kernel=(r, r), stride=(1, 1), pad=(r // 2,) * 2) for r in (3, 31)]
    >>> found = algorithm_seconds(same, 8, "forward", on)
    >>> [min(found, key=lambda name: np.nan_to_num(found[name][i], nan=np.inf)) for i in (0, 1)]
    ['winograd-2', 'fft-tiles']
    """
    s = Convs.of(shapes)
    images = np.asarray(batch, dtype=np.float64)
    moved = on.activation * images * (s.reads + s.writes)
    implicit = implicit_seconds(s, images, s.k, s.c, moved, which, on)
    least = moved / on.bandwidth + on.eff.kernel_s
    unfolded = 2 * on.activation * images * s.there * s.c * s.taps
    direct = np.maximum(moved / on.bandwidth, s.work * images / (on.vector * on.eff.direct)) + on.eff.kernel_s
    fused, unfused = np.full(len(shapes), np.nan), np.full(len(shapes), np.nan)
    if s.winograd.any() and not on.tensor:
        can = s.winograd
        unfused = np.where(can, winograd_unfused(s, images, s.k, s.c, moved, which, on), np.nan)
        if which != "weight_gradient":
            fused = np.where(can, winograd_fused(s, images, s.k, s.c, moved, on), np.nan)
    whole, tiled = np.array([_fourier(shape, float(batch), on) for shape in shapes]).T
    seconds = (implicit, implicit + unfolded / on.bandwidth + on.eff.kernel_s, direct, fused, unfused, whole, tiled)
    return {name: np.maximum(value, least) for name, value in zip(ALGORITHMS, seconds, strict=True)}


def why_not(shape: Conv, which: str, on: Engine) -> Mapping[str, str]:
    """Of the algorithms that cannot do a pass, the reason."""
    out = {}
    if on.tensor:
        out["winograd-2"] = out["winograd-4"] = "no library has it on tensor cores"
    elif not Convs.of([shape]).winograd[0]:
        out["winograd-2"] = out["winograd-4"] = "it is for 3 x 3 kernels, stride 1, no groups, 16 channels and more"
    elif which == "weight_gradient":
        out["winograd-2"] = "it has no fused form for the gradient of the weights"
    if shape.transposed:
        out["fft"] = out["fft-tiles"] = "its law is not written for transposed convolutions"
    return out


def _fourier(shape: Conv, batch: float, on: Engine) -> tuple[float, float]:
    """Seconds by spectra of the whole image, and of windows. Every position is computed, whatever the stride."""
    if shape.transposed:
        return math.nan, math.nan
    spread = shape.dilation or (1,) * len(shape.kernel)
    reach = tuple(d * (r - 1) + 1 for r, d in zip(shape.kernel, spread, strict=True))
    padded = [h + 2 * p for h, p in zip(shape.size, shape.pad, strict=True)]
    whole = _windowed(shape, batch, [_even(n) for n in padded], 1, on)
    dense = tuple(n - r + 1 for n, r in zip(padded, reach, strict=True))
    tiled = math.inf
    for side in _SIDES:
        if side >= max(reach) and side < max(padded):
            count = windows(dense, reach, side)
            tiled = min(tiled, _windowed(shape, batch, [side] * len(padded), count, on))
    return whole, tiled if math.isfinite(tiled) else math.nan


def _windowed(shape: Conv, batch: float, sides: Sequence[int], count: int, on: Engine) -> float:
    """T = (8 F w C K/G + 2.5 n log2 n (w (C + K) + C K/G)) / (e_f vector rate) + bytes / BW + 4 t_kernel."""
    bins, images = frequencies(tuple(sides)), batch * count
    banks = shape.c * shape.k / shape.groups
    maps = images * (shape.c + shape.k) + banks
    work = COMPLEX_MULTIPLY_ADD * bins * images * banks + transform_flops(tuple(sides)) * maps
    moved = on.activation * batch * (shape.c * prod(shape.size) + shape.k * prod(shape.out))
    through = 2 * _COMPLEX * bins * maps  # written and read
    rate = float(on.vector * np.maximum(on.eff.fourier, 1e-9))
    return float(work / rate + (moved + through) / on.bandwidth + 4 * on.eff.kernel_s)


def _even(least: int) -> int:
    return least + least % 2

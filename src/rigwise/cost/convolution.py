"""Law of one convolution: three passes as implicit matrix products, with Winograd where vector units gain from it.

    pass              M      N              K (reduced)
    forward           K/G    N P Q          (C/G) R S
    input gradient    C/G    N H W          (K/G) R S (P Q)/(H W)
    weight gradient   K/G    (C/G) R S      N P Q

G products side by side. Source: cuDNN's implicit GEMM (arXiv 1410.0759); Winograd F(2x2,3x3) (arXiv 1509.09308).
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rigwise.cost.ledger import tell, told
from rigwise.cost.matmul import Engine, gemm_seconds
from rigwise.models.operations import Conv

Floats = NDArray[np.float64]
PASSES = ("forward", "input_gradient", "weight_gradient")


@told("convolution")
def conv_seconds(
    shape: Conv, batch: ArrayLike, which: str, on: Engine, cut_out: ArrayLike = 1.0, cut_in: ArrayLike = 1.0
) -> Floats:
    """Seconds of one pass of one convolution over `batch` images, arrays broadcast.

    which: "forward", "input_gradient" or "weight_gradient". cut_out, cut_in: over how many ranks the output and the
    input channels are divided. The least of the implicit product, a direct kernel bound by bytes (depthwise), and
    Winograd on vector units.

    >>> from rigwise.cost.efficiencies import efficiencies
    >>> from rigwise.cost.matmul import engine
    >>> from rigwise.hardware.device import Device
    >>> card = Device(name="x", kind="gpu", vendor="x", arch="Pascal", year=2017, form="pcie", memory=11e9,
    ...               bandwidth=484e9, peak={"float32": 11.3e12}, processors=28)
    >>> on = engine(card, "float32", efficiencies(card).device)
    >>> shape = Conv(c=64, k=64, size=(56, 56), kernel=(3, 3), stride=(1, 1), pad=(1, 1))
    >>> f"{conv_seconds(shape, 32, 'forward', on) * 1e3:.1f} ms"
    '0.7 ms'
    """
    images = np.asarray(batch, dtype=np.float64)
    k = shape.k / np.asarray(cut_out, dtype=np.float64)
    c = shape.c / np.asarray(cut_in, dtype=np.float64)
    products = _implicit(shape, images, k, c, which, on)
    inputs, outputs = c * prod(shape.size), k * prod(shape.out)
    traffic = on.activation * images * (inputs + outputs) / on.bandwidth
    work = shape.flops * images * (k / shape.k) * (c / shape.c)
    thin = shape.c // shape.groups < 4 or shape.k // shape.groups < 4
    if thin:
        direct = np.maximum(traffic, work / (on.vector * on.eff.direct)) + on.eff.kernel_s
        products = np.minimum(products, direct)
    if _winograd(shape, on):
        products = np.minimum(products, _winograd_seconds(shape, images, k, c, on))
    tell(N=images, K=k, C=c, kernel="x".join(map(str, shape.kernel)), out="x".join(map(str, shape.out)), flop=work)
    tell(T_math=products, T_mem=traffic, t_kernel=on.eff.kernel_s, bandwidth=on.bandwidth)
    return np.asarray(np.maximum(products, traffic + on.eff.kernel_s))


def _implicit(shape: Conv, images: Floats, k: Floats, c: Floats, which: str, on: Engine) -> Floats:
    groups, taps = float(shape.groups), float(prod(shape.kernel))
    here, there = float(prod(shape.size)), float(prod(shape.out))
    if shape.transposed:
        here, there = there, here
    eff = on.eff
    factor: Floats = np.ones(np.shape(images)) / eff.conv
    if on.tensor and (shape.c % 8 or shape.k % 8):
        factor = factor / eff.conv_unaligned
    if which == "forward":
        return factor * gemm_seconds(groups, k / groups, images * there, c / groups * taps, on, eff.saturation_conv)
    if which == "input_gradient":
        strided = eff.conv_strided if max(shape.stride) > 1 else 1.0
        inner = k / groups * taps * there / here
        return (
            factor
            / (eff.conv_input * strided)
            * gemm_seconds(groups, c / groups, images * here, inner, on, eff.saturation_conv)
        )
    assert which == "weight_gradient", which
    return (
        factor
        / eff.conv_weight
        * gemm_seconds(groups, k / groups, c / groups * taps, images * there, on, eff.saturation_conv)
    )


def _winograd(shape: Conv, on: Engine) -> bool:
    plain = shape.groups == 1 and not shape.transposed and set(shape.stride) == {1}
    return (
        plain
        and shape.kernel == (3, 3)
        and not on.tensor
        and bool(np.all(on.eff.winograd > 0))
        and min(shape.c, shape.k) >= 16
    )


def _winograd_seconds(shape: Conv, images: Floats, k: Floats, c: Floats, on: Engine) -> Floats:
    """F(2x2, 3x3): 16 products over tiles of 2 x 2 outputs instead of 36."""
    tiles = prod(-(-size // 2) for size in shape.out)
    return np.asarray(gemm_seconds(16.0, k, images * tiles, c, on, on.eff.saturation_conv) / on.eff.winograd)

"""`tune`: the rates of this machine, measured in a few seconds, in place of those that the package came with."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from rigwise.convolution import choose, remembered
from rigwise.convolution.algorithms import PASSES
from rigwise.convolution.choose import LIBRARY
from rigwise.convolution.counts import COMPLEX_MULTIPLY_ADD, transform_flops
from rigwise.convolution.geometry import Geometry
from rigwise.convolution.torch_kernels.passes import run_pass

_SAME = ((5, 5), (5, 5))
REFERENCES = {
    "dense": Geometry(batch=4, c=16, k=16, size=(56, 56), kernel=(5, 5), pad=((2, 2), (2, 2))),
    "wide": Geometry(batch=1, c=16, k=16, size=(40, 40), kernel=(25, 25), pad=((12, 12), (12, 12))),
    "depthwise": Geometry(batch=2, c=32, k=32, groups=32, size=(48, 48), kernel=(11, 11), pad=_SAME),
    "depthwise-wide": Geometry(
        batch=1, c=16, k=16, groups=16, size=(40, 40), kernel=(21, 21), pad=((10, 10), (10, 10))
    ),
    "single": Geometry(batch=1, c=1, k=1, size=(192, 192), kernel=(11, 11), pad=_SAME),
}
"""Geometries that stand for the kinds of torch's own kernels that `counts.kind_of` tells apart."""


def tune() -> dict[str, float]:
    """Measure this machine's rates (FLOP/s, bytes/s and seconds a call, of one thread), keep them, and return them.

    The closed forms of `choose` take them from then on. Takes some seconds; a machine that does other work meanwhile
    gives slow rates.
    """
    found = measure()
    remembered.remember_rates("torch", found)
    choose.rates.cache_clear()
    return found


def measure() -> dict[str, float]:
    """The rates of this machine, and nothing kept."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            return {**_library(), **_products()}
    finally:
        torch.set_num_threads(threads)


def _library() -> dict[str, float]:
    found = {}
    for kind, shape in REFERENCES.items():
        x, w, g = (torch.rand(size) for size in (shape.x_shape, shape.w_shape, shape.y_shape))
        given = {"forward": (x, w), "input_gradient": (g, w), "weight_gradient": (x, g)}
        for which in PASSES:
            found[f"{kind}-{which}"] = shape.flops / least(partial(run_pass, which, LIBRARY, *given[which], shape))
    return found


def _products() -> dict[str, float]:
    a, b = torch.rand(128, 128), torch.rand(128, 20_000)
    left, right = torch.rand(1200, 8, 64), torch.rand(1200, 64, 64)
    image, flat = torch.rand(128, 72, 72), torch.rand(1 << 19)
    spectrum, kernels = (torch.rand(1 << 18, dtype=torch.complex64) for _ in range(2))
    much, single = torch.rand(1 << 23), torch.rand(1)
    to = torch.empty_like(much)  # made before: what is new to the process costs page faults, which the forms leave out
    return {
        "matmul": 2.0 * 128 * 128 * 20_000 / least(lambda: a @ b),
        "batched": 2.0 * 1200 * 8 * 64 * 64 / least(lambda: torch.bmm(left, right)),
        "small": 2.0 * flat.numel() / least(lambda: flat.mul(1.5).add_(flat)),
        "pointwise": COMPLEX_MULTIPLY_ADD * spectrum.numel() / least(lambda: spectrum.mul(kernels).add_(spectrum)),
        "fft": 128 * transform_flops((72, 72)) / least(lambda: torch.fft.rfft2(image)),
        "bandwidth": 8.0 * much.numel() / least(lambda: torch.mul(much, 1.5, out=to)),
        "call": SMALL_CALLS * least(lambda: [single.add(1.0) for _ in range(1000)]) / 1000,
    }


SMALL_CALLS = 3.0  # of torch's operations in what `counts` calls one call
_LEAST_RUNS, _LEAST_S = 7, 0.1


def least(run: Callable[[], object]) -> float:
    """The least seconds of some runs after a first."""
    run()
    took: list[float] = []
    while len(took) < _LEAST_RUNS or sum(took) < _LEAST_S:
        start = time.perf_counter()
        run()
        took.append(time.perf_counter() - start)
    return min(took)

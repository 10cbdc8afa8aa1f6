"""Which algorithm: the soonest by closed forms, t = sum of FLOP / rate by kind + bytes / bandwidth + calls x call.

The counts are `counts.py`'s, the rates data/rates.toml's or, once `tune` has run, this machine's. The closed forms are
good to a factor of two or so, which is enough to leave out what is hopeless; where torch runs, what is left is timed
once (`torch_kernels.choice`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files

from rigwise.convolution import remembered
from rigwise.convolution.counts import window_of, work
from rigwise.convolution.fourier import exact_lengths, lengths
from rigwise.convolution.geometry import Geometry

_NUMPY = ("direct", "im2col", "fft", "overlap-save")
LIBRARY, PADDED = "library", "library-padded"
SPECTRAL = ("fft", "dft", "overlap-save", "overlap-dft")
TORCH = (LIBRARY, PADDED, *SPECTRAL)
"""What runs on tensors: torch's own, torch's own on an input padded first, and spectra."""
_DFT_DIMS = 2
_SINGLE = 4  # bytes of the type that the rates were measured with


def cannot(name: str, shape: Geometry) -> str:
    """Why one of TORCH's algorithms cannot do a geometry, or ""."""
    if name in ("dft", "overlap-dft") and shape.dims > _DFT_DIMS:
        return "dft is for 1 and 2 dims"
    whole = lengths(shape) if name == "overlap-save" else exact_lengths(shape)
    if name.startswith("overlap") and window_of(name, shape) == whole:
        return "overlapping windows are for images larger than the window"
    return ""


@cache
def rates(engine: str) -> Mapping[str, float]:
    """The rates of an engine: "torch" or "numpy"."""
    text = files("rigwise.convolution").joinpath("data/rates.toml").read_text(encoding="utf-8")
    return {**tomllib.loads(text)[engine], **remembered.recall_rates(engine)}


def seconds(algorithm: str, which: str, shape: Geometry, element: int, engine: str, threads: int = 1) -> float:
    """Seconds of one pass by the closed form. Threads share FLOPs evenly and half of the bytes' time."""
    done, rate = work(algorithm, which, shape, element), rates(engine)
    slower = element / _SINGLE
    products = sum(flops / rate.get(kind, rate["small"]) for kind, flops in done.flops.items()) * slower
    return products / threads + done.bytes / rate["bandwidth"] / (1 + threads) * 2 + done.calls * rate["call"]


def ranked(
    names: Iterable[str], which: str, shape: Geometry, element: int, engine: str, threads: int = 1
) -> list[tuple[float, str]]:
    """Algorithms with their predicted seconds, soonest first."""
    return sorted((seconds(name, which, shape, element, engine, threads), name) for name in names)


@lru_cache(maxsize=4096)
def choose_numpy(which: str, shape: Geometry, element: int) -> str:
    """The algorithm for one pass in NumPy.

    >>> large = Geometry(batch=1, c=1, k=1, size=(256, 256), kernel=(31, 31))
    >>> choose_numpy("forward", large, 4) in ("fft", "overlap-save")
    True
    """
    return ranked(_NUMPY, which, shape, element, "numpy")[0][1]

"""The algorithms by name: which can do a geometry, and the NumPy code of each of their three passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from rigwise.convolution import fourier, kernels, winograd
from rigwise.convolution.choose import choose_numpy
from rigwise.convolution.geometry import Geometry
from rigwise.convolution.kernels import Floats
from rigwise.errors import UsageError, not_found

Pass = Literal["forward", "input_gradient", "weight_gradient"]
PASSES: tuple[Pass, ...] = ("forward", "input_gradient", "weight_gradient")
Run = Callable[[Floats, Floats, Geometry], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """One way to compute a convolution: its passes, and why it cannot do a geometry ("" if it can)."""

    name: str
    says: str
    forward: Run
    input_gradient: Run
    weight_gradient: Run
    cannot: Callable[[Geometry], str]


def _any(_: Geometry) -> str:
    return ""


def _of(
    name: str, says: str, room: ModuleType, stem: str, suffix: str = "", other: Mapping[str, Any] | None = None
) -> Algorithm:
    """An algorithm whose passes are functions of `room` called by stem and suffix, but for those in `other`."""
    passes: dict[str, Any] = {which: getattr(room, f"{stem}{which}{suffix}", None) for which in PASSES}
    functions = {"cannot": _any, **passes, **(other or {})}
    return Algorithm(name=name, says=says, **functions)


_SAVED = {"weight_gradient": fourier.overlap_save_weight_gradient}
_THREE = {"cannot": winograd.cannot}
_F2 = "F(2, 3): tiles of 2 outputs a dim from 4 products where the definition has 6"
_F4 = "F(4, 3): tiles of 4 outputs a dim from 6 products where the definition has 12"
_TILES = "spectra of tiles of the input, their outputs added where they overlap"
_ALL = (
    _of("direct", "the definition, tap by tap", kernels, "direct_"),
    _of("im2col", "every patch written out, then one matrix product", kernels, "im2col_"),
    _of("fft", "a product of the spectra of the whole image and the kernels", fourier, "fft_"),
    _of("overlap-save", "spectra of overlapping windows, each to a tile of the output", fourier, "overlap_save_"),
    _of("overlap-add", _TILES, fourier, "overlap_add_", other=_SAVED),
    _of("winograd-2", _F2, winograd, "", "_2", other=_THREE),
    _of("winograd-4", _F4, winograd, "", "_4", other=_THREE),
)
ALGORITHMS: dict[str, Algorithm] = {a.name: a for a in _ALL}
NAMES = tuple(ALGORITHMS)


def algorithm_for(name: str, shape: Geometry) -> Algorithm:
    """The algorithm called `name`; raises NotFoundError, or UsageError where it cannot do the geometry."""
    if name not in ALGORITHMS:
        raise not_found("algorithm", name, NAMES, hint=", ".join(("auto", *NAMES)))
    chosen = ALGORITHMS[name]
    if why := chosen.cannot(shape):
        raise UsageError(f"{name} on this convolution", rule=why, nearest="auto")
    return chosen


def run_pass(which: Pass, algorithm: str, first: Floats, second: Floats, shape: Geometry) -> Floats:
    """One pass by name. forward takes (x, w), input_gradient (g, w), weight_gradient (x, g)."""
    if algorithm == "auto":
        algorithm = choose_numpy(which, shape, first.dtype.itemsize)
    run: Run = getattr(algorithm_for(algorithm, shape), which)
    return run(first, second, shape)

"""The algorithms by name: which can do a geometry, and the NumPy code of each of their three passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rigwise.convolution import fourier, kernels, winograd
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


ALGORITHMS: dict[str, Algorithm] = {
    a.name: a
    for a in (
        Algorithm(
            name="direct",
            says="the definition, tap by tap",
            forward=kernels.direct_forward,
            input_gradient=kernels.direct_input_gradient,
            weight_gradient=kernels.direct_weight_gradient,
            cannot=_any,
        ),
        Algorithm(
            name="im2col",
            says="every patch written out, then one matrix product",
            forward=kernels.im2col_forward,
            input_gradient=kernels.im2col_input_gradient,
            weight_gradient=kernels.im2col_weight_gradient,
            cannot=_any,
        ),
        Algorithm(
            name="fft",
            says="a product of the spectra of the whole image and the kernels",
            forward=fourier.fft_forward,
            input_gradient=fourier.fft_input_gradient,
            weight_gradient=fourier.fft_weight_gradient,
            cannot=_any,
        ),
        Algorithm(
            name="overlap-save",
            says="spectra of overlapping windows, each to a tile of the output",
            forward=fourier.overlap_save_forward,
            input_gradient=fourier.overlap_save_input_gradient,
            weight_gradient=fourier.overlap_save_weight_gradient,
            cannot=_any,
        ),
        Algorithm(
            name="overlap-add",
            says="spectra of tiles of the input, their outputs added where they overlap",
            forward=fourier.overlap_add_forward,
            input_gradient=fourier.overlap_add_input_gradient,
            weight_gradient=fourier.overlap_save_weight_gradient,
            cannot=_any,
        ),
        Algorithm(
            name="winograd-2",
            says="F(2, 3): tiles of 2 outputs a dim from 4 products where the definition has 6",
            forward=winograd.forward_2,
            input_gradient=winograd.input_gradient_2,
            weight_gradient=winograd.weight_gradient_2,
            cannot=winograd.cannot,
        ),
        Algorithm(
            name="winograd-4",
            says="F(4, 3): tiles of 4 outputs a dim from 6 products where the definition has 12",
            forward=winograd.forward_4,
            input_gradient=winograd.input_gradient_4,
            weight_gradient=winograd.weight_gradient_4,
            cannot=winograd.cannot,
        ),
    )
}
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
        from rigwise.convolution.choose import choose_numpy

        algorithm = choose_numpy(which, shape, first.dtype.itemsize)
    run: Run = getattr(algorithm_for(algorithm, shape), which)
    return run(first, second, shape)

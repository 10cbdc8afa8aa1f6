"""Random convolutions for Hypothesis: geometries of 1, 2 and 3 dims with their arrays in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from rigwise.convolution import Geometry

Array = NDArray[np.float64]


@st.composite
def geometries(draw: st.DrawFn, dims: tuple[int, ...] = (1, 2, 3), plain: bool = False) -> Geometry:
    """A geometry that is legal and small; plain: 3 taps a dim, stride 1, no dilation."""
    count = draw(st.sampled_from(dims))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(count))

    kernel = (3,) * count if plain else each(1, 5)
    dilation, stride = ((1,) * count,) * 2 if plain else (each(1, 2), each(1, 3))
    reach = [d * (r - 1) + 1 for d, r in zip(dilation, kernel)]
    pad = tuple((draw(st.integers(0, r + 1)), draw(st.integers(0, r + 1))) for r in reach)
    size = tuple(draw(st.integers(max(1, r - sum(p)), r + 9)) for r, p in zip(reach, pad))
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    c, k = (groups * draw(st.integers(1, 3)) for _ in range(2))
    return Geometry(
        batch=draw(st.integers(1, 3)),
        c=c,
        k=k,
        size=size,
        kernel=kernel,
        stride=stride,
        pad=pad,
        dilation=dilation,
        groups=groups,
    )


def arrays(shape: Geometry, seed: int, dtype: Any = np.float64) -> dict[str, tuple[Array, Array]]:
    """What each pass reads."""
    draw = np.random.default_rng(seed)
    x, w, g = (draw.standard_normal(s).astype(dtype) for s in (shape.x_shape, shape.w_shape, shape.y_shape))
    return {"forward": (x, w), "input_gradient": (g, w), "weight_gradient": (x, g)}


seeds = st.integers(0, 2**31)

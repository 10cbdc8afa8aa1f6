"""Every algorithm is the definition, within the bound that it states, in every pass and geometry."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolutions import arrays, geometries, seeds
from rigwise.convolution import ALGORITHMS, PASSES, Geometry, conv, run_pass
from rigwise.convolution.bounds import error_bound
from rigwise.errors import NotFoundError, UsageError

GENERAL = [name for name in ALGORITHMS if not name.startswith("winograd")]


def by_the_letter(x, w, shape: Geometry):
    """The definition in plain loops."""
    y = np.zeros(shape.y_shape)
    c, k = shape.c // shape.groups, shape.k // shape.groups
    for n, out, at in product(range(shape.batch), range(shape.k), product(*(range(o) for o in shape.out))):
        for ch, tap in product(range(c), product(*(range(r) for r in shape.kernel))):
            rows = zip(at, tap, shape.stride, shape.dilation, shape.pad)
            here = tuple(i * s + r * d - p for i, r, s, d, (p, _) in rows)
            if all(0 <= i < h for i, h in zip(here, shape.size)):
                y[(n, out, *at)] += w[(out, ch, *tap)] * x[(n, out // k * c + ch, *here)]
    return y


@settings(max_examples=15)
@given(geometries(dims=(1, 2)), seeds)
def test_direct_is_the_definition(shape, seed):
    x, w = arrays(shape, seed)["forward"]
    small = Geometry(
        batch=1, c=shape.c, k=shape.k, size=shape.size, kernel=shape.kernel, stride=shape.stride, pad=shape.pad,
        dilation=shape.dilation, groups=shape.groups,
    )  # fmt: skip
    assert np.allclose(run_pass("forward", "direct", x[:1], w, small), by_the_letter(x[:1], w, small), atol=1e-12)


@settings(max_examples=25)
@given(geometries(), seeds)
def test_gradients_are_the_transposes_of_the_forward_pass(shape, seed):
    """<g, conv(x, w)> = <dx, x> = <dw, w>, which is what a gradient of a bilinear map is."""
    passes = arrays(shape, seed)
    (x, w), (g, _) = passes["forward"], passes["input_gradient"]
    whole = np.vdot(g, run_pass("forward", "direct", x, w, shape))
    assert np.isclose(np.vdot(run_pass("input_gradient", "direct", g, w, shape), x), whole)
    assert np.isclose(np.vdot(run_pass("weight_gradient", "direct", x, g, shape), w), whole)


@pytest.mark.parametrize("name", [name for name in GENERAL if name != "direct"])
@settings(max_examples=25)
@given(geometries(), seeds)
def test_every_algorithm_is_direct(name, shape, seed):
    check(name, shape, seed, np.float64)


@pytest.mark.parametrize("name", ["winograd-2", "winograd-4"])
@settings(max_examples=25)
@given(geometries(plain=True), seeds)
def test_winograd_is_direct(name, shape, seed):
    check(name, shape, seed, np.float64)


@pytest.mark.parametrize("name", list(ALGORITHMS))
@settings(max_examples=15)
@given(geometries(plain=True), seeds)
def test_single_precision_keeps_its_bound_too(name, shape, seed):
    check(name, shape, seed, np.float32)


def check(name, shape, seed, dtype):
    for which, (first, second) in arrays(shape, seed, dtype).items():
        exact = run_pass(which, "direct", first.astype(np.float64), second.astype(np.float64), shape)
        found = run_pass(which, name, first, second, shape)
        assert found.dtype == dtype
        assert found.shape == exact.shape
        bound = error_bound(name, which, shape, dtype) * np.linalg.norm(first) * np.linalg.norm(second)
        assert np.abs(found - exact).max(initial=0.0) <= bound + error_bound("direct", which, shape) * 1e3


@pytest.mark.parametrize("size", [200, 333])
def test_overlapping_windows_on_images_larger_than_a_window(size):
    shape = Geometry(batch=2, c=2, k=3, size=(size, 40), kernel=(7, 5), pad=((3, 3), (2, 2)))
    for which, (first, second) in arrays(shape, 0).items():
        exact = run_pass(which, "direct", first, second, shape)
        for name in ("overlap-save", "overlap-add"):
            assert np.allclose(run_pass(which, name, first, second, shape), exact, atol=1e-9)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), seeds)
@settings(max_examples=25)
def test_a_transposed_convolution_is_the_gradient_of_its_convolution(kernel, stride, pad, seed):
    pad = min(pad, (kernel - 1) // 2)
    draw = np.random.default_rng(seed)
    x, w = draw.standard_normal((2, 4, 6, 5)), draw.standard_normal((4, 3, kernel, kernel))
    y = conv(x, w, stride=stride, padding=pad, transposed=True, algorithm="direct")
    back = draw.standard_normal(y.shape)
    assert np.isclose(np.vdot(y, back), np.vdot(x, conv(back, w, stride=stride, padding=pad, algorithm="im2col")))
    assert np.allclose(conv(x, w, stride=stride, padding=pad, transposed=True, algorithm="fft"), y)


def test_errors_grow_as_the_bounds_say():
    """Direct sums, transforms, F(2, 3), F(4, 3): each loses more digits than the one before, within its bound."""
    shape = Geometry(batch=2, c=16, k=16, size=(24, 24), kernel=(3, 3), pad=((1, 1), (1, 1)))
    x, w = arrays(shape, 3, np.float32)["forward"]
    exact = run_pass("forward", "direct", x.astype(np.float64), w.astype(np.float64), shape)
    names = ("direct", "fft", "winograd-2", "winograd-4")
    seen = {name: np.abs(run_pass("forward", name, x, w, shape) - exact).max() for name in names}
    assert seen["winograd-2"] < seen["winograd-4"]
    assert error_bound("winograd-2", "forward", shape) < error_bound("winograd-4", "forward", shape)
    norms = np.linalg.norm(x) * np.linalg.norm(w)
    assert all(seen[name] <= error_bound(name, "forward", shape, np.float32) * norms for name in names)


def test_what_cannot_be_done_says_why():
    x, w = np.ones((1, 1, 9, 9)), np.ones((1, 1, 5, 5))
    with pytest.raises(UsageError, match="3 taps"):
        conv(x, w, algorithm="winograd-2")
    with pytest.raises(NotFoundError, match="nearest: fft"):
        conv(x, w, algorithm="fftt")


@pytest.mark.parametrize("which", PASSES)
def test_auto_is_one_of_them(which):
    shape = Geometry(batch=1, c=2, k=2, size=(40, 40), kernel=(9, 9))
    first, second = arrays(shape, 1)[which]
    assert np.allclose(run_pass(which, "auto", first, second, shape), run_pass(which, "direct", first, second, shape))

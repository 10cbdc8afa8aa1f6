"""What a convolution is: linear, blind to shifts, commutative, a product of spectra; and article 2's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convolutions import seeds
from rigwise.convolution import ALGORITHMS, conv, convolve, correlate, geometry

NAMES = [name for name in ALGORITHMS if not name.startswith("winograd")]
sides = st.tuples(st.integers(5, 16), st.integers(5, 16))
kernels = st.tuples(st.integers(1, 5), st.integers(1, 5))


def draw(seed, *shapes):
    generator = np.random.default_rng(seed)
    return [generator.standard_normal(shape) for shape in shapes]


@st.composite
def pairs(pick: st.DrawFn, taps: int = 0) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sizes of an image and of a kernel in 1, 2 or 3 dims; taps: of every dim of the kernel, where it is given."""
    dims = pick(st.integers(1, 3))
    most = (40, 16, 8)[dims - 1]
    size = tuple(pick(st.integers(5, most)) for _ in range(dims))
    return size, tuple(taps or pick(st.integers(1, 5)) for _ in range(dims))


def check_linear(name, size, kernel, seed):
    x, z, w = draw(seed, size, size, kernel)
    both = convolve(2 * x - 3 * z, w, algorithm=name)
    assert np.allclose(both, 2 * convolve(x, w, algorithm=name) - 3 * convolve(z, w, algorithm=name))
    v = 0.5 * w[::-1]
    assert np.allclose(
        convolve(x, w - 2 * v, algorithm=name), convolve(x, w, algorithm=name) - 2 * convolve(x, v, algorithm=name)
    )


def check_shift(name, size, kernel, seed):
    x, w = draw(seed, size, kernel)
    moved = np.pad(x, [(2 + dim, 0) for dim in range(len(size))])
    there = tuple(slice(2 + dim, None) for dim in range(len(size)))
    assert np.allclose(convolve(moved, w, algorithm=name)[there], convolve(x, w, algorithm=name))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(pairs(), seeds)
def test_linear_in_both(name, sizes, seed):
    check_linear(name, *sizes, seed)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(pairs(), seeds)
def test_shifts_pass_through(name, sizes, seed):
    check_shift(name, *sizes, seed)


@pytest.mark.parametrize("name", ["winograd-2", "winograd-4"])
@settings(max_examples=15)
@given(pairs(taps=3), seeds)
def test_winograd_is_linear_and_blind_to_shifts(name, sizes, seed):
    check_linear(name, *sizes, seed)
    check_shift(name, *sizes, seed)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15)
@given(pairs(), seeds)
def test_convolution_commutes_and_correlation_turns_over(name, sizes, seed):
    x, w = draw(seed, *sizes)
    assert np.allclose(convolve(x, w, algorithm=name), convolve(w, x, algorithm=name))
    turned = np.flip(correlate(w, x, "full", algorithm=name))
    assert np.allclose(correlate(x, w, "full", algorithm=name), turned)


@settings(max_examples=25)
@given(sides, kernels, kernels, seeds)
def test_convolution_is_associative(size, first, second, seed):
    x, v, w = draw(seed, size, first, second)
    assert np.allclose(convolve(convolve(x, v), w), convolve(x, convolve(v, w)))


@pytest.mark.parametrize("name", ["auto", *NAMES])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@settings(max_examples=10)
@given(pairs(), seeds)
def test_turning_the_kernel_tells_convolution_from_correlation(mode, name, sizes, seed):
    x, w = draw(seed, *sizes)
    found, whole = convolve(x, np.flip(w), mode, algorithm=name), correlate(x, w, mode, algorithm=name)
    if mode == "same":  # of an even kernel, either has its extra position on its own side
        odd = all(r % 2 for r in w.shape)
        assert found.shape == whole.shape == x.shape
        assert not odd or np.allclose(found, whole)
    else:
        assert np.allclose(found, whole)


@pytest.mark.parametrize("name", ["auto", *NAMES])
@settings(max_examples=10)
@given(pairs(), seeds)
def test_the_convolution_theorem(name, sizes, seed):
    """The spectrum of a full convolution is the product of the spectra; a correlation's has one of them conjugate."""
    x, w = draw(seed, *sizes)
    n = [h + r - 1 for h, r in zip(*sizes)]
    axes = range(len(n))
    there = np.fft.fftn(x, n, axes) * np.fft.fftn(w, n, axes)
    assert np.allclose(np.fft.fftn(convolve(x, w, algorithm=name)), there)
    back = np.fft.ifftn(np.fft.fftn(x, n, axes) * np.conj(np.fft.fftn(w, n, axes))).real
    lead = [r - 1 for r in w.shape]
    assert np.allclose(np.roll(back, lead, axes), correlate(x, w, "full", algorithm=name))


@pytest.mark.parametrize("name", ["auto", *NAMES])
@settings(max_examples=10)
@given(pairs(), seeds)
def test_parseval(name, sizes, seed):
    """The energy of an image is its correlation with itself at no shift, and its spectrum's energy over its size."""
    (x,) = draw(seed, sizes[0])
    energy = correlate(x, x, "full", algorithm=name)[tuple(side - 1 for side in x.shape)]
    assert np.isclose(energy, (np.abs(np.fft.fftn(x)) ** 2).sum() / x.size)
    assert np.isclose(energy, (x**2).sum())


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("kernel", [(3, 3), (4, 2), (5, 4)])
def test_modes_are_scipys(mode, kernel):
    signal = pytest.importorskip("scipy.signal")
    x, w = draw(0, (9, 11), kernel)
    assert np.allclose(convolve(x, w, mode), signal.convolve2d(x, w, mode))
    if mode != "same":
        assert np.allclose(correlate(x, w, mode), signal.correlate2d(x, w, mode))


def test_causal_looks_at_nothing_ahead():
    x, w = draw(0, (1, 1, 20), (1, 1, 4))
    early = conv(x, w, padding="causal")
    x[..., 10:] = 0
    assert early.shape == x.shape
    assert np.allclose(conv(x, w, padding="causal")[..., :10], early[..., :10])


def test_sizes_of_the_article():
    assert geometry((1, 1, 100, 100), (1, 1, 3, 3)).out == (98, 98)
    bank = geometry((1, 1, 256, 256), (32, 1, 16, 16))
    assert bank.y_shape == (1, 32, 241, 241)
    assert np.prod(bank.y_shape) == 1_858_592


@pytest.mark.parametrize("name", NAMES)
def test_the_article_s_small_example(name):
    assert convolve([1, 2, 3], [0, 1, 0.5], algorithm=name) == pytest.approx([0, 1, 2.5, 4, 1.5])


def test_spectra_agree_with_the_definition_to_a_billionth():
    x, w = draw(0, (64, 64), (7, 7))
    direct, fast = convolve(x, w, algorithm="direct"), convolve(x, w, algorithm="fft")
    assert fast.shape == (70, 70)
    assert np.abs(direct - fast).max() < 1e-9


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_a_mean_of_what_is_constant_is_the_constant(name):
    flat = np.full((20, 20), 90.0)
    assert np.allclose(convolve(flat, np.full((3, 3), 1 / 9), "valid", algorithm=name), 90.0)


def test_a_template_is_found_where_it_was_taken_from():
    (x,) = draw(7, (40, 50))
    template = x[12:20, 30:37]
    match = correlate(x, template) / np.sqrt(correlate(x**2, np.ones_like(template)) * (template**2).sum())
    assert np.unravel_index(match.argmax(), match.shape) == (12, 30)
    assert match.max() == pytest.approx(1.0)

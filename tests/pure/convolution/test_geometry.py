"""Sizes, paddings, and what is refused at the border."""

from __future__ import annotations

import numpy as np
import pytest

from rigwise.convolution import Geometry, conv, geometry, transposed_geometry
from rigwise.convolution.fourier import exact_lengths, good_length
from rigwise.errors import UsageError
from rigwise.models.operations import Conv


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 4])
def test_the_networks_layers_have_the_same_sizes(stride, dilation, kernel):
    layer = Conv(
        c=4, k=6, size=(17, 20), kernel=(kernel,) * 2, stride=(stride,) * 2, pad=(1, 2), dilation=(dilation,) * 2
    )
    shape = Geometry.of(layer, batch=5)
    assert shape.out == layer.out
    assert shape.flops == 5 * layer.flops


def test_a_transposed_layer_is_the_geometry_that_it_transposes():
    layer = Conv(c=8, k=3, size=(16, 16), kernel=(4, 4), stride=(2, 2), pad=(1, 1), transposed=True)
    shape = Geometry.of(layer)
    assert shape.size == layer.out == (32, 32)
    assert shape.out == layer.size
    assert shape == transposed_geometry((1, 8, 16, 16), (8, 3, 4, 4), stride=2, padding=1)


@pytest.mark.parametrize(
    ("padding", "out"), [("valid", 6), ("same", 9), ("full", 12), ("causal", 9), (1, 8), ([(2, 0)], 8), ([3], 12)]
)
def test_paddings(padding, out):
    assert geometry((1, 1, 9), (1, 1, 4), padding=padding).out == (out,)


@pytest.mark.parametrize("n", [1, 2, 7, 61, 71, 127, 131, 1000, 99_991])
def test_good_lengths_have_small_factors(n):
    length = rest = good_length(n)
    assert length >= n
    for prime in (2, 3, 5, 7):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1


def test_nothing_is_longer_than_it_must_be():
    same = geometry((1, 1, 56), (1, 1, 31), padding="same")
    assert exact_lengths(same) == (71,)  # and not 86: what wraps around falls where nothing is read


@pytest.mark.parametrize(
    ("x", "w", "options", "says"),
    [
        ((1, 1, 4, 4), (1, 1, 5, 5), {}, "the kernel fits"),
        ((1, 3, 4, 4), (1, 1, 3, 3), {}, "channels in = groups"),
        ((1, 4, 4, 4), (3, 2, 3, 3), {"groups": 2}, "multiple of the groups"),
        ((1, 1, 4, 4), (1, 1, 3), {}, "both have"),
        ((1, 1, 4), (1, 1, 3), {"stride": 0}, "stride is a whole number"),
        ((1, 1, 4), (1, 1, 3), {"stride": 2, "padding": "same"}, "stride 1"),
        ((1, 1, 4), (1, 1, 3), {"padding": "reflect"}, "a word"),
        ((1, 1, 4), (1, 1, 3), {"padding": -1}, "at least 0"),
        ((1, 1, 4), (1, 1, 3), {"padding": (1, 1)}, "one a dim"),
        ((1, 1, 4), (1, 1, 3), {"dilation": (1, 2)}, "each of 1 dims"),
        ((1, 1, 4), (1, 1, 3), {"groups": 0}, "at least 1"),
        ((0, 1, 4), (1, 1, 3), {}, "every size"),
        ((1, 1, 4), (1, 1, 3), {"kind": "conv"}, "cross-correlation or convolution"),
        ((1, 1, 4), (1, 1, 3), {"output_padding": 1}, "transposed"),
        ((1, 1, 4), (1, 1, 3), {"transposed": True, "output_padding": 1}, "smaller than the stride"),
        ((1, 1, 1), (1, 1, 3), {"transposed": True, "padding": 2}, "at least one"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_rule(x, w, options, says):
    with pytest.raises(UsageError, match=says):
        conv(np.zeros(x), np.zeros(w), **options)


@pytest.mark.parametrize("bad", [np.zeros((1, 1, 4), dtype=complex), np.array([[["a"]]])])
def test_only_real_numbers(bad):
    with pytest.raises(UsageError, match="real numbers"):
        conv(bad, np.zeros((1, 1, 1)))


def test_whole_numbers_are_taken_as_float64_and_halves_as_float32():
    assert conv(np.ones((1, 1, 3), dtype=int), np.ones((1, 1, 2), dtype=int)).dtype == np.float64
    assert conv(np.ones((1, 1, 3), dtype=np.float16), np.ones((1, 1, 2), dtype=np.float16)).dtype == np.float32

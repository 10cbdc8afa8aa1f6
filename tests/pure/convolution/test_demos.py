"""The article's worked examples: sizes, kernels, both domains, spectra, diffusion, search and time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigwise import api
from rigwise.convolution.features import both_domains
from rigwise.convolution.filters import Kernel, formulas, named, read_kernel
from rigwise.convolution.photo import Photo, read_photo
from rigwise.convolution.planes import lay, shown
from rigwise.convolution.series import causal, read_series, smooth
from rigwise.convolution.spectrum import disc, passed
from rigwise.errors import NotFoundError, UsageError


def photo(height: int = 64, width: int = 64, channels: int = 1) -> Photo:
    values = np.random.default_rng(7).uniform(0, 255, size=(channels, height, width))
    return Photo(name="noise", planes=values)


# ---- sizes and filtering


def test_sizes_of_feature_maps() -> None:
    assert lay(photo(100, 100).planes, read_kernel("blur"), size="valid").shape == (1, 98, 98)
    bank = [read_kernel(f"gabor:{degrees}:4") for degrees in range(0, 160, 5)]
    found = api.conv_features(photo(256, 256), [Kernel(name="k", values=np.eye(16)) for _ in bank], size="valid")
    assert len(found.maps) == 32
    assert {each.planes.shape for each in found.maps} == {(1, 241, 241)}
    assert found.values == 1_858_592


def test_a_mean_leaves_an_even_image_as_it_is() -> None:
    even = np.full((1, 20, 20), 90.0)
    for border in ("reflecting", "periodic"):
        assert lay(even, read_kernel("blur"), border=border) == pytest.approx(90.0)
    assert lay(even, read_kernel("1 1 1; 1 1 1; 1 1 1").normalised())[0, 5, 5] == pytest.approx(90.0)


def test_a_colour_image_has_a_map_of_each_channel() -> None:
    found = api.conv_features("cat", "sobel-x", colour=True)
    assert found.maps[0].planes.shape == (3, 256, 256)
    red = lay(read_photo("cat").planes[:1], read_kernel("sobel-x"), border="reflecting")
    assert np.array_equal(found.maps[0].planes[:1], red)


@pytest.mark.parametrize("name", [*named(), *formulas()])
def test_every_kernel_says_what_it_does_and_where_it_is_from(name: str) -> None:
    kernel = read_kernel(name)
    assert kernel.says
    assert kernel.source
    assert kernel.signed or kernel.total == pytest.approx(1.0)


def test_sobel_sees_the_edge_where_it_is_and_which_way_it_goes() -> None:
    step = np.zeros((1, 9, 10))
    step[..., 5:] = 100.0
    across = lay(step, read_kernel("sobel-x"), size="valid")[0]
    assert across[0].tolist() == [0, 0, 0, 400, 400, 0, 0, 0]  # brighter to the right
    assert not lay(step, read_kernel("sobel-y"), size="valid").any()


def test_softmax_of_the_edge_kernel() -> None:
    soft = read_kernel("edge").softmax()
    assert soft.values[1, 1] == pytest.approx(0.999014, abs=5e-7)
    assert soft.values[0, 0] == pytest.approx(0.000123288, rel=3e-6)
    assert soft.values.sum() == pytest.approx(1.0, abs=1e-12)
    assert soft.is_density
    huge = Kernel(name="huge", values=np.array([[0.0, 1e4]])).softmax()
    assert huge.values.tolist() == [[0.0, 1.0]]


def test_a_turned_kernel_makes_a_correlation_of_a_convolution() -> None:
    kernel = Kernel(name="k", values=np.random.default_rng(1).normal(size=(5, 4)))
    planes = photo().planes
    for size in ("valid", "same", "full"):
        one = lay(planes, kernel.turned(), size=size)
        other = lay(planes, kernel, size=size, kind="cross-correlation")
        if size != "same":  # an even kernel has its odd pixel at the other end
            assert one == pytest.approx(other, abs=1e-9)


# ---- frequencies


def test_both_domains_agree_to_a_billionth() -> None:
    kernel = Kernel(name="k", values=np.random.default_rng(2).normal(size=(7, 7)))
    found = both_domains(photo(64, 64), kernel)
    assert found.padded == (70, 70)
    assert found.difference < 1e-9
    back = np.fft.ifft2(np.fft.ifftshift(found.spectra[2])).real
    assert back == pytest.approx(found.space, abs=1e-9)


def test_a_disc_of_32_keeps_3209_frequencies() -> None:
    mask = disc((256, 256), 32)
    assert int(mask.sum()) == 3209
    assert mask.size == 65_536
    assert mask.mean() == pytest.approx(0.0490, abs=5e-5)


@settings(max_examples=20, deadline=None)
@given(st.integers(5, 40), st.integers(5, 40), st.floats(0, 1))
def test_low_and_high_add_up_and_so_does_their_energy(height: int, width: int, share: float) -> None:
    plane = np.random.default_rng(height * width).normal(size=(height, width)) + 3
    found = passed(plane, share * min(height, width) / 2)
    assert found.low + found.high == pytest.approx(plane, abs=1e-9)
    whole = (plane**2).sum()
    assert (found.low**2).sum() / whole == pytest.approx(found.energy, abs=1e-9)  # Parseval
    assert (found.high**2).sum() / whole == pytest.approx(1 - found.energy, abs=1e-9)


def test_stripes_are_two_spots_at_their_frequency() -> None:
    plane = read_photo("stripes:30:8").gray
    power = np.abs(np.fft.fft2(plane - plane.mean()))
    down, across = np.unravel_index(int(power[:128].argmax()), power[:128].shape)
    assert (int(across), int(down)) == (round(32 * np.cos(np.pi / 6)), 16)


def test_kernels_larger_than_the_image_are_refused() -> None:
    with pytest.raises(UsageError, match="at most as large as the image"):
        api.conv_features(photo(8, 8), "gauss:3")


# ---- diffusion


@pytest.mark.parametrize("border", ["reflecting", "periodic"])
@pytest.mark.parametrize("kernel", ["blur", "gauss:1.5", "edge"])
def test_mass_is_kept(kernel: str, border: str) -> None:
    found = api.conv_diffuse("cat", kernel, steps=30, border=border, shrink=4)
    assert found.lost < 1e-9
    assert found.softmaxed == (kernel == "edge")


def test_variance_grows_by_the_kernel_s_until_the_border() -> None:
    found = api.conv_diffuse(kernel="blur", start="point", steps=50)
    before = found.variance[: found.reached]
    assert before == pytest.approx(found.expected[: found.reached], abs=1e-9)
    assert found.variance[1] == pytest.approx(4 / 3)
    assert found.from_bell < 0.01
    long = api.conv_diffuse(kernel="box:9", start="point", steps=200)
    assert long.variance[-1] < 0.5 * long.expected[-1]  # the border holds it
    assert long.lost < 1e-9


def test_a_wall_taken_away_mixes_until_all_is_even() -> None:
    found = api.conv_diffuse(kernel="box:15", start="wall", steps=400)
    assert found.contrast[-1] < 0.05
    assert (np.diff(found.contrast) < 0).all()


def test_a_softmaxed_sobel_drifts() -> None:
    found = api.conv_diffuse(kernel="sobel-x", start="point", steps=20)
    across = found.states[-1][1].sum(0)
    assert (across * np.arange(len(across))).sum() / across.sum() < 32 - 5


# ---- search


def test_a_template_finds_itself_with_1_and_then_the_other_eye() -> None:
    found = api.conv_find()
    assert (found.best.y, found.best.x) == api.TEMPLATE[:2]
    assert found.best.score == pytest.approx(1.0, abs=1e-9)
    assert found.peaks[1].x > 128
    assert found.brightest != (found.best.y, found.best.x)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 30),
    st.integers(0, 40),
    st.integers(3, 15),
    st.integers(3, 15),
    st.floats(0.1, 5),
    st.floats(-90, 90),
)
def test_brightness_and_contrast_do_not_matter_to_a_search(y, x, height, width, times, plus) -> None:
    from rigwise.convolution.template import find

    plane = np.random.default_rng(3).uniform(0, 255, size=(48, 60))
    found = find(plane, times * plane[y : y + height, x : x + width] + plus)
    assert (found.best.y, found.best.x) == (y, x)
    assert found.best.score == pytest.approx(1.0, abs=1e-6)
    assert np.abs(found.scores).max() <= 1.0


def test_noise_lowers_the_likeness_and_not_the_place() -> None:
    found = api.conv_find(noise=30, seed=1)
    assert (found.best.y, found.best.x) == api.TEMPLATE[:2]
    assert 0.5 < found.best.score < 0.9


# ---- time


def test_yule_s_sunspots() -> None:
    found = api.conv_series("sunspots", order=2, first=1749, last=1924)
    assert found.weights == pytest.approx([1.34254, -0.65504], abs=0.01)  # the numbers of sunspots were revised since
    assert found.period == pytest.approx(10.6, abs=0.1)
    assert len(found.average) == 176 - 10


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=12, max_size=40), st.integers(1, 6))
def test_a_moving_average_is_the_mean_of_each_window(values: list[float], window: int) -> None:
    series = np.array(values)
    average = causal(series, np.full(window, 1 / window))[window - 1 :]
    assert average == pytest.approx([series[i : i + window].mean() for i in range(len(series) - window + 1)], abs=1e-9)


def test_an_autoregression_is_found_again() -> None:
    rng, values = np.random.default_rng(5), [0.0, 0.0]
    for _ in range(20_000):
        values.append(1.2 * values[-1] - 0.5 * values[-2] + rng.normal())
    series = api.conv_series(_as_series(values), order=2)
    assert series.weights == pytest.approx([1.2, -0.5], abs=0.02)
    assert series.forecast[-1] == pytest.approx(series.mean, abs=0.1)


def _as_series(values: list[float]):
    from rigwise.convolution.series import Series

    return Series(name="made", at=np.arange(len(values), dtype=float), values=np.array(values))


def test_series_files(tmp_path) -> None:
    (tmp_path / "two.csv").write_text("time,value\n1990,1\n1991,2\n1992,4\n1993,7\n1994,3\n1995,2\n")
    assert read_series(tmp_path / "two.csv").at.tolist() == [1990, 1991, 1992, 1993, 1994, 1995]
    (tmp_path / "one.csv").write_text("1\n2\n4\n7\n3\n")
    assert read_series(tmp_path / "one.csv").values.tolist() == [1, 2, 4, 7, 3]
    (tmp_path / "bad.csv").write_text("1\n2\nthree\n")
    with pytest.raises(UsageError, match="line 3"):
        read_series(tmp_path / "bad.csv")
    (tmp_path / "even.csv").write_text("1\n" * 9)
    with pytest.raises(UsageError, match="all the same"):
        smooth(read_series(tmp_path / "even.csv"), window=3)
    with pytest.raises(NotFoundError):
        read_series(tmp_path / "none.csv")


# ---- kernels and images from words


@pytest.mark.parametrize(
    "text",
    ["1 2; 3", "a b; c d", "1 nan; 2 3", "1/0 1; 1 1", "box:0", "box:1.5", "gauss:-1", "gauss:9999", "gabor:45", ";"],
)
def test_what_is_no_kernel_is_refused(text: str) -> None:
    with pytest.raises((UsageError, NotFoundError)) as refused:
        read_kernel(text)
    assert refused.value.rule or refused.value.nearest


def test_a_kernel_s_name_is_corrected() -> None:
    with pytest.raises(NotFoundError, match="sobel-x"):
        read_kernel("sobelx")


def test_fractions_and_commas() -> None:
    assert read_kernel("1/9, 1/9, 1/9").values.sum() == pytest.approx(1 / 3)


def test_a_shrunk_image_has_the_means() -> None:
    whole, half = read_photo("cat"), read_photo("cat", 2)
    assert half.planes[0, 0, 0] == pytest.approx(whole.planes[0, :2, :2].mean())
    with pytest.raises(UsageError, match="at least one pixel"):
        read_photo("cat", 300)


def test_signed_maps_are_drawn_around_grey() -> None:
    assert shown(np.array([[0.0, 5.0, -5.0]]), signed=True).tolist() == [[128, 255, 0]]

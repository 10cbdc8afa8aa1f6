"""Codecs: what a number may be off by, what must be exact, and that all implementations give the same bits."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rigwise.run.compress import reference
from rigwise.run.compress.auto import Tried, choose
from rigwise.run.compress.codecs import CODECS, codec
from rigwise.run.compress.report import codec_errors
from rigwise.run.compress.residual import Residuals
from rigwise.run.compress.two_phase import in_a_row

CPU = torch.device("cpu")
ULP = 2.0**-23
finite = st.floats(-(2.0**99), 2.0**99, width=32)
numbers = arrays(np.float32, st.integers(1, 9), elements=finite) | st.builds(
    lambda seed, count, spread: np.random.default_rng(seed).normal(0, spread, count).astype(np.float32),
    st.integers(0, 99),
    st.sampled_from([63, 64, 65, 4095, 4096, 4097, 9000]),
    st.sampled_from([1e-30, 1e-3, 1.0, 1e20]),
)
needs_numba = pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")


def through(name: str, given: np.ndarray, plain: bool = True) -> tuple[np.ndarray, bytes]:
    """What arrives of numbers, and the message."""
    made = codec(name, CPU, plain=plain)
    wire = torch.zeros(made.size(given.size), dtype=torch.uint8)
    made.encode(torch.from_numpy(given), wire)
    out = torch.full((given.size,), 7.0)
    made.decode(wire, out)
    return out.numpy(), wire.numpy().tobytes()


def per_number(blocks: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(blocks, reference.BLOCK)[:count]


@given(numbers)
def test_linear_is_off_by_half_a_level_at_most(given: np.ndarray) -> None:
    sent, _ = through("8bit", given)
    top = per_number(np.abs(reference.blocks_of(given)).max(axis=1), given.size).astype(float)
    assert np.all(np.abs(sent - given.astype(float)) <= top / 254 * (1 + 400 * ULP) + 2.0**-100)


@given(numbers)
def test_dynamic_is_off_by_half_a_cell_at_most(given: np.ndarray) -> None:
    """Half of the widest cell of a number's decade: 0.55 / 32 / 2 of the decade's upper end, more in lower decades."""
    sent, _ = through("8bit-dynamic", given)
    top = per_number(np.abs(reference.blocks_of(given)).max(axis=1), given.size).astype(float)
    share = np.abs(given) / np.where(top > 0, top, 1)
    decade = np.clip(np.ceil(np.log10(np.maximum(share, 1e-7))), -5, 0)
    bound = np.where(share < 1e-6, 2.75e-6, 0.55 * 10.0**decade / 2 ** (5 + decade) / 2)
    assert np.all(np.abs(sent - given.astype(float)) <= top * bound * 1.0001 + 2.0**-100)


@given(numbers)
def test_bf16_is_off_by_one_in_256_at_most(given: np.ndarray) -> None:
    sent, _ = through("bf16", given)
    assert np.all(np.abs(sent - given.astype(float)) <= np.abs(given) / 256 + 2.0**-133)


@given(numbers)
def test_one_bit_keeps_the_sum_of_magnitudes_of_a_block(given: np.ndarray) -> None:
    sent, _ = through("1bit", given)
    for begin in range(0, given.size, reference.BLOCK):
        part = slice(begin, begin + reference.BLOCK)
        assert np.isclose(np.abs(sent[part].astype(float)).sum(), np.abs(given[part].astype(float)).sum(), rtol=1e-5)
    assert np.all((sent < 0) == ((given < 0) & (sent != 0)))


@given(numbers)
def test_order_within_a_block_is_kept(given: np.ndarray) -> None:
    block = np.sort(given[: reference.BLOCK])
    for name in CODECS:
        sent, _ = through(name, block)
        assert np.all(np.diff(sent) >= 0), name


@pytest.mark.parametrize("name", CODECS)
def test_zeros_stay_zeros(name: str) -> None:
    assert not through(name, np.zeros(5000, np.float32))[0].any()


@pytest.mark.parametrize("name", ["bf16", "8bit", "8bit-dynamic"])
def test_a_zero_among_others_stays_zero(name: str) -> None:
    assert through(name, np.array([0, 1, -2, 0.3], np.float32))[0][0] == 0


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_seen(name: str, bad: float) -> None:
    given = np.ones(9000, np.float32)
    given[5000] = bad
    sent, _ = through(name, given)
    assert not np.isfinite(sent[5000])
    assert np.isfinite(sent[:4096]).all()


@needs_numba
@given(numbers)
@example(np.array([2.0**-101, -(2.0**-100), 0], np.float32))
@example(np.array([-0.0, 1e-45, -1e-45], np.float32))
@example(np.array([np.inf, np.nan, 1, -1], np.float32))
def test_numba_gives_the_reference_s_bits(given: np.ndarray) -> None:
    for name in ("8bit", "8bit-dynamic", "1bit"):
        (slow, slow_wire), (quick, quick_wire) = through(name, given), through(name, given, plain=False)
        assert slow_wire == quick_wire, name
        assert np.array_equal(slow, quick, equal_nan=True), name


@pytest.mark.parametrize("plain", [True, pytest.param(False, marks=needs_numba)])
@pytest.mark.parametrize("name", CODECS)
def test_adding_and_leaving_agree_with_decoding(name: str, plain: bool) -> None:
    given = torch.from_numpy(np.random.default_rng(3).normal(size=9001).astype(np.float32))
    made = codec(name, CPU, plain=plain)
    wire, sent, rest = torch.zeros(made.size(9001), dtype=torch.uint8), torch.empty(9001), given.clone()
    made.encode_rest(rest, wire)
    made.decode(wire, sent)
    total = torch.ones(9001)
    made.add(wire, total)
    assert torch.equal(rest, given - sent)
    assert torch.equal(total, sent + 1)


def test_the_dynamic_type_keeps_small_numbers_and_the_linear_one_the_whole() -> None:
    """As its paper finds on normally distributed numbers: less mean error, by half and more."""
    normal = torch.from_numpy(np.random.default_rng(0).normal(size=1_000_000).astype(np.float32))
    dynamic, linear = codec_errors("8bit-dynamic", normal), codec_errors("8bit", normal)
    assert dynamic.mean < 0.5 * linear.mean
    assert linear.whole < dynamic.whole < 0.02


LINK = {
    "none": Tried(exchange=70e-9, work=0),
    "bf16": Tried(exchange=36e-9, work=2e-10),
    "8bit": Tried(exchange=18e-9, work=5e-10),
}


@pytest.mark.parametrize(
    ("compute_s", "numbers", "scale", "way"),
    [
        (0.05, 4_000_000, 1, "8bit"),  # a slow link
        (1.00, 4_000_000, 1, "none"),  # all hidden by the backward pass
        (0.05, 4_000_000, 0.005, "none"),  # a quick link: the codec costs more than it saves
        (0.05, 0, 1, "none"),
    ],
)
def test_auto_takes_what_is_clearly_quicker(compute_s: float, numbers: int, scale: float, way: str) -> None:
    tried = {name: Tried(exchange=t.exchange * scale, work=t.work) for name, t in LINK.items()}
    assert choose(compute_s, numbers, tried) == way


def test_auto_never_takes_what_it_expects_to_be_slower() -> None:
    slower = {"none": Tried(exchange=1e-9, work=0), "8bit": Tried(exchange=2e-9, work=1e-9)}
    assert choose(0.01, 1_000_000, slower) == "none"


def test_residuals_survive_other_buckets() -> None:
    one, two = torch.zeros(3, 2), torch.zeros(4)
    kept = Residuals({id(one): "one", id(two): "two"})
    kept.of([one, two]).copy_(torch.arange(10.0))
    assert kept.of([two]).tolist() == [6, 7, 8, 9]
    assert kept.of([one]).tolist() == [0, 1, 2, 3, 4, 5]
    again = Residuals({id(one): "one", id(two): "two"})
    again.load_state_dict(kept.state_dict())
    assert again.of([two, one]).tolist() == [6, 7, 8, 9, 0, 1, 2, 3, 4, 5]


def test_gradients_that_lie_in_a_row_take_their_mean_as_one() -> None:
    bucket = torch.arange(12.0)
    first, between, last = bucket[:4].view(2, 2), bucket[4:5], bucket[5:]
    row = in_a_row([first, between, last])
    assert row is not None
    row.mul_(2)
    assert torch.equal(bucket, 2 * torch.arange(12.0))
    assert in_a_row([first, last]) is None
    assert in_a_row([last, first]) is None
    assert in_a_row([bucket[:4].double()]) is None
    assert in_a_row([bucket.view(3, 4).T]) is None

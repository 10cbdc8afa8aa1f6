"""The dynamic tree type against the rule that its paper gives, and the pieces of a bucket."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.run.compress import tree
from rigwise.run.compress.pieces import Cut, piece_of

shares = st.floats(0, 1, width=32)


@pytest.mark.parametrize(("number", "value"), [(0.2345678, 0.23671875), (0.0000234, 0.00001875), (0.0, 0.0)])
def test_the_paper_s_own_numbers(number: float, value: float) -> None:
    assert tree.values()[tree.code(number)] == np.float32(value)


def test_a_decade_has_half_the_values_of_the_one_above() -> None:
    values = tree.values()[1:]
    counts = [np.count_nonzero((values > 10.0 ** -(n + 1)) & (values < 10.0**-n)) for n in range(6)]
    assert counts == [64, 32, 16, 8, 4, 2]
    assert np.allclose(values[:2], [2.75e-6, 7.25e-6])
    upper = values[-64:]
    assert np.allclose(upper[:32], 0.10546875 + 0.0109375 * np.arange(32))
    assert np.allclose(upper[32:], 0.45859375 + 0.0171875 * np.arange(32))


def test_no_bin_of_the_lookup_holds_two_edges() -> None:
    steps = np.diff(tree.lookup().astype(int))
    assert steps.min() == 0
    assert steps.max() == 1


@given(shares)
def test_a_number_s_value_is_the_middle_of_the_cell_it_lies_in(share: float) -> None:
    number = np.float32(share)
    code = tree.code(share)
    assert code == np.searchsorted(tree.thresholds(), number, side="right")
    cuts = tree.edges().astype(np.float32)
    if code:
        assert cuts[code - 1] <= number <= cuts[code]
        assert abs(tree.values()[code] - number) <= (cuts[code] - cuts[code - 1]) * np.float32(0.500001)
    else:
        assert number < 1.000001e-6


@given(shares, shares)
def test_codes_rise_with_numbers(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert tree.code(low) <= tree.code(high)


@given(st.integers(1, 100_000), st.integers(2, 9), st.sampled_from([4096, 8192, 40960]))
def test_every_number_of_a_bucket_lies_in_one_piece_of_one_rank(count: int, world: int, piece: int) -> None:
    cut = Cut(count=count, world=world, piece=piece)
    spans = [cut.span(rank, part) for rank in range(world) for part in cut.pieces]
    covered = [(span.start, span.stop) for span in spans if span.stop > span.start]
    assert covered[0][0] == 0
    assert covered[-1][1] == count
    assert all(before[1] == after[0] for before, after in pairwise(covered))


def test_pieces_are_messages_of_one_size() -> None:
    assert piece_of(lambda count: 2 * count) * 2 == piece_of(lambda count: count) == 131072

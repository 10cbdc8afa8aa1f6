"""The algebra of a split dense layer, on the articles' own examples and on any sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import UsageError
from rigwise.layouts.pieces import (
    KINDS,
    DenseSplit,
    break_even_batch,
    divide,
    handed_on,
    largest_piece,
    parse_problem,
    pieces,
    split,
)
from rigwise.units import MEBI

sizes = st.integers(1, 40)


@pytest.mark.parametrize(
    ("total", "ranks", "held"),
    [
        (10, 4, (2, 2, 2, 4)),  # article 6: 1000 x 10 on four ranks
        (1000, 4, (250,) * 4),  # article 4: 1000 x 1000 on four
        (128, 4, (32,) * 4),  # article 5
        (7, 7, (1,) * 7),
        (5, 1, (5,)),
    ],
)
def test_the_last_rank_takes_what_is_left_over(total: int, ranks: int, held: tuple[int, ...]) -> None:
    assert divide(total, ranks) == held
    assert largest_piece(total, ranks) == held[-1]


@given(total=st.integers(1, 200), data=st.data())
def test_pieces_lie_side_by_side_and_leave_nothing_out(total: int, data: st.DataObject) -> None:
    ranks = data.draw(st.integers(1, total))
    covered = [i for piece in pieces(total, ranks) for i in range(total)[piece]]
    assert covered == list(range(total))


@pytest.mark.parametrize("ranks", [0, 11])
def test_a_rank_with_nothing_is_refused(ranks: int) -> None:
    with pytest.raises(UsageError, match=rf"10 over {ranks} ranks"):
        divide(10, ranks)


# article 4, two GPUs, batch 128, W 1000 x 500: each rank's factors and result, and how the results become one
ARTICLE = [
    ("rows", "forward", (128, 500), (500, 500), (128, 500), "add", (128, 500)),
    ("columns", "forward", (128, 1000), (1000, 250), (128, 250), "stack", (128, 500)),
    ("rows", "backward", (128, 500), (500, 500), (128, 500), "stack", (128, 1000)),
    ("columns", "backward", (128, 250), (250, 1000), (128, 1000), "add", (128, 1000)),
    ("data", "gradient", (1000, 64), (64, 500), (1000, 500), "add", (1000, 500)),
    ("rows", "gradient", (500, 128), (128, 500), (500, 500), "own", (1000, 500)),
    ("columns", "gradient", (1000, 128), (128, 250), (1000, 250), "own", (1000, 500)),
]


@pytest.mark.parametrize(("kind", "of", "left", "right", "result", "combine", "whole"), ARTICLE)
def test_article_4_shapes(
    kind: str, of: str, left: tuple, right: tuple, result: tuple, combine: str, whole: tuple
) -> None:
    product = getattr(split(kind, 128, 1000, 500, 2), of)
    assert product.left == (left,) * 2
    assert product.right == (right,) * 2
    assert product.result == (result,) * 2
    assert product.combine == combine
    assert product.whole == whole


def test_article_4_first_example() -> None:
    assert split("columns", 128, 1000, 1000, 4).forward.right == ((1000, 250),) * 4


def test_article_4_elements_exchanged() -> None:
    elements = {kind: split(kind, 128, 1000, 500, 2).handed_on for kind in KINDS}
    assert elements == {"data": 500_000, "rows": 128_000, "columns": 160_000}
    assert elements["data"] / elements["rows"] == pytest.approx(3.91, abs=0.005)
    assert elements["data"] / elements["columns"] == pytest.approx(3.125)


def test_article_4_break_even() -> None:
    assert break_even_batch("rows", 1000, 500, 2) == 500
    assert break_even_batch("columns", 1000, 500, 2) == 400


def test_article_4_weight_memory() -> None:
    assert pytest.approx(15_258.8, abs=0.05) == 4 * 100_000 * 40_000 / MEBI
    for weights in split("columns", 128, 100_000, 40_000, 4).weights:
        assert 4 * weights / MEBI == pytest.approx(3_814.7, abs=0.05)
    assert 4 * sum(split("columns", 128, 40_000, 20_000, 4).weights) / MEBI == pytest.approx(3_051.8, abs=0.05)


def test_article_4_activation_memory() -> None:
    # batch 128: inputs 48.8 MiB (a README prints 34 MB, which 128 x 100000 float32 are not), outputs 19.5, then 9.8
    first, second = (split("columns", 128, i, o, 1).activations[0] for i, o in ((100_000, 40_000), (40_000, 20_000)))
    assert 4 * first / MEBI == pytest.approx(48.83 + 19.53, abs=0.01)
    assert 4 * second / MEBI == pytest.approx(19.53 + 9.77, abs=0.01)


def test_article_6_columns_that_do_not_divide() -> None:
    uneven = split("columns", 64, 1000, 10, 4)
    assert uneven.forward.right == ((1000, 2), (1000, 2), (1000, 2), (1000, 4))
    assert uneven.forward.handed_on == (128, 128, 128, 256)
    assert uneven.weights == (2000, 2000, 2000, 4000)


def whole_of(one: DenseSplit) -> list[bool]:
    """Whether each product's results make up the whole: added ones are whole each, others add up to it."""
    return [
        all(shape == p.whole for shape in p.result)
        if p.combine == "add"
        else sum(map(math.prod, p.result)) == math.prod(p.whole)
        for p in one.products
    ]


@given(kind=st.sampled_from(KINDS), batch=sizes, inputs=sizes, outputs=sizes, data=st.data())
def test_every_split_is_a_product_and_makes_the_whole(
    kind: str, batch: int, inputs: int, outputs: int, data: st.DataObject
) -> None:
    cut = {"data": batch, "rows": inputs, "columns": outputs}[kind]
    ranks = data.draw(st.integers(1, cut))
    one = split(kind, batch, inputs, outputs, ranks)
    for product in one.products:
        for left, right, result in zip(product.left, product.right, product.result, strict=True):
            assert left[1] == right[0]
            assert result == (left[0], right[1])
    assert whole_of(one) == [True] * 3
    assert sum(one.weights) == inputs * outputs * (ranks if kind == "data" else 1)
    law = [float(x) for x in handed_on(kind, batch, inputs, outputs, ranks)]
    assert law == [max(product.handed_on) for product in one.products]


@given(inputs=sizes, outputs=sizes, ranks=st.integers(2, 8), kind=st.sampled_from(["rows", "columns"]))
def test_at_the_break_even_batch_both_hand_on_the_same(inputs: int, outputs: int, ranks: int, kind: str) -> None:
    batch = break_even_batch(kind, inputs, outputs, ranks)
    both = [sum(handed_on(k, batch, inputs, outputs, ranks)) for k in ("data", kind)]
    assert both[0] == pytest.approx(both[1])


def test_laws_broadcast_and_one_rank_hands_on_nothing() -> None:
    ranks = np.array([1, 2, 4])
    forward, backward, _ = handed_on("columns", np.array([[64], [128]]), 1000, 500, ranks)
    assert forward.tolist() == [[0, 16_000, 8_000], [0, 32_000, 16_000]]
    assert backward.tolist() == [[0, 64_000, 64_000], [0, 128_000, 128_000]]
    assert np.isnan(break_even_batch("rows", 1000, 500, 1))
    assert np.isnan(break_even_batch("data", 1000, 500, 2))


@pytest.mark.parametrize("text", ["128x1000x500", " 128 × 1_000 x 500 ", "128*1000*500"])
def test_a_problem_is_read(text: str) -> None:
    assert parse_problem(text) == (128, 1000, 500)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("128x1000", "cannot read '128x1000' as a dense layer"),
        ("128x1000x500x2", "cannot read '128x1000x500x2' as a dense layer"),
        ("", "cannot read '' as a dense layer"),
        ("0x1000x500", "batch is '0' in '0x1000x500'"),
        ("128x-1x500", "inputs is '-1' in '128x-1x500'"),
        ("128x1000xmany", "outputs is 'many' in '128x1000xmany'"),
        ("128x1e3x500", "inputs is '1e3' in '128x1e3x500'"),
        ("128x1000x²", "outputs is '²' in '128x1000x²'"),
    ],
)
def test_a_problem_that_cannot_be_read_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_problem(text)
    assert caught.value.says == says

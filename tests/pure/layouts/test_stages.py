"""Which layers a stage holds: complete, in order, none empty, and no worse than any other cut."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import UsageError
from rigwise.layouts.stages import balanced_sizes, block_flops, even_sizes, on_stages, stages
from rigwise.models.model import Block, Model
from rigwise.models.operations import linear, stream


def layer(width: int, count: int = 1, role: str = "layer") -> Block:
    work = linear(f"w{width}", m=1, n=width, k=1)
    return Block(name=f"b{width}", operations=(work,), boundary=1, count=count, role=role)


def model(*blocks: Block) -> Model:
    return Model(name="toy", family="mlp", blocks=blocks)


def transformer(layers: int) -> Model:
    return model(layer(7, role="first"), layer(3, count=layers), layer(9, role="last"))


@pytest.mark.parametrize(
    ("layers", "pp", "vpp", "held"),
    [
        (96, 8, 1, [12] * 8),
        (10, 4, 1, [3, 3, 2, 2]),
        (105, 35, 3, [1] * 105),  # the 530B layout of arXiv 2205.05198
        (9, 2, 2, [3, 2, 2, 2]),
        (5, 5, 1, [1] * 5),
        (7, 1, 1, [7]),
        (8, 9, 1, [1] * 8 + [0]),  # the head on a stage of its own
        (8, 5, 2, [0] + [1] * 8 + [0]),  # and the embedding
    ],
)
def test_equal_layers_are_shared_out_evenly(layers: int, pp: int, vpp: int, held: list[int]) -> None:
    assert stages(transformer(layers), pp, vpp)[:, 1].tolist() == held


def test_first_and_last_blocks_stay_at_the_ends() -> None:
    held = stages(transformer(8), pp=2, vpp=2)
    assert held[:, 0].tolist() == [1, 0, 0, 0]
    assert held[:, 2].tolist() == [0, 0, 0, 1]


def test_chunks_stand_on_stages_in_turn() -> None:
    # nine layers in chunks of 3, 2, 2, 2: stage 0 has chunks 0 and 2, stage 1 has 1 and 3
    assert on_stages(stages(transformer(9), pp=2, vpp=2), pp=2).tolist() == [[1, 5, 0], [0, 4, 1]]


def test_dense_layers_before_experts_are_balanced_by_flops() -> None:
    held = stages(model(layer(1, count=4), layer(8, count=6)), pp=2)
    assert held.tolist() == [[4, 3], [0, 3]]


def test_the_cost_of_the_ends_counts_where_layers_differ() -> None:
    held = stages(model(layer(1), layer(2), layer(1), layer(2), layer(60, role="last")), pp=2)
    assert held[:, :4].sum(axis=1).tolist() == [3, 1]


def test_layers_that_only_move_bytes_are_held_too() -> None:
    pool = stream("pool", reads=4, writes=1, reads_backward=5, writes_backward=4)
    blocks = tuple(Block(name=f"pool{i}", operations=(pool,), boundary=1) for i in range(3))
    assert stages(model(*blocks), pp=2).sum(axis=1).tolist() == [2, 1]


@pytest.mark.parametrize(
    ("pp", "vpp", "says", "nearest"),
    [
        (12, 1, "pp 12, and toy has 8 layers", "pp 8"),
        (4, 3, "pp 4 x vpp 3 = 12 chunks, and toy has 8 layers", "pp 4 x vpp 2"),
        (0, 1, "pp 0, vpp 1", ""),
    ],
)
def test_too_many_chunks_are_refused_with_what_works(pp: int, vpp: int, says: str, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        stages(transformer(8), pp, vpp)
    assert caught.value.says == says
    assert caught.value.nearest == nearest


costs = st.lists(st.integers(0, 50), min_size=1, max_size=12)


def largest(cost: list[int], sizes: np.ndarray, first: int, last: int) -> float:
    runs = [float(sum(run)) for run in np.split(np.array(cost), np.cumsum(sizes)[:-1])]
    runs[0] += first
    runs[-1] += last
    return max(runs)


@given(cost=costs, first=st.integers(0, 60), last=st.integers(0, 60), data=st.data())
def test_balanced_is_the_best_of_all_cuts(cost: list[int], first: int, last: int, data: st.DataObject) -> None:
    parts = data.draw(st.integers(1, len(cost)))
    sizes = balanced_sizes(np.array(cost, dtype=float), parts, first, last)
    assert len(sizes) == parts
    assert sizes.sum() == len(cost)
    assert sizes.min() >= 1
    every = (np.diff([0, *cut, len(cost)]) for cut in combinations(range(1, len(cost)), parts - 1))
    best = min(largest(cost, cut, first, last) for cut in every)
    assert largest(cost, sizes, first, last) == pytest.approx(best)


@given(
    widths=st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 20)), min_size=1, max_size=8),
    vpp=st.integers(1, 3),
    data=st.data(),
)
def test_complete_contiguous_and_never_worse_than_even(
    widths: list[tuple[int, int]], vpp: int, data: st.DataObject
) -> None:
    toy = model(*(layer(w, count=n) for w, n in widths))
    if toy.units < vpp:
        return
    pp = data.draw(st.integers(1, toy.units // vpp))
    held = stages(toy, pp, vpp)
    assert held.shape == (pp * vpp, len(widths))
    assert held.sum(axis=0).tolist() == [n for _, n in widths]
    assert held.sum(axis=1).min() >= 1
    order = [b for chunk in held for b, n in enumerate(chunk) for _ in range(n)]
    assert order == sorted(order)
    cost = np.array([block_flops(b) for b in toy.blocks])
    each = np.repeat(cost, [n for _, n in widths])
    even = np.split(each, np.cumsum(even_sizes(toy.units, pp * vpp))[:-1])
    assert (held @ cost).max() <= max(run.sum() for run in even) * (1 + 1e-9)

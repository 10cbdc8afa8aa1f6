"""The neuron as a network: counted by models/ and by the law alike, and each block does what it is named for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigwise.brain.demands import KINDS, evaluation
from rigwise.brain.mapping import CELLS, GRANULE, PURKINJE, Cell, blocks, dendrite_flops, network, other_flops, weights
from rigwise.brain.neuron import WAIT, decay, leak, max_pool, propagate, refractory, run_cell
from rigwise.brain.parameters import points, shipped
from rigwise.errors import NotFoundError, UsageError

SIZES = st.builds(
    Cell,
    name=st.just("any"),
    rows=st.integers(1, 40),
    columns=st.integers(1, 30),
    reach=st.integers(1, 12),
    dendrites=st.integers(1, 20),
    steps=st.sampled_from([1, 3, 5, 7]),
    pool=st.integers(1, 4),
)


@given(SIZES)
@settings(deadline=None, max_examples=60)
def test_the_law_counts_what_the_network_counts(cell: Cell) -> None:
    made = network(cell)
    sizes = (cell.inputs, cell.reach, cell.dendrites, cell.steps)
    assert made.flops == pytest.approx(float(dendrite_flops(*sizes) + other_flops(cell.inputs, cell.steps)))
    assert made.parameters == float(weights(*sizes))


@pytest.mark.parametrize("cell", [PURKINJE, GRANULE], ids=lambda cell: cell.name)
def test_only_the_forward_pass_is_in_the_bound(cell: Cell) -> None:
    bound, trained = network(cell, forward=True), network(cell)
    assert bound.flops == trained.flops
    assert bound.flops_backward == 0
    assert trained.flops < trained.flops_backward <= 2 * trained.flops


def test_the_estimate_takes_the_networks_own_count() -> None:
    at = points(shipped())
    purkinje = next(kind for kind in KINDS if kind.name == "purkinje")
    assert float(evaluation(purkinje, at)) == network(PURKINJE).flops


def test_the_walk_has_biology_and_network_side_by_side() -> None:
    walk = blocks()
    assert [row["id"] for row in walk][:3] == ["terminal", "receptor", "dendrite"]
    assert all(row["biology"] and row["network"] and row["layer"] for row in walk)
    names = {o.name.rstrip("0123456789") for o, _ in network(PURKINJE).operations()}
    assert names == {"receptors", "dendrite", "maxpool", "avgpool", "soma", "relu", "dropout", "norm"}


@pytest.mark.parametrize("name", CELLS)
def test_a_run_is_the_same_for_the_same_seed_and_keeps_the_order_of_the_walk(name: str) -> None:
    small = CELLS[name] if name == "granule" else Cell(name=name, rows=20, columns=50, reach=10, dendrites=40, pool=10)
    first, again, other = (run_cell(small, seconds=2.0, seed=seed) for seed in (3, 3, 4))
    for key, values in first.series.items():
        assert values.shape == (60,)
        assert np.array_equal(values, again.series[key])
    assert not np.array_equal(first.arriving, other.arriving)
    assert (first.released[first.blocked] == 0).all()
    assert (first.released[first.threshold == 0] == 0).all()
    assert 0 <= first.released.min() <= first.released.max() == 1
    assert (first.spots >= first.charge - 1e-6).all()


def test_more_spikes_in_bring_more_out() -> None:
    trace = run_cell("granule", seconds=8.0, burst=8.0, seed=1)
    strong = (np.arange(len(trace.released)) / 30) % 1.0 >= 0.5
    assert trace.released[strong].sum() > 5 * trace.released[~strong].sum()


def test_silence_releases_nothing() -> None:
    spikes = np.zeros((15, 1, 30), dtype=np.float32)
    trace = propagate(GRANULE, [spikes], 1.0, np.random.default_rng(0))
    assert not trace.released.any()


@given(st.integers(1, 50), st.integers(1, 45), st.floats(0.05, 3), st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_leak_is_the_convolution_with_the_decay(size: int, taps: int, share: float, causal: bool) -> None:
    rng = np.random.default_rng(size * 100 + taps)
    x, kernel = rng.random((2, size)), decay(taps, share)
    whole = kernel if causal else np.concatenate([kernel[:0:-1], kernel]) / (2 * kernel.sum() - kernel[0])
    first = 0 if causal else taps - 1
    want = np.stack([np.convolve(row, whole)[first : first + size] for row in x])
    assert leak(x, taps, share, 1, causal=causal) == pytest.approx(want)


def test_charge_on_a_long_dendrite_is_kept() -> None:
    x = np.zeros((1, 400))
    x[0, 200] = 3.0
    assert leak(x, 100, 0.25, 1).sum() == pytest.approx(3.0)


def test_a_span_of_time_hands_its_charge_to_the_next() -> None:
    cell = GRANULE.but(["rows=4", "columns=3", "reach=2", "steps=7"])
    spikes = np.random.default_rng(0).poisson(0.5, (4, 3, 40)).astype(np.float32)
    whole, parts = (
        propagate(cell, trains, 5.0, np.random.default_rng(1))
        for trains in ([spikes], [spikes[..., :3], spikes[..., 3:20], spikes[..., 20:]])
    )
    for name, values in whole.series.items():
        assert values == pytest.approx(parts.series[name], rel=1e-5, abs=1e-5), name


def test_pooling_takes_the_strongest_of_a_window() -> None:
    x = np.array([[1.0], [5.0], [2.0], [4.0], [3.0]])
    assert max_pool(x, 2)[:, 0].tolist() == [5.0, 4.0, 3.0]


def test_a_cell_that_always_fires_waits_half_a_period_on_average() -> None:
    blocked = refractory(np.ones(40_000, dtype=np.bool_), np.random.default_rng(2))
    assert blocked.mean() == pytest.approx(WAIT / (1 + WAIT), abs=0.01)


@pytest.mark.parametrize(
    "wrong", [{"rate": 0}, {"seconds": 0.01}, {"burst": 0.5}, {"rate": float("nan")}, {"seed": -1}]
)
def test_a_run_that_cannot_be_is_refused(wrong) -> None:
    with pytest.raises(UsageError):
        run_cell("granule", **wrong)
    with pytest.raises(NotFoundError, match="purkinje"):
        run_cell("pyramidal")

"""The estimate as a whole: parts add up, tables agree with single rows, sharding saves what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from machines import A100, selene
from rigwise.cost.estimate import Question, estimate, evaluate, records
from rigwise.cost.money import Rates
from rigwise.cost.timeline import ROUNDS, timeline
from rigwise.errors import UsageError
from rigwise.layouts.choice import can_be_split
from rigwise.layouts.layout import Layout, LayoutTable
from rigwise.models.zoo import load

GPT = load("gpt3-1.3b", seq=1024)
ASK = Question(model=GPT, cluster=selene(64), batch=512)
LAYOUTS = [
    Layout(dp=64, micro=2),
    Layout(dp=16, tp=4, micro=2, zero=1, sp="on"),
    Layout(dp=8, tp=2, pp=4, micro=1, recompute="full"),
    Layout(dp=4, tp=4, pp=4, vpp=2, micro=2, recompute="selective", overlap="dp+tp"),
    Layout(dp=64, micro=4, zero=3),
    Layout(dp=32, cp=2, micro=1, zero=2, overlap="none"),
    Layout(dp=64, micro=1, offload="optimizer", zero=1),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_parts_add_up(layout: Layout) -> None:
    row = estimate(ASK, layout)
    assert sum(row.time.values()) == pytest.approx(row.step_s)
    assert sum(row.memory.values()) == pytest.approx(row.memory_total)
    assert all(value >= 0 for value in (*row.time.values(), *row.memory.values()))
    assert row.interval[0] < row.step_s < row.interval[1]
    assert row.samples_per_s * row.step_s == pytest.approx(512)
    assert row.mfu is not None
    assert 0 < row.mfu < 1


def test_a_table_is_the_same_law_as_single_rows() -> None:
    rows = records(evaluate(ASK, LayoutTable.of(LAYOUTS)))
    for row, layout in zip(rows, LAYOUTS, strict=True):
        alone = estimate(ASK, layout)
        assert row.step_s == pytest.approx(alone.step_s, rel=1e-12)
        assert row.memory_total == pytest.approx(alone.memory_total, rel=1e-12)


def test_a_broadcast_table_is_the_same_law_as_a_flat_one() -> None:
    flat = [Layout(dp=64 // t, tp=t, zero=z, micro=1) for t in (1, 2, 4) for z in (0, 1, 3)]
    wide = LayoutTable.of(flat[::3])
    columns = {key: getattr(wide, key).reshape(3, 1) for key in LayoutTable.__dataclass_fields__ if key != "blocks"}
    cube = LayoutTable(**columns | {"zero": np.array([[0, 1, 3]])})
    assert evaluate(ASK, cube).seconds.ravel() == pytest.approx(evaluate(ASK, LayoutTable.of(flat)).seconds)


def test_one_device_exchanges_nothing() -> None:
    row = estimate(replace(ASK, cluster=selene(1), batch=8), Layout(micro=8))
    assert all(row.time[key] == 0 for key in row.time if key.endswith("exchange") or key in ("bubble", "offload"))


def test_zero_stages_save_memory_in_order() -> None:
    totals = [estimate(ASK, Layout(dp=64, micro=1, zero=z)).memory_total for z in (0, 1, 2, 3)]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > totals[1] > totals[2]


def test_recomputation_trades_memory_for_time() -> None:
    none, some, full = (estimate(ASK, Layout(dp=64, micro=2, recompute=word)) for word in ("none", "selective", "full"))
    assert none.memory["activations"] > some.memory["activations"] > full.memory["activations"]
    assert none.step_s < some.step_s < full.step_s


def test_more_micro_batches_shrink_the_bubble() -> None:
    shares = [
        (row := estimate(replace(ASK, batch=batch), Layout(dp=8, pp=8))).time["bubble"] / row.step_s
        for batch in (64, 256, 1024)
    ]
    assert shares == sorted(shares, reverse=True)


def test_interleaving_divides_the_bubble() -> None:
    plain, pieces = (estimate(ASK, Layout(dp=16, pp=4, vpp=v)).time["bubble"] for v in (1, 3))
    assert plain / pieces == pytest.approx(3.0, rel=0.1)


def test_overlap_and_compression_only_ever_help() -> None:
    times = [
        estimate(ASK, Layout(dp=64, micro=2, overlap=overlap, compress=compress)).time["gradient_exchange"]
        for overlap, compress in (("none", "none"), ("dp", "none"), ("dp", "8bit"), ("dp", "1bit"))
    ]
    assert times == sorted(times, reverse=True)


def test_dense_layers_by_model_beat_data_parallel_alexnet() -> None:
    """Krizhevsky 2014: nearly all of AlexNet's weights are dense, nearly all of its work is convolution."""
    model = load("alexnet")
    ask = Question(model=model, cluster=selene(8), batch=1024, stack="eager-2018")
    choice = tuple((name, "model") for name in can_be_split(model))
    data, mixed = (
        estimate(ask, Layout(dp=8, micro=128, precision="tf32", overlap="none", blocks=blocks))
        for blocks in ((), choice)
    )
    assert mixed.time["gradient_exchange"] < 0.25 * data.time["gradient_exchange"]
    assert mixed.memory["optimizer"] < 0.5 * data.memory["optimizer"]


def test_prices_make_a_cost() -> None:
    assert estimate(ASK, LAYOUTS[0]).cost_usd is None
    assert estimate(replace(ASK, rates=Rates(hourly=2.0)), LAYOUTS[0]).cost_usd == pytest.approx(
        64 * 2.0 / 3600 * estimate(ASK, LAYOUTS[0]).step_s
    )


def test_a_table_of_two_precisions_is_refused() -> None:
    with pytest.raises(UsageError, match="precision"):
        evaluate(ASK, LayoutTable.of([Layout(dp=64), Layout(dp=64, precision="float16")]))


def test_json_has_the_fixed_fields() -> None:
    data = estimate(ASK, LAYOUTS[1]).to_dict()
    assert {"layout", "step_s", "interval", "samples_per_s", "tokens_per_s_per_device", "mfu", "memory_gib"} <= set(
        data
    )
    assert {"total", "limit"} <= set(data["memory_gib"])
    assert data["memory_gib"]["limit"] == pytest.approx(80)


WALKED = [
    Layout(dp=8, tp=2, pp=4, micro=2),
    Layout(dp=4, tp=2, pp=8, vpp=3, micro=2, recompute="full"),
    Layout(dp=16, pp=4, vpp=2, micro=2, zero=1),
    Layout(dp=16, pp=4, vpp=5, micro=2),  # pieces of two layers and of one
    Layout(dp=64, micro=1),
]


@pytest.mark.parametrize("layout", WALKED, ids=str)
def test_the_walk_of_the_pipeline_agrees_with_the_closed_form(layout: Layout) -> None:
    ask = replace(ASK, batch=1024)
    assert timeline(ask, layout).step_s == pytest.approx(estimate(ask, layout).step_s, rel=0.03)


def test_the_walk_adds_rounds_that_repeat_at_the_slowest_stage() -> None:
    few, many = (timeline(replace(ASK, batch=n), Layout(dp=16, pp=4, micro=1)) for n in (256, 1024))
    assert (few.walked, many.walked, many.micros) == (ROUNDS * 4, ROUNDS * 4, 64)
    closed = [estimate(replace(ASK, batch=n), Layout(dp=16, pp=4, micro=1)).step_s for n in (256, 1024)]
    assert many.step_s / few.step_s == pytest.approx(closed[1] / closed[0], rel=0.01)


def test_a_factored_optimizer_keeps_rows_and_columns() -> None:
    """Adafactor (arXiv 1804.04235) keeps a row and a column of each matrix: far less than Adam, more than nothing."""
    kept = {
        name: estimate(replace(ASK, optimizer=name), Layout(dp=64, precision="float32")).memory["optimizer"]
        for name in ("sgd", "adafactor", "adamw")
    }
    assert kept["sgd"] == 0 < kept["adafactor"] < 0.01 * kept["adamw"]


def test_muon_multiplies_whole_matrices() -> None:
    """Five Newton-Schulz steps cost 30 FLOP an element and smaller side; ZeRO divides them."""
    times = {
        (name, zero): estimate(replace(ASK, optimizer=name), Layout(dp=64, zero=zero)).time["optimizer"]
        for name in ("adamw", "muon")
        for zero in (0, 1)
    }
    assert times["muon", 0] > 1.5 * times["adamw", 0]
    assert times["muon", 1] == pytest.approx(times["muon", 0] / 64, rel=1e-6)


def test_energy_is_unknown_where_the_power_is() -> None:
    dark = replace(A100, tdp=None)
    row = estimate(replace(ASK, cluster=selene(64, dark), rates=Rates(price=10_000.0)), LAYOUTS[0])
    assert row.energy_j is None
    assert row.cost_usd is None
    rented = estimate(replace(ASK, cluster=selene(64, dark), rates=Rates(hourly=2.0)), LAYOUTS[0])
    assert rented.cost_usd is not None

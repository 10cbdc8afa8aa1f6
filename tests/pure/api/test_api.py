"""The verbs: names and records are taken alike, what is not said is filled in as documented, bad sizes are refused."""

from __future__ import annotations

import pytest

from rigwise import api
from rigwise.errors import InfeasibleError, UsageError
from rigwise.layouts.layout import Layout
from rigwise.models import zoo
from rigwise.run.task import packaged

MODEL, CLUSTER = "gpt2", "8xh100"


def test_names_and_records_say_the_same() -> None:
    named = api.estimate(MODEL, "dp=8,micro=2", CLUSTER, batch=64)
    model, cluster = api.load_model(MODEL), api.load_cluster(CLUSTER)
    assert api.estimate(model, Layout(dp=8, micro=2), cluster, batch=64) == named


def test_the_plan_holds_what_is_fixed_in_either_spelling() -> None:
    by_map = api.plan(MODEL, CLUSTER, batch=64, fix={"tp": 2, "recompute": "none"})
    by_words = api.plan(MODEL, CLUSTER, batch=64, fix=["tp=2,recompute=none"])
    assert by_map.layouts == by_words.layouts
    assert {(e.layout.tp, e.layout.recompute) for e in by_map.layouts} == {(2, "none")}


def test_micro_and_precision_are_kept_by_the_plan() -> None:
    found = api.plan(MODEL, CLUSTER, batch=64, micro=4, precision="fp16")
    assert {(e.layout.micro, e.layout.precision) for e in found.layouts} == {(4, "float16")}


def test_what_the_layout_says_comes_before_the_settings() -> None:
    asked = api.ask(MODEL, CLUSTER, batch=64, micro=4, precision="fp16")
    assert asked.estimate("dp=8").layout == Layout(dp=8, micro=4, precision="float16")
    assert asked.estimate("dp=8,micro=2,precision=bf16").layout == Layout(dp=8, micro=2)


@pytest.mark.parametrize(
    ("model", "cluster", "batch", "precision"),
    [
        ("resnet50", "4xv100", 256, "float16"),  # 64 images a device; Volta has no bfloat16
        ("gpt2", "8xh100", 256, "bfloat16"),  # the least, 256 Ki tokens of 1,024
        ("gpt3-175b", "64xa100-sxm-80gb", 512, "bfloat16"),  # 16 Ki tokens of 2,048 a device
        ("gpt3-175b", "4096xa100-sxm-80gb", 4096, "bfloat16"),  # the most would be half a sample a device
        ("resnet50", "this:1", 64, "float32"),
    ],
)
def test_what_is_not_said(model, cluster, batch, precision, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    asked = api.ask(model, cluster)
    assert (asked.question.batch, asked.precision) == (batch, precision)
    assert (asked.question.optimizer, asked.question.stack, asked.fix) == ("adamw", "modern", {})


@pytest.mark.parametrize(
    "settings", [{"batch": 0}, {"seq": -1}, {"micro": 0}, {"batch": 1.5}, {"batch": True}, {"usd_per_hour": -0.1}]
)
def test_sizes_that_cannot_be_are_named(settings) -> None:
    name = next(iter(settings))
    with pytest.raises(UsageError, match=f"{name}="):
        api.ask(MODEL, CLUSTER, **settings)


def test_rent_is_what_a_step_costs() -> None:
    found = api.estimate(MODEL, "dp=8", CLUSTER, batch=64, usd_per_hour=2.0)
    assert found.cost_usd == pytest.approx(8 * 2.0 * found.step_s / 3600)


def test_a_shortage_is_none_where_it_fits_and_names_both_sizes_where_not() -> None:
    asked = api.ask("llama-3-8b", CLUSTER, batch=32)
    short = asked.shortage(asked.estimate("dp=8"))
    assert isinstance(short, InfeasibleError)
    assert "80.0 GiB" in short.says
    assert asked.shortage(asked.estimate(short.nearest)) is None


def test_the_rows_of_a_table_do_not_go_over_the_table(tmp_path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("id\n")
    with pytest.raises(UsageError, match="overwrite"):
        api.validate(table, rows=tmp_path / "." / "mine.csv")
    assert table.read_text() == "id\n"


def test_split_takes_numbers_words_and_rates() -> None:
    by_words, by_numbers = api.split("128x1000x500"), api.split((128, 1000, 500))
    assert by_words == by_numbers
    half = api.split("128x1000x500", dtype="bf16", rate="40 Gbit/s")
    assert half.element_bytes == 2
    assert half.rate == 5e9


def test_no_model_has_the_name_of_a_packaged_task() -> None:
    assert [name for name in packaged() if zoo.find(name)] == []


def test_names_of_all_rooms() -> None:
    assert "gpt3-175b" in api.model_names()
    assert api.device_names() == sorted(api.device_names())
    assert "h100-sxm-80gb" in api.device_names()


def test_scale_ends_at_the_cluster_and_cuts_it_as_told() -> None:
    found = api.scale("resnet50", "4xv100", devices=[4, 2], batch=256)
    assert found.devices == (2, 4)
    assert [e.devices for e in found.curves["best"] if e] == [2, 4]

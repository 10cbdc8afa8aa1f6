"""The views beside the ranking: charts, mixtures, caps, words, prices and their refresh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rigwise
from rigwise import api
from rigwise.advise.charts import works
from rigwise.advise.mixed import shares
from rigwise.advise.money import break_even, useful_share
from rigwise.advise.needs import personas
from rigwise.advise.prices import packaged_offers, price_book
from rigwise.advise.refresh import refresh, sources
from rigwise.advise.terms import term, terms, worked
from rigwise.errors import LaunchError, NotFoundError, UsageError
from rigwise.hardware.catalog import device, devices
from rigwise.models.zoo import names


@pytest.mark.parametrize("work", works())
def test_a_chart_has_every_card_with_its_speed_and_its_value(work: str, today) -> None:
    found = api.chart(work, today=today)
    assert len(found) > 100
    assert found[0].relative == 1
    assert max(bar.value for bar in found if bar.value and bar.measured) == pytest.approx(1)
    assert [bar.speed for bar in found] == sorted((bar.speed for bar in found), reverse=True)


def test_article_7s_best_for_the_money_in_16_bit_training_is_near_the_top(today) -> None:
    measured = [bar for bar in api.chart("training-convnet", today=today) if bar.value and bar.measured]
    order = sorted(measured, key=lambda bar: -bar.value)
    assert "rtx-3080-10gb" in [bar.device for bar in order[:3]]


def test_an_h100_is_about_three_rtx_4090_in_8_bit_inference(today) -> None:
    speed = {bar.device: bar.speed for bar in api.chart("inference-8bit", today=today)}
    assert 2 < speed["h100-sxm-80gb"] / speed["rtx-4090"] < 4.5


def test_a_work_that_is_unknown_is_refused() -> None:
    with pytest.raises(NotFoundError):
        api.chart("knitting")


def test_shares_follow_speed_and_stages_memory() -> None:
    found = api.mixed("bert-large", "rtx-3090,rtx-4090", seq=512, batch=64)
    assert sum(found.data) == 64
    assert sum(found.layers) == 24
    assert found.data[1] > found.data[0]
    assert found.data_throughput <= sum(found.alone)
    assert found.pipeline_throughput <= sum(found.alone)


def test_equal_cards_share_equally() -> None:
    found = api.mixed("bert-base", "2x rtx-3090", batch=64)
    assert found.data == (32, 32)
    assert found.layers == (6, 6)


def test_a_card_that_is_too_small_leaves_the_pipeline() -> None:
    found = api.mixed("gpt2-xl", "rtx-3060,rtx-4090", batch=32)
    assert found.precision == "bfloat16"
    small = api.mixed("llama-2-7b", "rtx-3060,rtx-4090", batch=32)
    assert small.data is None
    assert small.why


def test_one_card_is_no_mixture() -> None:
    with pytest.raises(UsageError):
        api.mixed("resnet50", "rtx-3090")


@given(st.integers(1, 500), st.lists(st.floats(0.1, 100), min_size=1, max_size=8))
def test_shares_add_up_and_are_near_their_weights(total: int, weights: list[float]) -> None:
    parts = shares(total, weights)
    assert sum(parts) == total
    assert all(abs(part - total * w / sum(weights)) < 1 for part, w in zip(parts, weights, strict=True))


def test_a_cap_costs_less_speed_than_power_and_streams_less_than_products() -> None:
    language, images = (api.power_caps(model, "rtx-3090", batch=64) for model in ("bert-large", "resnet50"))
    assert language[0].speed == images[0].speed == 1
    for before, after in pairwise(language):
        assert after.speed < before.speed
        assert after.per_watt > before.per_watt
        assert after.speed > after.watts / 350 - 1e-9
    assert images[-1].speed > language[-1].speed
    at_300 = min(language, key=lambda row: abs(row.watts - 300))
    assert 1 - at_300.speed == pytest.approx(0.07, abs=0.02)


def test_a_card_of_unknown_power_has_no_curve() -> None:
    with pytest.raises(UsageError):
        api.power_caps("resnet50", "tpu-v5e")


@given(st.floats(100, 1e5), st.floats(0.2, 50), st.floats(0.01, 1), st.floats(0, 3000))
def test_at_break_even_owning_and_renting_cost_the_same(price: float, rent: float, use: float, watts: float) -> None:
    found = break_even(price, rent, watts=watts, per_kwh=0.1, use=use)
    if not found.never:
        assert found.rent_usd == pytest.approx(found.own_usd)
        assert found.days * 24 * use == pytest.approx(found.hours)


def test_a_rent_below_the_electricity_never_breaks_even() -> None:
    assert break_even(1000.0, 0.01, watts=1000.0, per_kwh=0.2, use=0.5).never
    assert useful_share(100.0, 20.0) == 0


def test_every_word_of_the_glossary_is_explained_with_arithmetic_that_holds() -> None:
    for name in terms():
        found = term(name)
        assert found.says
        assert found.formula
        assert found.source
        assert worked(found.worked) == pytest.approx(found.gives, rel=1e-5), name


@pytest.mark.parametrize("spelt", ["tensor-cores", "Tensor cores", "tensor_core", "TENSOR CORE"])
def test_a_word_is_found_however_it_is_spelt(spelt: str) -> None:
    found = term(spelt)
    assert found.name == "tensor core"
    assert [line.value for line in found.lesson][3:5] == [504, 235]


def test_a_word_that_is_unknown_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="all-reduce"):
        term("all-reduction")


def test_personas_and_works_name_models_of_the_zoo() -> None:
    from rigwise.advise.assumptions import data

    for table in ("personas", "works"):
        assert {row["model"] for row in data(table).values()} <= set(names())
    assert len(personas()) == 9


def test_offers_name_devices_of_the_catalogue_and_serve_what_they_say() -> None:
    for offer in packaged_offers():
        assert offer.device in devices()
        assert offer.serves(offer.count)
        assert offer.usd_per_hour > 0


@pytest.mark.parametrize(("day", "old"), [(date(2026, 9, 1), False), (date(2027, 6, 1), True)])
def test_a_price_is_marked_when_it_is_older_than_180_days(day: date, old: bool) -> None:
    book = price_book(today=day)
    price = book.hour(device("h100-sxm-80gb"), 1, spot=False)
    assert bool(price.doubt(day)) is old
    assert price.to_dict(day)["old"] is old


def test_prices_of_a_device_have_date_and_source(today) -> None:
    rows, _ = api.prices_of("rtx 4090", today=today)
    assert {row.condition for row in rows} == {"new", "used", "rent"}
    assert all(row.date and row.source for row in rows)


@dataclass
class Item:
    gpu_name: str | None
    price: float
    gpu_count: int = 1
    gpu_memory: float | None = None
    spot: bool = False
    instance_name: str = "box"
    location: str = "here"


def test_a_refresh_survives_sources_that_fail(tmp_path) -> None:
    def ask(name: str):
        if name == "aws":
            raise ConnectionError("no route")
        if name == "gcp":
            return []
        return [
            Item("H100", 2.0, gpu_memory=80),
            Item("H100", 1.5, gpu_memory=80),
            Item("Quantum9000", 1.0),
            Item(None, 1),
        ]

    path = tmp_path / "new" / "cloud.csv"
    said = []
    found = refresh(["aws", "gcp", "runpod"], said.append, ask=ask, path=path)
    assert found["prices"] == 1
    assert set(found["failed"]) == {"aws", "gcp"}
    assert len(said) == 3
    price = price_book(refreshed=path).hour(device("h100-sxm-80gb"), 1, spot=False)
    assert price.usd == 1.5
    kept = refresh(["nebius"], ask=lambda name: [Item("L4", 0.3)], path=path)
    assert kept["providers"] == ["Nebius"]
    assert price_book(refreshed=path).hour(device("h100-sxm-80gb"), 1, spot=False).usd == 1.5


def test_a_refresh_without_any_answer_keeps_what_there_was(tmp_path) -> None:
    path = tmp_path / "cloud.csv"
    with pytest.raises(LaunchError):
        refresh(["aws"], ask=lambda name: [], path=path)
    assert not path.exists()
    with pytest.raises(UsageError):
        refresh(["nobody"], ask=lambda name: [], path=path)


@pytest.mark.parametrize("dead", sources())
def test_each_source_may_fail(tmp_path, dead: str) -> None:
    def ask(name: str) -> list[Item]:
        if name == dead:
            raise OSError("no network")
        return [Item("L4", 0.3)]

    found = refresh(ask=ask, path=tmp_path / "p.csv")
    assert (list(found["failed"]), found["prices"]) == ([dead], len(sources()) - 1)


def test_where_all_fail_each_reason_is_told_once(tmp_path) -> None:
    def ask(name: str) -> list[Item]:
        raise OSError("no network" if name != "aws" else "no key")

    with pytest.raises(LaunchError, match=r"aws: OSError: no key; azure, gcp.*: OSError: no network") as error:
        refresh(ask=ask, path=tmp_path / "p.csv")
    assert "network" in error.value.nearest


FAKE = """
import types


class Catalog:
    def query(self, provider):
        if provider == "aws":
            raise ConnectionError("no route")
        if provider == "gcp":
            raise SystemExit(3)
        if provider == "azure":
            return None
        return [types.SimpleNamespace(instance_name="x", location="eu", price=0.4, gpu_count=1, gpu_name="L4",
                                      gpu_memory=24, spot=False)]


def default_catalog():
    return Catalog()
"""


def test_refresh_in_a_process_of_its_own_survives_what_gpuhunt_does(tmp_path) -> None:
    (tmp_path / "gpuhunt.py").write_text(FAKE)
    source = str(Path(rigwise.__file__).parents[1])
    around = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), source]), "XDG_DATA_HOME": str(tmp_path)}
    around.pop("GPUHUNT_CATALOG_DIR", None)
    words = [sys.executable, "-m", "rigwise", "prices", "refresh", "aws", "gcp", "azure", "runpod", "--json"]
    done = subprocess.run(words, env=around, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["prices"], found["providers"]) == (1, ["RunPod"])
    assert set(found["failed"]) == {"aws", "gcp", "azure"}
    assert "no route" in found["failed"]["aws"]
    assert Path(found["path"]).is_relative_to(tmp_path)


def test_a_source_that_hangs_is_left_behind(tmp_path) -> None:
    held = threading.Event()

    def ask(name: str) -> list[Item]:
        if name == "aws":
            held.wait(60)
        return [Item("L4", 0.3)]

    found = refresh(["aws", "gcp"], ask=ask, path=tmp_path / "p.csv", patience=0.2)
    held.set()
    assert (found["prices"], list(found["failed"])) == (1, ["aws"])


def test_a_used_price_says_its_basis_and_its_source() -> None:
    for name in ("rtx-3090", "rtx-4090"):
        price = price_book(today=date(2026, 11, 22)).card(device(name), "used")
        assert price.estimated
        assert "% of the" in price.source
        assert "(" in price.source
        assert "a choice of 2026" in price.source


def test_images_that_a_host_cannot_decode_are_warned_of() -> None:
    found = api.advise("resnet18", most=8, get=["rent"], vendors=["nvidia"], budget=50000.0, top=40)
    said = [w for choice in found.choices for w in choice.warnings if w.startswith("loader")]
    assert said
    assert "decoding ImageNet JPEGs" in said[0]

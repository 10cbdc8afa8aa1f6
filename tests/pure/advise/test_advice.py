"""Advice: limits hold, the order is what the goal asks for, and every no has its reason."""

from __future__ import annotations

import pytest

import rigwise
from rigwise import api
from rigwise.advise.rank import score
from rigwise.errors import InfeasibleError, NotFoundError, UsageError

CHOICE = {
    "what",
    "count",
    "price_usd",
    "usd_per_hour",
    "throughput",
    "interval",
    "time_s",
    "fits",
    "reasons",
    "warnings",
}


def advise(today, **said):
    return rigwise.advise(said.pop("model", "resnet50"), today=today, **said)


def test_the_json_is_that_of_the_contract(today) -> None:
    said = advise(today, budget=2000, top=3).to_dict()
    assert len(said["choices"]) == 3
    for choice in said["choices"]:
        assert set(choice) >= CHOICE
        assert choice["interval"][0] < choice["throughput"] < choice["interval"][1]
        assert choice["fits"] is True
        assert choice["reasons"]
    assert {"path", "break_even", "pareto", "need", "date"} <= set(said)


def test_a_budget_and_the_order_hold(today) -> None:
    found = advise(today, budget=2000)
    assert all(choice.spend <= 2000 * 1.001 for choice in found.choices)
    scores = [score(choice, found.need) for choice in found.choices]
    assert scores == sorted(scores)
    assert found.need.goal == "most"


def test_a_deadline_asks_for_the_least_money_in_time(today) -> None:
    found = advise(today, work="10e9 images", deadline="20 d", get=["new", "used", "rent"])
    assert found.need.goal == "cheapest"
    assert all(choice.time_s <= 20 * 86400 for choice in found.choices)
    totals = [choice.per_sample / choice.assured for choice in found.choices]
    assert totals == sorted(totals)


def test_work_within_a_budget_is_done_soonest(today) -> None:
    found = advise(today, work="1e9 images", budget=300, get=["rent"])
    assert found.need.goal == "soonest"
    assert found.best.time_s == pytest.approx(600 + 1e9 / found.best.throughput)  # ten minutes to begin
    assert found.best.spend == pytest.approx(found.best.candidate.hourly * found.best.time_s / 3600)


def test_money_of_owning_adds_up(today) -> None:
    choice = advise(today, budget=4000, get=["new"]).best
    assert choice.total == pytest.approx(sum(choice.owning.values()))
    assert choice.owning["card"] == pytest.approx(choice.candidate.count * choice.candidate.card.usd)
    hours = 25.2 * 3 * 365 / 7
    assert choice.owning["electricity"] == pytest.approx(choice.verdict.watts / 1000 * hours * 0.175)
    assert choice.owning["resale"] < 0


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ({"vendors": ["amd"]}, lambda c: c.candidate.device.vendor == "AMD"),
        ({"memory": "24 GiB"}, lambda c: c.candidate.device.memory >= 22 * 2**30),
        ({"slots": 2}, lambda c: (c.candidate.device.slots or 0) <= 2),
        ({"get": ["used"]}, lambda c: c.candidate.condition == "used"),
        ({"most": 2}, lambda c: c.candidate.count <= 2),
        ({"circuit": "120V 15A", "get": ["new", "used"]}, lambda c: c.candidate.count * c.candidate.device.tdp < 1440),
    ],
)
def test_limits_hold(today, said, holds) -> None:
    found = advise(today, budget=8000, **said)
    assert found.choices
    assert all(holds(choice) for choice in found.choices)


def test_one_machine_leaves_clusters_out(today) -> None:
    found = advise(today, most=16, one_machine=True, get=["rent"])
    assert all(choice.verdict.cluster.nodes == 1 for choice in found.choices)


def test_warnings_name_what_can_go_wrong(today) -> None:
    need = {"budget": 20000, "most": 4, "get": ["new"], "circuit": "230V 16A", "quiet": True, "top": 60}
    found = rigwise.advise("bert-base", today=today, **need)
    says = {
        c.candidate.name: " ".join(c.warnings)
        for c in found.choices
        if c.candidate.count == 4 and c.candidate.device.form == "pcie"
    }
    assert any("power supply" in text for text in says.values())
    assert all("heat" in text and "noise" in text for text in says.values())
    assert any("no peer access" in text for text in says.values())
    assert any("days old" in text for text in says.values())


def test_own_prices_go_before_all_others(today, tmp_path) -> None:
    cheap = advise(today, budget=1500, prices=["rtx-4090:used=100"], most=1, get=["used"])
    assert cheap.best.candidate.device.name == "rtx-4090"
    assert cheap.best.candidate.card.source == "said by you"
    file = tmp_path / "mine.csv"
    file.write_text("device,condition,price_usd,date,source\nRTX 4090,used,100,2026-01-01,a friend\n", encoding="utf-8")
    read = advise(today, budget=1500, price_file=file, most=1, get=["used"]).best
    assert read.candidate.card.source == "a friend"
    assert "325 days old" in " ".join(read.warnings)


def test_an_upgrade_counts_what_is_there(today) -> None:
    found = rigwise.advise(
        "bert-large", seq=512, own="2x rtx-3090", budget=2000, get=["new", "used"], most=4, today=today
    )
    assert found.now.what == "2x rtx-3090"
    more = [c for c in found.every if c.candidate.device.name == "rtx-3090" and c.candidate.count == 4]
    assert more[0].candidate.owned == 2
    assert not [c for c in found.every if c.candidate.device.name == "rtx-3090" and c.candidate.count <= 2]
    assert all(row.throughput > found.now.throughput for row in found.beside)


def test_a_machine_that_is_there_costs_nothing(today) -> None:
    bare, with_host = (advise(today, budget=1400, own=own, most=1, get=["used"]) for own in (None, "desktop"))
    one = next(c for c in bare.every if c.candidate.device.name == "rtx-3080-10gb")
    two = next(c for c in with_host.every if c.candidate.device.name == "rtx-3080-10gb")
    assert one.candidate.capital - two.candidate.capital == pytest.approx(700)


def test_currency_scales_what_is_said(today) -> None:
    usd = advise(today, budget=2000, per_kwh=0.3)
    eur = advise(today, budget=1800, per_kwh=0.27, currency="EUR", per_usd=0.9)
    assert eur.need.budget == pytest.approx(2000)
    assert eur.best.candidate.name == usd.best.candidate.name
    assert eur.best.total == pytest.approx(usd.best.total)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("rtx 3060", "place"),
        ("gtx 1060", "memory"),
        ("rx 7900 xtx", "is a guess"),
        ("tpu-v4", "software stack"),
        ("h20", "one country"),
        ("h100 pcie", "no price"),
    ],
)
def test_every_no_has_its_reason(today, name: str, words: str) -> None:
    found = advise(today, budget=3000, get=["new", "used"], memory="8 GiB")
    assert words in " ".join(api.why_not(found, name))


def test_what_does_not_fit_says_what_would_make_it_fit(today) -> None:
    found = rigwise.advise("llama-2-7b", seq=2048, budget=5000, today=today)
    says = " ".join(api.why_not(found, "rtx 3090"))
    assert "does not fit" in says
    assert "--adapt lora" in says
    assert "2 of them, 16 bit, pipeline parallel" in says


@pytest.mark.parametrize(
    ("said", "binds"),
    [
        ({"model": "gpt3-175b", "most": 1}, "fits on none"),
        ({"budget": 100, "get": ["new"]}, "budget"),
        ({"work": "1e15 images", "deadline": "1 d"}, "deadline"),
    ],
)
def test_nothing_names_what_binds(today, said, binds) -> None:
    with pytest.raises(InfeasibleError) as error:
        advise(today, **said)
    assert binds in f"{error.value.says} {error.value.rule}"
    assert error.value.nearest


@pytest.mark.parametrize(
    "said",
    [
        {"budget": -1},
        {"hours_per_week": 200},
        {"years": 0},
        {"get": ["stolen"]},
        {"objective": "best"},
        {"work": "3 apples"},
        {"work": "3 tokens"},
        {"circuit": "a lot"},
        {"prices": ["rtx-3090=cheap"]},
        {"per_usd": 0},
        {"batch": 0},
        {"precision": "float7"},
    ],
)
def test_amounts_that_cannot_be_are_refused(today, said) -> None:
    with pytest.raises(UsageError):
        advise(today, **said)


def test_names_that_are_unknown_are_refused(today) -> None:
    with pytest.raises(NotFoundError):
        rigwise.advise(persona="wizard", today=today)
    with pytest.raises(UsageError):
        rigwise.advise(today=today)
    with pytest.raises(NotFoundError):
        advise(today, own="rtx 9999")


def test_the_path_ends_where_the_answers_are(today) -> None:
    ends = {
        p: rigwise.advise(persona=p, today=today, top=1).path.answer for p in ("starter", "transformers", "startup")
    }
    assert ends == {"starter": "starter", "transformers": "strong", "startup": "middle"}
    assert advise(today, work="1e9 images", get=["rent"]).path.answer == "cloud"

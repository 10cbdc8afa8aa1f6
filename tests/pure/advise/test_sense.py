"""What a sceptic would look for: the nearest that works does work, money adds up by hand, and no answer is nonsense."""

from __future__ import annotations

import shlex

import pytest

import rigwise
from rigwise import api
from rigwise.advise.money import break_even, card_worth
from rigwise.advise.prices import price_book, read_offers
from rigwise.errors import InfeasibleError, NotFoundError, UsageError
from rigwise.hardware.catalog import device

BOUGHT = ["new", "used"]


def advise(today, model="resnet50", most=2, **said):
    return rigwise.advise(model, today=today, most=most, **said)


# --- the nearest that works


def options(nearest: str) -> dict[str, object]:
    """The options of the first thing that an error names as nearest."""
    said: dict[str, object] = {}
    words = shlex.split(nearest.split(", or ")[0].replace(" and ", " "))
    for key, value in zip(words[::2], words[1::2], strict=True):
        number = value.replace(".", "", 1).isdigit()
        said[key.removeprefix("--")] = (int(value) if key == "--most" else float(value)) if number else value
    return said


@pytest.mark.parametrize(
    "said",
    [
        {"budget": 100, "get": ["new"]},
        {"model": "bert-base", "work": "10e9 tokens", "deadline": "10 s"},
        {"model": "gpt2", "work": "10e9 tokens", "deadline": "1 h", "budget": 1},
        {"model": "gpt2", "work": "10e9 tokens", "deadline": "1 s", "budget": 1},
        {"model": "gpt2", "work": "10e9 tokens", "deadline": "1 s", "budget": 1, "currency": "EUR", "per_usd": 0.9},
        {"model": "llama-2-70b", "seq": 2048, "most": 4, "get": ["used"]},
        {"get": BOUGHT, "circuit": 100},
        {"get": ["used"], "slots": 0.5},
    ],
    ids=lambda said: " ".join(f"{key}={value}" for key, value in said.items()),
)
def test_what_an_error_names_as_nearest_does_work(today, said) -> None:
    with pytest.raises(InfeasibleError) as error:
        advise(today, **said)
    assert error.value.rule
    assert advise(today, **{**said, **options(error.value.nearest)}).choices


def test_a_budget_that_is_too_small_for_a_deadline_names_what_keeps_both(today) -> None:
    with pytest.raises(InfeasibleError) as error:
        advise(today, "gpt2", work="10e9 tokens", deadline="1 h", budget=1)
    assert "takes" in error.value.says
    assert error.value.nearest.startswith("--budget")


# --- amounts in the reader's currency


def test_every_amount_in_words_is_in_the_readers_currency(today) -> None:
    need = {"budget": 2700, "per_kwh": 0.3, "get": [*BOUGHT, "rent"], "currency": "eur", "per_usd": 0.9}
    found = advise(today, **need, top=3)
    told = [line for choice in found.choices for line in choice.reasons]
    told += [step.fact for step in found.path.steps]
    told += [why for why in found.refused.values() if "budget" in why]
    told += api.why_not(found, "h100")
    assert not [line for line in told if "$" in line]
    assert any("EUR" in line for line in told)
    assert found.need.money(100.0) == "90.0 EUR"
    assert found.need.money(-1.0) == "-0.900 EUR"


# --- money by hand


def test_the_cost_to_own_is_what_comes_out_by_hand(today) -> None:
    prices, kwh = ["rtx-3090:used=700"], 0.25
    found = advise(today, budget=3000, get=["used"], prices=prices, per_kwh=kwh, hours_per_week=40, years=2, most=1)
    one = next(c for c in found.every if c.candidate.device.name == "rtx-3090")
    hours = 40 * 2 * 365 / 7
    electricity = one.verdict.watts / 1000 * hours * kwh
    resale = 0.85 * (700 * 0.75**2 + 700 * 0.75**2)  # a card of 2020 is old by now; the desktop is 700 dollars too
    assert one.owning == pytest.approx({"card": 700, "host": 700, "electricity": electricity, "resale": -resale})
    assert one.total == pytest.approx(1400 + electricity - resale)
    assert one.spend == pytest.approx(1400 + electricity)
    assert one.samples == pytest.approx(one.throughput * hours * 3600)
    assert one.per_sample * 1e6 == pytest.approx(one.total / (one.throughput * hours * 3600) * 1e6)
    assert one.verdict.watts < 350 + 150


def test_a_card_loses_more_a_year_once_it_is_old() -> None:
    assert card_worth(1000.0, 0.0, 6.0) == pytest.approx(1000 * 0.88**6)
    assert card_worth(1000.0, 4.0, 4.0) == pytest.approx(1000 * 0.88**2 * 0.75**2)
    assert card_worth(1000.0, 9.0, 1.0) == pytest.approx(750)


def test_break_even_takes_off_what_the_machine_fetches_on_that_day() -> None:
    found = break_even(6000.0, 2.0, watts=1000.0, per_kwh=0.2, use=0.25, worth=lambda years: 5000.0 * 0.8**years)
    years = found.hours / (0.25 * 8760)
    assert found.resale_usd == pytest.approx(5000 * 0.8**years)
    assert found.own_usd == pytest.approx(6000 - found.resale_usd + 0.2 * found.hours)
    assert found.own_usd == pytest.approx(found.rent_usd)
    assert found.kept_hours == pytest.approx(6000 / 1.8)
    assert found.hours < found.kept_hours


def test_break_even_of_an_answer_is_between_cards_that_meet(today) -> None:
    found = rigwise.advise(persona="transformers", today=today, top=1)
    even, best = found.even, found.best
    assert even["buy"] == best.candidate.name
    running = best.verdict.watts / 1000 * found.need.per_kwh
    paid = best.candidate.cards + best.candidate.around - even["resale_usd"] + running * even["hours"]
    assert paid == pytest.approx(even["rent_usd_per_hour"] * even["hours"])
    assert even["days"] * 24 * even["use"] == pytest.approx(even["hours"])


def test_break_even_against_spot_counts_the_interruptions(today) -> None:
    prices = ["rtx-3090:used=700", "rtx-3090:rent=0.5", "rtx-3090:spot=0.25"]
    need = {"budget": 1800, "get": BOUGHT, "prices": prices, "most": 1, "memory": 24, "vendors": ["nvidia"], "top": 1}
    calm, rough = (advise(today, interruptions=n, **need).even["spot"] for n in (0, 24))
    assert calm["rent_usd_per_hour"] == pytest.approx(0.25)
    assert rough["rent_usd_per_hour"] == pytest.approx(0.25 * 1.5)  # a third of the hours is lost
    assert rough["hours"] < calm["hours"]


def test_a_choice_that_may_be_late_is_said_to_be(today) -> None:
    found = advise(today, work="90e6 images", budget=5, deadline="6 h", top=9)
    places = [c.time_s / c.assured > 6 * 3600 for c in found.choices]
    assert places == sorted(places)
    assert any(text.startswith("deadline: at the low end") for text in found.choices[-1].warnings) or not places[-1]


def test_spot_takes_as_much_longer_as_interruptions_leave_less(today) -> None:
    need = {"work": "1e9 images", "get": ["spot"], "most": 1, "interruptions": 24}  # a third of the hours is lost
    one = advise(today, **need).best
    assert one.time_s == pytest.approx(600 + 1e9 / one.throughput / (1 - 24 * 20 / 1440))
    assert one.candidate.hourly == one.candidate.card.usd
    assert one.spend == pytest.approx(one.candidate.hourly * one.time_s / 3600)


# --- prices that somebody would pay


@pytest.mark.parametrize(
    ("name", "new", "used"),
    [
        ("rtx-3080-12gb", None, (350, 600)),  # of 2022; shops had it no more in 2025
        ("rtx-3090-ti", None, (800, 1400)),
        ("rtx-4090", (2000, 3500), (1500, 2500)),
        ("rtx-5090", (2000, 3500), None),
        ("rtx-2080-ti", None, (180, 350)),
        ("gtx-1080-ti", None, None),  # current CUDA leaves Pascal out
        ("titan-rtx", None, (450, 900)),
        ("v100-pcie-32gb", None, None),  # cards of servers have no estimate
        ("a10", None, None),
    ],
)
def test_prices_are_those_that_somebody_would_pay(book, name: str, new, used) -> None:
    for condition, bounds in (("new", new), ("used", used)):
        price = book.card(device(name), condition)
        assert (price is None) == (bounds is None), (name, condition)
        if price and bounds:
            assert bounds[0] < price.usd < bounds[1]


def test_a_card_that_current_software_leaves_out_is_bought_at_ones_own_price_alone(today) -> None:
    need = {"budget": 2000, "most": 1, "get": ["used"], "top": 60}
    assert "current CUDA leaves Volta out" in api.why_not(advise(today, **need), "titan v")[0]
    mine = advise(today, prices=["titan-v:used=300"], **need)
    assert "place" in api.why_not(mine, "titan v")[0]
    volta = next(c for c in mine.choices if c.candidate.device.name == "titan-v")
    assert any(text.startswith("software: current CUDA") for text in volta.warnings)


def test_rented_machines_are_paid_while_they_begin(today) -> None:
    need = {"work": "50e6 tokens", "adapt": "qlora", "seq": 2048, "get": ["rent"], "most": 1, "top": 60}
    for choice in advise(today, "llama-2-7b", **need).choices:
        assert choice.time_s > 600
        assert choice.spend == pytest.approx(choice.candidate.hourly * choice.time_s / 3600)
        assert choice.per_sample == pytest.approx(choice.total * 2048 / 50e6)


def test_a_file_of_refreshed_prices_that_is_damaged_is_named(tmp_path) -> None:
    columns = "provider,instance,device,count,most,usd_per_hour,spot,region,date,source\n"
    for row in ("A,i,l4,one,8,1,no,,2026-01-01,s", "A,i,l4,0,8,1,no,,2026-01-01,s", "A,i,l4,1,8,nan,no,,,s", "A,i"):
        path = tmp_path / "cloud.csv"
        path.write_text(columns + row + "\n", encoding="utf-8")
        with pytest.raises(UsageError, match=r"cloud\.csv:2"):
            read_offers(path)


def test_a_price_of_a_day_that_is_none_is_refused(tmp_path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("device,condition,price_usd,date\nrtx-3090,used,500,yesterday\n", encoding="utf-8")
    with pytest.raises(UsageError, match="yesterday"):
        price_book(file=path)


# --- upgrades


def test_an_upgrade_is_faster_than_what_is_there_and_costs_something(today) -> None:
    found = advise(today, own="2x rtx-4090", most=4, top=30)
    assert all(choice.throughput > found.now.throughput for choice in found.choices)
    assert all(choice.total > 0 for choice in found.choices)
    assert "times as fast as what is there" in " ".join(api.why_not(found, "rtx 2060"))
    sold = next(c for c in found.every if c.candidate.name == "2x rtx-5090, new")
    assert sold.candidate.sold == pytest.approx(2 * 0.85 * 0.75 * 2990)
    assert sold.candidate.capital == pytest.approx(sold.candidate.cards - sold.candidate.sold)


def test_what_is_there_says_how_long_it_takes_itself(today) -> None:
    there = advise(today, own="2x rtx-4090", work="1e9 images", top=1).now
    assert there.time_s == pytest.approx(1e9 / there.throughput)
    assert 5 < there.electricity < 50


def test_a_card_beside_others_counts_the_machine_that_it_needs(today) -> None:
    need = {"model": "bert-large", "seq": 512, "get": BOUGHT, "most": 4, "top": 1}
    small = advise(today, own="2x rtx-3090", budget=9000, **need)
    large = advise(today, own="2x rtx-3090, workstation", budget=9000, **need)
    assert {row.around for row in small.beside} == {3000 - 0.85 * 700}
    assert {row.around for row in large.beside} == {0.0}
    assert all(row.price + row.around <= 9000 for row in (*small.beside, *large.beside))
    assert not advise(today, own="2x rtx-3090", budget=2000, **need).beside


# --- limits


def test_width_and_noise_bind_what_is_bought_alone(today) -> None:
    found = advise(today, slots=2, quiet=True, budget=60000, most=8)
    names = {c.candidate.name for c in found.every if c.candidate.name not in found.refused}
    assert any(name.startswith("1x rtx-4090, rent") for name in names)
    assert "1x rtx-4090, new" not in names
    assert "slots wide" in found.refused["1x rtx-4090, new"]
    assert "loud" in found.refused["8x rtx-3080-10gb, used"]


@pytest.mark.parametrize(
    "said",
    [
        {"most": 0},
        {"memory": -3},
        {"slots": 0},
        {"slots": -1},
        {"circuit": "volts"},
        {"deadline": "3 d"},
        {"currency": "EUR"},
        {"currency": "Euro", "per_usd": 0.9},
        {"per_usd": 0.9},
        {"interruptions": 72},
        {"interruptions": -1},
        {"per_kwh": -0.1},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_in_words(today, said) -> None:
    with pytest.raises(UsageError) as error:
        advise(today, budget=2000, **said)
    assert error.value.rule


def test_a_vendor_that_is_unknown_names_the_nearest(today) -> None:
    with pytest.raises(NotFoundError, match="nearest: nvidia"):
        advise(today, vendors=["nvdia"])


def test_volts_and_amperes_are_read_whatever_they_are(today) -> None:
    found = advise(today, budget=2000, circuit="240V 20A", get=BOUGHT, top=1)
    assert found.need.circuit == pytest.approx(240 * 20 * 0.8)


# --- path, warnings, what would make it fit


def test_the_path_says_whether_the_ranking_agrees(today) -> None:
    owned = advise(today, budget=2000, get=BOUGHT, top=1).path
    assert owned.steps[0].fact == "renting was not asked for"
    assert "is of that kind" in owned.ranking
    both = advise(today, "llama-3-8b", seq=2048, budget=10000, most=8, top=1)
    assert "the break-even of" in both.path.steps[0].fact
    assert "is not of that kind; the first that is" in both.path.ranking
    spot = advise(today, work="1e9 images", deadline="2 d", get=["spot"], top=1)
    assert spot.path.answer == "cloud_spot"
    assert any(text.startswith("deadline: nobody promises") for text in spot.best.warnings)


def test_every_warning_begins_with_what_it_is_about(today) -> None:
    found = advise(today, "bert-base", budget=60000, most=4, get=BOUGHT, vendors=["nvidia", "amd"], top=80)
    said = [text for choice in found.choices for text in choice.warnings]
    heads = {text.partition(":")[0] for text in said}
    assert all(":" in text for text in said)
    assert heads >= {"power supply", "wall circuit", "heat", "slots", "no peer access", "no bfloat16", "price"}


def test_what_would_make_it_fit_is_of_the_articles_list(today) -> None:
    said = []
    for model, more, card in (
        ("llama-2-7b", {"seq": 2048, "most": 8}, "rtx-3090"),
        ("llama-2-7b", {"seq": 2048, "most": 1}, "rtx-pro-6000-workstation"),
        ("gpt2-xl", {"seq": 1024, "most": 1, "precision": "float32"}, "rtx-4080"),
    ):
        said += api.why_not(advise(today, model, top=1, **more), card)
        said += [word for c in advise(today, model, top=60, **more).choices for word in c.fit]
    told = " | ".join(said)
    for word in ("16 bit", "recomputation", "host's memory", "pipeline parallel", "sharded", "--adapt lora"):
        assert word in told, word


def test_what_does_not_fit_is_said_to_and_has_no_curve() -> None:
    found = api.mixed("llama-2-7b", "rtx-3060,rtx-4090", seq=2048, batch=32)
    assert found.alone == (None, None)
    with pytest.raises(InfeasibleError, match="gpt3"):
        api.power_caps("gpt3-175b", "rtx-3090")


# --- charts and words


def test_guesses_stand_after_what_was_measured_and_whole_servers_have_no_price(today) -> None:
    from rigwise.advise.charts import by_value

    found = api.chart("training-transformer", today=today)
    measured = [bar.measured for bar in by_value(found)]
    assert measured == sorted(measured, reverse=True)
    prices = {bar.device: bar.usd for bar in found}
    assert prices["mi300x"] is None
    assert prices["h100-sxm-80gb"] is None
    assert "rtx-4090-d" not in prices


@pytest.mark.parametrize(
    ("word", "name"),
    [("asynchronous copies", "asynchronous copy"), ("TMA", "asynchronous copy"), ("L2", "cache"), ("caches", "cache")],
)
def test_a_word_has_other_names(word: str, name: str) -> None:
    assert api.define(word).name == name


def test_a_picture_of_a_piece_of_work_is_money_over_time(today) -> None:
    from rigwise.report.advice import advice_svg

    need = {"currency": "EUR", "per_usd": 0.9, "top": 1}
    assert "time until the work is done (" in advice_svg(advise(today, work="1e9 images", **need))
    years = advice_svg(advise(today, budget=3000, **need))
    assert "EUR spent" in years
    assert "images a second" in years


# --- prices that nobody can date


def test_a_price_without_a_date_stands_after_all_that_have_one(today) -> None:
    found = advise(today, "bert-base", most=1, get=["rent", "spot"], top=50)
    undated = [choice.candidate.card.seen is None for choice in found.choices]
    assert undated == sorted(undated)
    assert any(undated)
    assert any("without a date" in says for says in found.choices[-1].warnings)
    assert any(
        "after all whose price has a date" in says
        for says in api.why_not(found, found.choices[-1].candidate.device.name)
    )


def test_where_time_decides_a_price_without_a_date_may_stand_first(today) -> None:
    found = advise(today, "bert-base", most=8, get=["rent", "spot"], work="1e9 tokens", budget=1000, top=50)
    times = [choice.time_s / choice.assured for choice in found.choices]
    assert times == sorted(times)


def test_a_fresh_offer_goes_before_a_cheaper_one_without_a_date(today) -> None:
    price = price_book(today=today).hour(device("h100-sxm-80gb"), 1, spot=False)
    assert price.age(today) < 180


# --- what was never measured


def test_a_card_that_was_never_measured_is_less_sure_than_its_like(today) -> None:
    found = advise(today, "bert-base", most=1, get=["new", "used"], top=100)
    width = {c.candidate.device.name: c.interval[1] / c.interval[0] for c in found.choices}
    assert width["rtx-4070-ti-super"] > width["rtx-4090"]

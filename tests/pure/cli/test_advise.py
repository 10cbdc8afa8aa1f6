"""`advise`, `explain` and `prices` on the command line: the contract's fields, the views, the exit codes."""

from __future__ import annotations

import json
import sys

import pytest

from rigwise.advise import refresh

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
ADVISE = ("advise", "resnet50", "--budget", "2000", "--today", "2026-11-22", "--top", "3")


@pytest.fixture(autouse=True)
def packaged_prices_only(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(refresh, "place", lambda: tmp_path / "none.csv")


def test_the_choices_have_the_fields_of_the_contract(call) -> None:
    said = call(*ADVISE, "--why-not", "rtx 4090", "--json")
    assert said.code == 0
    assert len(said.json["choices"]) == 3
    assert all(set(choice) >= CHOICE for choice in said.json["choices"])
    assert said.json["why_not"]
    assert said.json["choices"][0]["price"]["date"]


def test_a_kept_answer_holds_the_prices_it_was_made_with(call, tmp_path) -> None:
    path = tmp_path / "answer.json"
    assert call(*ADVISE, "--price", "rtx-4090:used=900", "--output", str(path)).code == 0
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["date"] == "2026-11-22"
    assert all(choice["price"]["usd"] > 0 and choice["price"]["source"] for choice in kept["choices"])


def test_people_read_the_ranking_the_reasons_and_the_path(call) -> None:
    out = call(*ADVISE, "--why-not", "rtx 4090", "--currency", "EUR", "--per-usd", "0.9").out
    for words in ("images/s", "why: ", "mind: ", "path: ", "why not: 1x rtx-4090", "EUR"):
        assert words in out
    assert "why: " not in call(*ADVISE, "--quiet").out


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (("advise", "--chart", "inference-8bit"), "chart"),
        (("advise", "bert-base", "--mixed", "rtx-3090,rtx-4090"), "mixed"),
        (("advise", "bert-base", "--power-cap", "rtx-3090"), "power_caps"),
        (("explain", "tensor-cores"), "lesson"),
        (("explain",), "terms"),
        (("prices", "show", "h100"), "prices"),
    ],
)
def test_views_are_drawn_and_speak_json(call, words, key) -> None:
    assert call(*words).code == 0
    assert call(*words, "--json").json[key]


@pytest.mark.parametrize(
    "words", [ADVISE, ("advise", "--chart", "training-convnet"), ("advise", "bert-base", "--power-cap", "rtx-3090")]
)
def test_pictures_are_svg_without_numbers_that_are_none(call, words, tmp_path) -> None:
    path = tmp_path / "picture.svg"
    assert call(*words, "--picture", str(path)).code == 0
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "nan" not in text
    assert "inf" not in text.replace("inference", "")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("advise",), 2),
        (("advise", "resnet50", "--budget", "-5"), 2),
        (("advise", "resnet50", "--budget", "10", "--get", "new"), 3),
        (("advise", "resnet5O"), 4),
        (("advise", "--persona", "wizard"), 4),
        (("advise", "resnet50", "--why-not", "rtx 9999"), 4),
        (("explain", "wizardry"), 4),
        (("prices", "show", "rtx 9999"), 4),
        (("prices", "refresh", "nobody"), 2),
    ],
)
def test_exit_codes(call, words, code) -> None:
    assert call(*words).code == code


def test_a_refresh_without_gpuhunt_says_how_to_get_it(call, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gpuhunt", None)
    said = call("prices", "refresh", "aws")
    assert said.code == 5
    assert "rigwise[prices]" in said.err

"""The zoo: every model loads, has the parameters that its source prints, and is found by one name only."""

from __future__ import annotations

import tomllib

import pytest

from rigwise.errors import NotFoundError, UsageError
from rigwise.models import zoo

EXACT = {
    "gpt2": 124_439_808,
    "bert-base-encoder": 109_482_240,
    "llama-2-7b": 6_738_415_616,
    "llama-3-8b": 8_030_261_248,
    "vit-b-16": 86_567_656,
    "t5-small": 60_506_624,
    "mixtral-8x7b": 46_702_792_704,
    "bloom-176b": 176_247_271_424,
}


PRINTED = [name for name in zoo.names() if "published_parameters" in zoo.entry(name)]
OUR_OWN = {"digits-convnet"}  # nobody else printed its parameters


@pytest.mark.parametrize("name", sorted(set(zoo.names()) - set(PRINTED) - OUR_OWN))
def test_where_no_count_is_printed_a_note_says_so(name: str) -> None:
    assert "no published count" in zoo.entry(name)["note"]
    assert zoo.load(name).parameters > 0


@pytest.mark.parametrize("name", PRINTED)
def test_parameters_are_the_published_ones(name: str) -> None:
    entry = zoo.entry(name)
    published, tolerance = entry["published_parameters"], entry.get("parameters_tolerance", 0.01)
    model = zoo.load(name)
    assert model.parameters == pytest.approx(published, rel=tolerance, abs=0)
    assert model.source == entry["source"]
    assert model.name == name
    if tolerance > 0.01:
        assert entry["note"], "a wide tolerance has a reason"


@pytest.mark.parametrize(("name", "parameters"), EXACT.items())
def test_known_counts_are_exact(name: str, parameters: int) -> None:
    assert zoo.load(name).parameters == parameters


def test_every_name_and_alias_stands_for_one_model() -> None:
    spellings: dict[str, str] = {}
    for name in zoo.names():
        for word in (name, *zoo.entry(name).get("aliases", ())):
            assert spellings.setdefault(zoo.squash(word), name) == name, word
            assert zoo.find(word) == name


def test_cutting_the_files_reads_what_a_whole_parse_reads() -> None:
    whole = {}
    for path in zoo.FOLDER.glob("*.toml"):
        whole |= tomllib.loads(path.read_text(encoding="utf-8"))
    assert sorted(whole) == zoo.names()
    for name, table in whole.items():
        base = table.pop("extends", None)
        entry = zoo.entry(name)
        assert all(entry[key] == value for key, value in table.items())
        if base:
            assert entry["builder"] == zoo.entry(base)["builder"]


@pytest.mark.parametrize("spelling", ["GPT-3", "gpt3_175b", "GPT3 175B", "Gpt-3-175b"])
def test_spelling_does_not_matter(spelling: str) -> None:
    assert zoo.load(spelling).name == "gpt3-175b"


def test_overrides_replace_arguments() -> None:
    assert zoo.load("gpt3-175b", seq=512).tokens == 512
    assert zoo.load("llama-3-8b", layers=2).layers == 2
    assert zoo.load("gpt2", vocab_multiple=1024).vocab == 51200


def test_unknown_names_and_arguments_name_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="llama-3-70b"):
        zoo.load("llama-3-70bb")
    with pytest.raises(UsageError, match="nearest: kv_heads"):
        zoo.load("llama-3-8b", kv_head=4)
    with pytest.raises(UsageError, match="no sequence length"):
        zoo.load("lenet5", seq=128)
    with pytest.raises(UsageError, match="no sequence length"):
        zoo.load("vit-b-16", seq=128)


@pytest.mark.parametrize(
    ("name", "active"),
    [
        ("deepseek-v3", 37e9),
        ("qwen3-30b-a3b", 3.3e9),
        ("qwen3-235b-a22b", 22e9),
        ("mixtral-8x7b", 12.9e9),
        ("kimi-k2", 32e9),
    ],
)
def test_active_parameters_of_mixtures(name: str, active: float) -> None:
    assert zoo.load(name).active_parameters == pytest.approx(active, rel=0.03)


@pytest.mark.parametrize(("name", "active"), [("gpt-oss-20b", 3.61e9), ("gpt-oss-120b", 5.13e9)])
def test_active_parameters_of_gpt_oss_leave_out_its_token_table(name: str, active: float) -> None:
    model = zoo.load(name)
    assert model.active_parameters - model.vocab * model.hidden == pytest.approx(active, rel=0.005)

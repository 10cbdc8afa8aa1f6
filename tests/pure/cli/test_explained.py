"""`estimate --explain` and `--like` as a person and as a program see them."""

from __future__ import annotations

import pytest

ASK = ("estimate", "gpt3-1.3b", "--cluster", "16xa100-sxm-80gb", "--batch", "64", "--layout", "dp=4,tp=4,zero=1")


@pytest.mark.parametrize("width", ["60", "100", "132"])
def test_the_arithmetic_fits_the_screen_and_has_every_section(call, monkeypatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    said = call(*ASK, "--explain", "--no-color")
    assert said.code == 0
    assert max(map(len, said.out.splitlines())) <= int(width)
    for word in (
        "the step:",
        "compute",
        "qkv",
        "gradient exchange",
        "memory of the fullest",
        "80 % interval",
        "constants",
    ):
        assert word in said.out, word
    assert "source:" in said.out


def test_at_a_hundred_columns_an_operation_shows_tile_bound_and_rate(call, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = call(*ASK, "--explain", "--no-color").out.splitlines()
    qkv = next(line for line in lines if line.startswith("qkv"))
    assert all(word in qkv for word in ("fwd", "2048x1536x2048", "256x128", "math", "T/s", "us"))
    assert any(line.strip().startswith("size ") and "link" in line for line in lines)


def test_json_has_the_terms_and_they_add_up(call) -> None:
    said = call(*ASK, "--explain", "--json").json
    explained = said["explanation"]
    assert explained["step"]["amount"] == pytest.approx(said["step_s"], rel=1e-9)

    def leaves(term):
        return [leaf for inner in term["terms"] for leaf in leaves(inner)] if "terms" in term else [term]

    for tree, whole in (("step", said["step_s"]), ("memory", said["memory_gib"]["total"] * 2**30)):
        assert sum(leaf["amount"] for leaf in leaves(explained[tree])) == pytest.approx(whole, rel=1e-9)
    assert all(figure["source"] for figure in explained["catalogue"])
    assert {constant["origin"] for constant in explained["constants"]} == {"fitted", "prior"}
    assert "explanation" not in call(*ASK, "--json").json


def test_what_a_step_waits_for_its_samples_is_a_term_that_no_run_corrects(call) -> None:
    ask = ("estimate", "resnet50", "--cluster", "8xh100", "--batch", "2048", "--layout", "dp=8,micro=256", "--explain")
    fed = (*ask, "--data", "imagenet-jpeg", "--workers", "1", "--json")
    for words in (fed, (*fed, "--like", "3 s")):
        said = call(*words).json
        terms = {term["name"]: term["amount"] for term in said["explanation"]["step"]["terms"]}
        assert terms["loader"] == pytest.approx(said["time_s"]["loader"])
        assert terms["loader"] > 0
        assert sum(terms.values()) == pytest.approx(said["step_s"], rel=1e-9)
        told = next(term for term in said["explanation"]["step"]["terms"] if term["name"] == "loader")
        stages = {value["symbol"]: value["value"] for value in told["values"]}
        assert "terms" not in told
        assert stages["beside"] == max(stages[stage] for stage in ("read", "decode", "pin", "copy"))
        assert stages["beside"] - stages["alone"] - stages["blocking"] == pytest.approx(terms["loader"])


def test_a_measured_run_is_in_the_basis_the_json_and_the_factor(call) -> None:
    plain = call(*ASK, "--json").json
    slow = f"{1.3 * plain['step_s']} s"
    said = call(*ASK, "--like", slow, "--explain", "--json").json
    factor = said["like"]["factor"]
    assert 1 < factor < 1.3
    assert said["step_s"] == pytest.approx(factor * plain["step_s"])
    assert said["basis"].endswith(f"corrected by 1 measured run: x{factor:.3g}")
    assert said["explanation"]["step"]["amount"] == pytest.approx(said["step_s"], rel=1e-9)
    twice = call(
        *ASK, "--like", slow, "--like", f"16xa100-sxm-80gb, gpt3-1.3b, {slow}, dp=4, tp=4, zero=1", "--json"
    ).json
    assert twice["like"]["factor"] > factor
    assert len(twice["like"]["runs"]) == 2


def test_a_person_sees_each_run_beside_its_prediction(call) -> None:
    said = call(*ASK, "--like", "9 s, dp=4, tp=4").out
    assert "9 s is 9 s a step, predicted" in said.replace("\n", " ").replace("  ", " ")


def test_an_odd_run_is_warned_of_and_a_wrong_one_is_usage(call) -> None:
    assert "check that its batch" in " ".join(call(*ASK, "--like", "900 s").out.split())
    wrong = call(*ASK, "--like", "9 parsecs")
    assert wrong.code == 2
    assert "'9 parsecs' is no figure" in wrong.err


def test_what_the_allocator_adds_is_told_by_its_law_alone(call) -> None:
    ask = ("estimate", "mixtral-8x7b", "--cluster", "2x8xa100-sxm-80gb", "--batch", "64", "--seq", "2048")
    said = call(*ask, "--layout", "dp=16,ep=8,zero=3", "--explain", "--json").json
    told = next(term for term in said["explanation"]["step"]["terms"] if term["name"] == "allocator")
    values = {value["symbol"]: value["value"] for value in told["values"]}
    rest = said["step_s"] - told["amount"]
    assert "terms" not in told
    assert 0.9 < values["full"] < 1
    assert told["amount"] == pytest.approx(rest * values["a"] * ((values["full"] - 0.9) / 0.1) ** 2)


def test_the_cards_that_groups_share_are_among_the_figures(call) -> None:
    catalogue = call(*ASK, "--explain", "--json").json["explanation"]["catalogue"]
    assert next(figure["value"] for figure in catalogue if "cards of a node" in figure["name"]) == 8

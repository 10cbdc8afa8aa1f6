"""An explanation is the estimate: leaves add up, formulas give their numbers, and each number has unit and name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from math import ceil

import pytest

from machines import selene
from rigwise.cost.estimate import Question, estimate
from rigwise.cost.explain import explain
from rigwise.cost.ledger import Entry, heard, listening, summed, tell, told
from rigwise.cost.likeness import Known
from rigwise.cost.money import Rates
from rigwise.cost.terms import Term
from rigwise.layouts.choice import can_be_split
from rigwise.layouts.layout import Layout
from rigwise.models.zoo import load

GPT, MIXTURE, ALEXNET = load("gpt3-1.3b", seq=1024), load("mixtral-8x7b", seq=2048), load("alexnet")
ASK = Question(model=GPT, cluster=selene(64), batch=512)
EXPERTS = Question(model=MIXTURE, cluster=selene(64), batch=128)
IMAGES = Question(model=ALEXNET, cluster=selene(8), batch=1024, stack="eager-2018")
CHOICE = tuple((name, "model") for name in can_be_split(ALEXNET))
CASES = [
    (ASK, Layout(dp=64, micro=2)),
    (ASK, Layout(dp=16, tp=4, micro=2, zero=1, sp="on")),
    (ASK, Layout(dp=16, tp=4, micro=2, zero=2, overlap="dp+tp", sp="keep")),
    (ASK, Layout(dp=8, tp=2, pp=4, recompute="full")),
    (ASK, Layout(dp=4, tp=4, pp=4, vpp=2, micro=2, recompute="selective")),
    (ASK, Layout(dp=16, pp=4, vpp=5, micro=2)),  # pieces of two layers and of one
    (ASK, Layout(dp=64, micro=4, zero=3, compress="8bit")),
    (ASK, Layout(dp=32, cp=2, zero=2, overlap="none")),
    (ASK, Layout(dp=64, offload="optimizer", zero=1)),
    (replace(ASK, optimizer="muon"), Layout(dp=64, zero=3, offload="all")),
    (replace(ASK, cluster=selene(1), batch=8), Layout(micro=8)),
    (EXPERTS, Layout(dp=64, ep=8, zero=1)),
    (EXPERTS, Layout(dp=16, tp=4, ep=8, sp="on", zero=3)),
    (IMAGES, Layout(dp=8, micro=128, precision="tf32")),
    (IMAGES, Layout(dp=8, micro=128, precision="tf32", blocks=CHOICE)),
    (replace(ASK, known=Known(factor=1.2, spread=0.1, says="corrected")), Layout(dp=8, tp=2, pp=4)),
    (replace(IMAGES, stack="dataparallel"), Layout(dp=8, micro=128, precision="float16")),
    (replace(IMAGES, stack="graph"), Layout(dp=8, micro=128, precision="tf32")),
]
IDS = [f"{question.model.name}-{layout}" for question, layout in CASES]


def all_of(term: Term) -> Iterator[Term]:
    yield term
    for inner in term.terms:
        yield from all_of(inner)


@pytest.mark.parametrize(("question", "layout"), CASES, ids=IDS)
def test_every_term_is_the_sum_of_its_terms_and_the_whole_is_the_estimate(question: Question, layout: Layout) -> None:
    found, said = explain(question, layout), estimate(question, layout)
    assert found.estimate == said
    assert found.step.amount == pytest.approx(said.step_s, rel=1e-9)
    assert found.memory.amount == pytest.approx(said.memory_total, rel=1e-9)
    assert found.energy is not None
    assert found.energy.amount == pytest.approx(said.energy_j, rel=1e-9)

    for parts, tree in ((said.time, found.step), (said.memory, found.memory)):
        assert {term.name: term.amount for term in tree.terms} == pytest.approx(
            {key.replace("_", " "): value for key, value in parts.items()}, rel=1e-9
        )
        for term in all_of(tree):
            assert term.times * term.each == pytest.approx(term.amount, rel=1e-9), term.name
            if term.terms:
                assert sum(inner.amount for inner in term.terms) == pytest.approx(term.amount, rel=1e-9), term.name
    leaves = sum(leaf.amount for leaf in found.step.leaves())
    assert leaves == pytest.approx(said.step_s, rel=1e-9)


def test_energy_and_money_are_sums_of_what_is_paid_for() -> None:
    owned = explain(replace(ASK, rates=Rates(price=10_000.0)), Layout(dp=64, micro=2))
    assert owned.cost is not None
    assert owned.energy is not None
    assert [term.name for term in owned.cost.terms] == ["devices", "electricity"]
    assert owned.cost.amount == pytest.approx(owned.estimate.cost_usd, rel=1e-9)
    rates = {value.symbol: float(value.value) for value in owned.cost.values}
    kilowatt_hours = owned.energy.amount / 3.6e6
    assert owned.cost.terms[1].amount == pytest.approx(kilowatt_hours * rates["per_kwh"] * rates["pue"], rel=1e-9)
    rented = explain(replace(ASK, rates=Rates(hourly=2.0)), Layout(dp=64, micro=2))
    assert rented.cost is not None
    assert [term.name for term in rented.cost.terms] == ["rent"]
    assert explain(ASK, Layout(dp=64, micro=2)).cost is None


@pytest.mark.parametrize(("question", "layout"), CASES[::3], ids=IDS[::3])
def test_a_product_comes_of_its_formula(question: Question, layout: Layout) -> None:
    products = [term for term in explain(question, layout).step.leaves() if term.law == "product"]
    assert products
    for term in products:
        m, n, k, batch, math, memory, floor, cut = (
            float(term.value(symbol) or 0) for symbol in ("M", "N", "K", "B", "T_math", "T_mem", "t_kernel", "cut")
        )
        assert term.value("flop") == pytest.approx(2 * batch * m * n * k)
        once = (math**4 + memory**4) ** 0.25 + floor + (floor / 2 if cut > 1 else 0)
        assert term.each == pytest.approx(once, rel=1e-9), term.name


def test_what_a_pass_does_beside_its_product_is_a_term_of_it() -> None:
    qkv = next(term for term in all_of(explain(ASK, Layout(dp=64, micro=2)).step) if term.name == "qkv, weight")
    assert [inner.name for inner in qkv.terms] == ["product", "gradient sums"]
    assert qkv.terms[0].each == pytest.approx(qkv.each - qkv.terms[1].each)


def test_tiles_cover_the_product_and_waves_are_counted() -> None:
    found = explain(ASK, Layout(dp=64, micro=2))
    qkv = next(term for term in all_of(found.step) if term.name == "qkv, forward")
    m, n, rows, columns, cut = (float(qkv.value(symbol) or 0) for symbol in ("M", "N", "tile_m", "tile_n", "cut"))
    rounds = ceil(m / rows) * ceil(n / columns) * cut / float(ASK.cluster.device.processors or 1)
    assert rounds <= float(qkv.value("waves") or 0) <= ceil(rounds)


def test_a_stream_is_bytes_over_bandwidth_and_launches() -> None:
    for term in explain(ASK, Layout(dp=64, micro=2)).step.leaves():
        if term.law == "stream" and term.name.endswith("forward"):
            moved, reach, kernels, floor = (
                float(term.value(symbol) or 0) for symbol in ("bytes", "bandwidth", "kernels", "t_kernel")
            )
            assert term.each == pytest.approx(moved / reach + kernels * floor, rel=1e-9)


@pytest.mark.parametrize("zero", [0, 1, 2, 3])
def test_only_the_collectives_of_the_layouts_own_sharding_are_shown(zero: int) -> None:
    found = explain(ASK, Layout(dp=64, micro=2, zero=zero))
    part = next(term for term in found.step.terms if term.name == "gradient exchange")
    names = {leaf.name for leaf in part.leaves()} - {"hidden under work"}
    assert (
        names
        == {
            0: {"all-reduce of gradients"},
            1: {"reduce-scatter of gradients", "all-gather of weights"},
            2: {"reduce-scatter of gradients", "all-gather of weights"},
            3: {"weights gathered", "gradients scattered"},
        }[zero]
    )
    for leaf in part.leaves():
        if leaf.name != "hidden under work":
            assert leaf.value("n") == 64
            assert leaf.value("inside") == 8


def test_a_block_without_experts_sends_no_tokens() -> None:
    found = explain(EXPERTS, Layout(dp=32, cp=2, ep=8))
    part = next(term for term in found.step.terms if term.name == "expert exchange")
    assert {term.name for term in part.terms} == {"layer_mixture"}


def test_what_was_read_are_constants_of_the_devices_family_its_links_and_the_stack() -> None:
    reads = explain(ASK, Layout(dp=16, tp=4, sp="on")).reads
    assert {path.rpartition(".")[0] for path in reads} == {
        "device.ampere",
        "stack.modern",
        f"link.{ASK.cluster.node.link.kind}",
        "link.rdma",
    }
    assert {"device.ampere.waves", "stack.modern.matmul", "device.ampere.kernel_s"} <= set(reads)
    assert "device.ampere.conv" not in reads


def test_every_law_that_is_shown_has_a_formula_and_a_card_and_every_symbol_a_meaning() -> None:
    terms = tomllib.loads(files("rigwise.cost").joinpath("data/terms.toml").read_text("utf-8"))
    shown = {symbol for law in terms["law"].values() for symbol in law.get("shows", ())}
    assert shown <= set(terms["symbol"])
    assert {row.get("unit", "") for row in terms["symbol"].values()} <= {
        "",
        "s",
        "B",
        "B/s",
        "FLOP",
        "FLOP/s",
        "W",
        "USD",
    }
    for question, layout in CASES[::4]:
        for part in explain(question, layout).step.terms:
            assert part.formula, part.name
            assert part.card, part.name


def test_nobody_listens_outside_and_a_law_tells_nothing_then() -> None:
    @told("law")
    def law(x: float) -> float:
        tell(x=x)
        return float(summed(("twice", 2, x)))

    assert not heard()
    assert law(1.5) == 3.0
    with listening() as ledger:
        assert heard()
        law(2.0)
    assert not heard()
    (entry,) = ledger.inner
    assert (entry.law, entry.result, entry.values) == ("law", 4.0, {"x": 2.0})
    assert [(s.name, s.times, s.each) for s in entry.summands] == [("twice", 2, 2.0)]


def test_an_entry_is_closed_when_a_law_fails() -> None:
    @told("failing")
    def failing() -> None:
        raise ValueError("no")

    with listening() as ledger:
        with pytest.raises(ValueError, match="no"):
            failing()
        tell(after=1)
    assert ledger.values == {"after": 1}
    assert isinstance(ledger.inner[0], Entry)


def test_a_ring_comes_of_its_formula() -> None:
    """An all-reduce inside a node, link and steps as told."""
    question = replace(ASK, cluster=selene(8), batch=64)
    leaf = next(
        leaf for leaf in explain(question, Layout(dp=8)).step.leaves() if leaf.name == "all-reduce of gradients"
    )
    size, n, link, ring, base = (float(leaf.value(symbol) or 0) for symbol in ("size", "n", "link", "ring", "base"))
    assert n == 8
    assert leaf.each == pytest.approx(ring)
    assert base < ring - 2 * (n - 1) / n * size / link < base + 1e-3

"""Published estimates come out of their own inputs within their own rounding, or say why not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.brain.emulation import HIGH, LOW, Costs, Organism, event_driven, storage, time_stepped
from rigwise.brain.methods import agrees, methods
from rigwise.brain.tables import table
from rigwise.errors import NotFoundError, UsageError

METHODS = methods(draws=2000)
LAWS = {
    "time": lambda on, *models: time_stepped(on, Costs.of("time", *models)),
    "event": lambda on, *models: event_driven(on, Costs.of("event", *models)),
    "storage": storage,
}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.key)
def test_a_method_is_reproduced_or_its_gap_is_explained(method) -> None:
    assert method.reproduced or method.gap
    assert method.quantity.source


def test_the_named_methods_are_there() -> None:
    names = " ".join(method.name for method in METHODS)
    for author in ("Moravec", "Kurzweil", "Sandberg and Bostrom", "Carlsmith", "State of Brain Emulation", "Merkle"):
        assert author in names
    levels = [m for m in METHODS if m.key.startswith("sandberg_bostrom_")]
    assert [m.published[0] for m in levels] == [1e15, 1e18, 1e22, 1e25, 1e26, 1e27, 1e30, 1e43]


def test_agreement_by_construction_is_said() -> None:
    for method in METHODS:
        read_off = method.key.startswith("sandberg_bostrom_") or method.key == "carlsmith_visual"
        assert method.by_construction == read_off, method.key


def test_how_sure_each_input_is_stands_beside_it() -> None:
    said = {factor.checked for method in METHODS for factor in method.factors.values()}
    assert {word.split(":")[0].split(",")[0] for word in said} == {"yes", "derived", "recalled", "reconstructed"}
    by_key = {method.key: method.sure for method in METHODS}
    assert (by_key["moravec_1998"], by_key["kurzweil_1999"], by_key["modha_2009"]) == ("4 of 4", "3 of 3", "")


@pytest.mark.parametrize(
    ("key", "value"),
    [("moravec_1998", 1e14), ("kurzweil_2005_hearing", 1e14), ("kurzweil_2005_cerebellum", 1e15),
     ("kurzweil_2005_upload", 1e19), ("kurzweil_1999", 2e16), ("merkle_1989_synapses", 1e16)],
)  # fmt: skip
def test_a_figure_that_is_published_as_a_product_is_that_product(key: str, value: float) -> None:
    method = next(m for m in METHODS if m.key == key)
    assert method.computed == (pytest.approx(value), pytest.approx(value))


def test_the_memory_of_the_levels_is_an_independent_check() -> None:
    published = {3: 1e14, 4: 1e16, 5: 1e16, 6: 1e18, 7: 1e19, 8: 1e20, 9: 1e21, 10: 1e26}  # bytes; FHI 2008-3
    for level, said in published.items():
        method = next(m for m in METHODS if m.key == f"sandberg_bostrom_{level}")
        assert agrees(method.memory, said, 0), level


@pytest.mark.parametrize("row", table("organisms"), ids=lambda row: row["organism"])
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("end", ["low", "high"])
def test_state_of_brain_emulation_comes_out_of_its_own_tables(row, law: str, end: str) -> None:
    got = LAWS[law](Organism.of(row), *(LOW if end == "low" else HIGH))
    said = float(row[f"{law}_{end}"])
    if (row["organism"], law, end) == ("human (brain)", "event", "high"):
        without = LAWS[law](Organism(name="", neurons=0, synapses=1.7e14, firing=10), *HIGH)
        assert agrees(without, said, 3), "the published figure leaves the neurons out"
        assert got == pytest.approx(3.83e17, rel=0.01)
        return
    assert got == pytest.approx(said, rel=0.005)


def test_each_input_of_a_simulation_can_be_set_and_moves_its_own_end() -> None:
    before = next(m for m in METHODS if m.key == "sobe_2025_event")
    after = next(m for m in methods(["sobe_2025_event.synapse_low=40"], draws=200) if m.key == before.key)
    assert before.factors["synapse_low"].value == 20
    assert after.computed[0] == pytest.approx(before.computed[0] + 20 * 1.7e14 * 10, rel=1e-9)
    assert after.computed[1] == before.computed[1]
    assert after.gap == "set by the user"


def test_a_range_in_the_inputs_becomes_a_range_in_the_answer() -> None:
    carlsmith = next(m for m in METHODS if m.key == "carlsmith_mechanistic")
    assert carlsmith.computed == pytest.approx((1e13, 1e17))
    assert 1e13 < carlsmith.quantity.p10 < carlsmith.quantity.p50 < carlsmith.quantity.p90 < 1e17


def test_what_divides_divides() -> None:
    landauer = next(m for m in METHODS if m.key == "carlsmith_limit")
    assert landauer.quantity.value == pytest.approx(20 / 2.97e-21)
    assert landauer.quantity.p10 >= 12 / 2.97e-21


def test_every_input_of_every_method_can_be_set() -> None:
    for method in METHODS:
        for name, factor in method.factors.items():
            new = next(m for m in methods({f"{method.key}.{name}": 2 * factor.value}, draws=100) if m.key == method.key)
            assert new.factors[name].value == pytest.approx(2 * factor.value)
            assert new.quantity.value != method.quantity.value
            assert new.gap


def test_an_unknown_input_is_refused_with_its_neighbours() -> None:
    with pytest.raises(NotFoundError, match=r"kurzweil_1999\.rate"):
        methods(["kurzweil_1999.rates=3"])
    with pytest.raises(UsageError, match="one number"):
        methods(["sobe_2025_time.neurons=1..2"])


@given(st.floats(1, 9.9), st.integers(10, 40))
def test_a_figure_agrees_with_itself_however_it_is_rounded(number: float, power: int) -> None:
    value = number * 10.0**power
    for digits in (1, 2, 3):
        assert agrees(value, float(f"{value:.{digits - 1}e}"), digits)
    assert not agrees(value, value * 11, 0)

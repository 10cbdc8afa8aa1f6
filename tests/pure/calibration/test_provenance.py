"""Each constant that an estimate took says which table gave it, what it is, and whether it was fitted."""

from __future__ import annotations

import pytest

from machines import selene
from rigwise.calibration.provenance import constants, provenance
from rigwise.cost.efficiencies import current, using
from rigwise.cost.estimate import Question
from rigwise.cost.explain import explain
from rigwise.layouts.layout import Layout
from rigwise.models.zoo import load

FOUND = constants(
    explain(
        Question(model=load("gpt3-1.3b", seq=1024), cluster=selene(16), batch=64, stack="megatron"), Layout(dp=16)
    ).reads
)


@pytest.mark.parametrize("constant", FOUND, ids=lambda constant: constant.path)
def test_a_constant_is_the_value_of_the_table_that_gives_it(constant) -> None:
    layer, _, rest = constant.path.partition(".")
    name, key = rest.rpartition(".")[::2]
    given = constant.given.partition(".")[2]
    assert current()[layer][given][key] == constant.value
    assert given == name or key not in current()[layer].get(name, {})
    assert set(constant.to_dict()) == {"path", "value", "file", "table", "says", "origin", "prior"}


def test_what_is_fitted_is_told_from_what_is_a_prior() -> None:
    by_path = {constant.path: constant for constant in FOUND}
    assert by_path["device.ampere.matmul_tensor"].fitted
    assert by_path["device.ampere.matmul_tensor"].given == "device.ampere"
    assert not by_path["device.ampere.host_power"].fitted
    assert by_path["device.ampere.host_power"].given == "device.default"
    assert by_path["device.ampere.host_power"].prior == by_path["device.ampere.host_power"].value
    assert "partial wave" in by_path["device.ampere.waves"].says


def test_other_tables_are_told_as_they_are_used() -> None:
    tables = {**current(), "provenance": "my own"}
    with using(tables):
        assert provenance() == "my own"

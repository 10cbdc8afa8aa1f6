"""`rigwise brain`: the JSON's contract, what people read, and what is refused."""

from __future__ import annotations

import re
import struct
from xml.etree import ElementTree

import pytest

QUANTITY = {"value", "p10", "p50", "p90", "unit", "source"}
COMMANDS = ["estimate", "compare", "machines --device h100", "forecast", "neuron granule"]


def quantities(node: object, path: str = "") -> list[tuple[str, dict]]:
    """Everything in a payload that has a value and a unit."""
    if isinstance(node, list):
        return [found for place, item in enumerate(node) for found in quantities(item, f"{path}[{place}]")]
    if not isinstance(node, dict):
        return []
    own = [(path, node)] if {"p10", "p90"} & set(node) else []
    return own + [found for key, item in node.items() for found in quantities(item, f"{path}.{key}")]


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_every_quantity_has_value_percentiles_unit_and_source(command: str, call) -> None:
    said = call("brain", *command.split(), "--json").json
    assert said["schema_version"] == 1
    found = quantities(said)
    assert found
    for path, q in found:
        assert set(q) >= QUANTITY, path
        assert q["unit"], path
        assert q["source"], path
        if None not in (q["p10"], q["p50"], q["p90"]):
            assert q["p10"] <= q["p50"] <= q["p90"], path
    assert len(said["cannot_say"]) > 3


def test_estimate_is_the_article_s_bound(call) -> None:
    said = call("brain", "estimate", "--json", "--draws", "2000").json
    assert f"{said['flops']['value']:.3e}" == "1.075e+21"
    assert said["lower_bound"] is True
    assert {"learning", "glia", "cortical_dendrites"} <= set(said["left_out"])
    assert set(said["terms"]) == {"purkinje", "granule", "cortex", "other"}
    assert abs(sum(share["first"] for share in said["sobol"]) - 1) < 0.1


def test_inputs_are_set_and_omissions_switched_in(call) -> None:
    words = (
        "--set",
        "synapses_per_neuron=8000",
        "--set",
        "rate=50..500",
        "--include",
        "learning,glia",
        "--draws",
        "500",
    )
    said = call("brain", "estimate", *words, "--json").json
    assert said["parameters"]["synapses_per_neuron"]["value"] == 8000
    assert said["parameters"]["granule_rate"]["p10"] == pytest.approx(50)
    assert said["include"] == ["learning", "glia"]


@pytest.mark.parametrize("width", [60, 132])
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_wider_than_the_terminal(command: str, width: int, call, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = call("brain", *command.split())
    assert said.code == 0, said.err
    assert max(len(line) for line in said.out.splitlines()) <= width


@pytest.mark.parametrize("command", COMMANDS[:-1])
def test_the_box_of_limits_is_there_and_quiet_leaves_it_out(command: str, call) -> None:
    assert "what this cannot say" in call("brain", *command.split()).out
    assert "cannot say" not in call("brain", *command.split(), "--quiet").out


def test_estimate_lists_its_inputs_when_asked(call) -> None:
    assert "system_price_factor" not in call("brain", "estimate", "--draws", "500").out
    assert "system_price_factor" in call("brain", "estimate", "--draws", "500", "--inputs").out


def test_compare_says_what_is_reproduced_and_why_not(call) -> None:
    out = call("brain", "compare").out
    assert re.search(r"State of Brain Emulation, event driven .* no", out)
    assert "leaves the neurons out" in " ".join(out.split())
    assert re.search(r"Dettmers.* 1.075e21 +yes", out)


def test_machines_shows_the_five_measures_side_by_side(call) -> None:
    out = call("brain", "machines", "--device", "h100").out
    for head in ("peak", "LINPACK", "HPCG", "this network", "its wires", "El Capitan", "Colossus"):
        assert head in out
    assert (
        call("brain", "machines", "--device", "h100,b200", "--flops", "1e18", "--json").json["needed"]["value"] == 1e18
    )


def test_forecast_says_the_year_and_the_chance_of_none(call) -> None:
    said = call("brain", "forecast", "--limits", "atoms,energy", "--json").json
    assert said["crossing"]["limits"] == ["atoms", "energy"]
    assert 0 < said["crossing"]["none"] < 1
    out = call("brain", "forecast").out
    assert "do not reach it by 2100" in out
    for year in ("2037", "2053", "2078"):
        assert year in out


@pytest.mark.parametrize(
    ("command", "figure"),
    [("estimate", "usd_per_kwh"), ("compare", "kurzweil_1999.rate"), ("forecast", "energy.share.hpcg")],
)
def test_what_can_be_set_is_listed(command: str, figure: str, call) -> None:
    assert figure in call("brain", command, "--inputs").out
    assert figure not in call("brain", command).out


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("estimate --set synapse_per_neuron=3", "synapses_per_neuron"),
        ("estimate --set rates=3", "rate"),
        ("compare --set kurzweil_1999.rat=3", "kurzweil_1999.rate"),
        ("forecast --set energy.wats=3", "energy.watts"),
        ("machines --set sobe_2025_event.firin=3", "sobe_2025_event.firing"),
        ("neuron granule --set row=3", "rows"),
    ],
)
def test_a_bad_name_gives_the_nearest(line: str, near: str, call) -> None:
    said = call("brain", *line.split())
    assert said.code == 4
    assert near in said.err


def test_neuron_draws_the_walk_and_the_run(call) -> None:
    out = call("brain", "neuron", "granule").out
    assert "dendritic spike" in out
    assert "max-pooling" in out
    assert re.search(r"released +\S", out)
    plain = call("brain", "neuron", "granule", "--json").json
    assert len(plain["series"]["released"]) == 60
    assert sum(plain["blocks"].values()) == plain["flop_per_evaluation"] == 9160
    assert [row["id"] for row in plain["walk"]][-1] == "release"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_picture_is_an_svg_or_a_png_and_nothing_else(command: str, call, tmp_path) -> None:
    said = call("brain", *command.split(), "--picture", "out.svg", "--json")
    assert said.json["schema_version"] == 1
    assert (tmp_path / "out.svg").read_text().startswith("<svg")
    call("brain", *command.split(), "--picture", "out.png", "--quiet")
    width, height = struct.unpack(">II", (tmp_path / "out.png").read_bytes()[16:24])
    box = ElementTree.parse(tmp_path / "out.svg").getroot().attrib
    assert (width, height) == (round(2 * float(box["width"])), round(2 * float(box["height"])))
    refused = call("brain", *command.split(), "--picture", "out.jpg")
    assert refused.code == 2
    assert ".svg" in refused.err


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (2, "estimate --set rate"),
        (2, "estimate --set rate=quick"),
        (4, "estimate --set rates=3"),
        (4, "estimate --include lerning"),
        (2, "estimate --draws 10"),
        (2, "machines --flops many"),
        (2, "machines --shape spheres"),
        (4, "machines --device h1000"),
        (2, "forecast --target soon"),
        (2, "forecast --until 2020"),
        (4, "forecast --limits time"),
        (4, "compare --set kurzweil.rate=3"),
        (2, "neuron granule --rate 0"),
        (2, "neuron pyramidal"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(code: int, line: str, call) -> None:
    said = call("brain", *line.split())
    assert said.code == code, said.err
    assert "Traceback" not in said.err

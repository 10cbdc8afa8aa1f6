"""Pictures of the brain: well-formed, all words inside the page, bars as long as what they stand for."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from rigwise import api
from rigwise.report.brain_board import exponent, powers
from rigwise.report.brain_compare import compare_svg
from rigwise.report.brain_estimate import estimate_svg
from rigwise.report.brain_forecast import forecast_svg
from rigwise.report.brain_machines import machines_svg
from rigwise.report.brain_neuron import neuron_svg

SVG = "{http://www.w3.org/2000/svg}"
_WIDE = 6.2  # pixels of a usual character at 12 pixels; a title's is wider


def drawn() -> dict[str, str]:
    return {
        "estimate": estimate_svg(api.brain_estimate(draws=3000)),
        "estimate-all": estimate_svg(api.brain_estimate(draws=3000, include=["all"])),
        "compare": compare_svg(api.brain_compare()),
        "machines": machines_svg(api.brain_machines(["h100", "tpu-v5p"])),
        "events": machines_svg(api.brain_machines(shape="events")),
        "forecast": forecast_svg(api.brain_forecast()),
        "forecast-all": forecast_svg(api.brain_forecast(metric="linpack", limits=["all"], until=2200)),
        "neuron": neuron_svg(api.brain_neuron("granule")),
    }


PICTURES = drawn()


@pytest.mark.parametrize("name", PICTURES)
def test_all_words_and_shapes_are_inside_the_page(name: str) -> None:
    tree = ElementTree.fromstring(PICTURES[name])
    width, height = float(tree.get("width")), float(tree.get("height"))
    for text in tree.iter(f"{SVG}text"):
        if text.get("transform"):
            continue
        x, y = float(text.get("x")), float(text.get("y"))
        long = len(text.text or "") * _WIDE * (1.3 if text.get("class") == "title" else 1.0)
        left = {"start": x, "middle": x - long / 2, "end": x - long}[text.get("text-anchor")]
        assert left >= -2, text.text
        assert left + long <= width + 4, text.text
        assert 0 < y < height
    for key, end in (("x", width), ("x1", width), ("x2", width), ("cx", width), ("y1", height), ("cy", height)):
        for shape in tree.iter():
            if shape.get(key):
                assert -0.1 <= float(shape.get(key)) <= end + 0.1, (shape.tag, key)


def test_the_spread_has_a_bar_for_every_full_bin_and_its_percentiles() -> None:
    tree = ElementTree.fromstring(PICTURES["estimate"])
    words = {text.text or "" for text in tree.iter(f"{SVG}text")}
    assert "point values" in words
    assert {"purkinje", "granule", "cortex", "other"} <= words
    assert sum(word.startswith(("p10 ", "p50 ", "p90 ")) for word in words) == 3


def test_the_tornado_s_bars_are_as_long_as_the_logarithm_of_their_swing() -> None:
    e = api.brain_estimate(draws=3000)
    tree = ElementTree.fromstring(PICTURES["estimate"])
    wide: dict[str, float] = {}
    for rect in tree.iter(f"{SVG}rect"):
        title = rect.find(f"{SVG}title")
        if title is not None and " at its p" in (title.text or ""):
            name = title.text.split(" at its ")[0]
            wide[name] = wide.get(name, 0.0) + float(rect.get("width"))
    swings = {bar.name: np.log(bar.swing) for bar in e.bars if bar.name in wide}
    scale = wide["purkinje_rate"] / swings["purkinje_rate"]
    for name, swing in swings.items():
        if name != "purkinje_cells":  # its p90 is the point value: one bar
            assert wide[name] == pytest.approx(scale * swing, rel=0.02)


def test_no_dot_of_a_machine_hides_another() -> None:
    for name in ("machines", "events"):
        dots = [dot for dot in ElementTree.fromstring(PICTURES[name]).iter(f"{SVG}circle") if dot.get("r") == "6"]
        spots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in dots]
        assert len(spots) > 10
        for place, (x, y) in enumerate(spots):
            assert all(np.hypot(x - a, y - b) >= 11.9 for a, b in spots[:place])


def test_every_method_has_its_row() -> None:
    words = {text.text for text in ElementTree.fromstring(PICTURES["compare"]).iter(f"{SVG}text")}
    for method in api.brain_compare().methods:
        assert f"{method.name}, {method.year}" in words


def test_biology_and_network_stand_side_by_side() -> None:
    from rigwise.brain.mapping import blocks

    tree = ElementTree.fromstring(PICTURES["neuron"])
    at = {text.text: (float(text.get("x")), float(text.get("y"))) for text in tree.iter(f"{SVG}text")}
    for row in blocks():
        (left, high), (right, same) = at[row["biology"]], at[row["network"]]
        assert left < 400 < right
        assert high == same


def test_powers_of_ten() -> None:
    assert len(powers(1e12, 1e44)) <= 10
    assert [exponent(value) for value in powers(0.5, 1e3)] == ["10⁰", "10¹", "10²", "10³"]

"""The validation page and its pictures: each aim told, links that lead somewhere, a mark a row, the same text twice."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

import pytest

from outcomes import outcome
from rigwise.calibration.aims import aims
from rigwise.calibration.figures import SCHEMES
from rigwise.calibration.outcomes import Outcome, Summary
from rigwise.calibration.peers import Beside
from rigwise.calibration.validation import PEER, Validation
from rigwise.measurements.published import rows
from rigwise.report.ranks import _better
from rigwise.report.scatter import decades, panels_of, scatter_svg, short
from rigwise.report.validation import pages

SVG = "{http://www.w3.org/2000/svg}"
_EACH = 7  # every so manieth of the rows that are carried, predicted by hand


@cache
def made() -> Validation:
    """Carried rows, predicted now too high, now too low, by shares that follow from their place."""
    outcomes: list[Outcome] = []
    for place, row in enumerate(rows()):
        if place % _EACH == 0 or "seqsel_tab5" in row.source or "ground_truth" in row.source or row.family == "bert":
            value = (row.value or 1.0) * (1 + 0.3 * ((place * 37) % 21 - 10) / 10)
            device = row.device.lower().replace(" ", "-")
            outcomes.append(Outcome(row=row, predicted=value, low=value / 1.2, high=value * 1.2, device=device))
    outcomes.append(outcome("refused-1", 1.0, None))
    return Validation(table="some tables", schemes=dict.fromkeys(SCHEMES, tuple(outcomes)), crossed=True)


@cache
def texts() -> dict[str, str]:
    return dict(pages(made(), "validation.md"))


def test_the_page_tells_every_aim_with_its_verdict() -> None:
    page = texts()["validation.md"]
    told = [line for line in page.split("### Where an aim is missed")[0].splitlines() if line.startswith("| ")]
    for aim in aims():
        lines = [line for line in told if line.startswith(f"| {aim.rows} |")]
        assert len(lines) == len(aim.figures), aim.id
        assert all(line.endswith(("| met |", "| **missed** |")) for line in lines), aim.id
    assert page.startswith("# Validation\n")
    assert {"## Intervals", "## Layout sweeps", "## Beside the peers", "## Which card is faster"} <= set(
        re.findall(r"^## .*$", page, re.MULTILINE)
    )


def test_what_is_left_out_is_named() -> None:
    page = texts()["validation.md"]
    for o in made().schemes["shipped"]:
        if o.flag in ("suspect", "unverified"):
            assert o.row.id in page
    assert "composed: 32 cells" in page
    assert "| refused | 1 |" in page


def test_tables_have_as_many_cells_as_their_heads() -> None:
    width = 0
    for line in texts()["validation.md"].splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        width = width or line.count("|")
        assert line.count("|") == width, line


def test_each_picture_that_the_page_shows_is_written_and_none_else() -> None:
    shown = set(re.findall(r"\]\((pictures/[^)]+)\)", texts()["validation.md"]))
    assert shown == texts().keys() - {"validation.md"}
    assert len(shown) >= 7


@pytest.mark.parametrize("name", ["llm", "bert", "convnets", "products", "convolutions", "collectives", "memory"])
def test_a_picture_is_well_formed_and_has_a_mark_a_row(name: str) -> None:
    tree = ElementTree.fromstring(texts()[f"pictures/validation-{name}.svg"])
    marks = "".join(p.get("d", "") for p in tree.iter(f"{SVG}path") if "marks" in p.get("class", ""))
    whiskers = "".join(p.get("d", "") for p in tree.iter(f"{SVG}path") if "whiskers" in p.get("class", ""))
    told = [text.text or "" for text in tree.iter(f"{SVG}text")]
    rows_told = sum(int(n.replace(",", "")) for text in told for n in re.findall(r"^([\d,]+) rows, median", text))
    assert marks.count("M") == whiskers.count("M") == rows_told > 0
    width, height = float(tree.get("width")), float(tree.get("height"))
    for x, y in re.findall(r"M(-?[\d.]+) (-?[\d.]+)", marks + whiskers):
        assert 0 < float(x) < width
        assert 0 < float(y) < height


def test_the_same_outcomes_give_the_same_texts() -> None:
    assert dict(pages(made(), "validation.md")) == texts()


def test_marks_stand_where_the_axes_say() -> None:
    exact = [outcome("a-1", 1.0, 1.0), outcome("a-2", 10.0, 10.0), outcome("a-3", 100.0, 100.0)]
    tree = ElementTree.fromstring(scatter_svg("steps", panels_of({"seconds": ["step_s"]}, exact)))
    (marks,) = [p.get("d") for p in tree.iter(f"{SVG}path") if "marks" in p.get("class", "")]
    points = [(float(x), float(y)) for x, y in re.findall(r"M([\d.]+) ([\d.]+)", marks)]
    (x1, y1), (x2, y2), (x3, _) = points
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2), "a decade is as wide everywhere"
    assert x2 - x1 == pytest.approx(y1 - y2, abs=0.2), "both axes are alike, so a perfect row is on the diagonal"


def test_the_json_has_the_aims_and_the_peers() -> None:
    said = made().to_dict()
    assert {entry["id"] for entry in said["aims"]} == {aim.id for aim in aims()}
    assert {entry["who"] for entry in said["peers"]} == {"rigwise", "Calculon"}
    assert len(said["composed"]) == 694
    assert "seconds" not in said


def test_ticks_of_logarithmic_axes_are_few_and_round() -> None:
    for low, high in ((1e-3, 1e6), (0.2, 7.0), (40.0, 90.0), (3.0, 3e3)):
        assert 1 <= len(decades(low, high)) <= 10
    assert short(1e5) == "100k"


def test_where_a_peer_is_better_it_is_said() -> None:
    facts = {"summary": Summary(rows=3, supported=3, mean=0.1, median=0.05), "sweeps": 1, "rank": None}
    pair = [
        Beside(rows="some rows", who=who, regret=regret, worst=0.2, **facts)
        for who, regret in ((PEER, 0.0), ("rigwise", 0.1))
    ]
    assert _better(pair) == f"Where {PEER} is the better of the two: some rows, mean regret: 0.0% against 10.0%."
    assert _better(pair[::-1]) == _better(pair)
    assert _better([replace(one, regret=0.1) for one in pair]) == ""

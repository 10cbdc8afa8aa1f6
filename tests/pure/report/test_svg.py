"""Pictures: well-formed, labelled, nothing outside the page, and every bar as long as its seconds."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise import api
from rigwise.report.pictures import TIME_PARTS, hue, plan_svg, scale_svg
from rigwise.report.svg import Board, legend, spread, ticks

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def planned() -> object:
    return api.plan("gpt2", "8xv100", batch=64, top=4)


@pytest.fixture(scope="module")
def scaled() -> object:
    return api.scale("resnet50", "8xv100", batch=512)


def words(tree: ElementTree.Element) -> list[str]:
    return [text.text or "" for text in tree.iter(f"{SVG}text")]


def inside(tree: ElementTree.Element) -> bool:
    width, height = float(tree.get("width")), float(tree.get("height"))
    xs = [float(e.get(k)) for e in tree.iter() for k in ("x", "x1", "x2", "cx") if e.get(k)]
    ys = [float(e.get(k)) for e in tree.iter() for k in ("y", "y1", "y2", "cy") if e.get(k)]
    return 0 <= min(xs) <= max(xs) <= width and 0 <= min(ys) <= max(ys) <= height


def test_a_plan_is_drawn_with_units_and_inside_its_page(planned) -> None:
    tree = ElementTree.fromstring(plan_svg(planned))
    said = words(tree)
    assert any(re.fullmatch(r"time of one step \((ms|s|us|min)\)", word) for word in said)
    assert "memory of the fullest device (GiB)" in said
    assert {str(e.layout) for e in planned.layouts} <= set(said)
    assert inside(tree)


def test_a_bar_is_as_long_as_its_seconds(planned) -> None:
    tree = ElementTree.fromstring(plan_svg(planned))
    drawn: dict[str, float] = {}
    for rect in tree.iter(f"{SVG}rect"):
        title = rect.find(f"{SVG}title")
        if title is not None and ": " in (title.text or ""):
            drawn[rect.get("y")] = drawn.get(rect.get("y"), 0.0) + float(rect.get("width"))
    lengths = [length for _, length in sorted(drawn.items(), key=lambda item: float(item[0]))]
    steps = [e.step_s for e in planned.layouts]
    assert [length / lengths[0] for length in lengths] == pytest.approx([s / steps[0] for s in steps], rel=0.01)


def test_parts_have_their_own_hues() -> None:
    assert len({hue(part) for part in TIME_PARTS}) >= len(TIME_PARTS) - 1
    assert hue("never heard of") == 10


def test_the_speed_up_names_its_axes_and_each_way_that_has_a_point(scaled) -> None:
    tree = ElementTree.fromstring(scale_svg(scaled))
    said = words(tree)
    assert {"devices", "times as fast as one device", "perfect", *scaled.curves} <= set(said)
    assert len(list(tree.iter(f"{SVG}circle"))) == sum(e is not None for row in scaled.curves.values() for e in row)
    assert inside(tree)


def test_it_reads_on_light_and_on_dark(planned) -> None:
    style = plan_svg(planned).partition("</style>")[0]
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    assert {"#1b1f24", "#ffffff"} <= set(re.findall("#[0-9a-f]{6}", light))
    assert {"#e8eaed", "#16191d"} <= set(re.findall("#[0-9a-f]{6}", dark))


def test_a_legend_is_wrapped_at_its_right_end_and_says_where_it_ends() -> None:
    board = Board(300, 100, "legend")
    assert legend(board, 10, 20, [(0, "one"), (1, "two"), (2, "three")], right=130) == 20 + 2 * 18
    tree = ElementTree.fromstring(board.svg())
    assert [float(text.get("y")) for text in tree.iter(f"{SVG}text")] == [20, 20, 38]
    assert max(float(text.get("x")) for text in tree.iter(f"{SVG}text")) < 130


def test_names_are_escaped() -> None:
    board = Board(10, 10, 'a "quoted" <name>')
    board.text(1, 1, "<b> & c")
    board.bar(1, 1, 1, 1, 0, "<t>")
    assert words(ElementTree.fromstring(board.svg())) == ["<b> & c"]


@given(st.floats(1e-9, 1e9))
def test_ticks_start_at_zero_step_evenly_and_end_inside(high: float) -> None:
    values = ticks(high)
    assert values[0] == 0
    assert 2 <= len(values) <= 12
    assert values[-1] <= high * (1 + 1e-6)
    steps = [b - a for a, b in pairwise(values)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)


@given(st.lists(st.floats(0, 500), min_size=1, max_size=6))
def test_labels_do_not_touch(heights: list[float]) -> None:
    placed = sorted(spread(heights, 13))
    assert all(b - a >= 13 - 1e-9 for a, b in pairwise(placed))


def test_a_pipeline_is_drawn_stage_by_stage_and_as_long_as_its_passes() -> None:
    piped = api.plan("gpt2", "8xv100", batch=64, top=1, fix={"pp": 4, "vpp": 1})
    picture = plan_svg(piped)
    tree = ElementTree.fromstring(picture)
    assert {f"stage {i}" for i in range(4)} <= set(words(tree))
    assert inside(tree)
    shapes = {p.find(f"{SVG}title").text: p.get("d") for p in tree.iter(f"{SVG}path")}
    assert len(shapes) == 8
    drawn = {says: sum(float(w) for w in re.findall(r"h([0-9.]+)v", steps)) for says, steps in shapes.items() if steps}
    walk, schedule = piped.timeline.walk, piped.timeline.schedule
    took = {
        f"{name} passes of stage {i}": sum(
            float(end - start)
            for action, start, end in zip(schedule[i], walk.start[i], walk.end[i], strict=True)
            if action.kind == kind
        )
        for i in range(4)
        for kind, name in (("F", "forward"), ("B", "backward"))
    }
    scale = sum(drawn.values()) / sum(took.values())
    assert drawn == pytest.approx({says: seconds * scale for says, seconds in took.items()}, rel=0.02)


def test_no_pipeline_draws_none(planned) -> None:
    alone = api.plan("gpt2", "8xv100", batch=64, top=1, fix={"pp": 1})
    assert "stage 0" not in plan_svg(alone)

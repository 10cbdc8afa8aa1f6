"""Every room in a real browser: it answers, its address is its state, its charts have tables, it fits a telephone."""

from __future__ import annotations

from pathlib import Path

import pytest

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SMALL = "plan?model=gpt2&cluster=4xrtx-3090&batch=64"
STATES = (SMALL, "gpu", "machine?device=rtx-3090&count=2", "run", "convolution", "parallel", "brain", "validation")


@pytest.fixture
def enter(visit, request):
    """Open a state of the page; the back-test is told in the place of the server, for it takes a minute."""

    def go(state: str):
        if state != "validation":
            return visit.go(state)
        visit.tell_validation(request.getfixturevalue("backtest"))
        visit.go(state, answered=False).wait_for_selector("[data-view=points]")
        return visit.page

    return go


@pytest.mark.parametrize("state", STATES)
def test_a_room_answers_and_fits_a_desk_and_a_telephone(enter, state) -> None:
    page = enter(state)
    assert page.locator("h2").inner_text()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        "() => [...document.querySelectorAll('.wide:has(table)')]"
        ".filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.ariaLabel + ' ' + one.scrollWidth)"
    )
    assert not wide, "on a telephone every cell of a table is seen"


@pytest.mark.parametrize("state", [state for state in STATES if state != "run"])  # its charts come with a run
def test_every_chart_has_its_table(enter, state) -> None:
    page = enter(state)
    views = page.locator("[data-view]")
    assert views.count() >= 1
    for place in range(views.count()):
        view = views.nth(place)
        view.get_by_role("button", name="Table").click()
        assert view.locator("tbody tr").count() >= 1
        assert "NaN" not in view.inner_text()
    page.wait_for_url("**tables=**")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
@pytest.mark.parametrize("state", [*STATES, SMALL + "&scale=1&whynot=dp=4", "brain?tables=neuron|terms"])
def test_axe_finds_nothing_serious(visit, enter, state, scheme, width) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make page")
    page = visit.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    enter(state)
    if "scale=1" in state:
        page.wait_for_selector("[data-view=scale]")
    page.wait_for_load_state("networkidle")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")
    bad = [row for row in found["violations"] if row["impact"] in ("serious", "critical")]
    assert not bad, [(row["id"], [node["target"] for node in row["nodes"][:5]]) for row in bad]


def test_a_link_shares_the_state_and_back_undoes_a_choice(visit) -> None:
    page = visit.go(SMALL + "&objective=memory")
    assert page.locator("#objective").input_value() == "memory"
    page.locator("#objective").select_option("time")
    page.wait_for_url("**objective=time**")
    page.go_back()
    page.wait_for_function("() => document.querySelector('#objective').value === 'memory'")


def test_a_step_of_a_slider_brings_its_own_answer(visit) -> None:
    page = visit.go(SMALL)
    page.locator("#batch").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-answer*='--batch 128']")
    page.wait_for_url("**batch=128**")


def test_a_model_is_found_by_typing_and_chosen_by_keys(visit) -> None:
    page = visit.go(SMALL)
    page.locator("#model").click()
    page.keyboard.type("gpt2 med")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-answer*='gpt2-medium']")


def test_a_layout_can_be_chosen_and_one_of_ones_own_compared(visit) -> None:
    page = visit.go(SMALL)
    second = page.locator("tbody td button").nth(1)
    spelling = second.inner_text()
    second.click()
    page.wait_for_url("**layout=**")
    assert spelling in page.locator(".best").inner_text()
    page.locator("#whynot").fill("dp=3")
    page.get_by_role("button", name="Compare").click()
    page.locator("[role=alert]").wait_for()
    assert "rule" in page.locator("[role=alert]").inner_text()
    visit.allow("422")


def test_the_timeline_zooms_by_keys_and_shows_every_rank(visit) -> None:
    page = visit.go("plan?model=gpt3-1.3b&cluster=8xa100-sxm-80gb&batch=64&fix=pp=2")
    canvas = page.locator("[data-view=timeline] canvas")
    canvas.wait_for()
    before = canvas.screenshot()
    canvas.focus()
    page.keyboard.press("+")
    page.wait_for_timeout(100)
    assert canvas.screenshot() != before
    page.get_by_role("button", name="Every rank").click()
    page.wait_for_url("**lanes=ranks**")
    page.locator("[data-view=timeline]").get_by_role("button", name="Table").click()
    assert "rank 0" in page.locator("[data-view=timeline] tbody").inner_text()


def test_every_control_is_reached_by_keys(visit) -> None:
    page = visit.go(SMALL)
    page.wait_for_selector("[data-view=timeline] canvas")
    page.wait_for_load_state("networkidle")
    page.evaluate(
        "() => { window.reached = new Set();"
        " document.addEventListener('focusin', (event) => window.reached.add(event.target)); }"
    )
    for _ in range(page.locator("a, button, input, select, [tabindex='0'], summary").count() + 2):
        page.keyboard.press("Tab")
    left = page.evaluate(
        "() => [...document.querySelectorAll('a, button, input, select, [tabindex=\"0\"], summary')]"
        ".filter((one) => !one.disabled && one.offsetParent && !window.reached.has(one)).map((one) => one.outerHTML)"
    )
    visit.allow("422")  # of a value that somebody who only passes by was not going to ask for
    assert not left


def test_an_algorithm_of_the_map_is_chosen_by_keys(visit) -> None:
    page = visit.go("convolution")
    page.get_by_label("The map of algorithms").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_url("**cell=3.**")
    assert "3 × 3 on" in page.locator("[data-view=algorithms] [role=status]").inner_text()


def test_where_the_token_is_missing_the_page_asks_for_it(visit) -> None:
    page = visit.page
    page.goto(visit.address)
    page.locator("#token").fill(f"{visit.address}/#token=test-token")
    page.get_by_role("button", name="Enter").click()
    page.wait_for_selector("[data-answer]")
    visit.allow("401")


def test_the_first_view_is_light(visit) -> None:
    page, got = visit.page, []
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    wire.on("Network.loadingFinished", lambda told: got.append(told["encodedDataLength"]))
    visit.go("plan")
    page.wait_for_load_state("networkidle")
    assert sum(got) < 300_000, got


def test_nothing_is_asked_of_anybody_else(visit) -> None:
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.go("plan")
    assert asked
    assert all(url.startswith((visit.address, "data:", "blob:")) for url in asked)


def test_what_is_chosen_is_not_forgotten_in_dark(visit) -> None:
    page = visit.go("parallel")
    page.get_by_role("button", name="Dark colours").click()
    page.reload()
    assert page.evaluate("() => document.documentElement.dataset.theme") == "dark"


def test_a_run_is_watched_and_its_link_shows_it_again(visit, monkeypatch, tmp_path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install rigwise[run]")
    monkeypatch.chdir(tmp_path)
    page = visit.go("run?task=mlp&steps=20")
    page.get_by_role("button", name="Start").click()
    page.wait_for_selector("[data-view=compared]", timeout=60_000)
    page.wait_for_url("**job=**")
    page.locator("[data-history] tbody tr").wait_for()
    page.reload()
    page.wait_for_selector("[data-view=compared]")
    view = page.locator("[data-view=loss]")
    view.get_by_role("button", name="Table").click()
    assert view.locator("tbody tr").count() == 20


def test_measuring_tells_what_it_is_at_and_can_be_cancelled(visit, monkeypatch, tmp_path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: pip install rigwise[run]")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))  # where a history would be written
    page = visit.go("run?seconds=5")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.wait_for_url("**measured=**")
    page.locator("#measure-progress").wait_for()
    page.locator("[data-measuring]").get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled: settings that were not finished").wait_for()


def test_an_output_pixel_is_chosen_by_keys_and_by_pointing(visit) -> None:
    page = visit.go("convolution?at=3.3")
    out = page.locator("[data-output]")
    out.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_url("**at=4.3**")
    box = out.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.wait_for_url("**at=0.0**")
    assert "in the padding" in page.locator("[data-view=pixel] [role=status]").inner_text()


def test_kernels_are_laid_on_a_picture_of_ones_own(visit, tmp_path) -> None:
    import numpy as np

    from rigwise.convolution.png import encode

    (tmp_path / "mine.png").write_bytes(encode(np.full((300, 600, 3), 120, dtype=np.uint8)))
    page = visit.go("convolution?kernels=blur")
    page.locator("#file").set_input_files(tmp_path / "mine.png")
    page.wait_for_url("**image=own**")
    page.get_by_text("your picture, 256 × 128 pixels").wait_for()
    page.locator("#map-kernel").fill("0 0 0; 0 2 0; 0 0 0")
    page.keyboard.press("Enter")
    page.get_by_alt_text("under own: from 240 to 240").wait_for()


def test_validation_tells_its_progress_and_can_be_cancelled(visit) -> None:
    page = visit.go("validation", answered=False)
    page.get_by_role("button", name="Cancel").click(timeout=30_000)
    page.get_by_role("button", name="Start again").wait_for(timeout=30_000)


def test_a_report_holds_the_rooms_and_opens_with_no_server(visit, tmp_path, monkeypatch) -> None:
    from rigwise.web.onefile import MOST, report

    monkeypatch.chdir(tmp_path)
    place = tmp_path / "report.html"
    said = {"model": "gpt2", "cluster": "4xrtx-3090", "batch": 64, "optimizer": "adam"}
    place.write_text(report(said), encoding="utf-8")
    assert place.stat().st_size < MOST
    page, asked = visit.page, []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(place.as_uri())
    page.wait_for_selector("[data-view=timeline] canvas")
    assert "--batch 64" in page.locator(".same code").first.inner_text()
    rooms = page.locator("nav a")
    assert rooms.all_inner_texts() == [
        "Plan",
        "Which GPU",
        "Machine",
        "Run",
        "Convolution",
        "Parallelism explained",
        "Brain",
    ]
    for place in range(rooms.count()):
        rooms.nth(place).click()
        page.wait_for_selector("[data-view], [data-history]")
        page.wait_for_timeout(100)
        assert page.locator("[role=alert]").all_inner_texts() == []
    rooms.first.click()
    page.get_by_role("button", name="every number of GPUs").click()
    page.wait_for_selector("[data-view=scale]")
    page.locator("#batch").focus()
    page.keyboard.press("ArrowRight")
    assert "rigwise serve" in page.locator("[role=alert]").inner_text()
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)


def test_a_neuron_is_seen_at_work(visit) -> None:
    page = visit.go("brain?cell=granule&spikes=20")
    view = page.locator("[data-view=neuron]")
    view.get_by_role("button", name="Table").click()
    assert view.locator("tbody tr").count() >= 50


def test_a_layout_is_shown_in_the_words_of_another_framework(visit) -> None:
    page = visit.go(SMALL)
    page.get_by_role("button", name="torchtitan").click()
    page.locator("pre").wait_for()
    assert "global_batch_size 64" in page.locator("pre").inner_text()

"""Every state is in the address: whatever can be moved is moved, and a new tab with the address shows the same."""

from __future__ import annotations

import pytest

# What is written into a field; other controls are moved to another of their values.
TEXTS = {
    "model": "tinyllama-1.1b",
    "device": "a100-sxm-40gb",
    "whynot": "dp=8",
    "need-model": "bert-large",
    "need-work": "3e6 samples",
    "need-deadline": "30 d",
    "need-memory": "11 GiB",
    "need-own": "1x rtx-3090",
    "need-why_not": "rtx-4090",
    "rig-device": "rtx-4090",
    "rig-model": "resnet50",
    "rig-budget": "90000",
    "rig-network": "100 Gbit/s infiniband",
    "rig-circuit": "240 V 32 A",
    "rig-ram": "128 GiB",
    "rig-keep": "Corsair RM1000e",
    "run-layout": "dp=2",
    "pixel-kernel": "blur",
    "map-kernel": "0 1 0; 1 0 1; 0 1 0",
    "conv-device": "rtx-3090",
    "conv-model": "alexnet",
    "purkinje rate, a value or a range such as 50..500": "60..90",
}
# The state that each room begins with, and what is pressed after its controls were moved, in this order.
ROOMS = {
    "plan": (
        "plan?model=gpt2&cluster=4xrtx-3090&batch=16",
        ["Every rank", "Zoom in", "megatron", "every number of GPUs", "Compare", ":nth-match(tbody td button, 2)"],
    ),
    "gpu": ("gpu?model=resnet50", ["For the money"]),
    "machine": ("machine?device=rtx-3090&count=2", []),
    "machine, a list": ("machine?check=1&list=kind,name,count%0Agpu,GeForce RTX 3090,2", []),
    "run": ("run", []),
    "convolution": ("convolution", []),
    "parallel": ("parallel", []),
    "brain": ("brain?inputs=1", ["As events"]),
    "validation": ("validation", [":nth-match(:text('Show all'), 1)"]),
}
CONTROLS = """() => [...document.querySelectorAll('main input, main select, main textarea')]
  .filter((one) => one.type !== 'file' && !one.disabled)
  .map((one) => [one.id || one.ariaLabel || one.parentElement.innerText.trim(),
    one.type === 'checkbox' ? String(one.checked) : one.value, one.type])"""
SEEN = """() => ({
  controls: [...document.querySelectorAll('main input:not([type=file]), main select, main textarea')]
    .map((one) => one.type === 'checkbox' ? one.checked : one.value),
  pressed: [...document.querySelectorAll('main [aria-pressed]')].map((one) => one.ariaPressed),
  text: document.querySelector('main').innerText.split('\\n').filter((line) => !line.startsWith('Show more')),
})"""


def move(page, name: str, kind: str) -> None:
    """Give a control another value."""
    if kind == "checkbox":
        page.get_by_label(name, exact=True).click()
        return
    one = page.locator(f"[id='{name}']").or_(page.get_by_label(name, exact=True)).first
    if kind == "select-one":
        one.locator("option").nth(1).wait_for(state="attached")
        values = one.locator("option").evaluate_all("(some) => some.map((option) => option.value)")
        one.select_option(next(value for value in values if value not in (one.input_value(), "own", "cuda")))
    elif kind == "range":
        one.focus()
        page.keyboard.press("ArrowRight")
    elif kind == "number":
        one.fill("64")
        page.keyboard.press("Tab")
    elif kind == "textarea":
        one.fill("kind,name,count\ngpu,GeForce RTX 3090,3")
        page.get_by_role("button", name="Check it").click()
    else:
        one.click()
        one.fill(TEXTS[name])
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")


@pytest.mark.parametrize("room", ROOMS)
def test_every_state_of_a_room_is_in_its_address(visit, room, request) -> None:
    state, pressed = ROOMS[room]
    if room == "validation":
        visit.tell_validation(request.getfixturevalue("backtest"))
    page = visit.go(state, answered=False)
    page.wait_for_selector("[data-answer], [data-view]")
    page.wait_for_load_state("networkidle")
    before = dict(one[:2] for one in page.evaluate(CONTROLS))
    moved = [(name, kind) for name, _, kind in page.evaluate(CONTROLS)]
    if room == "brain":
        table = [one for one in moved if one[0].endswith("50..500")]
        moved = [one for one in moved if one not in table or one[0] in TEXTS]
    if room == "gpu":
        moved = [one for one in moved if one[0] not in ("used", "rent", "spot")]  # nothing chosen is all of them
    for name, kind in moved:
        move(page, name, kind)
    for what in pressed:
        button = page.locator(what) if what.startswith(":") else page.get_by_role("button", name=what)
        button.first.click()
    if room == "convolution":
        page.locator(".out").focus()
        page.keyboard.press("ArrowUp")
        page.get_by_label("The map of algorithms").focus()
        page.keyboard.press("ArrowDown")
    page.wait_for_timeout(300)  # the address is written a moment later
    after = dict(one[:2] for one in page.evaluate(CONTROLS))
    same = [name for name, _ in moved if after.get(name) == before[name] and name != "map-kernel"]
    assert not same, f"not moved: {same} in {page.url}"
    other = page.context.new_page()
    other.goto(page.url)
    for _ in range(100):  # until both have every answer
        seen, there = page.evaluate(SEEN), other.evaluate(SEEN)
        if seen == there:
            break
        page.wait_for_timeout(200)
    for name, told in seen.items():
        assert [pair for pair in zip(told, there[name], strict=True) if pair[0] != pair[1]] == []

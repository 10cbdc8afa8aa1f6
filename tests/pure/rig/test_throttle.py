"""What cards lose side by side and under a power limit, and what that costs the user's own step."""

from __future__ import annotations

from dataclasses import replace

import pytest

import rigwise
from rigs import build
from rigwise.rig.rules import findings
from rigwise.rig.throttle import air_loss, slowdown
from rigwise.rig.wiring import wiring_of

QUAD = (
    "epyc-7302p",
    "asrock-rack-romed8-2t",
    "samsung-128-gb-8-x-16-gb-ddr4-3200-rdimm",
    "samsung-980-pro-1tb",
    "silverstone-hela-2500rz",
    "phanteks-enthoo-pro-2",
    "noctua-nh-u14s-tr4-sp3",
)


def cooled(how: str, **options):
    machine = build("gigabyte-geforce-rtx-3090-turbo*4", *QUAD, **options)
    cards = machine.by_kind["gpu"][0]
    return machine.swapped("gpu", [replace(cards, part=replace(cards.part, cooling=how))])


@pytest.mark.parametrize(
    ("how", "loss"), [("open", (0.10, 0.25)), ("blower", (0.10, 0.15)), ("water", (0, 0)), ("hybrid", (0, 0))]
)
def test_four_cards_side_by_side_lose_what_article_3_says(how: str, loss: tuple[float, float]) -> None:
    assert air_loss(cooled(how)) == loss
    assert slowdown(cooled(how)) == pytest.approx(sum(loss) / 2)


def test_risers_and_a_server_s_wind_keep_cards_cool() -> None:
    assert slowdown(cooled("open", risers=True)) == 0
    assert slowdown(build("gigabyte-geforce-rtx-3090-turbo", *QUAD)) == 0


def test_a_power_limit_costs_a_little_and_takes_the_throttling_away() -> None:
    held = cooled("open", limit=250.25)  # 71.5 % of 350 W
    assert slowdown(held) == pytest.approx(0.06)
    half_way = cooled("open", limit=300.125)
    assert slowdown(half_way) == pytest.approx(1 - (1 - 0.175 / 2) * (1 - 0.03))


def test_throttling_lengthens_the_step_of_the_user_s_own_network() -> None:
    use = rigwise.rig("4xrtx-3090", model="resnet50", batch=256).use
    work, now = use.work, wiring_of(cooled("open"))
    lost = work.loss(now, replace(now, slow=0.0))
    assert 0.0 < lost <= 1 / (1 - 0.175) - 1 + 1e-9  # what waits for memory and for other GPUs does not throttle
    assert work.loss(replace(now, slow=0.25), now) > 0
    found = next(f for f in findings(cooled("open"), use) if f.rule == "adjacent")
    assert "% of the step" in found.says
    assert found.money == pytest.approx(lost * cooled("open").price, rel=1e-6)


def test_the_machine_s_step_and_cluster_are_those_of_throttling_cards() -> None:
    text = "GPU: 4x Gigabyte GeForce RTX 3090 Turbo\nCPU: EPYC 7302P\nMotherboard: ASRock Rack ROMED8-2T\n"
    bare = rigwise.check_rig(text + "Case: Open frame for 6 to 8 cards with risers\n", model="gpt2")
    boxed = rigwise.check_rig(text + "Case: Phanteks Enthoo Pro 2\n", model="gpt2")
    assert boxed.wiring.slow == pytest.approx(0.125)
    assert boxed.step_s > bare.step_s
    assert boxed.cluster.device.peak["float16"] == pytest.approx(bare.cluster.device.peak["float16"] * 0.875)

"""Every machine that is proposed passes the check; what cannot be is refused with what binds and what lifts it."""

from __future__ import annotations

import pytest

import rigwise
from rigwise.errors import InfeasibleError, NotFoundError, UsageError
from rigwise.report.partslist import markdown, parts_csv
from rigwise.report.topology import topology_svg
from rigwise.rig.rules import findings

ASKED = [
    ("1xrtx-3060-12gb", {}),
    ("2xrtx-3090", {"cooling": "blower"}),
    ("4xrtx-3090", {}),
    ("4xrtx-3090", {"power_limit": 280.0, "circuit": "230 V 16 A"}),
    ("2xrtx-4090", {"new": True}),
    ("4xrtx-a6000", {"new": True, "case": ["desktop"]}),
    ("8xrtx-3090", {}),
    ("8xl40s", {"new": True}),
    ("2xt4", {}),
    ("8xh100-sxm-80gb", {"ram": "1024"}),
    ("8xh200-sxm-141gb", {}),
    ("8xa100-sxm-80gb", {}),
    ("2x4xrtx-a6000", {"network": "100 Gbit/s infiniband"}),
    ("40x8xh100-sxm-80gb", {"network": "400 Gbit/s infiniband"}),
    ("1xrtx-5090", {"objective": "cost"}),
    ("2xrx-7900-xtx", {}),
]


@pytest.mark.parametrize(("gpus", "options"), ASKED, ids=[f"{gpus}-{i}" for i, (gpus, _) in enumerate(ASKED)])
def test_a_proposed_machine_passes_the_check(gpus: str, options) -> None:
    limit = options.pop("power_limit", None) if "power_limit" in options else None
    found = rigwise.rig(gpus, limit=limit, **options)
    assert found.passes
    graver = [f for f in findings(found.build, found.use) if f.severity in ("error", "warning")]
    assert graver == []
    assert found.proof is not None
    assert found.price is not None
    assert all(line.reason for line in found.lines)


CARDS = (
    *("rtx-3060-12gb", "rtx-3090", "rtx-4090", "rtx-a4000", "rtx-a6000", "l40s"),
    *("rtx-3080-10gb", "rtx-3080-ti", "rtx-4070-ti-super", "rtx-4080-super", "rtx-5080", "rtx-5090"),
    *("rtx-a5000", "rtx-6000-ada", "a100-pcie-80gb", "rx-7900-xtx"),
)
GRID = [
    (f"{count}x{device}", objective)
    for i, device in enumerate(CARDS)
    for count, objective in (((1, "price"), (4, "cost")) if i % 2 else ((2, "cost"), (3, "price")))
]


@pytest.mark.parametrize(("gpus", "objective"), GRID)
def test_the_list_of_every_proposed_machine_passes_the_check_when_it_is_read_again(gpus: str, objective: str) -> None:
    again = rigwise.check_rig(parts_csv(rigwise.rig(gpus, objective=objective)))
    assert again.passes
    assert not [f.says for f in again.findings if f.severity == "warning"]


@pytest.mark.parametrize("write", [parts_csv, markdown])
def test_a_proposed_list_can_be_read_again(write) -> None:
    found = rigwise.rig("4xrtx-3090")
    again = rigwise.check_rig(write(found))
    assert again.passes
    assert again.build.price == pytest.approx(found.build.price)
    assert [i.part.name for i in again.build.items] == [line.item.part.name for line in found.lines]


@pytest.mark.parametrize(("objective", "budget"), [("price", None), ("time", 7000), ("cost", 7000)])
def test_a_network_says_its_step_and_the_loader_binds(objective: str, budget) -> None:
    found = rigwise.rig("4xrtx-3090", model="resnet50", data="imagenet-jpeg", objective=objective, budget=budget)
    assert found.step_s is not None
    assert found.interval is not None
    assert found.interval[0] < found.step_s < found.interval[1]
    assert found.passes


def test_the_objective_time_is_no_slower_and_price_no_dearer() -> None:
    asked = {"model": "resnet50", "data": "imagenet-jpeg", "budget": 7000}
    cheap, fast = (rigwise.rig("4xrtx-3090", objective=objective, **asked) for objective in ("price", "time"))
    assert fast.step_s <= cheap.step_s
    assert cheap.price <= fast.price


def test_narrow_lanes_cost_what_the_cost_model_says() -> None:
    wide = rigwise.rig("4xrtx-3090", model="gpt2", keep=["asrock-rack-romed8-2t"])
    assert wide.wiring.lanes == 16
    work = wide.use.work
    from dataclasses import replace

    losses = [work.loss(replace(wide.wiring, lanes=lanes), wide.wiring) for lanes in (16, 8, 4)]
    assert losses == sorted(losses)
    assert losses[0] == 0


@pytest.mark.parametrize(
    ("gpus", "options", "rule", "nearest"),
    [
        ("4xrtx-3090", {"budget": 1000.0}, "the budget binds", "a budget of $3,"),
        ("8xh100-pcie-80gb", {"case": ["desktop"]}, "bind", "another style of case"),
        ("4xrtx-4090", {"circuit": "120 V 15 A"}, "circuit binds", "GPUs a machine"),
        ("4xrtx-3090", {"circuit": "120 V 15 A"}, "circuit binds", "hold each GPU to 250 W"),
        ("16xrtx-3090", {}, "slots binds", "8 GPUs a machine"),
    ],
)
def test_what_cannot_be_says_what_binds_and_what_lifts_it(gpus: str, options, rule: str, nearest: str) -> None:
    with pytest.raises(InfeasibleError) as refused:
        rigwise.rig(gpus, **options)
    assert rule in refused.value.rule
    assert nearest in refused.value.nearest
    assert refused.value.nearest


def test_a_price_of_one_s_own_counts() -> None:
    turbo = "Asus Turbo GeForce RTX 3090"
    found = rigwise.rig("4xrtx-3090", price=[f"{turbo}=100"])
    assert found.build.gpus[0].name == turbo
    assert found.build.gpus[0].price == 100
    assert rigwise.rig("4xrtx-3090", price={turbo: 100}).price == found.price
    for wrong in (["=3"], [f"{turbo}=much"], [f"{turbo}=-1"]):
        with pytest.raises(UsageError):
            rigwise.rig("4xrtx-3090", price=wrong)


def test_a_network_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InfeasibleError):
        rigwise.rig("1xrtx-3060-12gb", model="gpt3-175b", batch=1)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: rigwise.rig("4xrtx-3090", objective="beauty"), UsageError),
        (lambda: rigwise.rig("4xrtx-3090", objective="time"), UsageError),
        (lambda: rigwise.rig("4xrtx-3090", circuit="a lot"), UsageError),
        (lambda: rigwise.rig("4xrtx-3090", batch=64), UsageError),
        (lambda: rigwise.rig("4xrtx-3090", preprocess="never"), UsageError),
        (lambda: rigwise.rig("4xrtx-9999"), NotFoundError),
        (lambda: rigwise.rig("4xrtx-3090", keep=["perpetuum mobile"]), NotFoundError),
        (lambda: rigwise.rig("4xrtx-3090", ram=-1.0), UsageError),
        (lambda: rigwise.rig("4xrtx-3090", budget=float("nan")), UsageError),
        (lambda: rigwise.rig("4xrtx-3090", budget=-5.0), UsageError),
        (lambda: rigwise.rig("0xrtx-3090"), UsageError),
        (lambda: rigwise.rig("8xrtx-3090", limit=5.0), UsageError),
        (lambda: rigwise.rig("1000000xrtx-3090"), InfeasibleError),
        (lambda: rigwise.rig("1000000xh100-sxm-80gb"), InfeasibleError),
        (lambda: rigwise.check_rig("/no/such/list.toml"), FileNotFoundError),
        (lambda: rigwise.check_rig("CPU: Hal 9000\n"), NotFoundError),
        (lambda: rigwise.check_rig("nothing\nat all\n"), UsageError),
    ],
)
def test_wrong_questions_are_refused(call, error) -> None:
    with pytest.raises(error):
        call()


def test_the_lists_and_the_drawing_hold_every_part() -> None:
    found = rigwise.rig("2x4xrtx-a6000", network="100 Gbit/s infiniband")
    text, svg = markdown(found), topology_svg(found)
    for line in found.lines:
        assert line.item.part.name in text
    assert svg.count("GPU ") >= 4
    assert "machine 2" in svg
    assert "network card" in svg
    assert "network card" not in topology_svg(rigwise.rig("1xrtx-4090"))
    assert "Infinity" not in str(found.to_dict())

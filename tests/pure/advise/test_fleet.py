"""A fleet answers for each of its machines what the laws answer for the machine alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigwise.advise.fleet import fleets
from rigwise.advise.judge import judge, machine, sizes
from rigwise.advise.needs import Need
from rigwise.advise.space import coarse
from rigwise.cost.estimate import Question, estimate, evaluate
from rigwise.hardware.catalog import device, devices
from rigwise.layouts.layout import PRECISIONS
from rigwise.layouts.rules import check
from rigwise.models.load import load_model
from rigwise.search.scale import part_of

CARDS = (
    "rtx-3090",
    "rtx-4090",
    "a100-sxm-80gb",
    "h100-pcie-80gb",
    "gtx-1080-ti",
    "titan-xp",
    "v100-sxm2-16gb",
    "mi300x",
)


@pytest.mark.parametrize(
    ("name", "count"), [("resnet18", 8), ("bert-base", 8), ("bert-base", 16), ("lstm-ptb-medium", 8)]
)
def test_every_member_is_what_it_is_alone(name: str, count: int) -> None:
    model = load_model(name)
    (space,) = coarse(model, 64, sizes(count))
    question = Question(model=model, cluster=machine(device("rtx-3090"), count), batch=64)
    for fleet in fleets([machine(device(card), count) for card in CARDS], "modern"):
        answer = fleet.evaluate(question, space.table)
        shape = (len(fleet.members), *space.table.shape)
        table = replace(space.table, precision=np.full((1, 1), PRECISIONS.index(fleet.precision)))
        for i, member in enumerate(fleet.members):
            alone = evaluate(replace(question, cluster=member), table)
            for one, all_of_them in ((alone.seconds, answer.seconds), (alone.memory, answer.memory)):
                np.testing.assert_allclose(
                    np.broadcast_to(all_of_them, shape)[i], np.broadcast_to(one, shape[1:]), rtol=1e-12
                )


def test_a_fleet_joins_what_one_evaluation_can_answer_for() -> None:
    cards = [d for d in devices().values() if d.kind == "gpu" and d.form == "pcie"]
    assert len(fleets([machine(card, 8) for card in cards], "modern")) < len(cards) / 5


def test_machines_with_other_networks_are_one_fleet() -> None:
    cards = ("rtx-4090", "a40", "a100-pcie-80gb", "h100-pcie-80gb")  # Ethernet and InfiniBand, one card and more
    (fleet,) = fleets([machine(device(card), 16) for card in cards], "modern")
    assert len(fleet.members) == len(cards)
    assert len({member.node.nic.name for member in fleet.members}) > 1


def test_only_what_fits_is_timed_unless_all_is_asked_for() -> None:
    need, small = Need(model=load_model("llama-3-8b", seq=512), batch=8, most=1), [device("gtx-1060-6gb")]
    ((key, found),) = judge(need, small).items()
    assert (found.fits, found.step_s, found.samples_per_s) == (False, None, 0.0)
    alike = judge(need, small, "all")[key]
    assert (alike.layout, alike.memory) == (found.layout, found.memory)
    assert alike.samples_per_s > 0
    assert judge(need, [device("h100-sxm-80gb")], "none")["h100-sxm-80gb", 1].step_s is None


def test_a_type_that_a_card_lacks_leaves_it_out() -> None:
    found = fleets([machine(device(card), 1) for card in CARDS], "modern", "float8")
    assert {m.device.name for fleet in found for m in fleet.members} <= {"rtx-4090", "h100-pcie-80gb", "mi300x"}


def test_a_verdict_is_the_estimate_of_its_layout_and_its_layout_is_legal() -> None:
    need = Need(model=load_model("gpt2"), batch=64)
    verdicts = judge(need, [device("rtx-3090"), device("a100-sxm-80gb")])
    assert {count for _, count in verdicts} == {1, 2, 4, 8}
    for (name, count), verdict in verdicts.items():
        cluster = part_of(machine(device(name), 8), count)
        check(verdict.layout, need.model, cluster, need.batch)
        found = estimate(Question(model=need.model, cluster=cluster, batch=64), verdict.layout)
        assert verdict.step_s == pytest.approx(found.step_s)
        assert verdict.memory == pytest.approx(found.memory_total)
        assert verdict.watts == pytest.approx(found.energy_j / found.step_s)
        assert verdict.fits == found.fits


def test_several_machines_are_judged_over_their_network() -> None:
    need = Need(model=load_model("bert-base"), batch=256, most=32)
    verdicts = judge(need, [device("a100-sxm-80gb"), device("rtx-4090")])
    for (name, count), verdict in verdicts.items():
        assert verdict.cluster.devices == count
        found = estimate(Question(model=need.model, cluster=machine(device(name), count), batch=256), verdict.layout)
        assert verdict.step_s == pytest.approx(found.step_s), (name, count)
        assert verdict.watts == pytest.approx(found.energy_j / found.step_s)
    assert verdicts["a100-sxm-80gb", 16].cluster.nodes == 2
    assert verdicts["a100-sxm-80gb", 16].samples_per_s > verdicts["a100-sxm-80gb", 8].samples_per_s


def test_what_does_not_fit_is_tried_with_states_in_the_hosts_memory() -> None:
    verdicts = judge(Need(model=load_model("gpt2-xl"), batch=32, most=1), [device("rtx-3090"), device("gtx-1060-6gb")])
    assert verdicts["rtx-3090", 1].fits
    assert verdicts["rtx-3090", 1].layout.offload != "none"
    assert not verdicts["gtx-1060-6gb", 1].fits


@pytest.mark.parametrize(("most", "counts"), [(1, (1,)), (3, (1, 2)), (100, (1, 2, 4, 8, 16, 32, 64))])
def test_sizes_are_powers_of_two(most: int, counts: tuple[int, ...]) -> None:
    assert sizes(most) == counts


def test_what_a_model_can_use_is_tried() -> None:
    mixture = coarse(load_model("mixtral-8x7b", seq=4096), 64, (1, 2, 4, 8))
    assert sorted(int(space.table.ep.max()) for space in mixture) == [1, 8]
    long = coarse(load_model("llama-3-8b", seq=2**15), 8, (1, 2, 4, 8))
    assert sorted(int(space.table.cp.max()) for space in long) == [1, 2, 4, 8]
    plain = coarse(load_model("bert-base"), 64, (1, 2, 4, 8))
    assert len(plain) == 1
    assert set(plain[0].table.vpp.ravel()) == {1, 2}


def test_experts_spread_over_ranks_where_that_is_sooner() -> None:
    need = Need(model=load_model("mixtral-8x7b", seq=4096), batch=64)
    found = judge(need, [device("h200-sxm-141gb")])["h200-sxm-141gb", 8]
    assert found.layout.ep == 8

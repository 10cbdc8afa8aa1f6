"""Clusters: switches and cables, paths, verdicts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rigwise
from rigwise.errors import InfeasibleError
from rigwise.rig.fabric import tree


@given(st.integers(3, 2000), st.sampled_from([8, 16, 36, 40, 64]))
def test_a_tree_has_a_port_for_every_card_and_never_less_up_than_down(ends: int, ports: int) -> None:
    shape = tree(ends, ports)
    if shape.tiers == 1:
        assert (shape.switches, shape.cables) == (1, ends)
        return
    down = ports // 2
    leaves = -(-ends // down)
    assert shape.tiers == 2
    assert leaves * down >= ends
    assert (shape.switches - leaves) * ports >= leaves * down
    assert shape.cables == ends + leaves * down


def test_two_machines_need_a_cable_and_no_switch() -> None:
    found = rigwise.rig("2x2xrtx-a6000", network="100 Gbit/s infiniband").fabric
    assert (found.tiers, found.switches, found.cables) == (0, 0, 1)


@pytest.mark.parametrize(("nodes", "tiers"), [(3, 1), (36, 1), (37, 2)])
def test_more_machines_need_switches(nodes: int, tiers: int) -> None:
    found = rigwise.rig(f"{nodes}x1xrtx-a6000", network="edr").fabric
    assert found.tiers == tiers
    assert found.price > 0


def test_cards_that_cannot_be_read_take_five_hops() -> None:
    direct = rigwise.rig("2x2xrtx-a6000", network="100 Gbit/s infiniband").fabric
    staged = rigwise.rig("2x2xrtx-3090", network="100 Gbit/s infiniband").fabric
    assert (len(direct.path), len(staged.path)) == (3, 5)
    assert direct.rdma
    assert not staged.rdma
    assert staged.seconds(4e6, pipelined=False) > direct.seconds(4e6, pipelined=False)
    assert staged.seconds(4e6) == pytest.approx(4e6 / staged.bandwidth)


def test_the_verdict_against_one_machine_and_against_renting() -> None:
    found = rigwise.rig("2x4xrtx-a6000", network="10 Gbit/s ethernet", model="gpt2").fabric
    faster = rigwise.rig("2x4xrtx-a6000", network="100 Gbit/s infiniband", model="gpt2").fabric
    assert found.alone_s / found.step_s < faster.alone_s / faster.step_s
    assert found.breaks_even > 0
    assert any("times as fast as one" in text for text in found.says())
    assert any("renting" in text for text in found.says())


def test_more_machines_than_two_tiers_reach_are_refused() -> None:
    with pytest.raises(InfeasibleError, match="two tiers"):
        rigwise.rig("100000x8xh100-sxm-80gb", network="400 Gbit/s infiniband")


def test_a_network_of_ethernet_may_be_of_cards_that_speak_roce() -> None:
    assert rigwise.rig("2x2xrtx-3090", network="25 GbE").fabric.rate == 25e9


def test_modules_on_a_baseboard_have_their_own_generation() -> None:
    fabric = rigwise.rig("3x8xh100-sxm-80gb", network="400 Gbit/s infiniband").fabric
    assert fabric.path[0].name == "PCIe 5 x16"
    assert fabric.bandwidth > 40e9

"""Worked examples of article 3 (a hardware guide) and article 6 (a multi GPU system), number by number."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigs import build
from rigwise.cost.loader import copy_seconds, through
from rigwise.layouts.pieces import divide
from rigwise.rig.build import Use
from rigwise.rig.fabric import slower
from rigwise.rig.feed import epoch_seconds, ram_wanted, threads_wanted
from rigwise.rig.lanes import lanes_wanted, transfer_seconds
from rigwise.rig.power import running_cost, supply_watts, whole_supply
from rigwise.rig.rules import findings

BATCH = 32 * 225 * 225 * 3 * 4
QUAD = (
    "asrock-rack-romed8-2t",
    "samsung-128-gb-8-x-16-gb-ddr4-3200-rdimm",
    "samsung-980-pro-1tb",
    "silverstone-hela-2500rz",
    "phanteks-enthoo-pro-2",
    "noctua-nh-u14s-tr4-sp3",
)


def severities(machine, rule: str, use: Use | None = None) -> list[str]:
    return [f.severity for f in findings(machine, use or Use()) if f.rule == rule]


def test_3_1_a_batch_of_images_in_bytes() -> None:
    assert BATCH == 19_440_000
    assert pytest.approx(18.539, abs=1e-3) == BATCH / 2**20


def test_3_2_its_transfer_over_16_8_and_4_lanes() -> None:
    assert [round(transfer_seconds(BATCH, n) * 1e3, 2) for n in (16, 8, 4)] == [1.13, 2.26, 4.53]


def test_3_3_what_4_to_16_lanes_gain_and_that_pinned_loading_hides_it() -> None:
    practice = {n: float(copy_seconds(BATCH, n * 2.0**30, pinned=False)) for n in (16, 4)}
    assert [round(practice[n] * 1e3) for n in (16, 4)] == [2, 9]
    assert pytest.approx(0.0321, abs=1e-4) == (0.216 + 0.009) / (0.216 + 0.002) - 1
    assert (0.216 + practice[4]) / (0.216 + practice[16]) - 1 == pytest.approx(0.0321, abs=2e-3)
    pinned = [max(0.216, float(copy_seconds(BATCH, n * 2.0**30, pinned=True))) for n in (16, 4)]
    assert pinned[0] == pinned[1]


def test_3_4_the_supply_of_four_cards() -> None:
    total, wanted = supply_watts([250] * 4, 150)
    assert (total, round(wanted, 6), whole_supply(wanted)) == (1250, 1375, 1400)


def test_3_5_a_disk_hidden_or_blocking() -> None:
    read = BATCH / (100 * 2**20)
    assert read == pytest.approx(0.1854, abs=1e-4)
    assert max(0.0, read - 0.2) == 0
    assert 0.2 + read == pytest.approx(0.385, abs=1e-3)


def test_3_6_ram_as_large_as_the_largest_gpu() -> None:
    assert ram_wanted([11, 11, 24]) == 24
    cards = ("asus-turbo-geforce-rtx-2080-ti*2", "nvidia-titan-rtx")
    parts = ("epyc-7302p", *QUAD[:1], *QUAD[2:])
    short = build(*cards, *parts, "samsung-32-gb-2-x-16-gb-ddr4-3200-rdimm")
    assert severities(short, "ram") == []
    kit = short.by_kind["memory"][0]
    half = replace(kit, part=replace(kit.part, module=kit.part.module / 2))
    assert severities(short.swapped("memory", [half]), "ram") == ["warning"]


def test_3_7_threads_and_cores_of_four_gpus() -> None:
    assert threads_wanted(4, "while") == (16, 8)
    assert threads_wanted(4, "before") == (8, 4)


def test_3_8_more_than_32_lanes_for_four_gpus_are_wasted_money() -> None:
    assert lanes_wanted(4) == 32
    machine = build("gigabyte-geforce-rtx-3090-turbo*4", "epyc-7302p", *QUAD)
    assert severities(machine, "lanes-waste") == ["waste"]


def test_3_9_two_weeks_of_electricity() -> None:
    kwh, cost = running_cost(1000, 14 * 24, 0.20)
    assert (round(kwh, 6), round(cost, 6)) == (336, 67.2)
    assert running_cost(1000, 14 * 24, 0.20, 0.8)[1] - cost == pytest.approx(16.8)


def test_3_10_four_open_cards_side_by_side() -> None:
    parts = ("evga-geforce-rtx-2080-ti-xc-hybrid*4", "epyc-7302p", *QUAD)
    hybrid = build(*parts)
    cards = hybrid.by_kind["gpu"][0]
    opened = hybrid.swapped("gpu", [replace(cards, part=replace(cards.part, cooling="open"))])
    found = [f for f in findings(opened, Use()) if f.rule == "adjacent"]
    assert [f.severity for f in found] == ["error"]
    assert "10% to 25%" in found[0].says
    assert "blower or water" in found[0].fix
    assert severities(hybrid, "adjacent") == []


def test_6_1_a_message_over_the_network_and_over_pcie() -> None:
    assert pytest.approx(1e-3) == 4e6 / 4e9
    assert pytest.approx(0.254e-3, abs=1e-6) == 4e6 / 15.75e9
    assert pytest.approx(3.94, abs=0.01) == 15.75 / 4


def test_6_2_five_hops_one_after_the_other_or_pipelined() -> None:
    hops = [4e6 / 15.75e9, 4e6 / 15.75e9, 4e6 / 4e9, 4e6 / 15.75e9, 4e6 / 15.75e9]
    assert float(through(hops, pipelined=False)) == pytest.approx(sum(hops))
    assert float(through(hops, pipelined=True)) == pytest.approx(1e-3)


def test_6_3_a_core_for_each_gpu() -> None:
    machine = build("gigabyte-geforce-rtx-3090-turbo*4", "epyc-7302p", *QUAD)
    cpu = machine.by_kind["cpu"][0]
    for cores, expected in ((3, ["warning"]), (4, [])):
        few = replace(cpu, part=replace(cpu.part, cores=cores))
        assert severities(machine.swapped("cpu", [few]), "cores") == expected


def test_6_4_columns_that_do_not_divide_go_to_the_last_rank() -> None:
    assert list(divide(10, 4)) == [2, 2, 2, 4]


def test_6_5_a_loader_that_reads_ahead() -> None:
    assert epoch_seconds(0.030, 0.040, 100) == pytest.approx(4.030)
    assert epoch_seconds(0.030, 0.040, 100, ahead=False) == pytest.approx(7.0)


def test_6_6_a_ring_of_p_ranks_has_p_less_one_steps() -> None:
    ranks, blocks = 5, 5
    held = [{rank} for rank in range(ranks)]
    for step in range(ranks - 1):
        sent = [(rank - step) % ranks for rank in range(ranks)]
        held = [held[rank] | {sent[(rank - 1) % ranks]} for rank in range(ranks)]
    assert all(len(mine) == blocks for mine in held)


def test_6_7_a_twentieth_of_the_bandwidth_is_a_fault() -> None:
    assert "20 times less" in slower(150e6, 3e9)
    assert slower(3e9, 3e9) == ""


def test_6_8_the_sizes_of_the_library_s_example() -> None:
    mebi = 4 / 2**20
    sizes = [100_000 * 40_000, 100_000 * 40_000 / 4, 40_000 * 20_000, 128 * 100_000, 128 * 40_000, 128 * 20_000]
    assert [round(size * mebi, 1) for size in sizes] == [15258.8, 3814.7, 3051.8, 48.8, 19.5, 9.8]

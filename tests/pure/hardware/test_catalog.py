"""Every row of the catalogue is a device or a link that could exist, and says where it comes from."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise

import pytest

from rigwise.errors import NotFoundError
from rigwise.hardware.catalog import bridge, device, devices, link, links
from rigwise.hardware.device import Device, Link
from rigwise.hardware.tables import by_id, table

TABLES = ("devices", "links", "nodes", "machines", "technologies", "cpus", "platforms")
ALL = list(devices().values())
LINKS = list(links().values())
LADDER = ("float32", "tf32", "float16", "float8", "float4")  # each at least as fast as the one before


@pytest.mark.parametrize("name", TABLES)
def test_ids_are_unique_and_plain(name: str) -> None:
    ids = [row["id"] for row in table(name)]
    assert len(ids) == len(set(ids))
    if name != "platforms":
        assert all(re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", entry) for entry in ids)


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_source_and_a_date(name: str) -> None:
    for row in table(name):
        assert row["source"], row["id"]
        assert date.fromisoformat(row["date"]) >= date(2020, 1, 1), row["id"]


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)
def test_a_device_is_physical(entry: Device) -> None:
    assert 1e9 <= entry.memory <= 4e11
    assert 1e11 <= entry.bandwidth <= 1e13
    assert all(5e10 <= rate <= 2e16 for rate in entry.peak.values())
    assert entry.peak or "cannot be predicted" in entry.weak
    assert entry.year is not None
    assert 2008 <= entry.year <= 2026
    assert entry.tdp is None or 10 <= entry.tdp <= 2000
    assert entry.pcie_gen in (None, 2, 3, 4, 5, 6)
    assert entry.nvlink is None or entry.nvlink < entry.bandwidth
    seconds_to_read_all_memory = entry.memory / entry.bandwidth
    assert 0.003 < seconds_to_read_all_memory < 0.6


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)
def test_fewer_bits_are_never_slower(entry: Device) -> None:
    rates = [entry.peak[kind] for kind in LADDER if kind in entry.peak]
    assert all(fast >= slow * 0.99 for slow, fast in pairwise(rates))
    if {"float16", "bfloat16"} <= set(entry.peak):
        assert entry.peak["bfloat16"] in (entry.peak["float16"], entry.peak["float16"] / 2)  # half on CDNA 1


@pytest.mark.parametrize("entry", [entry for entry in ALL if entry.vendor == "NVIDIA"], ids=lambda entry: entry.name)
def test_the_plain_rate_is_lanes_times_clock(entry: Device) -> None:
    """float32 = processors x lanes x 2 x boost clock, within what rounding and two clocks of one card leave."""
    row = by_id("devices")[entry.name]
    if not row["processors"] or not row["boost_mhz"] or "float32" not in entry.peak:
        pytest.skip("clock or processors not published")
    arch = row["arch"].split()[0]
    wide = {"Fermi": 64, "Kepler": 192, "Pascal": 128, "Maxwell": 128, "Volta": 64, "Turing": 64}  # Fermi: hot clock
    lanes = 64 if entry.name.startswith(("p100", "quadro-gp100", "a100", "a800", "a30")) else wide.get(arch, 128)
    rate = int(row["processors"]) * lanes * 2 * float(row["boost_mhz"]) * 1e6
    assert entry.peak["float32"] == pytest.approx(rate, rel=0.06)


def test_published_figures() -> None:
    h100, v100, rtx = device("h100-sxm-80gb"), device("v100-sxm2-16gb"), device("rtx-4090")
    assert h100.peak["bfloat16"] == pytest.approx(989.4e12)
    assert (h100.memory, h100.processors) == (80 * 2**30, 132)
    assert v100.peak == pytest.approx({"float32": 15.7e12, "float16": 125e12, "int8": 62.8e12})
    assert v100.tdp == 300
    assert rtx.peak["float16_fp16acc"] == pytest.approx(2 * rtx.peak["float16"], rel=1e-3)
    assert rtx.peer_access is False
    assert device("a100-sxm-80gb").nvlink == 300e9
    assert device("b200").processors == 148
    assert device("t4").bandwidth == 320e9


@pytest.mark.parametrize("entry", LINKS, ids=lambda entry: entry.name)
def test_a_link_reaches_no_more_than_its_label(entry: Link) -> None:
    assert 0 < entry.bandwidth <= entry.rated
    assert 0 <= entry.latency < 1e-3
    if entry.kind == "pcie-host":
        assert entry.bandwidth < links()[entry.name.removesuffix("-host")].bandwidth


def test_pcie_doubles_with_each_generation_and_width() -> None:
    for lanes in (16, 8, 4, 1):
        rated = [link(f"pcie-{gen}-x{lanes}").rated for gen in range(1, 7)]
        assert all(1.8 < fast / slow < 2.1 for slow, fast in pairwise(rated))
    assert link("pcie-4-x8").rated == pytest.approx(link("pcie-4-x16").rated / 2)


def test_a_name_that_is_in_the_catalogue_needs_no_reading() -> None:
    assert all(device(entry.name) is entry for entry in ALL)
    assert device("Tesla T4") is device("t4")


def test_bridges_fit_the_cards_that_take_them() -> None:
    found = bridge("rtx-3090")
    assert found is not None
    assert found.rated == device("rtx-3090").nvlink
    assert bridge("rtx-4090") is None
    assert all((row["bridge"] or "nvlink-bridge-3-x4") in links() for row in table("devices"))


def test_an_unknown_link_names_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="infiniband-ndr"):
        link("infiniband-nrd")

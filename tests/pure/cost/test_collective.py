"""Collectives: identities between them, their bounds, the algorithms' order, and published bus bandwidths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines import A100, HDR, NVSWITCH, selene
from rigwise.cost.collective import (
    Group,
    Wires,
    all_reduce_seconds,
    all_to_all_seconds,
    broadcast_seconds,
    gather_seconds,
    group,
    wires,
)
from rigwise.cost.efficiencies import efficiencies, shipped
from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.load import load_cluster

EFF = efficiencies(A100)
PLAIN = Wires(inside=2e11, inside_step=3e-6, inside_base=2e-5, network=1e10, network_step=1e-5, network_base=4e-5)
LAWS = (all_reduce_seconds, gather_seconds, broadcast_seconds, all_to_all_seconds)
sizes = st.floats(1, 1e11)
ranks = st.sampled_from([2, 3, 4, 8, 16, 64, 512])


def bus(cluster: Cluster, size: float, *, rings: bool = False, ranks: int | None = None) -> float:
    """Bus bandwidth of an all-reduce over a cluster, GB/s, as nccl-tests prints it."""
    n = ranks or cluster.devices
    over = replace(wires(cluster, efficiencies(cluster.device)), rings=rings)
    return 2 * (n - 1) / n * size / all_reduce_seconds(size, group(cluster, n, 1), over).item() / 1e9


@given(size=sizes, n=ranks)
def test_a_ring_is_a_scatter_and_a_gather(size: float, n: int) -> None:
    among = group(selene(512), n, 1)
    ring = all_reduce_seconds(size, among, replace(PLAIN, rings=True, inside_base=0, network_base=0))
    once = gather_seconds(size, among, replace(PLAIN, inside_base=0, network_base=0))
    assert ring == pytest.approx(2 * once)


@settings(max_examples=60, deadline=None)
@given(
    size=sizes,
    n=ranks,
    stride=st.sampled_from([1, 2, 8]),
    name=st.sampled_from(["512xa100-sxm-80gb", "512xh100", "512xv100-sxm2-16gb", "512xrtx-4090", "512xmi300x"]),
)
def test_more_bytes_never_go_sooner_and_nothing_beats_its_links(size: float, n: int, stride: int, name: str) -> None:
    cluster = load_cluster(name)
    over, among = wires(cluster, efficiencies(cluster.device)), group(cluster, n, stride)
    for law in LAWS:
        once, twice = (law(size * factor, among, over) for factor in (1, 2))
        assert 0 < once <= twice <= 2 * once * 1.000001
    for law, least in ((all_reduce_seconds, 1.0), (gather_seconds, (n - 1) / n), (all_to_all_seconds, (n - 1) / n)):
        assert law(size, among, over) >= least * size / cluster.node.link.rated * 0.999
    nodes = n / among.inside.item()
    if nodes > 1:  # a node that holds a whole group sends its sum once, its own share of it aside, and its copy
        assert all_reduce_seconds(size, among, over) >= 2 * (nodes - 1) / nodes * size / cluster.node.network * 0.999


@given(size=sizes)
def test_no_protocol_makes_it_slower(size: float) -> None:
    cluster = load_cluster("64xh100")
    over, among = wires(cluster, EFF), group(cluster, [2, 8, 64], 1)
    for law in LAWS:
        assert (law(size, among, over) <= law(size, among, replace(over, protocols=((1.0, 1.0),))) * 1.000001).all()


def test_trees_are_sooner_for_small_messages_on_many_nodes_and_rings_for_large_ones() -> None:
    cluster = selene(1024)
    over, among = wires(cluster, EFF), group(cluster, [16, 64, 256, 1024], 1)
    gain = [
        all_reduce_seconds(size, among, replace(over, rings=True)) / all_reduce_seconds(size, among, over)
        for size in (1e5, 1e10)
    ]
    assert (np.diff(gain[0]) > 0).all()
    assert gain[0][-1] > 10
    assert gain[1][1:] == pytest.approx(1.0, abs=0.02)


def test_two_nodes_add_up_inside_first_and_so_pass_their_cards() -> None:
    """NVIDIA/nccl-tests#196: on two nodes the tree's bus bandwidth exceeds the network's."""
    two, four = (bus(load_cluster(f"{n}x8xh100", nic="8x 100 Gb/s InfiniBand"), 8 * 2**30) for n in (2, 4))
    assert two > 100 > four


def test_a_switch_that_adds_up_moves_each_byte_once_and_an_nth() -> None:
    n = np.array([4.0, 8.0])
    inside = Group(ranks=n, inside=n, sharing=np.ones(2))
    over = replace(PLAIN, multicast=3e11, inside_base=0, inside_step=0)
    assert all_reduce_seconds(3e11, inside, over).tolist() == pytest.approx([1.25, 1.125])
    assert (
        gather_seconds(3e11, inside, over).tolist() == gather_seconds(3e11, inside, replace(over, multicast=0)).tolist()
    )


def test_cards_that_do_not_reach_device_memory_pass_the_hosts() -> None:
    fast = replace(HDR, kind="omni-path")
    reached = [
        wires(Cluster(name="x", node=Node(device=A100, count=8, link=NVSWITCH, nic=nic, nics=8), nodes=2), EFF).network
        for nic in (HDR, fast)
    ]
    assert float(np.asarray(reached[1])) < EFF.link("omni-path").staged < float(np.asarray(reached[0]))


def test_a_group_over_several_roots_of_a_host_is_narrowed() -> None:
    cluster = load_cluster("8xgtx-1080-ti")
    assert bus(cluster, 1e9, ranks=8) / bus(cluster, 1e9, ranks=4) == pytest.approx(
        EFF.link("pcie-p2p").across, rel=0.02
    )


def test_all_laws_take_arrays_of_efficiencies() -> None:
    """Three candidates of a fit at once: a leading dim of the wires against the layouts' trailing one."""
    cluster = selene(64)
    base, among = wires(cluster, EFF), group(cluster, [2, 8, 64], 1)
    many = replace(base, inside=np.asarray(base.inside) * np.array([[1.0], [2.0], [4.0]]))
    for law in LAWS:
        together = law(1e9, among, many)
        assert together.shape == (3, 3)
        assert together[0].tolist() == pytest.approx(law(1e9, among, base).tolist())
        assert (np.diff(together, axis=0) <= 0).all()


PUBLISHED = [  # cluster, link, ranks, bytes, only rings, GB/s of the bus
    ("8xa100-sxm-80gb", 8, 2**30, False, 229.35),  # vTrain, all-reduce table
    ("8xa100-sxm-80gb", 4, 2**24, False, 140.11),
    ("8xv100-sxm2-16gb", 8, 2**30, False, 134.51),
    ("8xv100-sxm2-16gb", 4, 2**28, False, 85.42),
    ("8xv100-sxm2-16gb", 2, 2**30, False, 22.55),
    ("8xh200", 8, 2**33, False, 473.1),  # stas00/ml-engineering, SHARP
    ("8xh200", 7, 2**33, True, 365.7),
    ("8xb200", 8, 2**33, False, 838.0),
    ("8xb200", 4, 2**33, False, 673.2),  # the library chose its ring
    ("2xrtx-2080-ti", 2, 2**26, False, 21.4),
    ("8xgtx-1080-ti", 2, 2.58e8, False, 12.21),  # DeepBench, one root
    ("8xgtx-1080-ti", 8, 2.58e8, False, 8.71),
]


@pytest.mark.parametrize(("name", "n", "size", "rings", "measured"), PUBLISHED)
def test_published_bus_bandwidths(name: str, n: int, size: float, rings: bool, measured: float) -> None:
    bridge = "NVLink bridge" if "2080" in name else None
    assert bus(load_cluster(name, link=bridge), size, rings=rings, ranks=n) == pytest.approx(measured, rel=0.15)


def test_the_page_of_the_law_has_the_constants_as_shipped() -> None:
    page = (Path(__file__).parents[3] / "docs" / "laws" / "collective.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in page.partition("## Classes")[2].splitlines() if line[:2] == "| "]
    told = {row[0].split()[0]: row[1:4] for row in rows}
    for name, link in shipped()["link"].items():
        if name != "default":
            shown = [float(figure) for figure in told[name]]
            assert shown == pytest.approx([link["share"], link["hop"], link["base_s"] * 1e6]), name


def test_fewer_network_cards_than_devices_are_shared_by_the_groups_of_a_node() -> None:
    size = 2.0**36  # seconds are those of the bytes
    eight = selene(64)
    one = replace(eight, node=replace(eight.node, nics=1))
    for ranks, stride, share in ((8, 8, 8.0), (64, 1, 8.0)):  # a group with one device a node, and one with all
        times = [
            all_reduce_seconds(size, group(cluster, ranks, stride), wires(cluster, efficiencies(cluster.device))).item()
            for cluster in (eight, one)
        ]
        assert times[1] / times[0] == pytest.approx(share, rel=0.05)

"""The usual node of each device, and links and networks as papers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import NotFoundError, UsageError
from rigwise.hardware.catalog import device, devices, links
from rigwise.hardware.fabrics import default_node, own_link, read_link
from rigwise.hardware.networks import read_network
from rigwise.hardware.tables import table


@pytest.mark.parametrize("name", sorted(devices()))
def test_every_device_has_a_usual_node(name: str) -> None:
    node, says = default_node(device(name))
    assert node.count >= 1
    assert node.nic is not None
    assert node.network > 0
    assert says.startswith("node as ")
    single = default_node(device(name), 1)[0]
    assert single.link.kind == "none" or single.domain > 1


def test_no_device_has_two_usual_nodes() -> None:
    named = [name for row in table("nodes") for name in row["devices"].split()]
    assert len(named) == len(set(named))
    assert {name for name in named if not name.startswith("form:")} <= set(devices())


@pytest.mark.parametrize(
    ("name", "count", "link", "nic", "nics", "domain"),
    [
        ("a100-sxm-80gb", 8, "nvswitch-3-a100", "infiniband-hdr", 8, 0),
        ("h100-sxm-80gb", 8, "nvswitch-4-h100", "infiniband-ndr", 8, 0),
        ("v100-sxm2-16gb", 8, "nvlink-2-v100", "infiniband-edr", 4, 0),
        ("v100-sxm3-32gb", 16, "nvswitch-2-v100", "infiniband-edr", 8, 0),
        ("gb200", 4, "nvswitch-5-b200", "infiniband-ndr", 4, 72),
        ("mi300x", 8, "xgmi-mi300x", "roce-400", 8, 0),
        ("rtx-4090", 8, "pcie-4-x16-host", "ethernet-10", 1, 0),
        ("rtx-a6000", 8, "pcie-4-x16", "ethernet-10", 1, 0),
        ("l4", 8, "pcie-4-x16", "roce-100", 1, 0),
    ],
)
def test_usual_nodes(name: str, count: int, link: str, nic: str, nics: int, domain: int) -> None:
    node, _ = default_node(device(name))
    assert node.nic is not None
    assert (node.count, node.link.name, node.nic.name, node.nics, node.domain) == (count, link, nic, nics, domain)


def test_what_nccl_counts_as_achievable() -> None:
    assert default_node(device("a100-sxm-80gb"))[0].link.bandwidth == 240e9
    assert default_node(device("h100-sxm-80gb"))[0].link.bandwidth == 370.8e9


@pytest.mark.parametrize(
    ("name", "text", "link"),
    [
        ("a100-sxm-80gb", "NVLink/NVSwitch", "nvswitch-3-a100"),
        ("a100-sxm-80gb", "NVLink3 NVSwitch (DGX A100, Selene)", "nvswitch-3-a100"),
        ("a100-pcie-80gb", "NVLink3 bridge NV12", "nvlink-bridge-3-a100"),
        ("a100-pcie-80gb", "PCIe4 between pairs", "pcie-4-x16"),
        ("a100-pcie-40gb", "PCIe (system as named; bridge not stated)", "pcie-4-x16"),
        ("a40", "PCIe4 via host", "pcie-4-x16-host"),
        ("a40", "PCIe4 same socket", "pcie-4-x16"),
        ("a40", "NVLink bridge", "nvlink-bridge-3-x4"),
        ("a800-sxm-80gb", "NVLink 400 GB/s", "nvswitch-3-a800"),
        ("h100-sxm-80gb", "PCIe5 x16", "pcie-5-x16"),
        ("h100-pcie-80gb", "NVLink bridge pair (PCIe H100)", "nvlink-bridge-4-h100"),
        ("gb200", "NVLink5 NVL72", "nvswitch-5-b200"),
        ("v100-sxm2-16gb", "NVLink2 (4x V100, JeanZay)", "nvlink-2-v100"),
        ("k20", "PCIe2/3 (two sockets)", "pcie-2-x16-host"),
        ("rtx-2080-ti", "PCIe (no NVLink bridge)", "pcie-3-x16-host"),
        ("rtx-2080-ti", "PCIe/NVLink not stated", "pcie-3-x16-host"),
        ("rtx-2080-ti", "NVLink bridge", "nvlink-bridge-2-x8"),
        ("rtx-4090", "PCIe via host, cross socket (no P2P)", "pcie-4-x16-host"),
        ("rtx-4090", "PCIe p2p", "pcie-4-x16"),
        ("rtx-5090", "PCIe5 x8", "pcie-5-x8-host"),
        ("rtx-pro-6000-workstation", "PCIe5 x16 switches", "pcie-5-x16"),
        ("titan-xp", "see system specs", "pcie-3-x16"),
        ("mi300x", "xGMI", "xgmi-mi300x"),
        ("t4", "", "pcie-3-x16"),
        ("t4", "pcie-3-x8", "pcie-3-x8"),
    ],
)
def test_links_as_papers_write_them(name: str, text: str, link: str) -> None:
    assert read_link(text, device(name)).name == link


def test_a_named_rate_keeps_the_achievable_share() -> None:
    usual = read_link("NVLink", device("h100-sxm-80gb"))
    capped = read_link("NVLink 400 GB/s", device("h100-sxm-80gb"))
    assert capped.rated == 200e9
    assert capped.bandwidth / capped.rated == pytest.approx(usual.bandwidth / usual.rated)


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("rtx-4090", "NVLink bridge", UsageError),
        ("rtx-4090", "NVLink", UsageError),
        ("rtx-4090", "PCIe9", UsageError),
        ("rtx-4090", "PCIe4 x3", UsageError),
        ("h100-sxm-80gb", "NVLink 0 GB/s", UsageError),
        ("h100-sxm-80gb", "wet string", NotFoundError),
    ],
)
def test_links_that_cannot_be(name: str, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_link(text, device(name))


@pytest.mark.parametrize(
    ("text", "name", "link", "count"),
    [
        ("1600 Gbps RoCE per node", "a100-sxm-40gb", "roce-200", 8),
        ("800 Gbps IB per node (config inter_node_bandwidth=800)", "a100-sxm-80gb", "infiniband-edr", 8),
        ("RDMA cluster network (OCI BM.GPU4.8, 16x100 Gb/s; inferred)", "a100-sxm-40gb", "roce-100", 16),
        ("4x 100 Gb/s Omni-Path per node (JeanZay)", "a100-sxm-80gb", "omni-path-100", 4),
        ("4x100 Gb/s Omni-Path", "v100-sxm2-32gb", "omni-path-100", 4),
        ("4x HDR 200 Gb/s IB per node", "a100-sxm-80gb", "infiniband-hdr", 4),
        ("8x 200 Gb/s HDR InfiniBand per node (Selene)", "a100-sxm-80gb", "infiniband-hdr", 8),
        ("8x HDR InfiniBand", "a100-sxm-80gb", "infiniband-hdr", 8),
        ("HDR InfiniBand (not stated)", "a100-sxm-40gb", "infiniband-hdr", 8),
        ("InfiniBand", "v100-sxm3-32gb-h", "infiniband-edr", 8),
        ("400 Gb/s InfiniBand per GPU (not stated)", "h100-sxm-80gb", "infiniband-ndr", 8),
        ("8x 400 Gb/s EFA v4 per node (AWS P6-B200)", "b200", "efa-v4-400", 8),
        ("8x 100 Gbps NIC per node", "h800-sxm-80gb", "infiniband-edr", 8),
        ("InfiniBand (not stated in table)", "gb300", "infiniband-xdr", 4),
        ("50 Gbit Ethernet", "p100-sxm2-16gb", "ethernet-50", 1),
        ("not stated", "a100-sxm-80gb", "infiniband-hdr", 8),
        ("unspecified", "h100-sxm-80gb", "infiniband-ndr", 8),
        ("", "rtx-4090", "ethernet-10", 1),
        ("100 GbE", "rtx-4090", "ethernet-100", 1),
        ("2x 25 GbE", "rtx-4090", "ethernet-25", 2),
        ("HDR200", "h100-sxm-80gb", "infiniband-hdr", 8),
        ("infiniband-fdr", "h100-sxm-80gb", "infiniband-fdr", 8),
    ],
)
def test_networks_as_papers_write_them(text: str, name: str, link: str, count: int) -> None:
    card, cards = read_network(text, device(name))
    assert (card.name, cards) == (link, count)


def test_a_network_without_a_device_is_one_card() -> None:
    assert read_network("100 GbE") == (links()["ethernet-100"], 1)
    assert read_network("")[1] == 1


@given(st.integers(1, 16), st.sampled_from([10, 25, 40, 100, 200, 300, 400, 800]))
def test_a_number_of_cards_at_a_rate_is_read_as_written(count: int, rate: int) -> None:
    card, cards = read_network(f"{count}x {rate} Gb/s InfiniBand", device("h100"))
    assert cards == count
    assert card.rated == pytest.approx(rate * 1e9 / 8, rel=0.01)
    assert 0.9 < card.bandwidth / card.rated <= 0.95


@pytest.mark.parametrize("text", ["wet string", "0x HDR", "0 Gbps RoCE", "nvswitch-3-a100", "pcie-4-x16"])
def test_networks_that_cannot_be(text: str) -> None:
    with pytest.raises((UsageError, NotFoundError)):
        read_network(text, device("h100"))


def test_peer_access_decides_the_way() -> None:
    assert own_link(device("rtx-a6000")).kind == "pcie-p2p"
    assert own_link(device("rtx-4090")).kind == "pcie-host"
    assert own_link(device("rtx-4090"), peer=True).kind == "pcie-p2p"
    assert own_link(device("rtx-3090")).kind == "pcie-host"  # reports disagree: the careful answer

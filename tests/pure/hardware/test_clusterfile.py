"""A cluster as a file."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import NotFoundError, RigwiseError, UsageError
from rigwise.hardware.catalog import device, devices, links
from rigwise.hardware.cluster import Cluster
from rigwise.hardware.clusterfile import parse_cluster, read_cluster, save_cluster
from rigwise.hardware.detect import detect
from rigwise.hardware.load import load_cluster
from rigwise.hardware.tomltext import cluster_to_toml

FULL = """
name = "two-boxes"
nodes = 2
oversubscription = 1.5
topology = "fat-tree"
[node]
device = "my-card"
count = 4
link = "my-switch"
pair = "nvlink-bridge-3-x4"
nic = "100 GbE"
nics = 2
host_link = "pcie-4-x8"
[node.host]
cpu = "EPYC 7402P"
cores = 24
threads = 48
ram = "256 GiB"
bandwidth = "205 GB/s"
decode = 400
sharing = 2
copy = { pinned = "12 GB/s" }
[device.my-card]
base = "rtx-4090"
memory = "48 GiB"
peak = { float16 = "150 TFLOP/s" }
[link.my-switch]
kind = "pcie-p2p"
bandwidth = "24 GB/s"
rated = "31.5 GB/s"
latency = "5.7 us"
"""


def read(text: str) -> Cluster:
    return parse_cluster(tomllib.loads(text))


def same(one: Cluster, other: Cluster) -> bool:
    return replace(one, resolved="") == replace(other, resolved="")


def test_every_key_is_read() -> None:
    cluster = read(FULL)
    node = cluster.node
    assert (cluster.name, cluster.nodes, cluster.oversubscription) == ("two-boxes", 2, 1.5)
    assert node.device.memory == 48 * 2**30
    assert node.device.bandwidth == device("rtx-4090").bandwidth
    assert node.device.peak["float16"] == 150e12
    assert node.device.peak["float32"] == device("rtx-4090").peak["float32"]
    assert (node.link.bandwidth, node.link.latency, node.link.kind) == (24e9, pytest.approx(5.7e-6), "pcie-p2p")
    assert node.nic is not None
    assert (node.nic.name, node.nics) == ("ethernet-100", 2)
    assert (node.host.ram, node.host.cores, node.host.copy) == (256 * 2**30, 24, {"pinned": 12e9})
    assert (node.host.bandwidth, node.host.decode, node.host.sharing) == (205e9, 400, 2)
    assert same(read(cluster_to_toml(cluster)), cluster)


def test_the_least_file_takes_the_usual_node() -> None:
    cluster = read('[node]\ndevice = "h100"\ncount = 8')
    assert same(cluster, replace(load_cluster("8xh100"), name="cluster"))


@given(
    st.sampled_from(sorted(devices())),
    st.integers(1, 64),
    st.integers(1, 16),
    st.floats(1, 8),
    st.text(max_size=12).filter(lambda text: "\x00" not in text),
)
def test_what_is_written_is_read_back(name: str, nodes: int, count: int, narrow: float, title: str) -> None:
    cluster = replace(load_cluster(f"{nodes}x{count}x{name}"), name=title, oversubscription=narrow)
    assert same(read(cluster_to_toml(cluster)), cluster)


def test_this_machine_is_written_and_read_back(tmp_path: Path) -> None:
    cluster, path = detect(use="cpu"), tmp_path / "this.toml"
    save_cluster(cluster, path)
    assert same(read_cluster(path), cluster)
    assert load_cluster(str(path)).device == cluster.device
    assert [file.name for file in tmp_path.iterdir()] == ["this.toml"]


def test_links_of_one_s_own_are_written_whole() -> None:
    cluster = load_cluster("16xh100", nic="8x 350 Gb/s IB", link="NVLink 400 GB/s")
    assert same(read(cluster_to_toml(cluster)), cluster)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", UsageError, r"\[node\]"),
        ("[node]", UsageError, "device"),
        ("node = 3", UsageError, "not a table"),
        ('[node]\ndevice = "h100"\ncuont = 8', UsageError, "'cuont'.*nearest: count"),
        ('nodez = 2\n[node]\ndevice = "h100"', UsageError, "'nodez'.*nearest: node"),
        ('[node]\ndevice = "h1000"', NotFoundError, "h100"),
        ('[node]\ndevice = "h100"\ncount = 0', UsageError, "count = 0.*at least 1"),
        ('[node]\ndevice = "h100"\ncount = -8', UsageError, "at least 1"),
        ('[node]\ndevice = "h100"\ncount = 2.5', UsageError, "whole number"),
        ('[node]\ndevice = "h100"\ncount = true', UsageError, "whole number"),
        ('[node]\ndevice = "h100"\ncount = "8"', UsageError, "whole number"),
        ('nodes = 0\n[node]\ndevice = "h100"', UsageError, "nodes = 0"),
        ('oversubscription = 0.5\n[node]\ndevice = "h100"', UsageError, "oversubscription"),
        ('oversubscription = nan\n[node]\ndevice = "h100"', UsageError, "oversubscription"),
        ('[node]\ndevice = "h100"\nnics = -1', UsageError, "nics"),
        ('[node]\ndevice = "h100"\nlink = "wet string"', NotFoundError, "wet string"),
        ('[node]\ndevice = "h100"\nnic = "wet string"', NotFoundError, "wet string"),
        ('[node]\ndevice = "h100"\n[node.host]\nram = "-4 GiB"', UsageError, "more than zero"),
        ('nodes = 100000000000000000000\n[node]\ndevice = "h100"', UsageError, "at most 10,000,000"),
        ('[node]\ndevice = "h100"\n[node.host]\nrom = "4 GiB"', UsageError, "nearest: ram"),
        ('[node]\ndevice = "x"\n[device.x]\nbase = "h100"\nmemory = 0', UsageError, "memory"),
        ('[node]\ndevice = "x"\n[device.x]\nbase = "h100"\nmemory = "80 parsec"', UsageError, "parsec"),
        ('[node]\ndevice = "x"\n[device.x]\nbase = "h100"\nkind = "gqu"', UsageError, "nearest: gpu"),
        ('[node]\ndevice = "x"\n[device.x]\nbase = "h100"\npeer_access = "yes"', UsageError, "true or false"),
        ('[node]\ndevice = "x"\n[device.x]\nmemory = "80 GiB"', UsageError, "no key"),
        ('[node]\ndevice = "h100"\nlink = "y"\n[link.y]\nkind = "pcie-p2p"', UsageError, "no key 'bandwidth'"),
        ('[node]\ndevice = "h100"\n[link.y]\nbandwidth = "1 GB/s"', UsageError, "no key"),
        ('[node]\ndevice = "h100"\n[link.y]\nkind = "tube"\nbandwidth = 1.0\nlatency = 0', UsageError, "one of"),
    ],
)
def test_files_that_are_wrong_name_the_key(text: str, error: type[RigwiseError], words: str) -> None:
    with pytest.raises(error, match=words):
        read(text)


@pytest.mark.parametrize("content", [b"[node", b"\xff\xfe\x00", b'[node]\ndevice = "h1000"', b"[node]"])
def test_an_error_names_the_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(RigwiseError, match=r"broken\.toml"):
        read_cluster(path)


def test_a_missing_file_names_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "cluster.toml").write_text("")
    with pytest.raises(NotFoundError, match=r"nearest: cluster\.toml"):
        read_cluster(tmp_path / "clusster.toml")
    with pytest.raises(UsageError):
        read_cluster(tmp_path)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        save_cluster(load_cluster("8xh100"), tmp_path / "nowhere" / "cluster.toml")
    folder = tmp_path / "taken.toml"
    folder.mkdir()
    with pytest.raises(UsageError, match="cannot write"):
        save_cluster(load_cluster("8xh100"), folder)
    assert [file.name for file in tmp_path.iterdir()] == ["taken.toml"]


def test_none_takes_a_link_away() -> None:
    node = read('[node]\ndevice = "h100-nvl-94gb"\ncount = 4\npair = "none"\nhost_link = "none"').node
    assert node.pair is None
    assert node.host_link is None
    assert node.link == links()["pcie-5-x16"]

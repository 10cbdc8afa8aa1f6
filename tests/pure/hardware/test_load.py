"""A cluster from one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import NotFoundError, RigwiseError, UsageError
from rigwise.hardware.catalog import devices
from rigwise.hardware.fabrics import default_node
from rigwise.hardware.load import load_cluster
from rigwise.hardware.spelling import Spelling, spell
from rigwise.hardware.tables import table


@pytest.mark.parametrize(
    ("text", "nodes", "count", "name"),
    [
        ("8xh100", 1, 8, "h100-sxm-80gb"),
        ("8xH100", 1, 8, "h100-sxm-80gb"),
        ("8 x H100", 1, 8, "h100-sxm-80gb"),
        ("H100:8", 1, 8, "h100-sxm-80gb"),
        ("H100 : 16", 2, 8, "h100-sxm-80gb"),
        ("2x8xh100-sxm-80gb", 2, 8, "h100-sxm-80gb"),
        ("4x RTX 4090", 1, 4, "rtx-4090"),
        ("4x4090", 1, 4, "rtx-4090"),
        ("RTX 4090 x4", 1, 4, "rtx-4090"),
        ("512xa100-sxm-80gb", 64, 8, "a100-sxm-80gb"),
        ("4xh100", 1, 4, "h100-sxm-80gb"),
        ("16xv100-sxm3-32gb", 1, 16, "v100-sxm3-32gb"),
        ("72xgb200", 18, 4, "gb200"),
        ("3x4xh100", 3, 4, "h100-sxm-80gb"),
        ("rtx 3090", 1, 1, "rtx-3090"),
        ("4x dgx-h100", 4, 8, "h100-sxm-80gb"),
        ("DGX A100", 1, 8, "a100-sxm-80gb"),
        ("2x p5.48xlarge", 2, 8, "h100-sxm-80gb"),
        ("p4d.24xlarge", 1, 8, "a100-sxm-40gb"),
        ("4096xtpu-v4", 1024, 4, "tpu-v4"),
    ],
)
def test_spellings(text: str, nodes: int, count: int, name: str) -> None:
    cluster = load_cluster(text)
    assert (cluster.nodes, cluster.node.count, cluster.device.name) == (nodes, count, name)
    assert name in cluster.resolved
    assert cluster.name == text


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", UsageError, "no cluster given"),
        ("   ", UsageError, "no cluster given"),
        ("0xh100", UsageError, "at least 1"),
        ("-8xh100", UsageError, "at least 1"),
        ("h100:0", UsageError, "at least 1"),
        ("2x0xh100", UsageError, "at least 1"),
        ("0x8xh100", UsageError, "at least 1"),
        ("12xh100", UsageError, "8xh100-sxm-80gb, 16xh100-sxm-80gb or 2x6xh100-sxm-80gb"),
        ("6xgb200", UsageError, "4xgb200, 8xgb200 or 2x3xgb200"),
        ("8xh1000", NotFoundError, "h100"),
        ("8x", NotFoundError, "no device"),
        ("8xrtx 6000", NotFoundError, "rtx-6000-ada"),
        ("nowhere.toml", NotFoundError, "no cluster file"),
    ],
)
def test_lines_that_name_no_cluster(text: str, error: type[RigwiseError], words: str) -> None:
    with pytest.raises(error, match=words):
        load_cluster(text)


@given(st.integers(1, 64), st.integers(1, 16), st.sampled_from(sorted(devices())))
def test_nodes_times_devices_is_read_as_written(nodes: int, count: int, name: str) -> None:
    cluster = load_cluster(f"{nodes}x{count}x{name}")
    assert (cluster.nodes, cluster.node.count, cluster.device.name) == (nodes, count, name)
    assert cluster.devices == nodes * count


@given(st.integers(1, 4096), st.sampled_from(sorted(devices())))
def test_a_number_of_devices_fills_nodes_or_says_which_numbers_do(total: int, name: str) -> None:
    usual = default_node(devices()[name])[0].count
    if total <= usual or total % usual == 0:
        assert load_cluster(f"{name}:{total}").devices == total
        return
    with pytest.raises(UsageError) as raised:
        load_cluster(f"{name}:{total}")
    for nearest in raised.value.nearest.replace(" or ", ", ").split(", "):
        assert load_cluster(nearest).devices % (usual if nearest.count("x") < 2 else 1) == 0


@given(st.text(max_size=20))
def test_any_line_is_a_cluster_or_a_clean_error(text: str) -> None:
    try:
        cluster = load_cluster(text)
    except RigwiseError:
        return
    assert cluster.devices >= 1


def test_a_spelling_has_at_most_three_parts() -> None:
    assert spell(" 2 x 8 x H100 ") == Spelling("H100", 8, 2)
    assert spell("rtx 4090") == Spelling("rtx 4090", 1)


def test_what_is_given_replaces_the_usual() -> None:
    cluster = load_cluster("16xa100", link="NVLink", nic="4x 100 Gb/s Omni-Path per node", oversubscription=2.0)
    assert cluster.node.nic is not None
    assert (cluster.node.nic.name, cluster.node.nics, cluster.oversubscription) == ("omni-path-100", 4, 2.0)
    assert "read as 4 x omni-path-100" in cluster.resolved
    assert load_cluster("16xa100", nics=2).node.nics == 2
    assert load_cluster("16xa100", per_node=4).nodes == 4
    assert load_cluster("12xh100", per_node=6).nodes == 2


def test_a_bridge_joins_two_cards_or_pairs_of_more() -> None:
    two, four = (load_cluster(f"{count}x rtx 3090", link="NVLink bridge").node for count in (2, 4))
    assert (two.link.kind, two.pair) == ("nvlink-bridge", None)
    assert four.link.kind == "pcie-host"
    assert four.pair is not None
    assert four.pair.kind == "nvlink-bridge"


@pytest.mark.parametrize(
    "wrong", [{"nics": -1}, {"oversubscription": 0.5}, {"oversubscription": float("nan")}, {"per_node": 0}]
)
def test_sizes_that_cannot_be(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        load_cluster("16xh100", **wrong)  # type: ignore[arg-type]


def test_one_device_has_nobody_to_talk_to() -> None:
    node = load_cluster("h100").node
    assert node.link.kind == "none"
    assert load_cluster("gb200").node.fast_domain == 72


@pytest.mark.parametrize("row", table("machines"), ids=lambda row: row["id"])
def test_every_named_machine_loads(row: dict[str, str], tmp_path: Path) -> None:
    cluster = load_cluster(row["id"])
    assert cluster.device.name == row["device"]
    assert cluster.node.network > 0

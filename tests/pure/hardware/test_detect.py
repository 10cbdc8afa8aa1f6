"""This machine, and machines with GPUs as a driver would show them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rigwise.errors import LaunchError, UsageError
from rigwise.hardware import detect as room
from rigwise.hardware.catalog import device
from rigwise.hardware.detect import detect, facts
from rigwise.hardware.load import load_cluster

GIB = 2**30


class Nvml:
    """A driver that knows what it was told: one dict a card. What a card lacks raises, as old drivers do."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_P2P_CAPS_INDEX_READ, NVML_P2P_STATUS_OK = 1, 2, 0, 0

    class NVMLError(Exception):
        pass

    def __init__(self, cards: list[dict[str, Any]], peer: bool | None = None) -> None:
        self.cards, self.peer = cards, peer

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> dict[str, Any]:
        return {"index": index, **self.cards[index]}

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"580.95"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 13010

    def nvmlDeviceGetMemoryInfo(self, card: dict[str, Any]) -> SimpleNamespace:
        return SimpleNamespace(total=self._of(card, "gib") * GIB)

    def nvmlDeviceGetP2PStatus(self, *_: object) -> int:
        if self.peer is None:
            raise self.NVMLError
        return 0 if self.peer else 3

    def nvmlDeviceGetNvLinkState(self, card: dict[str, Any], link: int) -> int:
        if link >= card.get("nvlinks", 0):
            raise self.NVMLError
        return 1

    def nvmlDeviceGetMaxClockInfo(self, card: dict[str, Any], which: int) -> int:
        return int(self._of(card, "clock" if which == self.NVML_CLOCK_SM else "memory_clock"))

    def _of(self, card: dict[str, Any], key: str) -> Any:
        if key not in card:
            raise self.NVMLError
        return card[key]

    def __getattr__(self, call: str) -> Callable[[dict[str, Any]], Any]:
        keys = {
            "nvmlDeviceGetName": "name",
            "nvmlDeviceGetUUID": "uuid",
            "nvmlDeviceGetEnforcedPowerLimit": "milliwatts",
            "nvmlDeviceGetMaxPcieLinkGeneration": "gen",
            "nvmlDeviceGetCurrPcieLinkWidth": "width",
            "nvmlDeviceGetMaxPcieLinkWidth": "full_width",
            "nvmlDeviceGetMemoryBusWidth": "bus",
            "nvmlDeviceGetNumGpuCores": "cores",
        }
        if call not in keys:
            raise AttributeError(call)
        return lambda card: self._of(card, keys[call])

    def __enter__(self) -> Nvml:
        return self

    def __exit__(self, *_: object) -> None:
        return None


Install = Callable[..., None]


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Install:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(cards: list[dict[str, Any]], peer: bool | None = None) -> None:
        monkeypatch.setattr(room, "opened", lambda: Nvml(cards, peer))

    return install


H100 = {"name": "NVIDIA H100 80GB HBM3", "gib": 79.6, "nvlinks": 18, "gen": 5, "width": 16, "full_width": 16}
RTX3090 = {"name": "NVIDIA GeForce RTX 3090", "gib": 24.0, "gen": 4, "width": 16, "full_width": 16, "uuid": "GPU-3090"}


def test_eight_h100_are_a_switched_node(driver: Install) -> None:
    driver([H100 | {"milliwatts": 650_000}] * 8, peer=True)
    cluster = detect()
    assert (cluster.device.name, cluster.devices, cluster.node.link.kind) == ("h100-sxm-80gb", 8, "nvswitch")
    assert cluster.device.memory == pytest.approx(79.6 * GIB)
    assert cluster.device.tdp == 650
    assert cluster.device.peak == device("h100-sxm-80gb").peak
    assert "18 NVLinks active" in cluster.resolved


def test_switched_cards_without_links_fall_back_to_pcie(driver: Install) -> None:
    driver([H100 | {"nvlinks": 0}] * 4, peer=False)
    node = detect().node
    assert node.link.name == "pcie-5-x16-host"


@pytest.mark.parametrize(("peer", "kind"), [(True, "pcie-p2p"), (False, "pcie-host"), (None, "pcie-host")])
def test_peer_access_is_what_the_driver_says(driver: Install, peer: bool | None, kind: str) -> None:
    driver([RTX3090] * 4, peer=peer)
    cluster = detect()
    assert cluster.node.link.kind == kind
    assert ("not reported" in cluster.resolved) == (peer is None)


def test_a_bridge_joins_two_or_pairs(driver: Install) -> None:
    driver([RTX3090 | {"nvlinks": 4}] * 2, peer=True)
    assert detect().node.link.name == "nvlink-bridge-3-x4"
    driver([RTX3090 | {"nvlinks": 4}] * 4, peer=True)
    node = detect().node
    assert node.pair is not None
    assert (node.link.kind, node.pair.kind) == ("pcie-p2p", "nvlink-bridge")


def test_a_narrow_slot_is_seen(driver: Install) -> None:
    driver([RTX3090 | {"width": 4}, RTX3090], peer=False)
    cluster = detect()
    assert cluster.node.link.name == "pcie-4-x4-host"
    assert "slot gives x4 of x16" in cluster.resolved


def test_of_unlike_cards_the_larger_group_is_taken(driver: Install) -> None:
    driver([RTX3090, H100, RTX3090 | {"name": "Tesla T4", "gib": 15}])
    cluster = detect()
    assert cluster.device.name == "h100-sxm-80gb"
    assert "left aside: NVIDIA GeForce RTX 3090, Tesla T4" in cluster.resolved


def test_a_card_that_the_catalogue_lacks_is_described_by_the_driver(driver: Install) -> None:
    driver([{"name": "NVIDIA Nova 1", "gib": 48, "cores": 10_000, "clock": 2000, "memory_clock": 10_000, "bus": 512}])
    found = detect().device
    assert found.peak["float32"] == 2 * 10_000 * 2e9
    assert found.bandwidth == pytest.approx(2 * 10e9 * 512 / 8)
    assert "not in the catalogue" in found.weak


def test_memory_that_the_driver_does_not_give_is_the_catalogue_s(driver: Install) -> None:
    driver([{"name": "NVIDIA GB10"}])
    assert detect().device.memory == device("gb10").memory


def test_the_driver_s_library_has_the_calls_we_make() -> None:
    pynvml = pytest.importorskip("pynvml")
    source = Path(room.__file__).read_text(encoding="utf-8")
    calls = set(re.findall(r"\b(?:nvml[A-Z]\w+|NVML_\w+)", source))
    assert len(calls) > 15
    assert not {call for call in calls if not hasattr(pynvml, call)}


def test_the_visible_devices_are_respected(driver: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    driver([RTX3090, H100, H100])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert detect().device.name == "rtx-3090"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-30")
    assert detect().device.name == "rtx-3090"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,9,2")
    assert detect().devices == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert detect().device.kind == "cpu"
    assert detect(gpus=[1, 2]).devices == 2


@pytest.mark.parametrize(
    "wrong", [{"ranks": 0}, {"ranks": 3}, {"gpus": [5]}, {"gpus": [-1]}, {"memory": 0.0}, {"bandwidth": -1.0}]
)
def test_what_cannot_be(driver: Install, wrong: dict[str, Any]) -> None:
    driver([H100, H100])
    with pytest.raises(UsageError):
        detect(**wrong)


def test_no_gpu_where_one_is_demanded(driver: Install) -> None:
    driver([])
    with pytest.raises(LaunchError, match="no NVIDIA GPU"):
        detect(use="gpu")


def test_this_machine() -> None:
    cluster = detect(use="cpu")
    assert cluster.name == "this"
    assert cluster.nodes == 1
    assert cluster.device.kind == "cpu"
    assert cluster.devices == room.cores()
    assert cluster.device.memory * cluster.devices <= room.ram() * 1.001
    assert 1e9 < cluster.device.peak["float32"] < 1e13
    assert cluster.node.link.kind == ("loopback" if cluster.devices > 1 else "none")
    assert "from tables" in cluster.resolved


def test_this_machine_in_as_many_ranks_as_asked() -> None:
    assert detect(use="cpu", ranks=3).devices == 3
    assert detect(use="cpu", ranks=1).node.link.kind == "none"
    assert "more ranks than cores" in detect(use="cpu", ranks=room.cores() + 1).resolved


def test_what_is_given_replaces_what_is_found() -> None:
    cluster = detect(use="cpu", memory=4e9, bandwidth=7e9)
    assert (cluster.device.memory, cluster.device.bandwidth) == (4e9, 7e9)
    assert "memory, bandwidth as given" in cluster.resolved


def test_a_measured_cpu_says_so() -> None:
    cluster = detect(use="cpu", probe=True)
    assert "measured here" in cluster.resolved
    assert "measured here" in cluster.device.source


def test_this_is_a_cluster_s_name(driver: Install) -> None:
    driver([])
    assert load_cluster("this").devices == room.cores()
    assert load_cluster("this:2").devices == 2
    assert load_cluster(" This ").name == "this"


def test_a_system_that_says_little(driver: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    driver([])

    def fails() -> None:
        raise NotImplementedError

    monkeypatch.setattr(room.psutil, "cpu_freq", fails)
    monkeypatch.setattr(room.psutil, "cpu_count", lambda logical=True: None)
    assert room.cores() == 1
    assert detect().devices == 1


def test_the_report_is_plain_json(driver: Install) -> None:
    driver([RTX3090])
    report = json.loads(json.dumps(facts()))
    assert report["gpus"][0]["pcie_lanes"] == 16
    assert (report["driver"], report["cuda"]) == ("580.95", "13.1")
    assert report["cpu"]["usable_cores"] >= 1
    assert report["disk"]["free"] > 0
    assert report["packages"]["numpy"]

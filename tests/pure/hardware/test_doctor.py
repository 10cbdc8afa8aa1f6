"""Each rule speaks where it should and is silent on a sound machine; counters without permission are told."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from rigwise.hardware import sensors
from rigwise.hardware.doctor import Patient, examine, symptoms
from rigwise.hardware.sensors import Energy, GpuState, energy, gpu_states, in_use
from rigwise.units import GIBI

GPU = GpuState(
    index=0,
    name="NVIDIA H100 80GB HBM3",
    pcie_gen=5,
    pcie_gen_max=5,
    lanes=16,
    lanes_max=16,
    clock=1.9e9,
    clock_max=1.98e9,
    power=100.0,
    power_limit=700.0,
    power_limit_default=700.0,
    temperature=40.0,
    used=0.0,
    users=0,
)
SOUND = Patient(
    facts={"cpu": {"usable_cores": 8, "cores": 8}, "container": {"cores": None, "memory": None}},
    gpus=(GPU, replace(GPU, index=1)),
    governor="performance",
    shared=16 * GIBI,
    files=65536,
    cards={"eth0": 1e10},
)


def said(patient: Patient) -> set[str]:
    return {symptom.rule for symptom in symptoms(patient)}


def test_a_sound_machine_has_no_symptoms() -> None:
    assert said(SOUND) == set()


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({"gpus": (replace(GPU, pcie_gen=3, lanes=4),)}, "slot"),
        ({"gpus": (replace(GPU, throttled=("power limit",)),)}, "throttled"),
        ({"gpus": (replace(GPU, temperature=88.0),)}, "hot"),
        ({"gpus": (replace(GPU, power_limit=450.0),)}, "power limit"),
        ({"gpus": (replace(GPU, users=2, used=3e9),)}, "in use"),
        ({"gpus": (GPU, replace(GPU, index=1, name="RTX 3090"))}, "unequal cards"),
        ({"governor": "powersave"}, "governor"),
        ({"others": 3.0}, "other programs"),
        ({"swapped": 4e9}, "swap"),
        ({"shared": 64 * 2**20}, "shared memory"),
        ({"files": 256}, "open files"),
        ({"cards": {"eth0": 1e8}}, "network"),
        ({"cards": {"eth0": 2.5e10}, "between_hosts": (1.5e8, "2026-01-01")}, "slow network"),
        ({"threads": "64"}, "threads"),
        ({"facts": {"cpu": {"usable_cores": 2, "cores": 8}, "container": {"cores": 2.0}}}, "container"),
    ],
)
def test_a_rule_speaks_with_evidence(changed: dict, rule: str) -> None:
    found = symptoms(replace(SOUND, **changed))
    assert {one.rule for one in found} == {rule}
    assert all(one.evidence and one.why and one.fix for one in found)


def test_the_slot_is_told_in_numbers() -> None:
    patient = replace(SOUND, gpus=(replace(GPU, index=2, pcie_gen=3, lanes=4),))
    assert symptoms(patient)[0].evidence.startswith("GPU 2 runs at PCIe 3.0 x4")


def test_a_network_is_told_beside_what_its_card_promises() -> None:
    slow = replace(SOUND, cards={"eth0": 2.4e10, "eth1": 1e9}, between_hosts=(1.5e8, "2026-01-01"))
    assert symptoms(slow)[0].evidence.startswith(
        "network at 150 MB/s where 3.00 GB/s is expected (eth0 runs at 24 Gbit"
    )
    assert said(replace(SOUND, between_hosts=(1.2e9, "2026-01-01"))) == set()
    assert said(replace(SOUND, cards={"eth0": 0.0}, between_hosts=(1.0, "2026-01-01"))) == set()


def test_a_gpu_that_fell_off_the_bus_is_left_out(monkeypatch) -> None:
    driver = fake(nvmlDeviceGetCount=2, nvmlDeviceGetTotalEnergyConsumption=5000)

    def handle(index: int) -> int:
        if index == 0:
            raise _NvmlError
        return index

    driver.nvmlDeviceGetHandleByIndex = handle
    monkeypatch.setitem(__import__("sys").modules, "pynvml", driver)
    assert [state.index for state in gpu_states()] == [1]
    assert energy(Path("/nowhere")).missing[0] == "GPU 0 counts no energy"


def test_warnings_come_before_notes() -> None:
    both = replace(SOUND, governor="powersave", cards={"eth0": 1e8})
    assert [one.severity for one in symptoms(both)] == ["warning", "note"]


def test_this_machine_can_be_examined() -> None:
    patient = examine()
    assert patient.to_dict()["cpu"]["usable_cores"] >= 1
    assert isinstance(symptoms(patient), list)


class _NvmlError(Exception):
    pass


def fake(**answers: object) -> SimpleNamespace:
    calls = {name: (lambda *_, value=value: value) for name, value in answers.items()}
    plain = {"nvmlInit": lambda: None, "nvmlShutdown": lambda: None, "nvmlDeviceGetHandleByIndex": lambda index: index}
    return SimpleNamespace(NVMLError=_NvmlError, NVML_CLOCK_SM=1, NVML_TEMPERATURE_GPU=0, **plain, **calls)


def test_a_driver_is_read_and_what_it_does_not_say_is_none(monkeypatch) -> None:
    driver = fake(
        nvmlDeviceGetCount=1,
        nvmlDeviceGetName=b"NVIDIA H100",
        nvmlDeviceGetCurrPcieLinkGeneration=3,
        nvmlDeviceGetMaxPcieLinkGeneration=5,
        nvmlDeviceGetClockInfo=1410,
        nvmlDeviceGetCurrentClocksEventReasons=0x0004 | 0x0001,
        nvmlDeviceGetComputeRunningProcesses=["one"],
        nvmlDeviceGetTotalEnergyConsumption=5000,
    )
    monkeypatch.setitem(__import__("sys").modules, "pynvml", driver)
    state = gpu_states()[0]
    assert (state.name, state.pcie_gen, state.clock, state.throttled) == ("NVIDIA H100", 3, 1.41e9, ("power limit",))
    assert (state.lanes, state.temperature) == (None, None)
    assert in_use([state]) == ("GPU 0 is in use: 1 process compute on it",)
    assert energy(Path("/nowhere")).counters == {"GPU 0": (5.0, float("inf"))}


def test_the_driver_s_library_has_the_calls_we_make() -> None:
    pynvml = pytest.importorskip("pynvml")
    source = Path(sensors.__file__).read_text(encoding="utf-8")
    calls = set(re.findall(r"\"(nvml[A-Z]\w+)\"", source))
    assert len(calls) > 10
    assert not {call for call in calls if not hasattr(pynvml, call)}


def test_rapl_counts_and_starts_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", fake(nvmlDeviceGetCount=0))
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    (package / "max_energy_range_uj").write_text("10000000\n")
    (package / "energy_uj").write_text("9000000\n")
    first = energy(tmp_path)
    (package / "energy_uj").write_text("1000000\n")
    assert first.until(energy(tmp_path)) == pytest.approx(2.0)


def test_a_counter_without_permission_is_told(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "intel-rapl:0"
    package.mkdir()
    (package / "max_energy_range_uj").write_text("10")
    (package / "energy_uj").write_text("1")
    plain = Path.read_text

    def refuse(path: Path, *args: object, **kwargs: object) -> str:
        if path.name == "energy_uj":
            raise PermissionError
        return plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    found = energy(tmp_path)
    assert any("no permission" in text for text in found.missing)
    assert found.until(found) is None or "intel-rapl:0" not in found.counters


def test_no_counter_is_no_energy() -> None:
    assert Energy(counters={}).until(Energy(counters={})) is None

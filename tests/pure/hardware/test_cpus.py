"""The CPU as devices: its microarchitecture, its shares, what a container leaves of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.hardware.cpus import Processor, cpu_device, microarchitecture, read_processor, socket_bandwidth
from rigwise.hardware.limits import Limits, allowed_cores, control_group
from rigwise.hardware.probe import Probe, probe
from rigwise.hardware.tables import table

ZEN4 = Processor(
    name="AMD EPYC 9654", vendor="AuthenticAMD", family="25", model="17", flags=frozenset({"avx2", "avx512_bf16"})
)


@pytest.mark.parametrize(
    ("vendor", "family", "model", "flags", "expected"),
    [
        ("AuthenticAMD", "23", "1", "", "zen"),
        ("AuthenticAMD", "23", "49", "", "zen2"),
        ("AuthenticAMD", "25", "33", "", "zen3"),
        ("AuthenticAMD", "25", "17", "", "zen4"),
        ("AuthenticAMD", "25", "97", "", "zen4"),
        ("AuthenticAMD", "26", "68", "", "zen5"),
        ("GenuineIntel", "6", "63", "", "haswell"),
        ("GenuineIntel", "6", "85", "", "skylake-sp"),
        ("GenuineIntel", "6", "106", "", "ice-lake-sp"),
        ("GenuineIntel", "6", "143", "", "sapphire-rapids"),
        ("GenuineIntel", "6", "183", "", "golden-cove"),
        ("GenuineIntel", "6", "87", "", "knights-landing"),
        ("arm:0x41", "", "0xd0c", "asimd", "neoverse-n1"),
        ("arm:0x41", "", "0xd4f", "asimd", "neoverse-v2"),
        ("arm:0x61", "", "0x022", "asimd", "apple"),
        ("GenuineIntel", "99", "1", "avx512f fma avx sse2", "any-avx512"),
        ("NewVendor", "1", "1", "fma avx sse2", "any-avx2"),
        ("NewVendor", "1", "1", "sse2", "any-sse"),
        ("arm:0x99", "", "0x001", "asimd", "any-neon"),
        ("", "", "", "", "any"),
    ],
)
def test_microarchitectures(vendor: str, family: str, model: str, flags: str, expected: str) -> None:
    processor = Processor(vendor=vendor, family=family, model=model, flags=frozenset(flags.split()))
    assert microarchitecture(processor)["id"] == expected


@pytest.mark.parametrize("row", table("cpus"), ids=lambda row: row["id"])
def test_a_core_does_what_a_core_can(row: dict[str, str]) -> None:
    assert int(row["float32_per_cycle"]) in (8, 16, 32, 64)
    assert not row["bfloat16_per_cycle"] or int(row["bfloat16_per_cycle"]) > int(row["float32_per_cycle"])
    assert 1 < float(row["core_gb_s"]) < 100


@given(st.integers(1, 256), st.integers(1, 256))
def test_shares_add_up_to_the_machine(cores: int, ranks: int) -> None:
    device = cpu_device(ZEN4, cores=cores, ranks=ranks, ram=64e9, clock=2e9)
    assert device.peak["float32"] * ranks == pytest.approx(cores * 32 * 2e9)
    assert device.memory * ranks == pytest.approx(64e9)
    assert device.bandwidth * ranks == pytest.approx(min(cores * 25e9, 460.8e9))
    assert device.kind == "cpu"


def test_the_least_of_a_core_s_draw_and_the_sockets_share() -> None:
    assert socket_bandwidth(microarchitecture(ZEN4), "AMD EPYC 9654") == 460.8e9
    assert socket_bandwidth(microarchitecture(ZEN4), "AMD Ryzen 9 7950X") == 89.6e9
    assert socket_bandwidth(microarchitecture(Processor()), "") is None


def test_what_is_measured_replaces_the_tables() -> None:
    measured = Probe(flops=100e9, bandwidth=12e9, cores=4)
    device = cpu_device(ZEN4, cores=4, ranks=2, ram=16e9, clock=2.5e9, measured=measured)
    assert device.peak["float32"] == pytest.approx(200e9)
    assert device.peak["bfloat16"] == pytest.approx(400e9)
    assert device.bandwidth == 24e9
    assert "measured here" in device.source


def test_bfloat16_needs_its_flag() -> None:
    plain = Processor(vendor="AuthenticAMD", family="25", model="17")
    assert "bfloat16" not in cpu_device(plain, cores=1, ranks=1, ram=1e9, clock=2e9).peak


def test_the_probe_measures_something_a_cpu_can_do() -> None:
    found = probe(1)
    assert 1e8 < found.flops < 1e13
    assert 1e7 < found.bandwidth < 1e12


CPUINFO = """processor : 0
vendor_id : GenuineIntel
cpu family : 6
model : 85
model name : Intel(R) Xeon(R) Gold 6148 CPU @ 2.40GHz
flags : fpu avx2 avx512f fma

processor : 1
model : 99
"""
ARM = "processor : 0\nFeatures : fp asimd bf16\nCPU implementer : 0x41\nCPU part : 0xd40\n"


def test_cpuinfo_of_both_families(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(CPUINFO)
    found = read_processor(file)
    assert (found.vendor, found.family, found.model) == ("GenuineIntel", "6", "85")
    assert "avx512f" in found.flags
    file.write_text(ARM)
    assert microarchitecture(read_processor(file))["id"] == "neoverse-v1"


@pytest.mark.parametrize(
    ("system", "machine", "processor", "expected"),
    [
        ("Darwin", "arm64", "arm", "apple"),
        ("Darwin", "x86_64", "i386", "any-avx2"),
        ("Windows", "AMD64", "AMD64 Family 25 Model 33 Stepping 0, AuthenticAMD", "zen3"),
        ("Windows", "AMD64", "Intel64 Family 6 Model 183 Stepping 1, GenuineIntel", "golden-cove"),
        ("Plan9", "mips", "", "any"),
    ],
)
def test_systems_without_cpuinfo(
    system: str, machine: str, processor: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("platform.processor", lambda: processor)
    found = read_processor(tmp_path / "absent")
    assert microarchitecture(found)["id"] == expected
    assert cpu_device(found, cores=2, ranks=2, ram=8e9, clock=3e9).name.startswith("cpu-")


def group(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("files", "own", "expected"),
    [
        ({"": {"cpu__max": "200000 100000\n"}}, "0::/\n", Limits(cores=2.0)),
        ({"": {"cpu__max": "max 100000\n", "memory__max": "max\n"}}, "0::/\n", Limits()),
        (
            {"a": {"memory__max": "1000"}, "a/b": {"memory__max": "4000", "cpu__max": "50000 100000"}},
            "0::/a/b\n",
            Limits(cores=0.5, memory=1000.0),
        ),
        (
            {
                "memory/x": {"memory__limit_in_bytes": "2048"},
                "cpu,cpuacct/x": {"cpu__cfs_quota_us": "300000", "cpu__cfs_period_us": "100000"},
            },
            "5:memory:/x\n4:cpu,cpuacct:/x\n",
            Limits(cores=3.0, memory=2048.0),
        ),
        (
            {"memory/x": {"memory__limit_in_bytes": "9223372036854771712"}, "cpu/x": {"cpu__cfs_quota_us": "-1"}},
            "5:memory:/x\n4:cpu:/x\n",
            Limits(),
        ),
        ({"": {"memory__max": "broken"}}, "nonsense\n", Limits()),
    ],
)
def test_a_container_s_limits(files: dict[str, dict[str, str]], own: str, expected: Limits, tmp_path: Path) -> None:
    for path, content in files.items():
        group(tmp_path / "root", path, **content)
    (tmp_path / "own").write_text(own)
    assert control_group(tmp_path / "root", tmp_path / "own") == expected


def test_no_groups_no_limits(tmp_path: Path) -> None:
    assert control_group(tmp_path / "absent", tmp_path / "absent") == Limits()
    assert allowed_cores() >= 1

"""A CPU taken as devices: one rank is one core (or a share of several) with its part of the memory.

The rate is FLOP a cycle of the microarchitecture (catalog/cpus.csv) times the clock; the bandwidth the least of what
one core can draw and its share of the sockets'. A probe replaces both by what was measured.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rigwise.hardware.device import Device
from rigwise.hardware.tables import by_id, number, table
from rigwise.units import GIGA

if TYPE_CHECKING:
    from rigwise.hardware.probe import Probe  # brings NumPy, which reading names does not need

_SERVER = re.compile(r"epyc|xeon|altra|neoverse|grace|graviton|opteron|power", re.IGNORECASE)
_WINDOWS = re.compile(r"Family (\d+) Model (\d+).*, (\w+)")
_BRANDS = ("epyc", "threadripper", "ryzen", "xeon", "core", "apple", "altra", "grace", "graviton")


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What the system says of its CPU. family, model: decimal, or Arm's implementer and part as 0x.. text."""

    name: str = ""
    vendor: str = ""
    family: str = ""
    model: str = ""
    flags: frozenset[str] = frozenset()
    machine: str = ""


def read_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """The CPU of this machine; on systems without /proc/cpuinfo, what Python's platform module knows."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _from_platform()
    pairs = (line.split(":", 1) for line in text.split("\n\n", 1)[0].splitlines() if ":" in line)
    facts = {key.strip(): value.strip() for key, value in pairs}
    arm = "CPU implementer" in facts
    return Processor(
        name=facts.get("model name", "") or facts.get("Hardware", "") or platform.processor(),
        vendor=f"arm:{facts['CPU implementer']}" if arm else facts.get("vendor_id", ""),
        family="" if arm else facts.get("cpu family", ""),
        model=facts.get("CPU part", "") if arm else facts.get("model", ""),
        flags=frozenset((facts.get("flags") or facts.get("Features", "")).split()),
        machine=platform.machine(),
    )


def _from_platform() -> Processor:
    name, machine = platform.processor(), platform.machine()
    windows = _WINDOWS.search(name)
    if windows:
        return Processor(name=name, vendor=windows[3], family=windows[1], model=windows[2], machine=machine)
    if platform.system() == "Darwin":
        flags = frozenset() if machine == "arm64" else frozenset({"fma", "avx", "sse2"})
        vendor = "arm:0x61" if machine == "arm64" else ""
        return Processor(name="Apple silicon" if vendor else name, vendor=vendor, flags=flags, machine=machine)
    return Processor(name=name, machine=machine)


def microarchitecture(processor: Processor) -> Mapping[str, str]:
    """The row of catalog/cpus.csv: by family and model, else by what the flags allow, else the least of all."""
    return next(row for row in table("cpus") if _matches(row, processor))


def _matches(row: Mapping[str, str], processor: Processor) -> bool:
    vendor = row["vendor"]
    if vendor.startswith("flag:"):
        return vendor[5:] in processor.flags
    if vendor.startswith("machine:"):
        return vendor[8:] == processor.machine.lower()
    if vendor and vendor != processor.vendor:
        return False
    if row["family"] and row["family"] != processor.family:
        return False
    return not row["models"] or processor.model in set(_models(row["models"]))


def _models(text: str) -> Iterator[str]:
    for word in text.split():
        low, _, high = word.partition("-")
        yield from (str(model) for model in range(int(low), int(high) + 1)) if high else (word,)


def socket_bandwidth(row: Mapping[str, str], name: str) -> float | None:
    """Bytes/s of one socket's memory, from the platform that the microarchitecture usually sits on; None if unknown."""
    platform_id = row["server_platform" if _SERVER.search(name) else "desktop_platform"]
    return number(by_id("platforms")[platform_id]["bandwidth_gb_s"], GIGA) if platform_id else None


def memory_bandwidth(row: Mapping[str, str], name: str, cores: int) -> float:
    """Bytes/s that `cores` cores draw from memory together: the least of their own and their socket's."""
    drawn, socket = float(row["core_gb_s"]) * GIGA * cores, socket_bandwidth(row, name)
    return min(drawn, socket) if socket else drawn


def cpu_device(
    processor: Processor, *, cores: int, ranks: int, ram: float, clock: float, measured: Probe | None = None
) -> Device:
    """One of `ranks` equal shares of a machine's `cores`. ram: bytes in all. clock: Hz.

    >>> row = Processor(name="AMD EPYC 9654", vendor="AuthenticAMD", family="25", model="17")
    >>> device = cpu_device(row, cores=4, ranks=2, ram=16e9, clock=2.5e9)
    >>> device.name, device.peak["float32"], device.memory
    ('cpu-amd-epyc-zen4-2-cores', 160000000000.0, 8000000000.0)
    """
    row = microarchitecture(processor)
    share = cores / ranks
    core_flops = float(row["float32_per_cycle"]) * clock
    total = memory_bandwidth(row, processor.name, cores)
    peak = {"float32": core_flops * share}
    if row["bfloat16_per_cycle"] and processor.flags & {"avx512_bf16", "amx_bf16", "bf16"}:
        peak["bfloat16"] = float(row["bfloat16_per_cycle"]) * clock * share
    source = f"catalog/cpus.csv {row['id']} at {clock / GIGA:.2f} GHz; {row['source']}"
    weak = row["weak"]
    if measured:
        scale = measured.flops / core_flops
        peak = {kind: rate * scale for kind, rate in peak.items()}
        total = measured.bandwidth * cores
        source = "measured here: float32 product of 768 x 768, copies of 64 MiB"
        weak = "other types than float32 scaled" if len(peak) > 1 else ""
    return Device(
        name=_name(processor, row["id"], share),
        kind="cpu",
        vendor=_vendor(processor),
        arch=row["id"],
        year=None,
        form="cpu",
        memory=ram / ranks,
        bandwidth=total / ranks,
        peak=peak,
        processors=max(1, round(share)),
        rated_name=processor.name,
        source=source,
        date=row["date"],
        weak=weak,
    )


def _vendor(processor: Processor) -> str:
    known = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel", "arm:0x61": "Apple"}
    return known.get(processor.vendor, "Arm" if processor.vendor.startswith("arm:") else "unknown")


def _name(processor: Processor, arch: str, share: float) -> str:
    brand = next((word for word in _BRANDS if word in processor.name.lower()), "")
    parts = ["cpu", _vendor(processor).lower(), brand if brand != _vendor(processor).lower() else "", arch]
    size = "core" if share == 1 else f"{share:g}-cores"
    return "-".join(part for part in (*parts, size) if part)

"""What the driver reports of a GPU, turned into a Device and the link between several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rigwise.errors import NotFoundError
from rigwise.hardware.catalog import bridge, devices, links
from rigwise.hardware.device import Device, Link
from rigwise.hardware.fabrics import PCIE_WIDTHS, default_node, own_link
from rigwise.hardware.names import resolve_device
from rigwise.units import GIBI


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU as NVML shows it. Amounts in bytes, bytes/s, watts, Hz; None where the driver does not say."""

    index: int
    uuid: str
    name: str
    memory: float  # 0 where it is shared with the CPU and the driver gives none
    power_limit: float | None = None
    pcie_gen: int | None = None
    pcie_lanes: int | None = None  # in use now
    pcie_lanes_max: int | None = None
    nvlinks: int = 0  # active
    cores: int | None = None
    clock: float | None = None
    bandwidth: float | None = None


def gpu_device(gpu: Gpu) -> tuple[Device, str]:
    """The catalogue's device with what was found here put in, and how the name was read.

    A card that the catalogue lacks is described by its cores, clock and memory bus alone, and marked weak.
    """
    try:
        name, how = _resolve(gpu)
    except NotFoundError as error:
        return _unknown(gpu), f"{gpu.name} is not in the catalogue ({error.nearest or 'no near name'})"
    known = devices()[name]
    found = replace(
        known,
        memory=gpu.memory or known.memory,
        tdp=gpu.power_limit or known.tdp,
        pcie_gen=gpu.pcie_gen or known.pcie_gen,
        pcie_lanes=_width(gpu.pcie_lanes) or known.pcie_lanes,
        source=f"{known.source}; memory, power limit and PCIe link as found here",
    )
    narrow = gpu.pcie_lanes and gpu.pcie_lanes_max and gpu.pcie_lanes < gpu.pcie_lanes_max
    says = f"slot gives x{gpu.pcie_lanes} of x{gpu.pcie_lanes_max}" if narrow else ""
    return found, "; ".join(part for part in (how, says) if part)


def _resolve(gpu: Gpu) -> tuple[str, str]:
    """The id by name and memory together; by name alone where the memory fits none (a part of the card, say)."""
    try:
        return resolve_device(f"{gpu.name} {gpu.memory / GIBI:.1f}GB" if gpu.memory else gpu.name)
    except NotFoundError:
        return resolve_device(gpu.name)


def _width(lanes: int | None) -> int | None:
    return next((width for width in PCIE_WIDTHS if lanes and width <= lanes), None)


def _unknown(gpu: Gpu) -> Device:
    rate = 2.0 * gpu.cores * gpu.clock if gpu.cores and gpu.clock else None
    return Device(
        name=gpu.name.lower().replace("nvidia ", "").replace(" ", "-"),
        kind="gpu",
        vendor="NVIDIA",
        arch="unknown",
        year=None,
        form="pcie",
        memory=gpu.memory,
        bandwidth=gpu.bandwidth or 0.0,
        peak={"float32": rate} if rate else {},
        processors=None,
        tdp=gpu.power_limit,
        pcie_gen=gpu.pcie_gen,
        pcie_lanes=_width(gpu.pcie_lanes),
        rated_name=gpu.name,
        source="read from the driver here",
        weak="not in the catalogue: float32 from cores and clock, bandwidth from the memory bus, nothing else known",
    )


def gpu_link(device: Device, gpus: Sequence[Gpu], peer: bool | None) -> tuple[Link, Link | None, str]:
    """What joins GPUs of one machine: the link, a faster one in pairs, and how it was found.

    peer: whether every pair reports direct access; None where the driver would not say.
    """
    if len(gpus) == 1:
        return links()["none"], None, ""
    usual = default_node(device, len(gpus))[0].link
    direct = device.peer_access if peer is None else peer
    plain = own_link(device, peer=bool(direct))
    active = min(gpu.nvlinks for gpu in gpus)
    if usual.kind in ("nvswitch", "nvlink-mesh"):
        return (usual, None, f"{active} NVLinks active") if active else (plain, None, "no NVLink is active")
    found = bridge(device.name) if active else None
    if found and len(gpus) == 2:
        return found, None, f"{active} NVLinks active"
    way = "direct" if direct else "through host memory"
    return plain, found, f"PCIe {way}" + ("" if peer is not None else " (taken, not reported)")

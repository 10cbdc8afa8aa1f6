"""This machine as a cluster of one node: its NVIDIA GPUs, or where there are none its CPU, one rank a core.

Also `facts`, the plain report for `rigwise hardware detect --json` and for bug reports.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from rigwise.errors import LaunchError, UsageError
from rigwise.hardware.catalog import links
from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.cpus import Processor, cpu_device, memory_bandwidth, microarchitecture, read_processor
from rigwise.hardware.device import Device, Host, Link
from rigwise.hardware.fabrics import decode_rate, own_link
from rigwise.hardware.gpus import Gpu, gpu_device, gpu_link
from rigwise.hardware.limits import allowed_cores, control_group
from rigwise.hardware.nvml import ask, opened
from rigwise.units import BITS_PER_BYTE, GIGA, MEGA, MILLI, show_bytes, show_flops, show_rate

if TYPE_CHECKING:
    from rigwise.hardware.probe import Probe  # brings NumPy, which reading names does not need

_DEFAULT_CLOCK = 2.5 * GIGA  # where the system does not say
_NVLINKS = 18  # the most a GPU has


def detect(
    *,
    ranks: int | None = None,
    use: Literal["auto", "gpu", "cpu"] = "auto",
    memory: float | None = None,
    bandwidth: float | None = None,
    gpus: Sequence[int] | None = None,
    probe: bool = False,
) -> Cluster:
    """This machine. `resolved` says what was found and how; each argument replaces what would be found.

    ranks: devices to count (GPUs, or equal shares of the CPU's cores). use: which kind. memory: bytes of a device.
    bandwidth: bytes/s of a device's memory. gpus: indices, as nvidia-smi numbers them. probe: measure the CPU for about
    0.3 s and believe that instead of the tables.

    Raises UsageError for a number below 1 or more GPUs than there are, LaunchError where use="gpu" finds none.
    """
    if ranks is not None and ranks < 1:
        raise UsageError(f"{ranks} ranks on this machine", rule="at least 1")
    found, drivers = _visible(gpus) if use != "cpu" else ([], {})
    if use == "gpu" and not found:
        raise LaunchError("no NVIDIA GPU found", rule=str(drivers.get("why", "")), nearest='use="cpu"')
    cluster = _gpu_cluster(found, ranks) if found else _cpu_cluster(ranks, probe)
    return _changed(cluster, memory, bandwidth)


def _changed(cluster: Cluster, memory: float | None, bandwidth: float | None) -> Cluster:
    """The cluster with a device's memory and bandwidth as given."""
    given = {key: value for key, value in (("memory", memory), ("bandwidth", bandwidth)) if value is not None}
    for key, value in given.items():
        if not value > 0:
            raise UsageError(f"{key} = {value:g} of a device", rule="more than zero")
    if not given:
        return cluster
    device = replace(
        cluster.device,
        memory=given.get("memory", cluster.device.memory),
        bandwidth=given.get("bandwidth", cluster.device.bandwidth),
    )
    says = f"{cluster.resolved}; {', '.join(given)} as given"
    return replace(cluster, node=replace(cluster.node, device=device), resolved=says)


def cores() -> int:
    """Cores that this process may keep busy: physical ones, within its affinity and its container's share."""
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    share = control_group().cores
    return max(1, min(physical, allowed_cores(), int(share) if share and share >= 1 else physical))


def ram() -> float:
    """Bytes of memory that this process may fill."""
    total = float(psutil.virtual_memory().total)
    limit = control_group().memory
    return min(total, limit) if limit else total


def _clock() -> float:
    try:
        seen = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return _DEFAULT_CLOCK
    return (max(seen.max, seen.current) * MEGA if seen else 0.0) or _DEFAULT_CLOCK


def _host(processor: Processor, copy: Mapping[str, float] | None = None) -> Host:
    row = microarchitecture(processor)
    return Host(
        cores=psutil.cpu_count(logical=False),
        threads=psutil.cpu_count(),
        ram=ram(),
        cpu=processor.name,
        bandwidth=memory_bandwidth(row, processor.name, cores()),
        decode=decode_rate(row["id"]),
        copy=dict(copy or {}),
    )


def _cpu_cluster(ranks: int | None, probe: bool) -> Cluster:
    processor, count = read_processor(), cores()
    ranks = ranks or count
    measured = _measure(count) if probe else None
    device = cpu_device(processor, cores=count, ranks=ranks, ram=ram(), clock=_clock(), measured=measured)
    link = links()["loopback" if ranks > 1 else "none"]
    node = Node(device=device, count=ranks, link=link, host=_host(processor))
    rate = show_flops(device.peak["float32"], per_second=True)
    says = [
        f"this: {ranks} x {device.name} ({count} usable cores of {processor.name or 'an unnamed CPU'})",
        f"{rate} float32, {show_bytes(device.memory)} and {show_rate(device.bandwidth)} each",
        "measured here"
        if measured
        else f"from tables ({microarchitecture(processor)['id']}, {_clock() / GIGA:.2f} GHz)",
        "more ranks than cores" if ranks > count else "",
    ]
    return Cluster(name="this", node=node, topology="one machine", resolved="; ".join(part for part in says if part))


def _measure(count: int) -> Probe:
    from rigwise.hardware.probe import probe  # NumPy is not needed to read names

    return probe(count)


def _gpu_cluster(found: Sequence[Gpu], ranks: int | None) -> Cluster:
    group = _largest(found)
    if ranks is not None and ranks > len(group):
        raise UsageError(f"{ranks} ranks, but {len(group)} GPUs {group[0].name}", nearest=f"this:{len(group)}")
    group = group[: ranks or len(group)]
    device, how = gpu_device(group[0])
    lanes = min((gpu.pcie_lanes for gpu in group if gpu.pcie_lanes), default=None)
    link, pair, joined = gpu_link(device, group, _peer(group))
    left = sorted({gpu.name for gpu in found} - {gpu.name for gpu in group})
    node = Node(
        device=device,
        count=len(group),
        link=link,
        pair=pair,
        host_link=_host_link(device),
        host=_host(read_processor(), {"pinned": way.bandwidth} if (way := _host_link(device)) else None),
    )
    says = [
        f"this: {len(group)} x {device.name}",
        how,
        f"joined by {link.name} ({joined})" if joined else "",
        f"slowest slot x{lanes}" if lanes and len(group) > 1 else "",
        f"left aside: {', '.join(left)} (one node holds equal devices)" if left else "",
    ]
    return Cluster(name="this", node=node, topology="one machine", resolved="; ".join(part for part in says if part))


def _largest(found: Sequence[Gpu]) -> list[Gpu]:
    """The equal GPUs that together have the most memory."""
    kinds: dict[tuple[str, float], list[Gpu]] = {}
    for gpu in found:
        kinds.setdefault((gpu.name, gpu.memory), []).append(gpu)
    return max(kinds.values(), key=lambda group: sum(gpu.memory for gpu in group))


def _host_link(device: Device) -> Link | None:
    return own_link(device, peer=True) if device.pcie_gen in range(1, 7) else None


# --- NVML ------------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


def _all_gpus() -> tuple[list[Gpu], dict[str, Any]]:
    """Every GPU of the machine, and the versions of driver and CUDA (or why there is none)."""
    with opened() as nvml:
        if nvml is None:
            return [], {"why": "no NVIDIA driver answers"}
        cuda = ask(nvml, "nvmlSystemGetCudaDriverVersion")
        drivers = {
            "driver": _text(ask(nvml, "nvmlSystemGetDriverVersion")),
            "cuda": f"{cuda // 1000}.{cuda % 1000 // 10}" if cuda else None,
        }
        handles = [ask(nvml, "nvmlDeviceGetHandleByIndex", i) for i in range(ask(nvml, "nvmlDeviceGetCount") or 0)]
        return [_gpu(nvml, index, handle) for index, handle in enumerate(handles) if handle is not None], drivers


def _gpu(nvml: Any, index: int, handle: Any) -> Gpu:
    memory = ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    power = ask(nvml, "nvmlDeviceGetEnforcedPowerLimit", handle)
    clock = ask(nvml, "nvmlDeviceGetMaxClockInfo", handle, nvml.NVML_CLOCK_SM)
    memory_clock = ask(nvml, "nvmlDeviceGetMaxClockInfo", handle, nvml.NVML_CLOCK_MEM)
    bus = ask(nvml, "nvmlDeviceGetMemoryBusWidth", handle)
    active = [ask(nvml, "nvmlDeviceGetNvLinkState", handle, link) for link in range(_NVLINKS)]
    return Gpu(
        index=index,
        uuid=_text(ask(nvml, "nvmlDeviceGetUUID", handle)),
        name=_text(ask(nvml, "nvmlDeviceGetName", handle)),
        memory=float(memory.total) if memory else 0.0,
        power_limit=power * MILLI if power else None,
        pcie_gen=ask(nvml, "nvmlDeviceGetMaxPcieLinkGeneration", handle),
        pcie_lanes=ask(nvml, "nvmlDeviceGetCurrPcieLinkWidth", handle),
        pcie_lanes_max=ask(nvml, "nvmlDeviceGetMaxPcieLinkWidth", handle),
        nvlinks=sum(state == 1 for state in active),
        cores=ask(nvml, "nvmlDeviceGetNumGpuCores", handle),
        clock=clock * MEGA if clock else None,
        bandwidth=2 * memory_clock * MEGA * bus / BITS_PER_BYTE if memory_clock and bus else None,
    )


def _peer(gpus: Sequence[Gpu]) -> bool | None:
    """Whether every pair reads the other's memory directly; None where the driver does not say."""
    with opened() as nvml:
        if nvml is None or len(gpus) < 2:
            return None
        handles = [nvml.nvmlDeviceGetHandleByIndex(gpu.index) for gpu in gpus]
        read = nvml.NVML_P2P_CAPS_INDEX_READ
        answers = [ask(nvml, "nvmlDeviceGetP2PStatus", one, other, read) for one, other in permutations(handles, 2)]
        return None if None in answers else all(answer == nvml.NVML_P2P_STATUS_OK for answer in answers)


def peer_access() -> bool | None:
    """Whether the GPUs that a run sees read each other's memory; None where there are not two, or nobody says."""
    return _peer(_visible(None)[0])


def _visible(chosen: Sequence[int] | None) -> tuple[list[Gpu], dict[str, Any]]:
    """The GPUs to use: those asked for, else those CUDA_VISIBLE_DEVICES leaves, else all."""
    found, drivers = _all_gpus()
    if chosen is not None:
        missing = [index for index in chosen if index not in range(len(found))]
        if missing:
            raise UsageError(f"no GPU {missing[0]}", rule=f"this machine has {len(found)}, numbered from 0")
        return [found[index] for index in chosen], drivers
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found, drivers
    kept: list[Gpu] = []
    for word in (part.strip() for part in visible.split(",")):
        match = [gpu for gpu in found if word == str(gpu.index) or (word and gpu.uuid.startswith(word))]
        if not match:  # as CUDA does: what follows an unknown entry is invisible
            break
        kept += match
    return kept, drivers


# --- the report ------------------------------------------------------------------------------------------------------


def facts() -> dict[str, Any]:
    """What this machine is, as plain values (bytes, Hz, watts) for JSON and bug reports. Nothing is imported for it."""
    processor, (found, drivers) = read_processor(), _all_gpus()
    limits = control_group()
    return {
        "system": platform.platform(),
        "cpu": {
            "name": processor.name,
            "microarchitecture": microarchitecture(processor)["id"],
            "cores": psutil.cpu_count(logical=False),
            "threads": psutil.cpu_count(),
            "usable_cores": cores(),
            "clock_hz": _clock(),
        },
        "memory": {"total": psutil.virtual_memory().total, "usable": ram(), "free": psutil.virtual_memory().available},
        "container": asdict(limits),
        "gpus": [asdict(gpu) for gpu in found],
        "driver": drivers.get("driver"),
        "cuda": drivers.get("cuda"),
        "disk": {"path": str(Path.cwd()), "free": shutil.disk_usage(Path.cwd()).free},
        "python": platform.python_version(),
        "executable": sys.executable,
        "packages": {name: _version(name) for name in ("rigwise", "torch", "numpy", "nvidia-ml-py")},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None

"""What the machine says of itself at this moment: clocks, limits and users of its GPUs, and counters of energy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rigwise.hardware.nvml import ask, opened
from rigwise.units import MEGA, MICRO, MILLI

_POWERCAP = Path("/sys/class/powercap")
THROTTLES = {
    0x0004: "power limit",
    0x0008: "hardware slowdown",
    0x0020: "thermal limit (software)",
    0x0040: "thermal limit (hardware)",
    0x0080: "power brake",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons that slow a busy GPU (NVML reference manual)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuState:
    """One GPU now. Hz, watts, bytes, degrees Celsius; None where the driver does not say."""

    index: int
    name: str
    pcie_gen: int | None
    pcie_gen_max: int | None
    lanes: int | None
    lanes_max: int | None
    clock: float | None
    clock_max: float | None
    power: float | None
    power_limit: float | None
    power_limit_default: float | None
    temperature: float | None
    used: float | None
    users: int | None
    throttled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Joules counted so far by each counter, by its name. missing: what could not be read, in words."""

    counters: dict[str, tuple[float, float]]  # joules, and the joules at which the counter starts again
    missing: tuple[str, ...] = ()

    def until(self, later: Energy) -> float | None:
        """Joules between two readings, all counters together; None where there is no counter.

        >>> Energy(counters={"a": (9.0, 10.0)}).until(Energy(counters={"a": (1.0, 10.0)}))
        2.0
        """
        both = [
            (start, later.counters[name][0], top)
            for name, (start, top) in self.counters.items()
            if name in later.counters
        ]
        if not both:
            return None
        return sum(end - start if end >= start else end + top - start for start, end, top in both)


def gpu_states() -> list[GpuState]:
    """Every GPU of the machine."""
    with opened() as nvml:
        if nvml is None:
            return []
        handles = [ask(nvml, "nvmlDeviceGetHandleByIndex", i) for i in range(ask(nvml, "nvmlDeviceGetCount") or 0)]
        return [_state(nvml, index, handle) for index, handle in enumerate(handles) if handle is not None]


def _state(nvml: Any, index: int, handle: Any) -> GpuState:

    def number(call: str, *arguments: Any, scale: float = 1.0) -> float | None:
        found = ask(nvml, call, handle, *arguments)
        return None if found is None else float(found) * scale

    memory = ask(nvml, "nvmlDeviceGetMemoryInfo", handle)
    users = ask(nvml, "nvmlDeviceGetComputeRunningProcesses", handle)
    name = ask(nvml, "nvmlDeviceGetName", handle)
    bits = int(
        number("nvmlDeviceGetCurrentClocksEventReasons") or number("nvmlDeviceGetCurrentClocksThrottleReasons") or 0
    )
    return GpuState(
        index=index,
        name=name.decode() if isinstance(name, bytes) else str(name or "a GPU"),
        pcie_gen=ask(nvml, "nvmlDeviceGetCurrPcieLinkGeneration", handle),
        pcie_gen_max=ask(nvml, "nvmlDeviceGetMaxPcieLinkGeneration", handle),
        lanes=ask(nvml, "nvmlDeviceGetCurrPcieLinkWidth", handle),
        lanes_max=ask(nvml, "nvmlDeviceGetMaxPcieLinkWidth", handle),
        clock=number("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM, scale=MEGA),
        clock_max=number("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM, scale=MEGA),
        power=number("nvmlDeviceGetPowerUsage", scale=MILLI),
        power_limit=number("nvmlDeviceGetEnforcedPowerLimit", scale=MILLI),
        power_limit_default=number("nvmlDeviceGetPowerManagementDefaultLimit", scale=MILLI),
        temperature=number("nvmlDeviceGetTemperature", getattr(nvml, "NVML_TEMPERATURE_GPU", 0)),
        used=float(memory.used) if memory else None,
        users=None if users is None else len(users),
        throttled=tuple(says for bit, says in THROTTLES.items() if bits & bit),
    )


def energy(folder: Path = _POWERCAP) -> Energy:
    """The counters as they stand: NVML's total energy of each GPU, and RAPL's of each processor package."""
    counters: dict[str, tuple[float, float]] = {}
    missing: list[str] = []
    with opened() as nvml:
        for index in range((ask(nvml, "nvmlDeviceGetCount") or 0) if nvml else 0):
            handle = ask(nvml, "nvmlDeviceGetHandleByIndex", index)
            used = None if handle is None else ask(nvml, "nvmlDeviceGetTotalEnergyConsumption", handle)
            if used is None:
                missing.append(f"GPU {index} counts no energy")
            else:
                counters[f"GPU {index}"] = (used * MILLI, float("inf"))
    packages = sorted(folder.glob("intel-rapl:[0-9]*")) if folder.is_dir() else []
    for package in (path for path in packages if path.name.count(":") == 1):
        try:
            top = float((package / "max_energy_range_uj").read_text()) * MICRO
            counters[package.name] = (float((package / "energy_uj").read_text()) * MICRO, top)
        except PermissionError:
            missing.append(f"no permission to read {package / 'energy_uj'}")
        except (OSError, ValueError):
            missing.append(f"{package / 'energy_uj'} cannot be read")
    if not packages:
        missing.append(f"no processor counts energy in {folder}")
    return Energy(counters=counters, missing=tuple(missing))


def joules_a_step(before: Energy, after: Energy, seconds: float, step_s: float) -> float | None:
    """Joules of a step, from two readings `seconds` apart; None where nothing was counted.

    >>> one, two = Energy(counters={"a": (0.0, 9e9)}), Energy(counters={"a": (500.0, 9e9)})
    >>> joules_a_step(one, two, 10.0, 0.1)
    5.0
    """
    used = before.until(after)
    return None if used is None or seconds <= 0 else used / seconds * step_s


class Counted:
    """Reads the counters before and after a block."""

    def __enter__(self) -> Self:
        self._before, self._began = energy(), time.monotonic()
        return self

    def __exit__(self, *ended: object) -> None:
        self._after, self._seconds = energy(), time.monotonic() - self._began

    @property
    def missing(self) -> tuple[str, ...]:
        """What could not be read, in words."""
        return self._after.missing

    def a_step(self, step_s: float) -> float | None:
        """Joules of a step: the block's mean power times the step's seconds; None where nothing was counted."""
        return joules_a_step(self._before, self._after, self._seconds, step_s)


def in_use(states: Sequence[GpuState]) -> tuple[str, ...]:
    """What to say of GPUs that somebody else computes on."""
    return tuple(
        f"GPU {s.index} is in use: {s.users} process{'es' * (s.users > 1)} compute on it" for s in states if s.users
    )

"""What looks wrong with this machine: rules over what it says of itself, each with its evidence and a remedy."""

from __future__ import annotations

import os
import resource
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import psutil

from rigwise.hardware.detect import facts
from rigwise.hardware.sensors import GpuState, energy, gpu_states
from rigwise.units import BITS_PER_BYTE, GIBI, GIGA, MEGA, show_bytes, show_rate

Severity = Literal["warning", "note"]
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_SHARED = Path("/dev/shm")
_FILES, _SHARED_LEAST, _HOT, _SLOW_CARD = 4096, 2 * GIBI, 84.0, 1000.0
_REACHED = 0.5  # of what a card promises, below which an exchange between hosts goes another way, or something is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptom:
    """One thing that looks wrong. evidence: what was read. why: what it costs. fix: what helps."""

    rule: str
    severity: Severity
    evidence: str
    why: str
    fix: str

    def to_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "evidence": self.evidence,
            "why": self.why,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What the rules look at. others: cores that other programs keep busy; shared: bytes of shared memory; files: open
    files allowed; cards: network cards that are up, with bit/s (0: unknown); between_hosts: bytes/s that
    were last measured between hosts, and the day. None: the system does not say."""

    facts: Mapping[str, Any]
    gpus: tuple[GpuState, ...] = ()
    governor: str | None = None
    others: float = 0.0
    shared: float | None = None
    files: int | None = None
    threads: str | None = None
    swapped: float = 0.0
    cards: Mapping[str, float] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()
    between_hosts: tuple[float, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for a report."""
        gpus = [{name: getattr(gpu, name) for name in gpu.__slots__} for gpu in self.gpus]
        return {
            **self.facts,
            "gpus_now": gpus,
            "governor": self.governor,
            "other_programs_cores": self.others,
            "shared_memory": self.shared,
            "open_files": self.files,
            "omp_num_threads": self.threads,
            "swapped": self.swapped,
            "network_bit_s": dict(self.cards),
            "energy_counters_missing": list(self.uncounted),
            "between_hosts_bytes_s": self.between_hosts and self.between_hosts[0],
        }


def examine() -> Patient:
    """Look at this machine; takes a third of a second."""
    shared = psutil.disk_usage(str(_SHARED)).total if _SHARED.is_dir() else None
    cards = {
        name: stats.speed * MEGA
        for name, stats in psutil.net_if_stats().items()
        if stats.isup and not name.startswith(("lo", "docker", "veth", "br-"))
    }
    return Patient(
        facts=facts(),
        gpus=tuple(gpu_states()),
        governor=_GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
        others=psutil.cpu_percent(interval=0.3) / 100 * (psutil.cpu_count() or 1),
        shared=float(shared) if shared is not None else None,
        files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        threads=os.environ.get("OMP_NUM_THREADS"),
        swapped=float(psutil.swap_memory().used),
        cards=cards,
        uncounted=energy().missing,
    )


def symptoms(patient: Patient) -> list[Symptom]:
    """What looks wrong, by the rules, the worst first."""
    found = [symptom for rule in RULES for symptom in rule(patient)]
    return sorted(found, key=lambda symptom: symptom.severity == "note")


def _symptom(rule: str, **read: Any) -> Symptom:
    """A rule's words with what was read."""
    return Symptom(rule=rule, **{**_words()[rule], **read})


@cache
def _words() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(files("rigwise.hardware").joinpath("data/symptoms.toml").read_text("utf-8"))


def _narrow_slot(p: Patient) -> Iterator[Symptom]:
    for gpu in p.gpus:
        lanes, most = gpu.lanes, gpu.lanes_max
        slow = gpu.pcie_gen and gpu.pcie_gen_max and gpu.pcie_gen < gpu.pcie_gen_max
        if (lanes and most and lanes < most) or slow:
            yield _symptom(
                "slot",
                severity="warning" if lanes and most and lanes < most else "note",
                evidence=f"GPU {gpu.index} runs at PCIe {gpu.pcie_gen}.0 x{lanes} of {gpu.pcie_gen_max}.0 x{most}",
            )


def _throttled(p: Patient) -> Iterator[Symptom]:
    for gpu in p.gpus:
        if gpu.throttled:
            yield _symptom(
                "throttled",
                evidence=f"GPU {gpu.index} is slowed by: {', '.join(gpu.throttled)} at {gpu.temperature} degrees",
            )
        elif gpu.temperature and gpu.temperature >= _HOT:
            yield _symptom("hot", evidence=f"GPU {gpu.index} is at {gpu.temperature:.0f} degrees")


def _power_limit(p: Patient) -> Iterator[Symptom]:
    for gpu in p.gpus:
        if gpu.power_limit and gpu.power_limit_default and gpu.power_limit < gpu.power_limit_default:
            yield _symptom(
                "power limit",
                evidence=f"GPU {gpu.index} may take {gpu.power_limit:.0f} W, {gpu.power_limit_default:.0f} W usually",
            )


def _used(p: Patient) -> Iterator[Symptom]:
    for gpu in p.gpus:
        if gpu.users:
            yield _symptom(
                "in use",
                evidence=f"GPU {gpu.index}: {gpu.users} processes, {show_bytes(gpu.used or 0)} of its memory taken",
            )


def _unequal(p: Patient) -> Iterator[Symptom]:
    names = sorted({gpu.name for gpu in p.gpus})
    if len(names) > 1:
        yield _symptom("unequal cards", evidence=", ".join(names))


def _governor(p: Patient) -> Iterator[Symptom]:
    if p.governor in ("powersave", "ondemand", "conservative"):
        yield _symptom("governor", evidence=f"processor frequencies follow the governor {p.governor!r}")


def _crowded(p: Patient) -> Iterator[Symptom]:
    cores = float(p.facts["cpu"]["usable_cores"])
    if p.others > max(0.25, 0.1 * cores):
        yield _symptom("other programs", evidence=f"{p.others:.1f} of {cores:.0f} cores are busy")


def _swapping(p: Patient) -> Iterator[Symptom]:
    if p.swapped > 0.5 * GIBI:
        yield _symptom("swap", evidence=f"{show_bytes(p.swapped)} lie in swap")


def _container(p: Patient) -> Iterator[Symptom]:
    share, cores = p.facts["container"]["cores"], p.facts["cpu"]["cores"]
    if share and cores and share < cores:
        yield _symptom("container", evidence=f"the container may use {share:g} of {cores} cores")


def _small_shared(p: Patient) -> Iterator[Symptom]:
    if p.shared is not None and p.shared < _SHARED_LEAST:
        yield _symptom("shared memory", evidence=f"/dev/shm holds {show_bytes(p.shared)}")


def _few_files(p: Patient) -> Iterator[Symptom]:
    if p.files is not None and 0 <= p.files < _FILES:
        yield _symptom("open files", evidence=f"{p.files} files may be open at once")


def _slow_card(p: Patient) -> Iterator[Symptom]:
    for name, rate in p.cards.items():
        if 0 < rate < _SLOW_CARD * MEGA:
            yield _symptom("network", evidence=f"{name} runs at {rate / MEGA:.0f} Mbit/s")


def _slow_network(p: Patient) -> Iterator[Symptom]:
    name, rate = max(p.cards.items(), key=lambda card: card[1], default=("", 0.0))
    promised = rate / BITS_PER_BYTE
    if p.between_hosts and p.between_hosts[0] < _REACHED * promised:
        reached, day = p.between_hosts
        yield _symptom(
            "slow network",
            evidence=f"network at {show_rate(reached)} where {show_rate(promised)} is expected "
            f"({name} runs at {rate / GIGA:g} Gbit/s; measured between hosts on {day})",
        )


def _threads(p: Patient) -> Iterator[Symptom]:
    cores = int(p.facts["cpu"]["usable_cores"])
    if p.threads and p.threads.isdigit() and int(p.threads) > cores:
        yield _symptom(
            "threads",
            evidence=f"OMP_NUM_THREADS={p.threads} on {cores} cores",
            fix=f"OMP_NUM_THREADS={cores}, or leave it unset",
        )


Rule = Callable[[Patient], Iterator[Symptom]]
RULES: tuple[Rule, ...] = (
    _narrow_slot,
    _throttled,
    _used,
    _crowded,
    _swapping,
    _slow_card,
    _slow_network,
    _threads,
    _power_limit,
    _unequal,
    _governor,
    _container,
    _small_shared,
    _few_files,
)

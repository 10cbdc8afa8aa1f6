"""What this process may use of the machine: a container's shares of processors and memory (Linux control groups)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_V1_UNLIMITED = 2.0**60  # version 1 writes a number near 2^63 for "no limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """cores: processors' worth of time, None where there is no limit. memory: bytes."""

    cores: float | None = None
    memory: float | None = None


def control_group(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> Limits:
    """The tightest limits on the way from this process's group up to the root; none where there are no groups."""
    cores = [value for folder in _folders(root, own) if (value := _cores(folder)) is not None]
    memory = [value for folder in _folders(root, own) if (value := _memory(folder)) is not None]
    return Limits(cores=min(cores, default=None), memory=min(memory, default=None))


def allowed_cores() -> int:
    """Logical processors that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _folders(root: Path, own: Path) -> Iterator[Path]:
    for line in _lines(own):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        bases = [root / name for name in (controllers, *controllers.split(","))] if controllers else [root]
        for base in bases:
            here = base / path.strip().lstrip("/")
            yield from (folder for folder in (here, *here.parents) if folder == base or base in folder.parents)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _cores(folder: Path) -> float | None:
    quota = _words(folder / "cpu.max")  # version 2: "<quota> <period>", or "max <period>"
    if len(quota) != 2:
        quota = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
    if len(quota) != 2 or not all(word.isdigit() for word in quota) or int(quota[1]) == 0:
        return None
    return int(quota[0]) / int(quota[1])


def _memory(folder: Path) -> float | None:
    limit = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
    if not limit or not limit[0].isdigit() or float(limit[0]) >= _V1_UNLIMITED:
        return None
    return float(limit[0])

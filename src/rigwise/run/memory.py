"""Memory of this rank: of its GPU, or of its process."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

from rigwise.units import KIBI

_STATUS = Path("/proc/self/status")


def peak(device: torch.device) -> int:
    """Highest so far, bytes: tensors on a GPU; resident memory of the process, libraries included, on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(highest if sys.platform == "darwin" else highest * KIBI)


def resident(device: torch.device) -> int:
    """Now, bytes; on a system without /proc the peak stands for it."""
    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    if not _STATUS.exists():
        return peak(device)
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmRSS"))
    return int(float(line.split()[1]) * KIBI)

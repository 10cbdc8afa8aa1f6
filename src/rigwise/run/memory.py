"""Memory of this rank: of its GPU, or of its process."""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Iterable
from contextlib import suppress
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
    return _said("VmRSS") if _STATUS.exists() else peak(device)


def set_back() -> None:
    """Have the process's high-water mark begin anew, where the kernel lets it (Linux): what a process came to before it
    was a rank is not the training's.
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def marked() -> int:
    """The process's high-water mark, bytes, which may have been set back; 0 without /proc."""
    return _said("VmHWM") if _STATUS.exists() else 0


def libraries(device: torch.device) -> int:
    """Bytes of files that the process has read so far, which are its libraries' code: it grows while they are first
    used, and the kernel may take it back. 0 on a GPU, and where /proc does not tell it apart."""
    return _said("RssFile") if device.type == "cpu" and _STATUS.exists() else 0


def let_go(tensors: Iterable[torch.Tensor], kept: Iterable[torch.Tensor]) -> None:
    """Empty the tensors whose memory none of the kept ones use; a read of one then fails, and is not out of date."""
    used = {tensor.untyped_storage().data_ptr() for tensor in kept}
    for tensor in tensors:
        if tensor.untyped_storage().data_ptr() not in used:
            tensor.data = tensor.data.new_empty(0)


def give_back() -> None:
    """What was freed goes back to the kernel, where the C library can do that (glibc)."""
    with suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _said(key: str) -> int:
    """A figure of /proc/self/status; 0 where it is not there."""
    line = next((line for line in _STATUS.read_text().splitlines() if line.startswith(f"{key}:")), "")
    return int(float(line.split()[1]) * KIBI) if line else 0

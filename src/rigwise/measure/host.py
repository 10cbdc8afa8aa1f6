"""What lies around the operations: the disk, products in shorter types, and on a GPU the way to it and a launch."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from rigwise.measure.machine import timed
from rigwise.measure.rows import Row, row

_FILE, _BLOCK, _READS = 48 * 2**20, 4 * 2**20, 3  # bytes, bytes, times
_SIZES = {"cpu": (256, 512), "cuda": (1024, 2048, 4096)}  # of square products
_TYPES = {"cpu": (torch.bfloat16,), "cuda": (torch.bfloat16, torch.float16)}  # a CPU has no float16 products
_COPIES = (2**20, 2**26)  # bytes
DISK, TYPED, TO_DEVICE, LAUNCH = "disk", "product of a type", "to device", "launch"


def measure_host(device: torch.device) -> Iterator[Row]:
    """Bytes/s that a file is read at, FLOP/s of products by type; bytes/s to a GPU from pinned and from pageable
    memory, and seconds of a launch that does next to nothing. The last two are skipped on a CPU, which has neither.
    """
    yield from _disk()
    yield from _types(device)
    if device.type == "cuda":
        yield from _to_device(device)
        yield _launch(device)


def _disk() -> Iterator[Row]:
    """A file of this process's own in the folder for temporary files, read after the system was asked to forget it.

    Nothing on a system that cannot be asked, or where the file cannot be written.
    """
    forget = getattr(os, "posix_fadvise", None)
    if forget is None:
        return
    try:
        with tempfile.NamedTemporaryFile(prefix="rigwise-") as file:
            for _ in range(_FILE // _BLOCK):
                file.write(os.urandom(_BLOCK))
            file.flush()
            os.fsync(file.fileno())
            rates = []
            for _ in range(_READS):
                forget(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                rates.append(_read(file.name))
    except OSError:
        return
    yield _as(row(DISK, rates, "read", bytes=float(_FILE)), "copy_bytes_per_s")


def _read(name: str) -> float:
    start = time.perf_counter()
    with Path(name).open("rb", buffering=0) as again:
        while again.read(_BLOCK):
            pass
    return _FILE / (time.perf_counter() - start)


def _types(device: torch.device) -> Iterator[Row]:
    for kind in _TYPES[device.type]:
        for size in _SIZES[device.type]:
            left, right = (torch.ones(size, size, dtype=kind, device=device) for _ in range(2))
            times = timed(partial(torch.mm, left, right), device, repeats=3)
            rates = [2.0 * size**3 / seconds for seconds in times]
            found = row(TYPED, rates, str(kind).removeprefix("torch."), m=float(size), n=float(size), k=float(size))
            yield _as(found, "flops_per_s_per_device")


def _to_device(device: torch.device) -> Iterator[Row]:
    for size in _COPIES:
        there = torch.empty(size, dtype=torch.uint8, device=device)
        for which, pinned in (("pinned", True), ("pageable", False)):
            here = torch.ones(size, dtype=torch.uint8, pin_memory=pinned)
            times = timed(partial(there.copy_, here, non_blocking=pinned), device)
            rates = [size / seconds for seconds in times]
            yield _as(row(TO_DEVICE, rates, which, bytes=float(size)), "copy_bytes_per_s")


def _launch(device: torch.device) -> Row:
    """Seconds from one launch to the next of a kernel that adds 1 to one number."""
    one = torch.zeros(1, device=device)
    return row(LAUNCH, timed(partial(one.add_, 1), device))


def _as(found: Row, metric: str) -> Row:
    return Row(
        kind=found.kind,
        which=found.which,
        sizes=found.sizes,
        value=found.value,
        metric=metric,
        spread=found.spread,
        times=found.times,
    )

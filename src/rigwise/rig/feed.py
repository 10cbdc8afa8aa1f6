"""Rules of what feeds the GPUs: RAM, processor, drives, loader; and of what is bought for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf

from rigwise.cost.datakinds import supply
from rigwise.rig import power
from rigwise.rig.build import Build, Use
from rigwise.rig.findings import Found, looks_after
from rigwise.rig.heat import wanted
from rigwise.rig.parts import Cpu, Drive, Memory
from rigwise.rig.wiring import disk_rate, eased, read_rate, wiring_of
from rigwise.rig.words import percent, plural
from rigwise.units import GIBI, show_bytes, show_rate, show_seconds

THREADS = {"while": 4, "before": 2}
"""Threads that a GPU wants, where samples are prepared while training or before: article 3."""
_PLENTY = 4  # times the threads, or the memory, that are wanted: above, it is waste
_STARVED = 0.05  # of the step


def threads_wanted(gpus: int, preprocess: str = "while") -> tuple[int, int]:
    """Threads and cores that GPUs want of their processor: article 3.

    >>> threads_wanted(4), threads_wanted(4, "before")
    ((16, 8), (8, 4))
    """
    threads = THREADS[preprocess] * gpus
    return threads, threads // 2


def ram_wanted(memories: list[float]) -> float:
    """Bytes of RAM: the largest GPU's memory, however many GPUs there are.

    >>> ram_wanted([11, 11, 24])
    24
    """
    return max(memories, default=0.0)


@looks_after("ram")
def _ram(build: Build, use: Use) -> Iterator[Found]:
    largest = ram_wanted([card.device.memory for card in build.gpus])
    if build.ram < largest:
        yield Found(
            says=f"{show_bytes(build.ram)} of RAM beside a GPU of {show_bytes(largest)}",
            fix=f"at least {show_bytes(largest)}",
        )
    offloads = use.work.layouts[0].offload if use.work is not None else "none"
    if use.work is not None and offloads != "none" and (need := _offloaded(build, use)) > build.ram:
        yield Found(
            says=f"offloaded states take about {show_bytes(need)} of RAM, {show_bytes(build.ram)} are there",
            fix=f"{show_bytes(need * 1.1)} of RAM",
            severity="error",
        )


def _offloaded(build: Build, use: Use) -> float:
    """Bytes of optimizer state and weights that a layout with offload keeps in RAM."""
    assert use.work is not None
    model = use.work.question.model
    return 16.0 * model.parameters / max(use.nodes, 1)


@looks_after("ram-waste")
def _ram_waste(build: Build, use: Use) -> Iterator[Found]:
    largest = ram_wanted([card.device.memory for card in build.gpus])
    total = sum(card.device.memory for card in build.gpus)
    useful = max(_PLENTY * largest, 2 * total, 32 * GIBI, _set_bytes(use) / 0.8)
    if build.ram > useful:
        yield Found(
            says=f"{show_bytes(build.ram)} of RAM; {show_bytes(max(largest, 32 * GIBI))} are enough, more GPUs "
            "need no more",
            fix="a smaller kit",
        )


def _set_bytes(use: Use) -> float:
    """Bytes of the data set as stored, where it has a usual size."""
    work = use.work
    if work is None or work.question.loading is None:
        return 0.0
    facts = supply(work.question.loading, work.question.model, work.question.cluster)
    return facts.stored * (facts.kind.samples or 0)


@looks_after("ram-clock")
def _ram_clock(build: Build, use: Use) -> Iterator[Found]:
    usual = {"DDR4": 3200, "DDR5": 6000}
    for kit, _ in build.all(Memory):
        if kit.speed and kit.speed > usual.get(kit.type, 10**6):
            yield Found(
                says=f"{kit.type}-{kit.speed}: the clock of RAM gains 0 to 3 %",
                fix=f"a kit of {usual[kit.type]} or less",
            )


@looks_after("memory-channels")
def _channels(build: Build, use: Use) -> Iterator[Found]:
    cpu = build.cpu
    assert cpu
    channels = (cpu.channels or 0) * build.count(Cpu)
    if not channels or build.modules >= channels:
        return
    share = build.modules / channels
    lost = 0.0
    if use.work is not None and use.work.loads:
        now = wiring_of(build)
        rate = now.ram_rate
        lost = use.work.loss(now, replace(now, ram_rate=rate / share if rate else None))
    yield Found(
        says=f"{plural(build.modules, 'module')} in {channels} channels: {share:.0%} of the RAM's bandwidth"
        + (f", which costs {percent(lost)} of the step" if lost else ""),
        fix=f"{channels} modules",
        severity="warning" if lost >= _STARVED or (share < 0.25 and len(build.gpus) > 1) else "note",
        loss=lost or None,
    )


@looks_after("threads")
def _threads(build: Build, use: Use) -> Iterator[Found]:
    cpu = build.cpu
    assert cpu
    have = cpu.threads * build.count(Cpu)
    need, cores = threads_wanted(len(build.gpus), use.preprocess)
    if have < need and cpu.cores * build.count(Cpu) < need:
        when = "while training" if use.preprocess == "while" else "before training"
        yield Found(
            says=f"{have} threads for {plural(len(build.gpus), 'GPU')}; samples prepared {when} want {need} "
            f"({cores} cores)",
            fix=f"a processor with {need} threads" + (", or prepare samples before training" if need > 2 else ""),
        )


@looks_after("threads-waste")
def _threads_waste(build: Build, use: Use) -> Iterator[Found]:
    cpu = build.cpu
    assert cpu
    have = cpu.threads * build.count(Cpu)
    need = threads_wanted(len(build.gpus), use.preprocess)[0]
    loads = use.work is not None and use.work.loads
    if have > max(_PLENTY * need, 16) and not loads:
        yield Found(
            says=f"{have} threads for {plural(len(build.gpus), 'GPU')}, {need} are enough", fix="a smaller processor"
        )
    elif loads and have > max(_PLENTY * need, 16):
        assert use.work is not None
        now = wiring_of(build)
        half = replace(now, cores=max(1, (now.cores or 2) // 2), threads=max(2, (now.threads or 2) // 2))
        lost = use.work.loss(half, now)
        if lost < 0.01:
            yield Found(
                says=f"{have} threads for {plural(len(build.gpus), 'GPU')}: half of them would cost {percent(lost)}",
                fix="a smaller processor",
            )


@looks_after("cores")
def _cores(build: Build, use: Use) -> Iterator[Found]:
    cpu = build.cpu
    assert cpu
    cores = cpu.cores * build.count(Cpu)
    if cores < len(build.gpus):
        yield Found(
            says=f"{plural(cores, 'core')} for {plural(len(build.gpus), 'GPU')}: each wants one that starts its "
            "kernels",
            fix=f"a processor with {len(build.gpus)} cores or more",
        )


@looks_after("loader")
def _loader(build: Build, use: Use) -> Iterator[Found]:
    if use.work is None or not use.work.loads:
        return
    now = eased(wiring_of(build), build)
    found = use.work.loader(now)
    if found is None or found.waits_s <= 0:
        return
    step = use.work.seconds(now)
    share = found.waits_s / step
    yield Found(
        says=f"{found.says}; each step waits {show_seconds(found.waits_s)} of {show_seconds(step)}",
        fix=", or ".join(found.advice),
        severity="warning" if share >= _STARVED else "note",
        loss=share / (1 - share) if share < 1 else inf,
    )


@looks_after("disk")
def _disk(build: Build, use: Use) -> Iterator[Found]:
    drives = build.all(Drive)
    rate = disk_rate(build)
    if rate is None:
        yield Found(says="how fast the drives read is not known", fix="look it up", unknown=True)
        return
    size = sum(drive.size * count for drive, count in drives)
    if (stored := _set_bytes(use)) > size:
        yield Found(
            says=f"the set is {show_bytes(stored)}, the drives hold {show_bytes(size)}",
            fix=f"drives of {show_bytes(stored * 1.2)}",
            severity="error",
        )
    if all(drive.medium == "HDD" for drive, _ in drives):
        batch = 32 * 225 * 225 * 3 * 4
        yield Found(
            says=f"only a hard disk of {show_rate(rate)}: {show_seconds(batch / rate)} for a batch of 32 images "
            "as floats, "
            "hidden behind the step where a loader reads ahead, else added to it",
            fix="an SSD for the set in use, the hard disk for the rest",
            severity="warning",
        )
    slow = [drive for drive, _ in drives if (read_rate(drive) or inf) < rate / 4]
    if slow:
        yield Found(
            says=f"{slow[0].name} reads {show_rate(read_rate(slow[0]) or 0.0)}, the fastest drive {show_rate(rate)}",
            fix="keep the set that is trained on the fast drive",
            severity="note",
        )


@looks_after("gpu-fits")
def _gpu_fits(build: Build, use: Use) -> Iterator[Found]:
    if use.work is None:
        return
    found = use.work.usual
    if not found.fits:
        yield Found(
            says=f"{found.model} takes {show_bytes(found.memory_total)} on the fullest GPU, which has "
            f"{show_bytes(found.memory_limit)}",
            fix="more GPUs, GPUs with more memory, or offloading: `rigwise plan` ranks what fits",
        )


@looks_after("mixed-gpus")
def _mixed(build: Build, use: Use) -> Iterator[Found]:
    kinds = {card.device.name: card.device for card in build.gpus}
    if len(kinds) > 1:
        least = min(kinds.values(), key=lambda device: device.memory)
        yield Found(
            says=f"{' and '.join(sorted(kinds))} in one machine: trained together they have "
            f"{show_bytes(least.memory)} each "
            "and the pace of the slowest",
            fix="GPUs of one kind, or separate runs",
        )


@looks_after("supply-waste")
def _supply_waste(build: Build, use: Use) -> Iterator[Found]:
    if build.case and build.case.set:
        return
    need = wanted(build)
    if build.rating > power.constants()["supply"]["oversize"] * need:
        yield Found(
            says=f"supplies of {build.rating:.0f} W where {need:.0f} W are wanted",
            fix=f"{power.whole_supply(need)} W",
        )


@looks_after("used")
def _used(build: Build, use: Use) -> Iterator[Found]:
    used = [item.part.name for item in build.items if item.part.condition == "used"]
    if used:
        more = f" and {len(used) - 1} more" if len(used) > 1 else ""
        yield Found(
            says=f"bought used: {used[0]}{more}",
            fix="test each at full load while it can still be returned",
            unknown=True,
        )


def epoch_seconds(load: float, compute: float, batches: int, *, ahead: bool = True) -> float:
    """Seconds of an epoch whose batches take so long to load and to compute, each after the other or read ahead.

    >>> round(epoch_seconds(0.03, 0.04, 100), 3), round(epoch_seconds(0.03, 0.04, 100, ahead=False), 3)
    (4.03, 7.0)
    """
    if not ahead:
        return batches * (load + compute)
    return load + (batches - 1) * max(load, compute) + compute

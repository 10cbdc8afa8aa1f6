"""From a row of a table to something that the laws can answer: a training step, a single operation, or a transfer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from rigwise import units
from rigwise.calibration.machines import Machine, device_of, machine_of
from rigwise.calibration.patterns import find
from rigwise.calibration.settings import settings_of
from rigwise.calibration.subjects import Subject, subject_of
from rigwise.cost.datakinds import Loading
from rigwise.errors import UsageError
from rigwise.hardware.device import Device
from rigwise.layouts.layout import Layout
from rigwise.measurements import words
from rigwise.measurements.tables import Row
from rigwise.models.operations import Conv


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCase:
    """A training step of a model on a cluster.

    layouts: what the row says; where it leaves out the recomputation or the layout, the usual choices, of which the
    fastest that fits is taken. samples: of a whole run, for rows of hours; device_hours: whether all devices' hours are
    added up. states: how weights and optimizer are held, None for the stack's way. memory_devices: over how many a peak
    of memory is summed. label: the row and its parent's words, which tell the FLOP convention.
    """

    row: Row
    subject: Subject
    machine: Machine
    layouts: tuple[Layout, ...]
    batch: int
    stack: str
    optimizer: str
    with_optimizer: bool
    label: str
    samples: float | None = None
    device_hours: bool = False
    states: str | None = None
    memory_devices: int = 1
    loading: Loading | None = None
    assumed: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """The device's id."""
        return self.machine.cluster.device.name


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCase:
    """One pass of one convolution (batch images), or one matrix product (m, n, k)."""

    row: Row
    on: Device
    precision: str
    stack: str
    conv: Conv | None = None
    batch: int = 1
    which: str = "forward"
    product: tuple[int, int, int] = (0, 0, 0)
    assumed: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """The device's id."""
        return self.on.name


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferCase:
    """An all-reduce of `size` bytes over all devices of a machine, or a copy between two ends.

    between: "all" for the all-reduce, "devices" or "host" for a copy; both_ways: a copy in both directions at once.
    rings: the library was held to rings, or knew nothing else.
    """

    row: Row
    machine: Machine
    stack: str
    size: float
    between: str
    both_ways: bool = False
    rings: bool = False
    assumed: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        """The device's id."""
        return self.machine.cluster.device.name

    @property
    def wire(self) -> str:
        """The kind of link that sets the pace: the network's over several nodes, else the one inside."""
        cluster = self.machine.cluster
        far = cluster.node.nic if cluster.nodes > 1 else None
        return (far or cluster.node.link).kind


Case = StepCase | KernelCase | TransferCase
_ALONE = "library-2018"  # the stack of a single operation for which no other is told


def case_of(row: Row, parent: Row | None = None) -> Case:
    """The case that a row describes; parent: the row that it is derived from.

    Raises UsageError or NotFoundError with the reason where the row cannot be read or understood.
    """
    if row.problems:
        raise UsageError("; ".join(row.problems), rule="a cell cannot be read")
    facts = words.read("kernels", row.model) or {}
    kind = facts.get("kind")
    if kind in ("conv", "gemm"):
        return _kernel(row, facts)
    if kind in ("all_reduce", "copy"):
        return _transfer(row, facts)
    if row.family in ("conv-layer", "collective"):
        raise UsageError(f"{row.model!r} is no operation that is known", rule="the operation is not known")
    return _step(row, parent)


def _kernel(row: Row, facts: Mapping[str, Any]) -> KernelCase:
    if row.metric != "ms":
        raise UsageError(f"{row.metric} of a single operation", rule="a single operation is measured in ms")
    on = device_of(row.device)
    precision, assumed = precision_of(row, on)
    stack = (words.read("stacks", row.text) or {}).get("stack", _ALONE)
    if facts["kind"] == "gemm":
        product = (facts["m"], facts["n"], facts["k"])
        return KernelCase(row=row, on=on, precision=precision, stack=stack, product=product, assumed=assumed)
    which = words.read("passes", row.notes)
    if which is None:
        raise UsageError(f"{row.model}: the notes name no pass", rule="a pass is forward, or backward wrt something")
    shape = Conv(
        c=facts["c"],
        k=facts["k"],
        size=(facts["h"], facts["w"]),
        kernel=(facts["r"], facts["s"]),
        stride=(facts["stride_h"], facts["stride_w"]),
        pad=(facts["pad_h"], facts["pad_w"]),
    )
    return KernelCase(
        row=row,
        on=on,
        precision=precision,
        stack=stack,
        conv=shape,
        batch=facts["n"],
        which=which["which"],
        assumed=assumed,
    )


def _transfer(row: Row, facts: Mapping[str, Any]) -> TransferCase:
    between = facts.get("between", "all")
    if (row.metric != "bus_gb_s") if between != "all" else (row.metric not in ("bus_gb_s", "ms")):
        raise UsageError(f"{row.metric} of a transfer", rule="a transfer is measured in GB/s or ms")
    if between != "host" and (row.n_devices or 0) < 2:
        raise UsageError(f"a transfer between {row.n_devices} devices", rule="a transfer needs two devices")
    machine = machine_of(row, row.n_devices or 1)
    size = message_bytes(row.notes)
    assumed = machine.assumed + (("message",) if size is None else ())
    return TransferCase(
        row=row,
        machine=machine,
        stack="modern",
        size=size or units.GIBI,
        between=between,
        both_ways=facts.get("way") == "bi",
        rings=bool((words.read("systems", row.text) or {}).get("rings", False)),
        assumed=assumed,
    )


def message_bytes(notes: str) -> float | None:
    """The size of a message that the notes name, or None.

    >>> message_bytes("message 1 MiB; time 44 us"), message_bytes("from size 100000 floats")
    (1048576.0, 400000.0)
    """
    facts = words.read("messages", notes)
    if facts is None:
        return None
    if "floats" in facts:
        return float(facts["floats"]) * float(facts["element_bytes"])
    plain = facts.get("bytes", facts.get("plain"))
    if plain is not None:
        return float(plain)
    size, prefix = facts.get("size", facts.get("before")), facts.get("prefix", facts.get("scaleword"))
    return units.parse(f"{size} {prefix}B", "B")


def stack_of(row: Row) -> tuple[str, tuple[str, ...]]:
    """The software stack that a row's words tell, and whether it had to be assumed."""
    facts = words.read("stacks", row.text)
    if facts:
        return facts["stack"], ()
    return ("eager" if row.family == "vision" else "modern"), ("stack",)  # images: plain scripts, as published


def loading_of(row: Row) -> Loading | None:
    """How the samples came, where the words tell that they were loaded and by what; None where they may lie ready."""
    facts = words.read("loading", f"{row.device} | {row.text}")
    return Loading(**facts) if facts else None


def precision_of(row: Row, device: Device) -> tuple[str, tuple[str, ...]]:
    """The layout's word for a row's number format on its device, and whether it had to be assumed."""
    facts = words.read("precision", row.precision)
    if facts is None:
        if row.precision:
            raise UsageError(f"precision {row.precision!r}", rule="the precision is not known")
        return ("bfloat16" if "bfloat16" in device.peak else "float16"), ("precision",)
    precision = str(facts["precision"])
    if precision == "tf32" and "tf32" not in device.peak:
        if not facts.get("where_supported"):
            raise UsageError(f"{device.name} has no tf32", rule="the device lacks the precision")
        precision = "float32"
    return precision, ()


def _step(row: Row, parent: Row | None) -> StepCase:
    year = (words.read("stacks", row.text) or {}).get("year")
    stack, no_stack = stack_of(row)
    label = f"{row.text} | {parent.text}" if parent else row.text
    device = device_of(row.device)
    precision, no_precision = precision_of(row, device)
    length = _sample_length(row)
    subject = subject_of(row, year=year, seq=length)
    settings = settings_of(row, subject, device, precision=precision, stack=stack, label=label)
    machine = machine_of(row, settings.devices)
    timing = words.read("timing", row.notes) or {}
    whole = not timing.get("micro", False)
    first = settings.layouts[0]
    varies = ("sample_length",) if length else ()
    assumed = (*varies, *no_stack, *no_precision, *subject.assumed, *settings.assumed, *machine.assumed)
    return StepCase(
        row=row,
        subject=subject,
        machine=machine,
        layouts=settings.layouts,
        batch=settings.batch if whole else first.micro * first.dp,
        stack=stack,
        optimizer=settings.optimizer,
        with_optimizer=bool(timing.get("optimizer", True)) and whole,
        label=label,
        samples=settings.samples,
        device_hours=settings.device_hours,
        states=(words.read("states", row.text) or {}).get("states"),
        memory_devices=settings.memory_devices,
        loading=loading_of(row),
        assumed=tuple(sorted(set(assumed))),
    )


def _sample_length(row: Row) -> int | None:
    """Tokens of a sample where they vary: the longest for memory, the mean for time; None where the column says."""
    longest = words.read("lengths", row.text)
    if longest and "mean" in longest:
        return int(longest["mean"]) if row.seq_len == longest["longest"] else None
    if row.metric == "peak_mem_gib":
        return int(longest["longest"]) if longest and "longest" in longest and not row.seq_len else None
    if longest is None:
        return None
    data = find("datasets", row.notes)
    if not data or "mean_tokens" not in data:
        return None
    padded = float(data["mean_tokens"]) * padding(data["spread"], row.micro_batch or 1)
    return round(min(padded, row.seq_len or math.inf))


def padding(spread: float, micro: int) -> float:
    """How many times their mean length the samples of a micro-batch take, padded to its longest; log-normal lengths.

    >>> padding(0.55, 1), round(padding(0.55, 8), 2)
    (1.0, 2.0)
    """
    if micro == 1:
        return 1.0
    steps, normal = np.linspace(-6.0, 8.0, 561), NormalDist()
    longest = [micro * normal.pdf(z) * normal.cdf(z) ** (micro - 1) for z in steps.tolist()]
    return float(np.trapezoid(longest * np.exp(spread * steps - spread**2 / 2), steps))

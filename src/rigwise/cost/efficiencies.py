"""Efficiencies: the shares and floors that the laws take, read from data/efficiencies.toml with their provenance.

A record for one device family and one software stack. The file has layers (device family, link kind, stack); a value
that a layer does not give is its default's.

A value may be an array of candidates, which a fit or a back-test tries at once: it then has the shape (P, 1), so that
the laws, which broadcast, answer for all P of them where they would for one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from rigwise.cost.arrays import Floats
from rigwise.cost.energy import PowerShares
from rigwise.cost.ledger import watched
from rigwise.errors import not_found
from rigwise.hardware.device import Device

Value = float | NDArray[np.float64]
"""An efficiency, or candidates for it along a leading dim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEfficiencies:
    """Shares of a device family's catalogue figures; each field is explained beside its default in the data file."""

    matmul_tensor: Value
    matmul_vector: Value
    low_precision: Value
    held: Value
    bmm: Value
    saturation_tensor: Value
    saturation_vector: Value
    tile_tensor: Value
    tile_vector: Value
    waves: Value
    bandwidth: Value
    matmul_bandwidth: Value
    kernel_s: Value
    call_s: Value
    misaligned_bmm: Value
    misaligned_linear: Value
    misaligned_powers: tuple[float, float, float]
    flash: Value
    flash_head: Value
    flash_backward: Value
    power_tensor: Value
    power_vector: Value
    conv: Value
    conv_input: Value
    conv_weight: Value
    conv_strided: Value
    winograd: Value
    winograd_unfused: Value
    fourier: Value
    direct: Value
    memory_context: Value
    allocator: Value
    host_fixed: Value
    host_power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEfficiencies:
    """Collectives over one kind of link; each field is explained beside its default in the data file."""

    share: Value
    hop: Value
    base_s: Value
    across: Value
    tree: Value
    multicast: Value
    multicast_s: Value
    staged: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """One of the library's ways to hand a message on: its seconds a step and its bandwidth against the plain one's."""

    name: str
    step: Value
    share: Value
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEfficiencies:
    """What a software stack makes of the machine."""

    within: float
    models: float
    precisions: float
    devices: float
    matmul: Value
    stream: Value
    core: Value
    stream_unfused: Value
    mixed: Value
    transposed: Value
    transposed_tf32: Value
    unaligned: Value
    winograd: bool
    one_process: bool
    host_kernel_s: Value
    host_collective_s: Value
    host_micro_s: Value
    host_step_s: Value
    host_power: float
    accumulate: Value
    dequantise: Value
    experts: Value
    optimizer_traffic: Value
    gradient_bytes: float
    overlap_dp: Value
    overlap_tp: Value
    overlap_ep: Value
    overlap_offload: Value
    sharded_power: Value
    sharded_pieces: Value
    network: Value
    memory_buffers: Value
    memory_slack: Value
    memory_loss: Value
    memory_apart: float
    states: str

    def laid_out_anew(self, precision: str) -> Value:
        """Share of activations that convolutions on tensor cores transpose before they multiply.

        Software that keeps 16-bit images channels last often leaves those of TF32 channels first.
        """
        return np.maximum(self.transposed, self.transposed_tf32) if precision == "tf32" else self.transposed


class Measured(Interface):
    """What an interval asks of a machine's own profile (cost/profile.py)."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def date(self) -> str:
        """Of the measurement."""

    @property
    def slower(self) -> float:
        """How many times as long everything takes as when it was measured."""

    @property
    def spread(self) -> float:
        """Standard deviation of the logarithm of a step around its prediction."""

    def waited(self, work: Floats) -> Floats:
        """Seconds that ranks wait for each other at an exchange after so much work of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiencies:
    """All that the laws take for one device and one stack."""

    device: DeviceEfficiencies
    stack: StackEfficiencies
    links: Mapping[str, LinkEfficiencies]
    protocols: tuple[Protocol, ...]
    stack_name: str
    family: str
    provenance: str
    power: PowerShares
    interval: Mapping[str, float]
    novelty: str  # what about the device or the stack the fit never saw, for the interval
    device_novelty: str  # the same of the device alone, in whatever stack it was measured
    slow_link: float
    measured: Measured | None = None  # the machine's own profile, where its rates go before the laws

    def link(self, kind: str) -> LinkEfficiencies:
        """The efficiencies of a kind of link."""
        return self.links.get(kind, self.links["default"])

    def ways(self, kind: str) -> tuple[tuple[Value, Value], ...]:
        """The protocols of a kind of link: seconds a step and bandwidth, each against the plain protocol's."""
        return ((1.0, 1.0), *((p.step, p.share) for p in self.protocols if kind in p.links))


@cache
def shipped() -> dict[str, Any]:
    """The tables of the data file that comes with the package."""
    return tomllib.loads(files("rigwise.cost").joinpath("data/efficiencies.toml").read_text("utf-8"))


DEFAULT_STACK = "modern"
_CURRENT: ContextVar[Mapping[str, Any] | None] = ContextVar("efficiencies", default=None)


def current() -> Mapping[str, Any]:
    """The tables that the laws read now: the shipped ones, or those of `using`."""
    return _CURRENT.get() or shipped()


@contextmanager
def using(tables: Mapping[str, Any]) -> Iterator[None]:
    """Let the laws read other tables of the same form, as a fit does while it looks for better values."""
    token = _CURRENT.set(tables)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def stack_names() -> list[str]:
    """The software stacks that are known."""
    return sorted(current()["stack"])


def family_of(device: Device) -> str:
    """The device family whose efficiencies apply: the longest name in the file that starts the architecture's."""
    if device.kind == "cpu":
        return "cpu"
    arch = device.arch.lower().replace(" ", "-")
    known = [name for name in current()["device"] if arch.startswith(name)]
    return max(known, key=len, default="default")


def _novelty(data: Mapping[str, Any], family: str, device: str, stack: str) -> str:
    """Of a question that names its stack: whether its device, or its device's family, was never measured with it. The
    usual stack stands for software that nobody told, which may be any."""
    measured = data["measured"]["stacks"]
    if stack == DEFAULT_STACK or stack not in measured:
        return "source"
    if device in measured[stack]:
        return "layout"
    return "family" if family == "default" else "device"


def _device_novelty(data: Mapping[str, Any], family: str, device: str) -> str:
    """Whether a device, or its family, was never measured in any stack."""
    if any(device in devices for devices in data["measured"]["stacks"].values()):
        return "layout"
    return "family" if family == "default" else "device"


def efficiencies(device: Device, stack: str = "modern") -> Efficiencies:
    """The record for a device and a stack.

    >>> from rigwise.hardware.device import Device
    >>> card = Device(name="x", kind="gpu", vendor="NVIDIA", arch="Hopper", year=2022, form="sxm", memory=80e9,
    ...               bandwidth=3.35e12, peak={"bfloat16": 989e12}, processors=132)
    >>> efficiencies(card).family
    'hopper'
    """
    data = current()
    if stack not in data["stack"]:
        raise not_found("software stack", stack, data["stack"], hint=", ".join(stack_names()))
    family = family_of(device)
    links = {kind: LinkEfficiencies(**data["link"]["default"] | values) for kind, values in data["link"].items()}
    of_device = DeviceEfficiencies(**data["device"]["default"] | data["device"].get(family, {}))
    of_stack = StackEfficiencies(**data["stack"]["modern"] | data["stack"][stack])
    return Efficiencies(
        device=watched(of_device, f"device.{family}"),
        stack=watched(of_stack, f"stack.{stack}"),
        links={kind: watched(link, f"link.{kind}") for kind, link in links.items()},
        protocols=tuple(Protocol(**row | {"links": tuple(row["links"])}) for row in data["protocol"]),
        stack_name=stack,
        family=family,
        provenance=data["provenance"],
        power=PowerShares(**data["power"]),
        interval=data["interval"],
        novelty=_novelty(data, family, device.name, stack),
        device_novelty=_device_novelty(data, family, device.name),
        slow_link=data["pipeline"]["slow_link"],
    )

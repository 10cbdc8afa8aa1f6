"""Efficiencies: the shares and floors that the laws take, read from data/efficiencies.toml with their provenance.

A record for one device family and one software stack. The file has layers (device family, link kind, stack); a value
that a layer does not give is its default's.
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

from rigwise.cost.energy import PowerShares
from rigwise.cost.ledger import watched
from rigwise.errors import not_found
from rigwise.hardware.device import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEfficiencies:
    """Shares of a device family's catalogue figures; each field is explained beside its default in the data file."""

    matmul_tensor: float
    matmul_vector: float
    low_precision: float
    bmm: float
    saturation_tensor: float
    saturation_vector: float
    saturation_conv: float
    tile_tensor: float
    tile_vector: float
    waves: float
    bandwidth: float
    kernel_s: float
    misaligned_bmm: float
    misaligned_linear: float
    misaligned_powers: tuple[float, float, float]
    flash: float
    flash_head: float
    flash_backward: float
    power_tensor: float
    power_vector: float
    conv: float
    conv_input: float
    conv_weight: float
    conv_strided: float
    conv_unaligned: float
    winograd: float
    direct: float
    memory_context: float
    host_fixed: float
    host_power: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEfficiencies:
    """Collectives over one kind of link: share of its bandwidth, seconds a step, seconds before the first step."""

    share: float
    step_s: float
    base_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEfficiencies:
    """What a software stack makes of the machine."""

    spread: float
    within: float
    devices: float
    matmul: float
    stream: float
    core: float
    stream_unfused: float
    host_kernel_s: float
    host_collective_s: float
    host_micro_s: float
    host_step_s: float
    optimizer_traffic: float
    gradient_bytes: float
    overlap_dp: float
    overlap_tp: float
    overlap_ep: float
    overlap_offload: float
    sharded_power: float
    network: float
    memory_buffers: float
    memory_slack: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiencies:
    """All that the laws take for one device and one stack."""

    device: DeviceEfficiencies
    stack: StackEfficiencies
    links: Mapping[str, LinkEfficiencies]
    stack_name: str
    family: str
    provenance: str
    power: PowerShares
    interval: Mapping[str, float]
    slow_link: float

    def link(self, kind: str) -> LinkEfficiencies:
        """The efficiencies of a kind of link."""
        return self.links.get(kind, self.links["default"])


@cache
def shipped() -> dict[str, Any]:
    """The tables of the data file that comes with the package."""
    return tomllib.loads(files("rigwise.cost").joinpath("data/efficiencies.toml").read_text("utf-8"))


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
    arch = device.arch.lower()
    known = [name for name in current()["device"] if arch.startswith(name)]
    return max(known, key=len, default="default")


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
        stack_name=stack,
        family=family,
        provenance=data["provenance"],
        power=PowerShares(**data["power"]),
        interval=data["interval"],
        slow_link=data["pipeline"]["slow_link"],
    )

"""Parts of a machine as records. Amounts are bytes, bytes/s, watts, dollars; lengths are millimetres; None is
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rigwise.hardware.device import Device
from rigwise.rig.slots import Slot

KINDS = ("gpu", "cpu", "motherboard", "memory", "storage", "psu", "case", "cooler", "nic", "fan")
"""Kinds of parts, in the order in which a list shows them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What every part has. price: US dollars, None where nobody says. condition: new or used. set: parts that are sold
    as one and go only together (a barebone server). weak: which figures are uncertain.
    """

    kind: ClassVar[str] = ""

    id: str
    name: str
    price: float | None = None
    condition: str = "new"
    watts: float = 0.0
    set: str = ""
    source: str = ""
    date: str = ""
    weak: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu(Part):
    """A graphics card or a module. slots: thickness in bracket slots. plugs: how many of each power plug. cooling:
    blower, open, hybrid (a radiator of its own), water (a block), passive (a server's fans), sxm (a server's board).
    """

    kind: ClassVar[str] = "gpu"

    device: Device
    length: float | None = None
    slots: float | None = None
    plugs: Mapping[str, int] | None = None
    cooling: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu(Part):
    """A processor. sockets: how many of it a board may carry. lanes: PCIe lanes that slots can have, a chipset's link
    apart. arch: an id of the hardware catalogue's microarchitectures. cooler: whether one comes in its box,
    None where nobody says.
    """

    kind: ClassVar[str] = "cpu"

    socket: str
    cores: int
    threads: int
    sockets: int = 1
    channels: int | None = None
    memory: tuple[str, ...] = ()
    lanes: int | None = None
    gen: int | None = None
    arch: str = ""
    bandwidth: float | None = None
    cooler: bool | None = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Board(Part):
    """A motherboard. slots: from the top down. modules_sxm: sockets for SXM modules. dimm_kinds: UDIMM, RDIMM. m2, u2,
    sata: places for drives. ethernet: bit/s of the fastest port. eps: 8-pin plugs for the processors.
    """

    kind: ClassVar[str] = "motherboard"

    socket: str
    sockets: int = 1
    chipset: str = ""
    form: str = ""
    memory: str = ""
    dimms: int | None = None
    dimm_kinds: tuple[str, ...] = ()
    memory_max: float | None = None
    slots: tuple[Slot, ...] = ()
    modules_sxm: int = 0
    m2: int | None = None
    u2: int = 0
    sata: int | None = None
    ethernet: float | None = None
    eps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory(Part):
    """A kit of equal modules; module: bytes of one."""

    kind: ClassVar[str] = "memory"

    type: str
    modules: int
    module: float
    speed: int | None = None  # million transfers a second
    dimm: str = "UDIMM"
    ecc: bool = False

    @property
    def size(self) -> float:
        """Bytes of the kit."""
        return self.modules * self.module


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive(Part):
    """A drive. medium: SSD or HDD. form: M.2, U.2, 2.5, 3.5. rate: bytes/s of reading, as labelled."""

    kind: ClassVar[str] = "storage"

    medium: str
    size: float
    form: str
    interface: str = ""
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply(Part):
    """A power supply. rating: watts that it delivers. efficiency: the 80 PLUS level. plugs: by kind (pcie8, pin16,
    eps8), None where nobody counted. atx3: made for short peaks of twice its rating.
    """

    kind: ClassVar[str] = "psu"

    rating: float
    form: str = "ATX"
    efficiency: str = ""
    length: float | None = None
    plugs: Mapping[str, int | None] = field(default_factory=dict)
    atx3: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(Part):
    """A case. style: desktop, rack, server (air forced through every card), frame (open, cards on risers). slots:
    brackets at the back. supplies: how many power supplies it holds, of which forms.
    """

    kind: ClassVar[str] = "case"

    style: str = "desktop"
    boards: tuple[str, ...] = ()
    gpu_length: float | None = None
    slots: int | None = None
    cooler_height: float | None = None
    supply_length: float | None = None
    radiator: float | None = None
    bays: int | None = None
    supplies: int = 1
    supply_forms: tuple[str, ...] = ("ATX",)
    noise: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooler(Part):
    """A processor's cooler. type: air or water. takes: watts that it carries away."""

    kind: ClassVar[str] = "cooler"

    type: str
    sockets: tuple[str, ...]
    height: float | None = None
    radiator: float | None = None
    takes: float | None = None
    noise: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic(Part):
    """A network card. rate: bit/s of a port. link: an id of the hardware catalogue's links. rdma: whether it can read
    a GPU's memory by itself.
    """

    kind: ClassVar[str] = "nic"

    technology: str
    rate: float
    link: str
    ports: int = 1
    gen: int = 3
    lanes: int = 8
    rdma: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fan(Part):
    """Fans of a case. quantity: in the pack."""

    kind: ClassVar[str] = "fan"

    size: float
    quantity: int = 1
    noise: float | None = None

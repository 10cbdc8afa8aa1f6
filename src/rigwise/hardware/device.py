"""Device and Link: what computes, and what joins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DeviceKind = Literal["gpu", "tpu", "accelerator", "cpu"]
LinkKind = Literal[
    "nvswitch",  # every pair at full rate
    "nvlink-mesh",  # hybrid cube mesh of DGX-1
    "nvlink-bridge",  # pairs
    "xgmi",  # AMD's and others' direct links
    "pcie-p2p",  # PCIe with peer access
    "pcie-host",  # PCIe through host memory
    "rdma",
    "omni-path",  # reaches GPU memory through the host's
    "ethernet",
    "loopback",  # processes of one machine through its memory (gloo)
    "none",  # a single device
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator, or the CPU of a machine taken as one.

    Rates are dense, with float32 accumulation, in FLOP/s, by torch's name of the type: float32, tf32, float16,
    bfloat16, float8, float4, int8. A type that is missing is not supported in hardware, or no rate was published. Three
    more keys stand where they differ: float32_matrix (AMD's matrix units), float16_fp16acc (GeForce's faster mode that
    accumulates in float16) and float16_vector (float16 outside tensor cores, for cards that have none). None means
    unknown.
    """

    name: str
    kind: DeviceKind
    vendor: str
    arch: str
    year: int | None
    form: str  # pcie, sxm, oam, ...
    memory: float  # bytes
    bandwidth: float  # bytes/s
    peak: Mapping[str, float]
    processors: int | None  # streaming multiprocessors, compute units or cores
    l2: float | None = None  # bytes
    tdp: float | None = None  # watts
    nvlink: float | None = None  # bytes/s in one direction, all links together
    pcie_gen: int | None = None
    pcie_lanes: int | None = None
    peer_access: bool | None = None  # direct PCIe access between cards with the stock driver
    process_nm: float | None = None
    slots: float | None = None
    price: float | None = None  # US dollars at launch
    rated_name: str = ""  # as the vendor writes it
    source: str = ""
    date: str = ""
    weak: str = ""  # which figures are uncertain, in words

    @property
    def full_name(self) -> str:
        """As the vendor writes it, or the id."""
        return self.rated_name or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A way for bytes between two ends.

    bandwidth: bytes/s in one direction that a large transfer reaches; rated: what the label says. latency: seconds for
    the first byte. kind decides which efficiencies apply (cost/efficiencies). multicast: the switch adds up and copies
    out by itself (NVLink SHARP).
    """

    name: str
    kind: LinkKind
    bandwidth: float
    latency: float
    rated: float
    multicast: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine around the devices: what feeds them. None where nobody says.

    bandwidth: of the RAM, all sockets. decode: ImageNet JPEGs a second that one core decodes (Pillow), which stands for
    its speed. sharing: devices behind one PCIe port of the host.
    """

    cores: int | None = None
    threads: int | None = None
    ram: float | None = None  # bytes
    cpu: str = ""
    bandwidth: float | None = None  # bytes/s
    decode: float | None = None  # images/s
    sharing: int = 1
    copy: Mapping[str, float] = field(default_factory=dict)  # bytes/s: "pinned", "pageable"

"""Node and Cluster: devices, what joins them inside a machine, and what joins the machines."""

from __future__ import annotations

from dataclasses import dataclass

from rigwise.hardware.device import Device, Host, Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine: `count` equal devices joined by `link`.

    pair: a faster link between neighbours two by two (NVLink bridges), where there is one. domain: devices in one
    NVLink domain; larger than count where racks are switched as one (GB200 NVL72). built: devices that the machine was
    built with, where only the first `count` of them are used. nics: network cards; nic: one of them. host_link: a
    device's way to host memory.
    """

    device: Device
    count: int
    link: Link
    pair: Link | None = None
    domain: int = 0
    built: int = 0
    nic: Link | None = None
    nics: int = 0
    host_link: Link | None = None
    host: Host = Host()

    @property
    def fast_domain(self) -> int:
        """Devices that reach each other over `link`."""
        return max(self.domain, self.count)

    @property
    def network(self) -> float:
        """Bytes/s that leave the node in one direction, all cards together; 0 without a card."""
        return self.nic.bandwidth * self.nics if self.nic else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`nodes` equal nodes. oversubscription: how much narrower the network's core is than its edge (1: not at all)."""

    name: str
    node: Node
    nodes: int = 1
    oversubscription: float = 1.0
    topology: str = "fat-tree"
    resolved: str = ""  # how the name that was given was read, to be printed

    @property
    def devices(self) -> int:
        """All devices."""
        return self.node.count * self.nodes

    @property
    def mesh(self) -> int:
        """Devices of the machine whose mesh joins those of a node; several nodes are machines that are used whole."""
        return self.node.count if self.nodes > 1 else max(self.node.built, self.node.count)

    @property
    def device(self) -> Device:
        """The kind of device."""
        return self.node.device

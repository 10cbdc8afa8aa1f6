"""Machines for the tests of the laws, written out so that a change of the catalogue cannot move them."""

from __future__ import annotations

from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.device import Device, Link

A100 = Device(
    name="a100-sxm-80gb",
    kind="gpu",
    vendor="NVIDIA",
    arch="Ampere",
    year=2020,
    form="sxm",
    memory=80 * 2.0**30,
    bandwidth=2.039e12,
    peak={"float32": 19.5e12, "tf32": 156e12, "float16": 312e12, "bfloat16": 312e12},
    processors=108,
    tdp=400.0,
    process_nm=7.0,
    price=15_000.0,
)
NVSWITCH = Link(name="nvswitch", kind="nvswitch", bandwidth=240e9, latency=2e-6, rated=300e9)
HDR = Link(name="hdr", kind="rdma", bandwidth=23.25e9, latency=2e-6, rated=25e9)
PCIE = Link(name="pcie4", kind="pcie-p2p", bandwidth=24e9, latency=5e-6, rated=31.5e9)


def selene(devices: int, device: Device = A100) -> Cluster:
    """A100 nodes of eight with eight HDR cards each, as the Megatron-LM papers used."""
    count = min(devices, 8)
    node = Node(device=device, count=count, link=NVSWITCH, nic=HDR, nics=8, host_link=PCIE)
    return Cluster(name=f"{devices}x{device.name}", node=node, nodes=max(1, devices // 8))

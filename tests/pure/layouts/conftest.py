"""Small models and clusters, made by hand, for the tests of layouts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rigwise.hardware.cluster import Cluster, Node
from rigwise.hardware.device import Device, Link
from rigwise.models.model import Block, Model
from rigwise.models.operations import Conv, attention, conv, linear


def _device(*precisions: str) -> Device:
    return Device(
        name="toy",
        kind="gpu",
        vendor="toy",
        arch="toy",
        year=None,
        form="sxm",
        memory=80e9,
        bandwidth=1e12,
        peak=dict.fromkeys(precisions, 1e12),
        processors=100,
    )


@pytest.fixture
def cluster() -> Callable[..., Cluster]:
    """A cluster of so many devices, by default of today's precisions, with a link to host memory."""
    link = Link(name="toy", kind="nvswitch", bandwidth=1e11, latency=1e-6, rated=1e11)

    def make(devices: int, precisions: tuple[str, ...] = ("bfloat16", "float16"), host: bool = True) -> Cluster:
        node = Node(device=_device(*precisions), count=devices, link=link, host_link=link if host else None)
        return Cluster(name="toy", node=node)

    return make


@pytest.fixture
def transformer() -> Callable[..., Model]:
    """A transformer whose numbers can be chosen: 24 layers, 16 heads, 4 key-value heads, sequences of 1024."""

    def make(layers: int = 24, causal: bool = True, experts: int | None = None, **facts: int) -> Model:
        core = attention("core", heads=16, kv_heads=4, m=1024, n=1024, k=64, causal=causal)
        work = (linear("up", m=1024, n=4096, k=1024, split="column"), core)
        given = {"tokens": 1024, "heads": 16, "kv_heads": 4, "ffn": 4096} | facts
        return Model(
            name="toy-lm",
            family="transformer",
            unit="token",
            blocks=(Block(name="layer", operations=work, boundary=1, count=layers),),
            experts=experts,
            top_k=experts and 2,
            **given,
        )

    return make


@pytest.fixture
def convnet() -> Model:
    """Two convolutions of 64 and 48 channels and a dense layer of 10 classes."""
    first = Conv(c=3, k=64, size=(32, 32), kernel=(3, 3), stride=(1, 1), pad=(1, 1))
    second = Conv(c=64, k=48, size=(32, 32), kernel=(3, 3), stride=(1, 1), pad=(1, 1))
    return Model(
        name="toy-cnn",
        family="convnet",
        unit="image",
        blocks=(
            Block(name="conv1", operations=(conv("conv1", first, split="column"),), boundary=64 * 1024),
            Block(name="conv2", operations=(conv("conv2", second, split="row"),), boundary=48 * 1024),
            Block(name="dense", operations=(linear("dense", m=1, n=10, k=48, split="column"),), boundary=10),
        ),
    )

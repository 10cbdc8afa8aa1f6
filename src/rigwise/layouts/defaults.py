"""What is taken where nobody says: the batch of a step and the type of its products."""

from __future__ import annotations

from rigwise.hardware.cluster import Cluster
from rigwise.models.model import Model

_SAMPLES = 64  # a device; under that its matrix kernels are not full (article 5)
_TOKENS = 2**14  # a device
_LEAST, _MOST = 2**18, 2**22  # tokens of a step: from what a fine-tuning takes to what a pre-training takes


def default_batch(model: Model, cluster: Cluster) -> int:
    """Samples of a step that fill the devices, within what training in practice takes; whole samples a device.

    Samples: 64 a device. Tokens: 16 Ki a device, but 256 Ki to 4 Mi in all.

    >>> from types import SimpleNamespace as Some
    >>> default_batch(Some(unit="token", tokens=2048), Some(devices=64))
    512
    """
    if model.unit != "token":
        return _SAMPLES * cluster.devices
    tokens = min(max(_TOKENS * cluster.devices, _LEAST), _MOST)
    return max(1, round(tokens / model.tokens / cluster.devices)) * cluster.devices


def default_precision(cluster: Cluster) -> str:
    """The best type of 16 bit that the device has; float32 on a CPU and where it has none."""
    if cluster.device.kind == "cpu":
        return "float32"
    return next((name for name in ("bfloat16", "float16") if name in cluster.device.peak), "float32")

"""The bound of a step: no run is quicker than its arithmetic at the devices' peak.

    T >= F / (saved N P)

F: useful FLOP of a step, forward and backward; N: devices; P: a device's peak in the number format of the products;
saved: where a model convolves, the arithmetic of a convolution over that of Winograd's F(4x4, 3x3), else 1.

A measured run below it was told wrong: another batch, sequence length, number of devices or number format. Leaves out:
what memory and exchanges take, so that a run above the bound may still be wrong; Fourier's way, which saves more than
Winograd's only where kernels are larger than 3 x 3. Source: arithmetic; Lavin and Gray 2016 for 144/36 = 4.
"""

from __future__ import annotations

from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster
from rigwise.models.model import Model
from rigwise.units import show_seconds

BEYOND = 1.05  # times the rated peak: what clocks above the rated one reach
_WINOGRAD = 4.0  # 144 products of a tile for 36


def least_seconds(model: Model, cluster: Cluster, batch: float, precision: str) -> float:
    """Seconds that no step of `batch` samples goes below; 0 where nobody rates the devices, as of a CPU, whose peak is
    reckoned from a clock that it does not keep.

    >>> from rigwise.hardware.load import load_cluster
    >>> from rigwise.models.zoo import load
    >>> f"{least_seconds(load('llama-3-8b'), load_cluster('8xh100-sxm-80gb'), 64, 'bfloat16'):.2f} s"
    '3.84 s'
    """
    device = cluster.device
    peak = device.peak.get(precision)
    if not peak or device.kind == "cpu":
        return 0.0
    saved = _WINOGRAD if any(operation.conv is not None for operation, _ in model.operations()) else 1.0
    return (model.flops + model.flops_backward) * batch / (saved * cluster.devices * peak)


def check_possible(seconds: float, model: Model, cluster: Cluster, batch: float, precision: str, told: str) -> None:
    """Refuse a run whose step is quicker than can be. told: the run in words. Raises UsageError."""
    least = least_seconds(model, cluster, batch, precision)
    if seconds * BEYOND < least:
        raise UsageError(
            f"{told} cannot be: {seconds:.4g} s a step, and the arithmetic of {batch:,.6g} samples of {model.name} "
            f"alone takes {show_seconds(least)} on {cluster.devices} x {cluster.device.name} at its {precision} peak",
            rule="no step is quicker than its arithmetic at the devices' peak",
            nearest="the batch, seq, devices and precision of that run, said beside its figure",
        )

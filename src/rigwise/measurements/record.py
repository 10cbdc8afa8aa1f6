"""Measurement: one figure that somebody measured, in base units, with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Metric = Literal[
    "step_s",  # seconds of one optimizer step
    "pass_s",  # seconds of one forward and backward pass of one batch, without the optimizer
    "kernel_s",  # seconds of one operation
    "images_per_s",  # all devices together
    "tokens_per_s_per_device",
    "flops_per_s_per_device",
    "mfu",  # share of peak, 0 to 1
    "bus_bytes_per_s",  # collective bus bandwidth: bytes / time x 2(n-1)/n for an all-reduce
    "copy_bytes_per_s",
    "peak_memory",  # bytes
    "run_s",  # seconds of a whole run, wall clock
    "device_s",  # device-seconds of a whole run
    "joules",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One measured figure.

    value is in the metric's base unit. part: which part of the step it is ("total", "compute", "communication",
    "loader", "optimizer", "memory"). settings: what was measured on what and how, as plain values (model, layout,
    cluster, precision, batch, versions). derived: the id of the measurement that this one only restates.
    """

    id: str
    metric: Metric
    value: float
    settings: Mapping[str, object] = field(default_factory=dict)
    part: str = "total"
    source: str = ""
    date: str = ""
    trusted: bool = True
    derived: str = ""
    notes: str = ""

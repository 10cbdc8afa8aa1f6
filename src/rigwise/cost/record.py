"""Estimate: what is predicted for one layout, every figure in base units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rigwise.cost.loader import LoaderReport
from rigwise.layouts.layout import Layout
from rigwise.units import GIBI


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The prediction for one layout. time sums to step_s, memory to memory_total (the fullest rank, bytes).

    interval: 80 % of steps lie within, seconds; memory_interval bytes, energy_interval joules, cost_interval US dollars
    likewise, the last two None where the figure is. mfu: useful FLOP (no recomputation) over the devices' dense peak,
    None where the peak is unknown. basis: how the interval came about. A figure that is not known is None.
    loader: what brings the samples; None for synthetic data.
    """

    model: str
    cluster: str
    layout: Layout
    batch: int
    devices: int
    step_s: float
    interval: tuple[float, float]
    samples_per_s: float
    tokens_per_s_per_device: float | None
    mfu: float | None
    time: Mapping[str, float]
    memory: Mapping[str, float]
    memory_total: float
    memory_interval: tuple[float, float]
    memory_limit: float
    fits: bool
    energy_j: float | None
    energy_interval: tuple[float, float] | None
    cost_usd: float | None
    cost_interval: tuple[float, float] | None
    basis: str
    warnings: tuple[str, ...] = ()
    loader: LoaderReport | None = None

    @property
    def samples_interval(self) -> tuple[float, float]:
        """The 80 % interval of samples a second: the step's, inverted."""
        return self.batch / self.interval[1], self.batch / self.interval[0]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a layout: memory in GiB, time in seconds, energy in joules."""
        memory = {key: value / GIBI for key, value in self.memory.items()}
        return {
            "layout": self.layout.to_dict(),
            "spelling": str(self.layout),
            "step_s": self.step_s,
            "interval": list(self.interval),
            "samples_per_s": self.samples_per_s,
            "samples_interval": list(self.samples_interval),
            "tokens_per_s_per_device": self.tokens_per_s_per_device,
            "mfu": self.mfu,
            "memory_gib": memory | {"total": self.memory_total / GIBI, "limit": self.memory_limit / GIBI},
            "memory_interval_gib": [end / GIBI for end in self.memory_interval],
            "fits": self.fits,
            "time_s": dict(self.time),
            "energy_j": self.energy_j,
            "energy_interval_j": self.energy_interval and list(self.energy_interval),
            "cost_usd": self.cost_usd,
            "cost_interval_usd": self.cost_interval and list(self.cost_interval),
            "basis": self.basis,
            "warnings": list(self.warnings),
            "loader": self.loader and self.loader.to_dict(),
        }

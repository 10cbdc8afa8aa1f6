"""One convolution as a lesson: sizes, work, bytes, intensity, and what each algorithm would take; and a map of winners.

Intensity is FLOP over bytes moved, each of input, kernels and output once; a device's balance is its rate over its
bandwidth. Where the intensity is below it, bytes and not products bind.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.convolution.geometry import Geometry
from rigwise.convolution.receptive import Layer
from rigwise.cost.algorithms import ALGORITHMS, algorithm_seconds, why_not
from rigwise.cost.convolution import PASSES, Convs, conv_seconds
from rigwise.cost.efficiencies import Efficiencies, efficiencies
from rigwise.cost.interval import Z80, spread
from rigwise.cost.matmul import Engine, engine
from rigwise.errors import UsageError
from rigwise.hardware.device import Device
from rigwise.models.operations import Conv

Floats = NDArray[np.float64]
Seconds = Mapping[str, Mapping[str, float | None]]
MOST_CELLS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """A convolution on a device. seconds: by algorithm and pass, None where it cannot be done, for the reason in
    why_not. library: by pass, the soonest of what libraries take. factors: by pass; the 80 % interval is seconds / and
    x it.
    """

    layer: Layer
    batch: int
    device: str
    precision: str
    element: float
    rate: float
    bandwidth: float
    seconds: Seconds
    why_not: Mapping[str, str]
    library: Mapping[str, float]
    factors: Mapping[str, float]
    basis: str

    @property
    def shape(self) -> Conv:
        """Its geometry."""
        return self.layer.shape

    @property
    def flops(self) -> float:
        """FLOP of one pass; each of the three has as many."""
        return Geometry.of(self.shape, self.batch).flops

    @property
    def bytes(self) -> float:
        """Bytes of input, kernels and output, each once."""
        return Geometry.of(self.shape, self.batch).bytes(self.element)

    @property
    def intensity(self) -> float:
        """FLOP a byte."""
        return self.flops / self.bytes

    @property
    def balance(self) -> float:
        """FLOP a byte at which the device's products and its memory take as long."""
        return self.rate / self.bandwidth

    @property
    def winner(self) -> Mapping[str, str]:
        """The soonest algorithm of each pass."""
        return {which: _soonest({name: row[which] for name, row in self.seconds.items()}) for which in PASSES}

    def to_dict(self) -> dict[str, Any]:
        """The answer for JSON; seconds, bytes and FLOP of one pass over the batch."""
        s, reach, last = self.shape, self.layer.reach, self.layer.last
        return {
            "layer": self.layer.name,
            "count": self.layer.count,
            "channels": [s.c, s.k],
            "groups": s.groups,
            "size": list(s.size),
            "kernel": list(s.kernel),
            "stride": list(s.stride),
            "padding": list(s.pad),
            "dilation": list(s.dilation) or [1] * len(s.kernel),
            "transposed": s.transposed,
            "output": [s.k, *s.out],
            "output_values": s.k * prod(s.out),
            "receptive_field": None if reach is None else list(reach.field),
            "receptive_field_last": None if last is None else list(last.field),
            "receptive_field_exact": None if reach is None else reach.exact,
            "weights": s.weights,
            "batch": self.batch,
            "device": self.device,
            "precision": self.precision,
            "flops": self.flops,
            "bytes": self.bytes,
            "intensity": self.intensity,
            "balance": self.balance,
            "seconds": {name: dict(row) for name, row in self.seconds.items()},
            "why_not": dict(self.why_not),
            "winner": dict(self.winner),
            "library_s": dict(self.library),
            "interval_factors": dict(self.factors),
            "basis": self.basis,
        }


def layer_cost(layer: Layer, device: Device, precision: str, *, batch: int, stack: str = "modern") -> LayerCost:
    """What a layer is and costs."""
    on, eff = _engine(device, precision, stack)
    rows = {which: algorithm_seconds([layer.shape], batch, which, on) for which in PASSES}
    seconds = {name: {which: _plain(rows[which][name][0]) for which in PASSES} for name in ALGORITHMS}
    reasons = {name: why for which in reversed(PASSES) for name, why in why_not(layer.shape, which, on).items()}
    shapes = Convs.of([layer.shape])
    return LayerCost(
        layer=layer,
        batch=batch,
        device=device.name,
        precision=precision,
        element=on.activation,
        rate=float(on.rate),
        bandwidth=float(on.bandwidth),
        seconds=seconds,
        why_not=reasons,
        library={which: float(conv_seconds(shapes, batch, which, on)[0]) for which in PASSES},
        factors={which: _factor(which, eff) for which in PASSES},
        basis=f"the laws of single convolutions, {eff.provenance}",
    )


def _engine(device: Device, precision: str, stack: str) -> tuple[Engine, Efficiencies]:
    eff = efficiencies(device, stack)
    kept = replace(eff.device, kernel_s=eff.device.call_s)  # a call by itself, as the constants of calls were measured
    stacked = eff.stack
    on = engine(
        device,
        precision,
        kept,
        transposed=stacked.laid_out_anew(precision),
        unaligned=stacked.unaligned,
        winograd=stacked.winograd,
    )
    return on, eff


def _factor(which: str, eff: Efficiencies) -> float:
    """How far a pass may be from its prediction, 80 % of the time; passes differ in how well they are known."""
    return exp(Z80 * spread((f"convolution_{which}", "convolution", "operation"), eff.novelty))


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _soonest(seconds: Mapping[str, float | None]) -> str:
    known = {name: value for name, value in seconds.items() if value is not None}
    return min(known, key=lambda name: known[name])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WinMap:
    """Who wins where. seconds: (algorithms, kernels, sizes), NaN where it cannot be done."""

    kernels: tuple[int, ...]
    sizes: tuple[int, ...]
    channels: tuple[int, int]
    groups: int
    batch: int
    device: str
    precision: str
    which: str
    seconds: Floats
    factor: float

    def winner(self, row: int, column: int) -> str:
        """The soonest algorithm for kernels[row] on images of sizes[column]."""
        return ALGORITHMS[int(np.nanargmin(self.seconds[:, row, column]))]

    def best(self, row: int, column: int) -> float:
        """Its seconds."""
        return float(np.nanmin(self.seconds[:, row, column]))

    def over(self, row: int, column: int) -> float:
        """How many times as long the matrix product takes, which is what libraries do most often."""
        return float(self.seconds[0, row, column]) / self.best(row, column)

    def to_dict(self) -> dict[str, Any]:
        """The map for JSON, a cell an entry."""
        cells = [
            {
                "kernel": r,
                "size": n,
                "winner": self.winner(i, j),
                "seconds": {name: _plain(self.seconds[place, i, j]) for place, name in enumerate(ALGORITHMS)},
            }
            for i, r in enumerate(self.kernels)
            for j, n in enumerate(self.sizes)
        ]
        return {
            "channels": list(self.channels),
            "groups": self.groups,
            "batch": self.batch,
            "device": self.device,
            "precision": self.precision,
            "pass": self.which,
            "interval_factor": self.factor,
            "cells": cells,
        }


def win_map(
    kernels: Sequence[int],
    sizes: Sequence[int],
    device: Device,
    precision: str,
    *,
    channels: tuple[int, int],
    groups: int = 1,
    batch: int = 1,
    which: str = "forward",
    stack: str = "modern",
) -> WinMap:
    """Square kernels over square images, padded to keep the size, by every algorithm."""
    if len(kernels) * len(sizes) > MOST_CELLS:
        raise UsageError(f"{len(kernels)} kernels x {len(sizes)} sizes", rule=f"at most {MOST_CELLS:,} cells")
    on, eff = _engine(device, precision, stack)
    c, k = channels
    shapes = [
        Conv(c=c, k=k, size=(n, n), kernel=(r, r), stride=(1, 1), pad=(r // 2, r // 2), groups=groups)
        for r in kernels
        for n in sizes
    ]
    found = algorithm_seconds(shapes, batch, which, on)
    table = np.array([found[name] for name in ALGORITHMS])
    return WinMap(
        kernels=tuple(kernels),
        sizes=tuple(sizes),
        channels=channels,
        groups=groups,
        batch=batch,
        device=device.name,
        precision=precision,
        which=which,
        seconds=table.reshape(len(ALGORITHMS), len(kernels), len(sizes)),
        factor=_factor(which, eff),
    )

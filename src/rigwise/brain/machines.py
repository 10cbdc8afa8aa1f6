"""How many devices would sustain the brain's operations, at what price, power and network: through the cost model.

Six figures a device stand side by side, as a peak says little:

    peak      the data sheet's, in the type of the products
    dense     a large matrix product (cost/matmul.py), what training a language model nears
    LINPACK   the share of the peak that the fastest machines reach on it
    HPCG      FLOP for a byte of memory bandwidth, as the fastest machines reach on it
    shape     `cost.estimate` of this very network, forward only
    network   the rate at which messages between cells fill the network cards

Sustained is the lesser of shape and network; the count is what sustains the operations, holds the memory and reads it
as often as cells are evaluated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.estimate import BrainEstimate
from rigwise.brain.quantity import Quantity, known, spread
from rigwise.brain.work import Work
from rigwise.cost.collective import wires
from rigwise.cost.efficiencies import efficiencies
from rigwise.cost.estimate import Question
from rigwise.cost.estimate import estimate as cost_estimate
from rigwise.cost.matmul import engine, gemm_seconds
from rigwise.cost.record import Estimate
from rigwise.hardware.cluster import Cluster
from rigwise.hardware.load import load_cluster
from rigwise.layouts.defaults import default_precision
from rigwise.layouts.layout import Layout
from rigwise.models.model import Model
from rigwise.units import HOUR, KILO, YEAR

Floats = NDArray[np.float64]
DEVICES = ("h100-sxm-80gb", "b200", "mi300x", "rtx-4090", "a100-sxm-80gb")
_PRODUCT = 8192  # sides of the dense product
_Z80 = 1.2816  # standard deviations from the middle of an 80 % interval to its end
SOURCE = "rigwise cost model on the catalogue's figures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One kind of device for the whole brain. rates: FLOP/s of one device by how they are measured.

    binds: what decides the count: shape, network, memory or bandwidth. A figure that is not known is None.
    """

    device: str
    precision: str
    rates: Mapping[str, Quantity]
    binds: str
    count: Quantity
    power: Quantity | None
    capital: Quantity | None
    electricity: Quantity | None
    cards: Quantity
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a machine."""
        amounts = ("count", "power", "capital", "electricity", "cards")
        return {
            "device": self.device,
            "precision": self.precision,
            "rates": {name: rate.to_dict() for name, rate in self.rates.items()},
            "binds": self.binds,
            **{name: None if (q := getattr(self, name)) is None else q.to_dict() for name in amounts},
            "warnings": list(self.warnings),
        }


def machine(brain: BrainEstimate, task: Work, device: str, *, precision: str | None = None) -> Machine:
    """How many of a device, and what they take. Raises NotFoundError for an unknown device, UsageError for a type that
    it has no rate in.
    """
    cluster = load_cluster(f"1x{device}")
    kind = precision or default_precision(cluster)
    found = _costed(task.model, cluster, kind, task.micro)
    rates, room = _rates(brain, task, cluster, kind, found), cluster.device.memory
    shape, wires_rate = (rates[name].value or np.inf for name in ("shape", "network"))
    reads = cluster.device.bandwidth
    counts = {"shape": task.needed / shape, "network": task.needed / wires_rate, "memory": task.memory / room}
    counts["bandwidth"] = task.read / reads
    binds = max(counts, key=lambda name: counts[name])
    value = counts[binds]
    with np.errstate(divide="ignore"):  # nothing leaves a device: its wires carry any rate
        by_wires = network_rate(cluster) / task.bytes_per_flop_drawn
    sustained = np.minimum(shape * _noise(brain, found), by_wires)
    held = np.maximum(task.memory_drawn / room, task.read_drawn / reads)
    drawn = np.maximum(task.needed_drawn / sustained, held)
    return Machine(
        device=cluster.device.name,
        precision=kind,
        rates=rates,
        binds=binds,
        count=spread(value, drawn, "device", SOURCE),
        **_bill(brain, cluster, found, value, drawn),
        cards=_scaled(_cards(cluster), value, drawn, "card", "usual node of the catalogue"),
        warnings=(*found.warnings, *_notes(brain, task, min(shape, wires_rate))),
    )


def _costed(model: Model, cluster: Cluster, precision: str, micro: int) -> Estimate:
    question = Question(model=model, cluster=cluster, batch=micro, stepping=False)
    return cost_estimate(question, Layout(dp=1, micro=micro, precision=precision))


def _rates(brain: BrainEstimate, task: Work, cluster: Cluster, precision: str, found: Estimate) -> dict[str, Quantity]:
    device, eff = cluster.device, efficiencies(cluster.device)
    peak = device.peak.get(precision)
    on = engine(device, precision, eff.device)
    dense = 2.0 * _PRODUCT**3 / float(gemm_seconds(1, _PRODUCT, _PRODUCT, _PRODUCT, on))
    share, per_byte = (brain.parameters[name].quantity() for name in ("linpack_share", "hpcg_flop_per_byte"))
    shape = task.flops * task.micro / found.step_s
    low, high = (task.flops * task.micro / end for end in (found.interval[1], found.interval[0]))
    return {
        "peak": known(peak, "FLOP/s", device.source) if peak else _unknown("the catalogue has no rate of this type"),
        "dense": known(dense, "FLOP/s", SOURCE),
        "linpack": _times(share, peak) if peak else _unknown("the catalogue has no rate of this type"),
        "hpcg": _times(per_byte, device.bandwidth),
        "shape": Quantity(value=shape, p10=low, p50=shape, p90=high, unit="FLOP/s", source=SOURCE),
        "network": known(network_rate(cluster) / task.bytes_per_flop, "FLOP/s", SOURCE)
        if task.bytes_per_flop
        else _unknown("no message leaves a device"),
    }


def network_rate(cluster: Cluster) -> float:
    """Bytes/s that one device can send out of its node, as collectives reach it; its link where it has no card."""
    node = cluster.node
    usual = load_cluster(f"2x{max(_usual(cluster), 1)}x{node.device.name}")
    over = wires(usual, efficiencies(node.device))
    outside = over.network if usual.node.network else over.inside
    return float(np.asarray(outside)) / usual.node.fast_domain


def _usual(cluster: Cluster) -> int:
    from rigwise.hardware.fabrics import default_node

    return default_node(cluster.device)[0].count


def _cards(cluster: Cluster) -> float:
    """Network cards a device."""
    node = load_cluster(f"2x{max(_usual(cluster), 1)}x{cluster.device.name}").node
    return node.nics / node.count


def _notes(brain: BrainEstimate, task: Work, sustained: float) -> list[str]:
    """What a person should know before believing a count of cells."""
    if task.shape != "cells":
        return []
    one = task.flops * brain.points["purkinje_rate"]
    notes = [
        "one channel and a filter of 50,000 weights lie outside what was measured; intervals are those of usual nets"
    ]
    if sustained < one:
        notes.append("a device sustains less than one Purkinje cell in real time; the count divides cells at will")
    return notes


def _noise(brain: BrainEstimate, found: Estimate) -> Floats:
    """Draws of measured over predicted speed, from the 80 % interval of the cost model."""
    sigma = log(found.interval[1] / found.interval[0]) / (2 * _Z80)
    return np.asarray(np.exp(np.random.default_rng([brain.seed, 3]).normal(0.0, sigma, brain.draws)))


def _bill(
    brain: BrainEstimate, cluster: Cluster, found: Estimate, value: float, drawn: Floats
) -> dict[str, Quantity | None]:
    """Watts of the building, dollars to buy, dollars a year of electricity."""
    at, draws, price = brain.points, brain.samples, cluster.device.price
    watts = None if found.energy_j is None else found.energy_j / found.step_s
    yearly = YEAR / (KILO * HOUR)  # kWh a watt draws in a year
    power = capital = electricity = None
    if watts is not None:
        power = spread(watts * at["pue"] * value, watts * draws["pue"] * drawn, "W", SOURCE)
        bill, bills = at["pue"] * at["usd_per_kwh"], draws["pue"] * draws["usd_per_kwh"]
        electricity = spread(watts * yearly * bill * value, watts * yearly * bills * drawn, "USD/year", SOURCE)
    if price is not None:
        factor, factors = at["system_price_factor"], draws["system_price_factor"]
        capital = spread(price * factor * value, price * factors * drawn, "USD", "launch price of the catalogue")
    return {"power": power, "capital": capital, "electricity": electricity}


def _scaled(each: float, value: float, drawn: Floats, unit: str, source: str) -> Quantity:
    return spread(each * value, each * drawn, unit, source)


def _times(share: Quantity, rate: float) -> Quantity:
    ends = {name: (getattr(share, name) or 0.0) * rate for name in ("value", "p10", "p50", "p90")}
    return Quantity(**ends, unit="FLOP/s", source=share.source)


def _unknown(why: str) -> Quantity:
    return Quantity(value=None, p10=None, p50=None, p90=None, unit="FLOP/s", source=why)


def machines(
    brain: BrainEstimate, task: Work, devices: Sequence[str] = DEVICES, *, precision: str | None = None
) -> list[Machine]:
    """The question for several devices, in the order in which they are named."""
    return [machine(brain, task, name, precision=precision) for name in devices]

"""Machines that stand: clusters and data centres of Epoch AI, and the fastest of the TOP500, beside the need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rigwise.brain.machines import Machine
from rigwise.brain.tables import table
from rigwise.errors import RigwiseError
from rigwise.hardware.catalog import devices
from rigwise.hardware.names import resolve_device
from rigwise.units import KILO, MEGA, TERA

Cost = Callable[[str], Machine]
_H100 = "h100-sxm-80gb"  # in whose 16-bit peaks Epoch counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A machine that stands. share_of_peak: how much of the need its peak is; share: how much of it is sustained, as
    `measured` says. A figure that is not known is None.
    """

    name: str
    date: str
    what: str
    peak: float
    sustained: float | None
    measured: str
    share_of_peak: float
    share: float | None
    power: float | None
    source: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a machine that stands."""
        return asdict(self)


def standing(needed: float, cost: Cost, top: int = 8) -> list[Standing]:
    """The largest of each list. needed: FLOP/s. cost: this network's shape on a device, which turns a
    peak into what such a network would sustain.
    """
    clusters = [_cluster(row, needed, cost) for row in table("clusters")[:top]]
    centres = [_centre(row, needed, cost) for row in table("data_centers")[:top]]
    return sorted([*clusters, *centres], key=lambda one: -one.peak) + supercomputers(needed)


def _cluster(row: Mapping[str, str], needed: float, cost: Cost) -> Standing:
    peak = float(row["flops_16bit"])
    sustained, device = _sustained(row["chip"], peak, cost)
    return Standing(
        name=row["name"],
        date=row["date"],
        what=f"{float(row['chips']):,.0f} {row['chip']}" if row["chips"] else row["chip"],
        peak=peak,
        sustained=sustained,
        measured=f"this shape on {device}" if sustained else "",
        share_of_peak=peak / needed,
        share=sustained / needed if sustained else None,
        power=float(row["mw"]) * MEGA if row["mw"] else None,
        source=row["source"],
    )


def _centre(row: Mapping[str, str], needed: float, cost: Cost) -> Standing:
    peak = float(row["h100_equivalents"]) * devices()[_H100].peak["bfloat16"]
    sustained, device = _sustained(_H100, peak, cost)
    return Standing(
        name=row["name"],
        date=row["date"],
        what=f"as many as {float(row['h100_equivalents']):,.0f} H100",
        peak=peak,
        sustained=sustained,
        measured=f"this shape on {device}" if sustained else "",
        share_of_peak=peak / needed,
        share=sustained / needed if sustained else None,
        power=float(row["mw"]) * MEGA,
        source=row["source"],
    )


def _sustained(chip: str, peak: float, cost: Cost) -> tuple[float | None, str]:
    """The peak times what this shape reaches of it on the same device, where the catalogue has it."""
    try:
        name, _ = resolve_device(chip)
        machine = cost(name)
    except RigwiseError:
        return None, ""
    if not machine.rates["peak"].value:
        return None, ""
    reached = min(machine.rates[rate].value or 0.0 for rate in ("shape", "network"))
    return peak * reached / machine.rates["peak"].value, name


def supercomputers(needed: float) -> list[Standing]:
    """The fastest of the last list by LINPACK and by HPCG."""
    row = [row for row in table("supercomputers") if row["hpcg_tflops"]][-1]
    peaks: Sequence[Mapping[str, str]] = [one for one in table("supercomputers") if one["no1_peak_tflops"]]
    peak = next((float(one["no1_peak_tflops"]) for one in reversed(peaks) if one["name"] == row["name"]), 0.0) * TERA
    watts = next((float(one["no1_kw"]) for one in reversed(peaks) if one["name"] == row["name"]), 0.0) * KILO
    found = []
    for measured, column in (("LINPACK", "no1_tflops"), ("HPCG", "hpcg_tflops")):
        rate = float(row[column]) * TERA
        found.append(
            Standing(
                name=row["name"] if measured == "LINPACK" else row["hpcg_name"],
                date=row["list"],
                what="fastest of the TOP500, 64-bit",
                peak=peak,
                sustained=rate,
                measured=measured,
                share_of_peak=peak / needed,
                share=rate / needed,
                power=watts or None,
                source=row["source"],
            )
        )
    return found

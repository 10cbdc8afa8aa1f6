"""Profile: one machine as it was measured, at one number of ranks and threads: its rates, its link, and how well they
say what a step takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rigwise.cost.efficiencies import Efficiencies
from rigwise.cost.measured import Curve, Rates
from rigwise.hardware.device import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What ranks exchange over: seconds before the first byte, and bytes/s of the busiest rank after it."""

    alpha: float
    bandwidth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """name: what it is called. machine: what was measured, in words. ranks, threads: at once, and of each. precisions:
    types of the products that were timed. wire: None of one rank. spread: standard deviation of the logarithm of a
    step around what the rates say of it. before, after: mean error of a pass of a small network that was left out, by
    FLOP over the rate of the best product, and by the rates. date: of the measurement. pace: seconds of the machine's
    fixed piece of work meanwhile; 0 where it was not timed. slower: how many times as long everything takes as when it
    was measured. heap: bytes that a process takes beyond its tensors, fixed, and for each byte that comes and goes in a
    step; None where that was not measured.
    """

    name: str
    machine: str
    ranks: int
    threads: int
    precisions: tuple[str, ...]
    rates: Rates
    spread: float
    date: str
    wire: Wire | None = None
    before: float = 0.0
    after: float = 0.0
    pace: float = 0.0
    slower: float = 1.0
    heap: tuple[float, float] | None = None

    def at(self, pace: float) -> Profile:
        """The profile at another pace of the machine: every second as much longer as the fixed piece of work takes."""
        if not self.pace or not pace:
            return self
        factor = pace / self.pace
        wire = self.wire and Wire(alpha=self.wire.alpha * factor, bandwidth=self.wire.bandwidth / factor)
        return replace(self, rates=self.rates.slower(factor), wire=wire, pace=pace, slower=self.slower * factor)

    def covers(self, precision: str) -> bool:
        """Whether a step in a precision was measured."""
        return precision in self.precisions

    def applied(self, eff: Efficiencies, link: Link) -> Efficiencies:
        """Efficiencies with what was measured in place of the general ones; link: what joins the ranks."""
        stack = replace(
            eff.stack,
            host_kernel_s=self.rates.operation_s,
            host_collective_s=0.0,
            host_micro_s=0.0,
            host_step_s=self.rates.step_s,
            host_power=1.0,
            overlap_dp=0.0,
        )
        links = dict(eff.links)
        if self.wire is not None and link.bandwidth:
            own = replace(
                eff.link(link.kind), share=self.wire.bandwidth / link.bandwidth, hop=0.0, base_s=self.wire.alpha
            )
            links[link.kind] = own
        device = replace(eff.device, host_fixed=1.0, host_power=1.0)
        return replace(eff, stack=stack, device=device, links=links, measured=self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        curves = [{"which": which, **curve.to_dict()} for (_, which), curve in self.rates.curves.items()]
        return {
            "name": self.name,
            "machine": self.machine,
            "ranks": self.ranks,
            "threads": self.threads,
            "precisions": list(self.precisions),
            "spread": self.spread,
            "before": self.before,
            "after": self.after,
            "date": self.date,
            "pace": self.pace,
            "heap": self.heap and list(self.heap),
            "wire": None if self.wire is None else {"alpha": self.wire.alpha, "bandwidth": self.wire.bandwidth},
            "operation_s": self.rates.operation_s,
            "step_s": self.rates.step_s,
            "curves": curves,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Profile:
        """Read what to_dict wrote."""
        curves = {(row["kind"], row["which"]): Curve.from_dict(row) for row in data["curves"]}
        rates = Rates(curves=curves, operation_s=data["operation_s"], step_s=data["step_s"])
        plain = {key: data[key] for key in ("name", "machine", "ranks", "threads", "spread", "before", "after", "date")}
        plain["pace"] = data.get("pace", 0.0)
        plain["heap"] = tuple(data["heap"]) if data.get("heap") else None
        wire = Wire(**data["wire"]) if data["wire"] else None
        return cls(**plain, precisions=tuple(data["precisions"]), rates=rates, wire=wire)

"""Profile: one machine as it was measured, at one number of ranks and threads: its rates, its link, and how well they
say what a step takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rigwise.cost.arrays import Floats
from rigwise.cost.efficiencies import Efficiencies
from rigwise.cost.measured import Curve, Rates
from rigwise.hardware.device import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What ranks exchange over: seconds before the first byte, and bytes/s of the busiest rank after it.

    meetings: seconds of each rank's own work between two exchanges, and what ranks then wait for each other on average.
    """

    alpha: float
    bandwidth: float
    meetings: tuple[tuple[float, float], ...] = ()

    def waited(self, work: ArrayLike) -> Floats:
        """Seconds that ranks wait for each other after so much work of their own: linear in its logarithm between what
        was measured, in proportion below, no more beyond.

        >>> Wire(alpha=0.0, bandwidth=1.0, meetings=((1e-3, 2e-4), (1e-1, 4e-4))).waited([0, 5e-4, 1e-2, 1.0])
        array([0.    , 0.0001, 0.0003, 0.0004])
        """
        worked = np.asarray(work, dtype=np.float64)
        if not self.meetings:
            return np.zeros_like(worked)
        at, waits = np.array(self.meetings).T
        known = np.interp(np.log(np.maximum(worked, at[0])), np.log(at), waits)
        return np.asarray(known * np.minimum(worked / at[0], 1.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """name: what it is called. machine: what was measured, in words. ranks, threads: at once, and of each. precisions:
    types of the products that were timed. wire: None of one rank. spread: standard deviation of the logarithm of a
    step around what the rates say of it. before, after: mean error of a pass of a small network that was left out, by
    FLOP over the rate of the best product, and by the rates. date: of the measurement. pace: of each part, seconds of
    the machine's fixed piece of work meanwhile, and how far their logarithm moved (standard deviation); none where it
    was not timed. slower: how many times as long products take as when it was measured. heap: bytes that a process
    takes beyond its tensors: fixed, for each byte that comes and goes in a step, and for each byte of blocks of its
    greatest convolution (convolution/blocks.py); None where that was not measured.
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
    pace: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    slower: float = 1.0
    heap: tuple[float, float, float] | None = None

    def at(self, pace: Mapping[str, float]) -> Profile:
        """The profile at another pace of the machine: every second as much longer as the fixed pieces of work take.

        A moment's pace says little of the next where it lies within what it moved by while it was measured: of a change
        c with the deviation s, in logarithms, the share 1 - (s/c)^2 is believed (James and Stein 1961).
        """
        if not self.pace or not pace.keys() >= self.pace.keys():
            return self
        factors = {part: believed(pace[part] / seconds, moved) for part, (seconds, moved) in self.pace.items()}
        wire = self.wire and replace(
            self.wire, alpha=self.wire.alpha * factors["call"], bandwidth=self.wire.bandwidth / factors["stream"]
        )
        return replace(self, rates=self.rates.slower(factors), wire=wire, pace={}, slower=factors["product"])

    def waited(self, work: Floats) -> Floats:
        """As Wire has it; nothing of one rank."""
        return self.wire.waited(work) if self.wire else np.zeros_like(work)

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
            "pace": {part: list(told) for part, told in self.pace.items()},
            "heap": self.heap and list(self.heap),
            "wire": self.wire and asdict(self.wire),
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
        plain["pace"] = {part: tuple(told) for part, told in data["pace"].items()}
        plain["heap"] = tuple(data["heap"]) if data.get("heap") else None
        wire = None
        if data["wire"]:
            wire = Wire(**{**data["wire"], "meetings": tuple(tuple(pair) for pair in data["wire"]["meetings"])})
        return cls(**plain, precisions=tuple(data["precisions"]), rates=rates, wire=wire)


def believed(factor: float, moved: float) -> float:
    """What of a change of pace is believed that moved by itself by `moved` (standard deviation of its logarithm).

    >>> believed(1.05, 0.1), round(believed(2.0, 0.1), 2)
    (1.0, 1.97)
    """
    change = log(factor)
    share = max(0.0, 1 - (moved / change) ** 2) if change else 0.0
    return exp(share * change)

"""Upgrade: what the cards that are there do now, and what one more card of another kind beside them would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rigwise.advise.assumptions import host_for
from rigwise.advise.candidates import SOLD, machine_usd
from rigwise.advise.choice import Choice
from rigwise.advise.judge import Verdict, judge
from rigwise.advise.mixed import Asked, Mixed, mix
from rigwise.advise.money import electricity_usd
from rigwise.advise.needs import Need
from rigwise.advise.prices import PriceBook
from rigwise.hardware.catalog import device as find_device
from rigwise.units import HOUR

_MOST = 4  # cards in a machine that a person builds
_TRIED = 6  # cards that are looked at beside the old ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """What is there: samples a second, and in words how. time_s: until the work is done, where one is asked for.

    electricity: dollars of it until then, where the power is known.
    """

    what: str
    throughput: float
    fits: bool
    how: str
    time_s: float | None = None
    electricity: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "what": self.what,
            "throughput": self.throughput,
            "fits": self.fits,
            "how": self.how,
            "time_s": self.time_s,
            "electricity_usd": self.electricity,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One more card beside the old ones. price: of the card; around: of a larger machine where the old one is full.

    gain: throughput over what there is, minus 1.
    """

    device: str
    condition: str
    price: float
    around: float
    throughput: float
    gain: float
    mixed: Mixed

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "device": self.device,
            "condition": self.condition,
            "price_usd": self.price,
            "machine_usd": self.around,
            "throughput": self.throughput,
            "gain": self.gain,
            "mixed": self.mixed.to_dict(),
        }


def now(need: Need, verdicts: Mapping[tuple[str, int], Verdict]) -> Now | None:
    """What the owned cards do; None where nothing is owned."""
    if not need.owned:
        return None
    what = ", ".join(f"{count}x {device.name}" for device, count in need.owned)
    device, count = need.owned[0]
    if len(need.owned) == 1 and (count & (count - 1)) == 0:
        own = verdicts.get((device.name, count)) or judge(need, [device]).get((device.name, count))
        if own is None:
            return None
        time_s = need.work / own.samples_per_s if need.work is not None and own.fits else None
        known = time_s is not None and own.watts is not None
        usd = electricity_usd(own.watts or 0.0, (time_s or 0.0) / HOUR, need.per_kwh) if known else None
        speed, how = own.samples_per_s, str(own.layout)
        return Now(what=what, throughput=speed, fits=own.fits, how=how, time_s=time_s, electricity=usd)
    found = mix(need.owned, need)
    rate = found.throughput
    time_s = need.work / rate if need.work is not None and rate else None
    return Now(what=what, throughput=rate or 0.0, fits=rate is not None, how=_how(found), time_s=time_s)


def _how(found: Mixed) -> str:
    """Which of the two ways a mixture works in."""
    pipeline = found.pipeline_throughput is not None and found.pipeline_throughput == found.throughput
    return f"{'pipeline' if pipeline else 'data parallel'} of mixed cards"


def slower(choice: Choice, there: Now | None) -> str:
    """Why a choice is no upgrade: what is there does more; empty where it is one."""
    if there is None or not (there.fits and choice.verdict.fits):
        return ""
    times = choice.throughput * choice.candidate.useful / there.throughput
    return "" if times > 1 else f"it is {times:.2g} times as fast as what is there, {there.what}"


def beside(need: Need, book: PriceBook, there: Now, every: Sequence[Choice]) -> Iterator[Beside]:
    """Other cards of one kind to put beside the owned ones within the budget, the fastest alone first."""
    held = sum(count for _, count in need.owned)
    larger = host_for(need.owned[0][0], held + 1)
    if not there.fits or larger is None or held >= _MOST:
        return
    around = machine_usd(need, larger, held + 1)
    mine = {device.name for device, _ in need.owned}
    seen: set[str] = set()
    known = Asked()
    for choice in sorted(every, key=lambda c: -c.throughput):
        c = choice.candidate
        price = c.card.usd
        if c.count > 1 or c.condition not in SOLD or c.device.name in mine | seen or c.device.form != "pcie":
            continue
        if not choice.verdict.fits or (need.budget is not None and price + around > need.budget):
            continue
        seen.add(c.device.name)
        if len(seen) > _TRIED:
            return
        found = mix([*need.owned, (find_device(c.device.name), 1)], need, known)
        if found.throughput:
            gain = found.throughput / there.throughput - 1
            yield Beside(
                device=c.device.name,
                condition=c.condition,
                price=price,
                around=around,
                throughput=found.throughput,
                gain=gain,
                mixed=found,
            )

"""Advice: which GPUs to get for a need; choices in order, the reasons, and why not the others."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rigwise.advise.binding import nothing
from rigwise.advise.candidates import kept, ways
from rigwise.advise.caveats import caveats
from rigwise.advise.choice import Choice, choose, scale
from rigwise.advise.flow import Path, compared, walk
from rigwise.advise.judge import Verdict, judge, sizes
from rigwise.advise.needs import Need, check
from rigwise.advise.prices import PriceBook
from rigwise.advise.rank import frontier, late, ranked, refusal
from rigwise.advise.reasons import reasons
from rigwise.advise.renting import buy_or_rent
from rigwise.advise.upgrade import Beside, Now, beside, now, slower
from rigwise.units import show_bytes, show_seconds

_WORTH = 1.2  # times the speed of what is there, below which a change is warned of


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to get. choices: best first. pareto: nothing beats these in money and speed together.

    every: all candidates. refused: why not, by device (all its numbers and conditions alike) and by candidate.
    verdicts: by device and number. path: of the flowchart. even: buying against renting. now, beside: what is there
    already, and other cards beside it.
    """

    need: Need
    book: PriceBook
    choices: tuple[Choice, ...]
    pareto: tuple[Choice, ...]
    every: tuple[Choice, ...]
    refused: Mapping[str, str]
    verdicts: Mapping[tuple[str, int], Verdict]
    path: Path
    even: Mapping[str, Any] | None
    now: Now | None
    beside: tuple[Beside, ...]
    seconds: float

    @property
    def best(self) -> Choice:
        """The first choice."""
        return self.choices[0]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an advice; prices stand in it as they were, so that it can be read years later."""
        need, today = self.need, self.book.today
        per, unit = scale(need)
        return {
            "need": {
                "model": need.model.name,
                "persona": need.persona,
                "batch": need.batch,
                "work": None if need.work is None else need.work * per,
                "unit": unit,
                "budget_usd": need.budget,
                "deadline_s": need.deadline,
                "goal": need.goal,
                "conditions": list(need.conditions),
                "memory_gib": need.memory / 2**30,
                "most": need.most,
                "hours_per_week": need.hours_per_week,
                "years": need.years,
                "usd_per_kwh": need.per_kwh,
                "owned": [{"device": device.name, "count": count} for device, count in need.owned],
            },
            "date": today.isoformat(),
            "choices": [choice.to_dict(need, today) for choice in self.choices],
            "pareto": [choice.to_dict(need, today) for choice in self.pareto],
            "path": self.path.to_dict(),
            "break_even": self.even,
            "now": self.now and self.now.to_dict(),
            "beside": [row.to_dict() for row in self.beside],
            "refused": dict(self.refused),
            "search": {"devices": len({name for name, _ in self.verdicts}), "machines": len(self.verdicts)}
            | {"candidates": len(self.every), "seconds": self.seconds},
        }


def advise(need: Need, book: PriceBook, *, top: int = 10) -> Advice:
    """Rank what there is to get for a need.

    Raises UsageError for amounts that cannot be, InfeasibleError where nothing answers the need, with what binds.
    """
    check(need)
    started = time.perf_counter()
    allowed, refused = kept(need, book)
    verdicts = judge(need, allowed)
    every = [
        choose(candidate, verdicts[device.name, count], need)
        for device in allowed
        for count in sizes(need.most)
        if not _there_already(need, device.name, count)
        if (device.name, count) in verdicts
        for candidate in ways(need, device, count, book)
    ]
    there = now(need, verdicts)
    against_it = {choice.candidate.name: refusal(choice, need) or slower(choice, there) for choice in every}
    fitting = [choice for choice in every if not against_it[choice.candidate.name]]
    refused = refused | {name: why for name, why in against_it.items() if why}
    if not fitting:
        raise nothing(need, [c for c in every if not slower(c, there)], refused, allowed)
    order = ranked(fitting, need)
    even = buy_or_rent(order, need, book)
    shown = [_told(choice, need, book, order, there) for choice in order[:top]]
    return Advice(
        need=need,
        book=book,
        choices=tuple(shown),
        pareto=tuple(frontier(fitting)),
        every=tuple(every),
        refused=refused,
        verdicts=verdicts,
        path=compared(walk(need, even), order),
        even=even,
        now=there,
        beside=tuple(sorted(beside(need, book, there, every), key=lambda row: -row.gain) if there else ()),
        seconds=time.perf_counter() - started,
    )


def _there_already(need: Need, name: str, count: int) -> bool:
    """Whether so many of a device are there, so that there is nothing to get."""
    return any(device.name == name and owned >= count for device, owned in need.owned)


def _told(choice: Choice, need: Need, book: PriceBook, order: Sequence[Choice], there: Now | None) -> Choice:
    """The choice with its reasons and its warnings."""
    missed = (
        [f"deadline: at the low end of its interval it takes {show_seconds(choice.time_s / choice.assured)}"]
        if (choice.time_s and late(choice, need))
        else []
    )
    says = (
        *missed,
        *_downs(choice, need, there),
        *caveats(choice.candidate, choice.verdict, need, book.today),
        *choice.warnings,
    )
    return replace(choice, reasons=tuple(reasons(choice, order, need, there)), warnings=says)


def _downs(choice: Choice, need: Need, there: Now | None) -> Iterator[str]:
    """What speaks against a change of what is there."""
    if there is None or choice.candidate.owned:
        return
    if there.fits and choice.throughput < _WORTH * there.throughput:
        yield f"little gain: below {_WORTH:g} times what is there, which such predictions miss by"
    most = max(device.memory for device, _ in need.owned)
    if choice.candidate.device.memory < most * 0.93:
        yield f"less memory: {show_bytes(choice.candidate.device.memory)} a card, of {show_bytes(most)} that is there"

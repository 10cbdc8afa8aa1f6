"""Ranking: which choices the need allows, in which order, and which of them nothing beats in money and time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from rigwise.advise.choice import Choice
from rigwise.advise.needs import Need
from rigwise.advise.prices import Price
from rigwise.units import show_bytes, show_seconds


def refusal(choice: Choice, need: Need) -> str:
    """Why a choice is no answer to the need; empty where it is one."""
    c, v = choice.candidate, choice.verdict
    if not v.fits:
        return f"it does not fit: {show_bytes(v.memory)} at the least, a device has {show_bytes(c.device.memory)}"
    if need.budget is not None and choice.spend > need.budget * 1.0001:
        over = need.money(choice.spend)
        return f"it costs {over} ({'to own' if c.bought else 'of rent'}), the budget is {need.money(need.budget)}"
    if need.deadline is not None and choice.time_s is not None and choice.time_s > need.deadline:
        return f"it takes {show_seconds(choice.time_s)}, the deadline is {show_seconds(need.deadline)}"
    watts = drawn(choice)
    if need.circuit is not None and watts is not None and watts > need.circuit:
        return f"it draws {watts:.0f} W, the circuit carries {need.circuit:.0f} W for hours"
    if need.slots is not None and c.bought and c.device.form == "pcie" and (c.device.slots or 0) > need.slots:
        return f"it is {c.device.slots:g} slots wide, room is for {need.slots:g}"
    if need.quiet and c.host and c.host.loud:
        return f"the fans of a {c.host.name} are loud, asked was for low noise"
    if need.one_machine and v.cluster.nodes > 1:
        return f"it is {v.cluster.nodes} machines, asked was for one"
    return ""


def drawn(choice: Choice) -> float | None:
    """Watts that one machine of what is bought may draw from its circuit; None for rent and for unknown power."""
    c = choice.candidate
    if not c.bought or c.host is None or not c.device.tdp:
        return None
    return min(c.count, 8) * c.device.tdp + c.host.watts


def late(choice: Choice, need: Need) -> bool:
    """Whether the low end of the interval misses the deadline."""
    if need.deadline is None or choice.time_s is None:
        return False
    return choice.time_s > need.deadline * choice.assured


def undated(price: Price, need: Need) -> bool:
    """Whether money decides, and a price has no date: nobody can tell whether it still holds."""
    return need.goal != "soonest" and price.seen is None


def score(choice: Choice, need: Need) -> tuple[float, float]:
    """What the goal has least of, and what decides between equals.

    Work and time are counted at the low end of their interval, so that a device that was never measured has to promise
    more than one that was.
    """
    sure = choice.assured
    if need.goal == "soonest":
        soon = -choice.throughput * choice.candidate.useful if choice.time_s is None else choice.time_s
        return (soon / sure if soon > 0 else soon * sure), choice.total
    if need.goal == "most":
        return -choice.samples * sure, choice.total
    return choice.per_sample / sure, -choice.throughput


def ranked(choices: Iterable[Choice], need: Need) -> list[Choice]:
    """Best first, the best number of each device in each condition.

    What may miss the deadline stands after what will not, and where money decides a price without a date after all that
    have one.
    """
    best: dict[tuple[str, str], Choice] = {}
    for choice in sorted(choices, key=lambda c: (late(c, need), undated(c.candidate.card, need), score(c, need))):
        best.setdefault((choice.candidate.device.name, choice.candidate.condition), choice)
    return list(best.values())


def frontier(choices: Sequence[Choice]) -> list[Choice]:
    """Choices that no other beats in money spent and in speed together, the cheapest first."""
    kept: list[Choice] = []
    fastest = -inf
    for choice in sorted(choices, key=lambda c: (c.spend, -c.throughput)):
        if choice.throughput > fastest:
            kept.append(choice)
            fastest = choice.throughput
    return kept

"""Reasons: why a choice stands where it does, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rigwise.advise.choice import Choice, scale
from rigwise.advise.needs import Need
from rigwise.advise.rank import late
from rigwise.advise.upgrade import Now
from rigwise.units import show_bytes, show_count, show_number, show_seconds


def reasons(choice: Choice, order: Sequence[Choice], need: Need, there: Now | None = None) -> Iterator[str]:
    """Why a choice: its place, its money against the next, its memory, and what makes it fit. there: what is owned."""
    place = order.index(choice)
    per, unit = scale(need)
    yield f"{_goal(need)}: {_goal_words(choice, need)}"
    if place == 0 and len(order) > 1:
        after = ", and may miss the deadline" if late(order[1], need) else ""
        yield f"the next, {order[1].candidate.name}: {_goal_words(order[1], need)}{after}"
    elif place:
        yield f"the first, {order[0].candidate.name}: {_goal_words(order[0], need)}"
    v, c = choice.verdict, choice.candidate
    if there and there.fits:
        yield f"what is there, {there.what}: {choice.throughput / there.throughput:.2f} times as fast"
    yield f"memory: {show_bytes(v.memory)} of {show_bytes(c.device.memory)}" + (
        f", with {', '.join(choice.fit)}" if choice.fit else ""
    )
    if c.count > 1:
        yield f"{c.count} devices: {v.layout}"
    if c.bought and v.watts is not None:
        yield f"electricity: {v.watts:,.0f} W while it works, {need.money(choice.owning['electricity'])} in all"
    if c.owned:
        yield f"{c.owned} of them are there already"
    if c.sold:
        yield f"what is there is sold for {need.money(c.sold)}"
    if c.useful < 1:
        yield f"spot: {need.interruptions:g} interruptions a day leave {c.useful:.1%} of the hours"
    if choice.per_sample < float("inf"):
        yield f"a million {unit}: {need.money(choice.per_sample / per * 1e6)}"


def _goal(need: Need) -> str:
    """What the ranking looks for, in words."""
    within = "" if need.budget is None else " within the budget"
    return {
        "soonest": f"finished first{within}",
        "most": f"most work over the years{within}",
        "cheapest": f"least money for the work{within}",
    }[need.goal]


def _goal_words(choice: Choice, need: Need) -> str:
    """What a choice is ranked by: counted at the low end of its interval, and as predicted."""
    per, unit = scale(need)
    sure = choice.assured
    if need.goal == "soonest" and choice.time_s is not None:
        late, usual = show_seconds(choice.time_s / sure), show_seconds(choice.time_s)
        return f"{late} at the low end of its interval, {usual} predicted, for {need.money(choice.spend)}"
    if need.goal == "cheapest":
        dear, usual = (need.money(choice.per_sample / share / per * 1e6) for share in (sure, 1.0))
        return f"{dear} a million {unit} at the low end of its interval, {usual} predicted"
    done, speed = choice.samples * per, show_number(float(f"{choice.throughput * per:.3g}"))
    amount = f"{show_count(done * sure)} {unit} at the low end of its interval, {show_count(done)} predicted"
    return f"{amount} at {speed} {unit}/s, for {need.money(choice.spend)}"

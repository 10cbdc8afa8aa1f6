"""Reasons: why a choice stands where it does, why another is none, and what binds where nothing is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from rigwise.advise.choice import Choice, scale
from rigwise.advise.needs import Need
from rigwise.units import show_bytes, show_number, show_seconds, show_usd


def reasons(choice: Choice, order: Sequence[Choice], need: Need) -> Iterator[str]:
    """Why a choice: its place, its money against the next, its memory, and what makes it fit."""
    place = order.index(choice)
    per, unit = scale(need)
    yield f"{GOALS[need.goal]}: {_goal_words(choice, need)}"
    if place == 0 and len(order) > 1:
        yield f"the next, {order[1].candidate.name}: {_goal_words(order[1], need)}"
    elif place:
        yield f"the first, {order[0].candidate.name}: {_goal_words(order[0], need)}"
    v, c = choice.verdict, choice.candidate
    yield f"memory: {show_bytes(v.memory)} of {show_bytes(c.device.memory)}" + (
        f", with {', '.join(choice.fit)}" if choice.fit else ""
    )
    if c.count > 1:
        yield f"{c.count} devices: {v.layout}"
    if c.bought and v.watts is not None:
        yield f"electricity: {v.watts:,.0f} W while it works, {show_usd(choice.owning['electricity'])} in all"
    if c.owned:
        yield f"{c.owned} of them are there already"
    if choice.per_sample < float("inf"):
        yield f"a million {unit}: {show_usd(choice.per_sample / per * 1e6)}"


GOALS = {
    "soonest": "finished first within the budget",
    "most": "most work for the budget over the years",
    "cheapest": "least money for the work",
}


def _goal_words(choice: Choice, need: Need) -> str:
    per, unit = scale(need)
    if need.goal == "soonest" and choice.time_s is not None:
        return f"{show_seconds(choice.time_s)} for {show_usd(choice.spend)}"
    if need.goal == "most":
        speed = show_number(choice.throughput * per)
        return f"{choice.samples * per:.3g} {unit} at {speed} {unit}/s for {show_usd(choice.spend)}"
    return f"{show_usd(choice.per_sample / per * 1e6)} a million {unit}"


def binding(need: Need, every: Sequence[Choice], refused: Mapping[str, str]) -> tuple[str, str, str]:
    """Where nothing answers: what failed, the rule, and the nearest that would."""
    fitting = [c for c in every if c.verdict.fits]
    if not every:
        most = Counter(why.split(",")[0].split(";")[0] for why in refused.values()).most_common(1)
        return "nothing is to be had for this need", most[0][0] if most else "", "fewer limits"
    if not fitting:
        near = min(every, key=lambda c: c.verdict.memory / c.candidate.device.memory)
        v, c = near.verdict, near.candidate
        return (
            f"{need.model.name} fits on none of {len(every)} candidates: {c.count}x {c.device.name} comes nearest and "
            f"needs {show_bytes(v.memory)} of {show_bytes(c.device.memory)}",
            "weights, gradients, optimizer state and activations fit in the memory of every device",
            "--adapt lora or qlora, --optimizer adam8bit, a shorter --seq, or more devices: --most 64",
        )
    if need.budget is not None:
        cheap = min(fitting, key=lambda c: c.spend)
        if cheap.spend > need.budget:
            return (
                f"the cheapest that fits is {cheap.candidate.name} at {show_usd(cheap.spend)}",
                f"the budget is {show_usd(need.budget)}",
                f"a budget of {show_usd(cheap.spend)}, or rent: --get rent",
            )
    if need.deadline is not None:
        fast = min(fitting, key=lambda c: c.time_s or 0.0)
        return (
            f"the fastest that fits, {fast.candidate.name}, takes {show_seconds(fast.time_s or 0.0)} and costs "
            f"{show_usd(fast.spend)}",
            f"the deadline is {show_seconds(need.deadline)}",
            f"a deadline of {show_seconds(fast.time_s or 0.0)}, more devices (--most 64), or a larger budget",
        )
    return "no candidate keeps within the limits", next(iter(refused.values()), ""), "fewer limits"

"""Why not: where a device stands among the choices, or what keeps it out, and what would make it fit."""

from __future__ import annotations

from collections.abc import Iterator

from rigwise.advise.advice import Advice
from rigwise.advise.choice import Choice, makes_fit
from rigwise.advise.judge import Verdict
from rigwise.advise.needs import Need
from rigwise.advise.rank import late, ranked, undated
from rigwise.cost.estimate import Question
from rigwise.hardware.device import Device
from rigwise.layouts.layout import Layout
from rigwise.models.adapt import adapt
from rigwise.search.remedies import remedy
from rigwise.units import show_bytes


def lines(advice: Advice, device: Device) -> list[str]:
    """One line for each of its numbers and conditions, or the one reason that keeps all of them out."""
    if device.name in advice.refused:
        return [f"{device.name}: {advice.refused[device.name]}"]
    own = [choice for choice in advice.every if choice.candidate.device.name == device.name]
    if not own:
        return [f"{device.name}: no number of it can share the batch, or has a rate for the precision"]
    order = ranked([c for c in advice.every if c.candidate.name not in advice.refused], advice.need)
    places = {choice.candidate.name: place for place, choice in enumerate(order, start=1)}
    says = []
    for choice in own:
        name, why = choice.candidate.name, advice.refused.get(choice.candidate.name, "")
        if why:
            says.append(f"{name}: {why}")
        elif name in places:
            says.append(f"{name}: place {places[name]} of {len(order)}{_after(choice, advice.need)}")
        else:
            says.append(f"{name}: another number of the same card does better")
    short = next((choice.verdict for choice in own if not choice.verdict.fits), None)
    return [*says, *(f"what would make it fit: {way}" for way in (remedies(advice, short) if short else ()))]


def _after(choice: Choice, need: Need) -> str:
    """What else a choice stands after than those that are better."""
    says = "after all that keep the deadline at the low end of their interval" if late(choice, need) else ""
    dated = "after all whose price has a date" if undated(choice.candidate.card, need) else ""
    return "".join(f", {words}" for words in (says, dated) if words)


def remedies(advice: Advice, verdict: Verdict) -> Iterator[str]:
    """Changes that make a model fit on a machine, of article 7's list, the least first."""
    need = advice.need
    question = Question(
        model=need.model,
        cluster=verdict.cluster,
        batch=need.batch,
        optimizer=need.optimizer,
        stack=need.stack,
    )
    found = remedy(question, verdict.layout)
    if found:
        yield _words(found)
    half = next((p for p in ("bfloat16", "float16") if p in verdict.cluster.device.peak), None)
    if need.precision in ("float32", "tf32") and half and remedy(question, verdict.layout.but(precision=half)):
        yield f"16 bit: --precision {half}"
    for optimizer in ("adam8bit", "adafactor"):
        if need.optimizer == "adamw" and _fits(question, verdict, optimizer=optimizer):
            yield f"--optimizer {optimizer}"
            break
    for kind in ("lora", "qlora"):
        if "+" not in need.model.name and need.model.unit == "token" and _fits(question, verdict, kind=kind):
            yield f"--adapt {kind}"
            break
    counts = sorted(n for name, n in advice.verdicts if name == verdict.cluster.device.name)
    enough = [n for n in counts if advice.verdicts[verdict.cluster.device.name, n].fits]
    if enough:
        spread = advice.verdicts[verdict.cluster.device.name, enough[0]].layout
        yield f"{enough[0]} of them, {_words(spread)}"
    elif not found:
        yield f"a device of more than {show_bytes(verdict.memory)}, or more devices: --most 64"


def _words(layout: Layout) -> str:
    """A layout by what it does to fit, and as it is spelled."""
    return f"{', '.join(makes_fit(layout)) or 'as it is'}: {layout}"


def _fits(question: Question, verdict: Verdict, *, optimizer: str = "", kind: str = "") -> bool:
    from dataclasses import replace

    model = adapt(question.model, kind) if kind else question.model
    changed = replace(question, model=model, optimizer=optimizer or question.optimizer)
    return remedy(changed, verdict.layout) is not None

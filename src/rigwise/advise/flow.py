"""The flowchart of article 7 as data (data/flowchart.toml), and the path that a need takes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rigwise.advise.assumptions import data
from rigwise.advise.candidates import HIRED
from rigwise.advise.choice import Choice
from rigwise.advise.needs import Need
from rigwise.units import GIBI, show_count

Even = Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A question on the path: what was asked, what decided, and the answer."""

    question: str
    fact: str
    yes: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"question": self.question, "fact": self.fact, "answer": "yes" if self.yes else "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The questions asked, and the answer they lead to. ranking: whether the first choice is of its kind."""

    steps: tuple[Step, ...]
    answer: str
    says: str
    ranking: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        steps = [step.to_dict() for step in self.steps]
        return {"steps": steps, "answer": self.answer, "says": self.says, "ranking": self.ranking}


def _once(need: Need, than: float, even: Even) -> tuple[bool, str]:
    hired = [word for word in need.conditions if word in HIRED]
    if not hired:
        return False, "renting was not asked for"
    if len(hired) == len(need.conditions):
        return True, "only renting was asked for"
    if need.work is not None:
        return True, "one piece of work is asked for, and no use after it"
    use = f"{need.hours_per_week:g} hours a week for {need.years:g} years are {need.hours:,.0f} hours"
    if even is None or even["hours"] is None:
        return even is not None, f"{use}; nothing that is bought has a break-even" if even else use
    return need.hours < even["hours"], f"{use}, the break-even of {even['buy']} is {even['hours']:,.0f}"


def _spot(need: Need, than: float, even: Even) -> tuple[bool, str]:
    if "spot" not in need.conditions:
        return False, "spot was not asked for"
    lost = f"{need.interruptions:g} interruptions a day are counted"
    return True, f"spot is allowed; {lost}" + ("" if need.deadline is None else ", within the deadline")


def _cards(need: Need, than: float, even: Even) -> tuple[bool, str]:
    return need.most > than, f"up to {need.most} cards"


def _parameters(need: Need, than: float, even: Even) -> tuple[bool, str]:
    model = need.model
    trained = model.trainable_parameters >= than and model.unit == "token"
    asked = need.persona in ("transformers",)
    return trained or asked, f"{show_count(model.trainable_parameters)} parameters are trained"


def _memory(need: Need, than: float, even: Even) -> tuple[bool, str]:
    if not need.memory:
        return False, "no memory was asked for"
    return need.memory / GIBI > than, f"cards of {need.memory / GIBI:g} GiB and more are asked for"


def _budget(need: Need, than: float, even: Even) -> tuple[bool, str]:
    if need.budget is None:
        return True, "no budget was said"
    return need.budget >= than, f"the budget is {need.money(need.budget)}"


def _little(need: Need, than: float, even: Even) -> tuple[bool, str]:
    enough, says = _budget(need, than, even)
    return not enough, says


_TESTS: Mapping[str, Callable[[Need, float, Even], tuple[bool, str]]] = {
    "once": _once,
    "spot": _spot,
    "cards": _cards,
    "parameters": _parameters,
    "memory_gib": _memory,
    "budget": _budget,
    "little": _little,
}


def walk(need: Need, even: Even = None) -> Path:
    """The path of a need. even: of the best choice that is bought against renting, as advice has it."""
    chart = data("flowchart")
    at, steps = str(chart["start"]), []
    while at in chart["questions"]:
        question = chart["questions"][at]
        yes, fact = _TESTS[question["test"]](need, float(question.get("than", 0.0)), even)
        steps.append(Step(question=question["ask"], fact=fact, yes=yes))
        at = question["yes" if yes else "no"]
    return Path(steps=tuple(steps), answer=at, says=chart["answers"][at]["says"])


def compared(path: Path, order: Sequence[Choice]) -> Path:
    """The path with what it has to do with the ranking: whether the first choice is of the kind that it leads to."""
    row = data("flowchart")["answers"][path.answer]
    least = float(row.get("memory_gib", 0.0)) * GIBI * 0.93
    first = order[0].candidate

    def alike(choice: Choice) -> bool:
        return choice.candidate.condition in row["get"] and choice.candidate.device.memory >= least

    if alike(order[0]):
        return replace(path, ranking=f"the first choice, {first.name}, is of that kind")
    place, near = next(((i, c) for i, c in enumerate(order, start=1) if alike(c)), (0, None))
    other = f"the first that is, {near.candidate.name}, stands at place {place}" if near else "none of the choices is"
    return replace(path, ranking=f"the first choice, {first.name}, is not of that kind; {other}")

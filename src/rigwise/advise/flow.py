"""The flowchart of article 7 as data (data/flowchart.toml), and the path that a need takes through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rigwise.advise.assumptions import data
from rigwise.advise.needs import Need
from rigwise.units import GIBI, show_count


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
    """The questions asked, and the answer they lead to."""

    steps: tuple[Step, ...]
    answer: str
    says: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"steps": [step.to_dict() for step in self.steps], "answer": self.answer, "says": self.says}


def _once(need: Need, than: float) -> tuple[bool, str]:
    if need.work is None:
        return False, f"it runs {need.hours_per_week:g} hours a week for {need.years:g} years"
    return True, "one piece of work is asked for, and no use after it"


def _spot(need: Need, than: float) -> tuple[bool, str]:
    allowed = "spot" in need.conditions and need.deadline is None
    return allowed, "spot is allowed, and no deadline" if allowed else "a deadline, or spot is not wanted"


def _cards(need: Need, than: float) -> tuple[bool, str]:
    return need.most > than, f"up to {need.most} cards"


def _parameters(need: Need, than: float) -> tuple[bool, str]:
    model = need.model
    trained = model.trainable_parameters >= than and model.unit == "token"
    asked = need.persona in ("transformers",)
    return trained or asked, f"{show_count(model.trainable_parameters)} parameters are trained"


def _memory(need: Need, than: float) -> tuple[bool, str]:
    if not need.memory:
        return False, "no memory was asked for"
    return need.memory / GIBI > than, f"cards of {need.memory / GIBI:g} GiB and more are asked for"


def _budget(need: Need, than: float) -> tuple[bool, str]:
    if need.budget is None:
        return True, "no budget was said"
    return need.budget >= than, f"the budget is {need.budget:,.0f} dollars"


def _little(need: Need, than: float) -> tuple[bool, str]:
    enough, says = _budget(need, than)
    return not enough, says


_TESTS: Mapping[str, Callable[[Need, float], tuple[bool, str]]] = {
    "once": _once,
    "spot": _spot,
    "cards": _cards,
    "parameters": _parameters,
    "memory_gib": _memory,
    "budget": _budget,
    "little": _little,
}


def walk(need: Need) -> Path:
    """The path of a need."""
    chart = data("flowchart")
    at, steps = str(chart["start"]), []
    while at in chart["questions"]:
        question = chart["questions"][at]
        yes, fact = _TESTS[question["test"]](need, float(question.get("than", 0.0)))
        steps.append(Step(question=question["ask"], fact=fact, yes=yes))
        at = question["yes" if yes else "no"]
    return Path(steps=tuple(steps), answer=at, says=chart["answers"][at]["says"])

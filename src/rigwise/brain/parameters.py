"""The inputs of the estimate: a value, a distribution and a source each, from data/parameters.csv; all can be set."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.distributions import Distribution, Kind
from rigwise.brain.quantity import Quantity
from rigwise.brain.tables import table
from rigwise.errors import UsageError, not_found

Floats = NDArray[np.float64]
Values = Mapping[str, float | Floats]
_MOST = 1e30
SET_HERE = "set by the user"
TOGETHER = {"rate": ("purkinje_rate", "granule_rate", "cortex_rate")}  # one name for inputs that the article has as one
_AMOUNT = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_AMOUNT})\s*(?:\.\.\s*({_AMOUNT})\s*)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One input. value: the point value (the article's own where it has one); spread: what is drawn.

    checked: how sure we are of it, in words: yes, recalled, assumed, reconstructed.
    """

    name: str
    says: str
    value: float
    spread: Distribution
    unit: str
    group: str
    source: str
    checked: str
    note: str = ""

    def quantity(self) -> Quantity:
        """The input as the JSON has it."""
        p10, p50, p90 = (self.spread.quantile(share) for share in (0.1, 0.5, 0.9))
        return Quantity(value=self.value, p10=p10, p50=p50, p90=p90, unit=self.unit, source=self.source)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of an input."""
        said = {"says": self.says, "distribution": self.spread.kind, "checked": self.checked, "note": self.note}
        return {**self.quantity().to_dict(), **said}

    def set(self, text: str) -> Parameter:
        """The input as a person sets it: "8000" fixes it, "5000..10000" is its new range. Raises UsageError."""
        low, high = read_range(f"{self.name}={text}", text)
        if self.unit == "factor" and low < 1:
            raise UsageError(f"{self.name}={text}", rule="this factor only adds: at least 1")
        if self.unit == "share" and (high or low) > 1:
            raise UsageError(f"{self.name}={text}", rule="a share is at most 1")
        kind: Kind = "fixed" if high is None else ("lognormal" if self.spread.kind == "fixed" else self.spread.kind)
        spread = Distribution(kind=kind, low=low, high=low if high is None else high)
        value = low if high is None else ((low + high) / 2 if kind == "uniform" else sqrt(low * high))
        return replace(self, value=value, spread=spread, source=SET_HERE, checked=SET_HERE)


def read_range(says: str, text: str) -> tuple[float, float | None]:
    """One number, or two with .. between them, above 0, and such that a product of eight has a float.

    >>> read_range("rate", "50..500"), read_range("rate", "2e2")
    ((50.0, 500.0), (200.0, None))
    """
    match = _RANGE.match(text)
    rule = "a number above 0, or a range such as 50..500"
    if not match:
        raise UsageError(says, rule=rule)
    try:
        low, high = float(match[1]), None if match[2] is None else float(match[2])
    except ValueError:
        raise UsageError(says, rule=rule) from None
    if not low > 0 or (high is not None and high < low):
        raise UsageError(says, rule=rule)
    if low < 1 / _MOST or (high or low) > _MOST:
        raise UsageError(says, rule=f"{rule}, from {1 / _MOST:g} to {_MOST:g}")
    return low, high


def shipped() -> dict[str, Parameter]:
    """The inputs as they come with rigwise."""
    return {row["id"]: _read(row) for row in table("parameters")}


def _read(row: Mapping[str, str]) -> Parameter:
    value, kind = float(row["value"]), row["distribution"]
    assert kind in get_args(Kind), kind
    low, high = (float(row[end]) if row[end] else value for end in ("low", "high"))
    return Parameter(
        name=row["id"],
        says=row["says"],
        value=value,
        spread=Distribution(kind=kind, low=low, high=high),  # type: ignore[arg-type]
        unit=row["unit"],
        group=row["group"],
        source=row["source"],
        checked=row["checked"],
        note=row["note"],
    )


def parameters(sets: Mapping[str, float | str] | Sequence[str] = ()) -> dict[str, Parameter]:
    """The inputs with some of them set: {"rate": 100} or ["rate=100", "time_steps=3..6"]. "rate" is that of all cells;
    one of its own, in whatever place, goes before it.

    Raises NotFoundError for an unknown name and UsageError for a value that cannot be.

    >>> parameters(["synapses_per_neuron=8000"])["synapses_per_neuron"].value
    8000.0
    """
    known = shipped()
    for name, text in sorted(read_sets(sets).items(), key=lambda pair: pair[0] not in TOGETHER):
        if name not in known and name not in TOGETHER:
            hint = "`rigwise brain estimate --inputs` lists them"
            raise not_found("parameter", name, [*known, *TOGETHER], hint=hint)
        for each in TOGETHER.get(name, (name,)):
            known[each] = known[each].set(text)
    return known


def as_words(given: str | Sequence[str]) -> list[str]:
    """Words as a person gives them: one text with commas, or a list of such.

    >>> as_words("learning, glia"), as_words(["all"])
    (['learning', 'glia'], ['all'])
    """
    texts = [given] if isinstance(given, str) else given
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def read_sets(sets: Mapping[str, float | str] | Sequence[str]) -> dict[str, str]:
    """Names and what they are set to, as text: from {"rate": 100}, ["rate=100"] or "rate=100,time_steps=3..6"."""
    if isinstance(sets, Mapping):
        return {name: str(value) for name, value in sets.items()}
    pairs = [text.partition("=") for text in as_words(sets)]
    wrong = [name for name, equals, _ in pairs if not equals or not name.strip()]
    if wrong:
        raise UsageError(f"--set {wrong[0]}", rule="name=value or name=low..high", nearest="--set rate=100")
    return {name.strip(): value for name, _, value in pairs}


def points(known: Mapping[str, Parameter]) -> dict[str, float]:
    """The point values."""
    return {name: parameter.value for name, parameter in known.items()}


def draw(known: Mapping[str, Parameter], count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """`count` independent draws of every input; a fixed one is a single number that broadcasts."""
    return {
        name: parameter.spread.draw(1 if parameter.spread.kind == "fixed" else count, rng)
        for name, parameter in known.items()
    }

"""Terms: what an explained estimate is made of, and what a law's terms are called (data/terms.toml)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rigwise.cost.ledger import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A number that went into a term, or a word. unit: s, B, FLOP, B/s, FLOP/s or "" for a plain number."""

    symbol: str
    value: float | str
    unit: str = ""
    says: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The value for JSON."""
        return {"symbol": self.symbol, "value": self.value, "unit": self.unit, "says": self.says}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A part of an estimate. amount: seconds of the step, or bytes; it is the sum of `terms`, and times x each where
    there are none. formula, card: of its law, and the law's page in docs/laws. reads: the efficiencies it took, by
    path. made: what other laws said on the way, which is no part of the sum.
    """

    name: str
    amount: float
    times: float = 1.0
    each: float = 0.0
    law: str = ""
    formula: str = ""
    card: str = ""
    values: tuple[Value, ...] = ()
    reads: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
    made: tuple[Term, ...] = ()

    def leaves(self) -> Iterator[Term]:
        """The terms that are no sums."""
        if not self.terms:
            yield self
        for term in self.terms:
            yield from term.leaves()

    def value(self, symbol: str) -> float | str | None:
        """The value of a symbol, None where it has none."""
        return next((value.value for value in self.values if value.symbol == symbol), None)

    def to_dict(self) -> dict[str, Any]:
        """The term for JSON."""
        more = {key: [term.to_dict() for term in terms] for key in ("terms", "made") if (terms := getattr(self, key))}
        return {
            "name": self.name,
            "amount": self.amount,
            "times": self.times,
            "each": self.each,
            "formula": self.formula,
            "law": f"docs/laws/{self.card}.md" if self.card else None,
            "values": [value.to_dict() for value in self.values],
            "efficiencies": list(self.reads),
            **more,
        }


def leaf(
    name: str, times: float, each: float, *, law: str, values: tuple[Value, ...] = (), reads: tuple[str, ...] = ()
) -> Term:
    """A term that is times x each."""
    told = about(law)
    return Term(
        name=name,
        amount=times * each,
        times=times,
        each=each,
        law=law,
        formula=told.get("formula", ""),
        card=told.get("card", ""),
        values=values,
        reads=reads,
    )


def sum_of(name: str, terms: list[Term], *, times: float = 1.0, law: str = "") -> Term:
    """A term that is the sum of terms; times: how often what they are of happens, to be shown."""
    amount = sum(term.amount for term in terms)
    told = about(law)
    return Term(
        name=name,
        amount=amount,
        times=times,
        each=amount / times if times else 0.0,
        law=law,
        formula=told.get("formula", ""),
        card=told.get("card", ""),
        terms=tuple(terms),
    )


def values_of(law: str, *entries: Entry | None) -> tuple[Value, ...]:
    """What the entries told of the symbols that a law shows."""
    told: dict[str, Any] = {}
    for entry in entries:
        told |= entry.values if entry else {}
    found = []
    for symbol in about(law).get("shows", ()):
        value = told.get(symbol)
        plain = value if isinstance(value, str) else number(value)
        if plain is not None:
            found.append(Value(symbol=symbol, value=plain, **_terms()["symbol"].get(symbol, {})))
    return tuple(found)


@cache
def _terms() -> Mapping[str, Any]:
    return tomllib.loads(files("rigwise.cost").joinpath("data/terms.toml").read_text("utf-8"))


def about(name: str) -> Mapping[str, Any]:
    """Formula, card and symbols of a law; empty for one that has none of its own."""
    found: Mapping[str, Any] = _terms()["law"].get(name, {})
    return found


def scalar(value: ArrayLike) -> float:
    """The only layout's number."""
    return float(np.asarray(value, dtype=np.float64).ravel()[0])


def number(value: Any) -> float | None:
    """A finite number, None for anything else."""
    if value is None or (isinstance(value, str | Iterable) and not isinstance(value, np.ndarray)):
        return None
    found = scalar(value)
    return found if np.isfinite(found) else None

"""The ledger: what the laws tell of their arithmetic while somebody listens, so that no formula is written twice.

A law that is marked `@told` opens an entry; inside it says its values (`tell`), adds up its terms (`summed`), and calls
other laws, whose entries stand inside its own. Which efficiencies it reads is noted too (`watched`). Nobody listens
during a search: then each of these costs one look at a context variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import wraps
from types import MethodType
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from rigwise.cost.arrays import Floats, total

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summand:
    """One term of a sum: times x each. entry: the law that made `each`, None where it is plain arithmetic."""

    name: str
    times: ArrayLike
    each: ArrayLike
    entry: Entry | None


@dataclass(slots=True, kw_only=True)
class Entry:
    """What one call of a law told. reads: the efficiencies that it took, by their path in the data file."""

    law: str
    result: Any = None
    values: dict[str, Any] = field(default_factory=dict)
    summands: list[Summand] = field(default_factory=list)
    inner: list[Entry] = field(default_factory=list)
    reads: dict[str, Any] = field(default_factory=dict)

    def all(self) -> Iterator[Entry]:
        """This entry and all inside it."""
        yield self
        for entry in self.inner:
            yield from entry.all()

    def of(self, law: str) -> list[Entry]:
        """The entries of one law in it, in the order in which they were made."""
        return [entry for entry in self.all() if entry.law == law]


_OPEN: ContextVar[list[Entry] | None] = ContextVar("ledger", default=None)


@contextmanager
def listening() -> Iterator[Entry]:
    """Listen to the laws that are called inside; the entry holds theirs."""
    whole = Entry(law="")
    token = _OPEN.set([whole])
    try:
        yield whole
    finally:
        _OPEN.reset(token)


def heard() -> bool:
    """Whether somebody listens: to be asked before something is worked out only to be told."""
    return _OPEN.get() is not None


def told(law: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a law: each call of it is an entry while somebody listens.

    >>> @told("square")
    ... def square(x: float) -> float:
    ...     tell(side=x)
    ...     return x * x
    >>> with listening() as ledger:
    ...     area = square(3.0)
    >>> [(entry.law, entry.result, entry.values) for entry in ledger.inner]
    [('square', 9.0, {'side': 3.0})]
    """

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def asked(*args: P.args, **kwargs: P.kwargs) -> R:
            opened = _OPEN.get()
            if opened is None:
                return function(*args, **kwargs)
            entry = Entry(law=law)
            opened[-1].inner.append(entry)
            opened.append(entry)
            try:
                entry.result = function(*args, **kwargs)
            finally:
                opened.pop()
            return entry.result  # type: ignore[no-any-return]

        return asked

    return mark


def tell(**values: Any) -> None:
    """Values of the law that is open, by symbol; cost/data/terms.toml has their units."""
    opened = _OPEN.get()
    if opened is not None:
        opened[-1].values.update(values)


def summed(*terms: tuple[str, ArrayLike, ArrayLike]) -> Floats:
    """The sum of times x each over terms (name, times, each), which the open law is made of.

    >>> summed(("two", 2, np.array([1.0, 2.0])), ("one", 1, 0.5)).tolist()
    [2.5, 4.5]
    """
    opened = _OPEN.get()
    if opened is not None:
        inner = [entry for outer in reversed(opened) for entry in outer.inner]
        for name, times, each in terms:
            entry = next((entry for entry in inner if entry.result is each), None)
            opened[-1].summands.append(Summand(name=name, times=times, each=each, entry=entry))
    return total(_multiplied(times, each) for _, times, each in terms)


def _multiplied(times: ArrayLike, each: ArrayLike) -> ArrayLike:
    """Times x each; each itself where it counts once, as most terms of a search do."""
    return each if isinstance(times, int) and times == 1 else np.asarray(np.asarray(times) * np.asarray(each))


class _Watched:
    """A record that notes which of its fields are read."""

    def __init__(self, record: Any, path: str) -> None:
        self._record, self._path = record, path

    def __getattr__(self, key: str) -> Any:
        value = getattr(self._record, key)
        if isinstance(value, MethodType):
            return MethodType(value.__func__, self)  # what it reads is noted, and not that it was asked
        opened = _OPEN.get()
        if opened is not None:
            for entry in opened[1:] or opened:
                entry.reads[f"{self._path}.{key}"] = value
        return value


def changed(record: R, **fields: Any) -> R:
    """A record of efficiencies with other values, as dataclasses.replace has it; watched where it was."""
    if not isinstance(record, _Watched):
        return replace(record, **fields)  # type: ignore[type-var]
    again: Any = _Watched(replace(record._record, **fields), record._path)
    return again  # type: ignore[no-any-return]


def watched(record: R, path: str) -> R:
    """A record of efficiencies, noting what is read of it; itself where nobody listens. path: in the data file."""
    seen: Any = _Watched(record, path) if heard() else record
    return seen  # type: ignore[no-any-return]

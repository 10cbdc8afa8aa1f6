"""Other published estimates, each worked out from its own inputs and laid beside what its authors published.

A method is a product of factors (data/methods.toml), or one of the sums of State of Brain Emulation 2025
(emulation.py). A range of published figures is reproduced by the products of the low and of the high ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, log10, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.brain.distributions import Distribution, Kind
from rigwise.brain.emulation import sobe_methods
from rigwise.brain.parameters import SET_HERE, read_range, read_sets
from rigwise.brain.quantity import Quantity, spread
from rigwise.brain.tables import toml
from rigwise.errors import UsageError, check_whole, not_found

Floats = NDArray[np.float64]
DRAWS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One input of a method; divides: the product is divided by it. checked: yes, derived, recalled, reconstructed."""

    value: float
    low: float
    high: float
    unit: str
    checked: str
    divides: bool = False

    def draw(self, count: int, rng: np.random.Generator) -> Floats:
        """Draws between its ends, every factor of two alike."""
        kind: Kind = "fixed" if self.low == self.high else "loguniform"
        return Distribution(kind=kind, low=self.low, high=self.high).draw(count, rng)

    def end(self, high: bool) -> float:
        """The end that makes the product small or large, as what the product is multiplied by."""
        return 1 / (self.low if high else self.high) if self.divides else (self.high if high else self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A published estimate. published: its figure or the two ends of its range; digits: how many of them count, 0 for
    an order of magnitude. computed: the same from the factors, None where its inputs are not known.
    """

    key: str
    name: str
    year: int
    source: str
    published: tuple[float, float]
    digits: int
    factors: Mapping[str, Factor]
    gap: str = ""
    memory: float | None = None
    computed: tuple[float, float] | None = None
    quantity: Quantity

    @property
    def reproduced(self) -> bool | None:
        """Whether both ends come out within the published rounding; None where the inputs are not known."""
        if self.computed is None:
            return None
        return all(agrees(got, said, self.digits) for got, said in zip(self.computed, self.published, strict=True))

    @property
    def sure(self) -> str:
        """How many of the inputs come from a copy of their source, in words; empty where none is known."""
        said = [factor.checked.startswith(("yes", "derived", SET_HERE)) for factor in self.factors.values()]
        return f"{sum(said)} of {len(said)}" if said else ""

    @property
    def by_construction(self) -> bool:
        """Whether a factor was read off the published figure, so that agreement proves nothing."""
        return any(factor.checked == "reconstructed" for factor in self.factors.values())

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a method: a quantity, and how it came about."""
        return {
            "key": self.key,
            "name": self.name,
            "year": self.year,
            **self.quantity.to_dict(),
            "published": list(self.published),
            "computed": None if self.computed is None else list(self.computed),
            "reproduced": self.reproduced,
            "by_construction": self.by_construction,
            "inputs_from_a_copy": self.sure,
            "gap": self.gap,
            "memory_bytes": self.memory,
            "inputs": {
                name: {"value": f.value, "low": f.low, "high": f.high, "unit": f.unit, "checked": f.checked}
                for name, f in self.factors.items()
            },
        }


def agrees(got: float, said: float, digits: int) -> bool:
    """Whether a figure rounds to the published one; digits = 0: to the same power of ten, as a person rounds it.

    >>> agrees(8.67e16, 8.7e16, 2), agrees(7.5e13, 1e14, 0), agrees(2.5e17, 1e17, 0)
    (True, True, True)
    """
    if digits == 0:
        return abs(log10(got) - log10(said)) <= 0.5
    unit = 10.0 ** (floor(log10(said)) - digits + 1)
    return abs(got - said) <= unit / 2 * (1 + 1e-9)


def methods(sets: Mapping[str, float | str] | Sequence[str] = (), *, draws: int = DRAWS, seed: int = 0) -> list[Method]:
    """Every method, oldest first. sets: inputs of one's own, ["kurzweil_1999.rate=100"].

    Raises NotFoundError for an unknown method or input and UsageError for a value that cannot be.
    """
    check_whole(least=100, draws=draws)
    check_whole(least=0, seed=seed)
    rng = np.random.default_rng([seed, 2])
    rows = {key: _read(key, row) for key, row in toml("methods").items()}
    sums = {one["key"]: _sum(one) for one in sobe_methods({})}
    known = {f"{key}.{factor}": key for key, row in {**rows, **sums}.items() for factor in row.factors}
    own: dict[str, dict[str, float]] = {}
    for name, text in read_sets(sets).items():
        if name not in known:
            raise not_found("input of a method", name, known, hint="`rigwise brain compare --json` lists them")
        key, factor = known[name], name.partition(".")[2]
        if key in rows:
            rows[key] = _with(rows[key], factor, text)
        else:
            own.setdefault(key, {})[factor] = _single(name, text)
    sums |= {one["key"]: replace(_sum(one), gap=SET_HERE) for one in sobe_methods(own) if one["key"] in own}
    made = [_computed(row, draws, rng) for row in rows.values()]
    return sorted([*made, *sums.values()], key=lambda method: (method.year, method.published[0]))


def _single(name: str, text: str) -> float:
    low, high = read_range(f"{name}={text}", text)
    if high is not None:
        raise UsageError(f"{name}={text}", rule="one number: the ends of this method are its two models")
    return low


def _read(key: str, row: Mapping[str, Any]) -> Method:
    factors = {
        name: Factor(value=v, low=low, high=high, unit=unit, checked=checked, divides=part == "divide")
        for part in ("factors", "divide")
        for name, (v, low, high, unit, checked) in row.get(part, {}).items()
    }
    low, high = row["published"]
    made = Quantity(value=sqrt(low * high), p10=None, p50=None, p90=None, unit="FLOP/s", source=row["source"])
    memory = (
        prod([row["bytes"][0], *(f.value for f in factors.values() if f.unit == "count")]) if "bytes" in row else None
    )
    return Method(
        key=key, name=row["name"], year=int(row["date"]), source=row["source"], published=(low, high),
        digits=row["digits"], factors=factors, gap=row.get("gap", ""), memory=memory, quantity=made,
    )  # fmt: skip


def _with(method: Method, name: str, text: str) -> Method:
    low, high = read_range(f"{method.key}.{name}={text}", text)
    top = low if high is None else high
    new = replace(method.factors[name], value=sqrt(low * top), low=low, high=top, checked=SET_HERE)
    return replace(method, factors={**method.factors, name: new}, gap=SET_HERE)


def _computed(method: Method, draws: int, rng: np.random.Generator) -> Method:
    if not method.factors:
        return method
    value, drawn = 1.0, np.ones(draws)
    for factor in method.factors.values():
        sign = -1.0 if factor.divides else 1.0
        value, drawn = value * factor.value**sign, drawn * factor.draw(draws, rng) ** sign
    is_range = method.published[0] != method.published[1]
    ends = tuple(prod(f.end(high) for f in method.factors.values()) if is_range else value for high in (False, True))
    return replace(
        method, computed=(ends[0], ends[1]), quantity=spread(value, drawn, "FLOP/s", method.source)
    )  # fmt: skip


def _sum(one: Mapping[str, Any]) -> Method:
    """A method of emulation.py as one of this list."""
    low, high = one["computed"]
    inputs = one["inputs"].items()
    made = Quantity(
        value=sqrt(low * high), p10=low, p50=sqrt(low * high), p90=high, unit="FLOP/s", source=one["source"]
    )
    return Method(
        key=one["key"], name=one["name"], year=2025, source=one["source"], published=one["published"], digits=3,
        factors={name: Factor(value=v, low=v, high=v, unit=unit, checked="yes") for name, (v, unit) in inputs},
        gap=one["gap"], memory=one["memory"], computed=one["computed"], quantity=made,
    )  # fmt: skip

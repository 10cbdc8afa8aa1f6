"""Where a constant of the laws comes from: which layer of efficiencies.toml gives it, what it is, fitted or a prior."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from rigwise.calibration.constants import speaks_of
from rigwise.calibration.patterns import table
from rigwise.cost.efficiencies import current

_LINE = re.compile(r"^(?P<key>\w+)\s*=[^#]*#\s*(?P<says>.*)$")
_DEFAULT = {"stack": "modern"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One efficiency that an estimate took. path: as it was asked for. given: the table of efficiencies.toml that
    gives it, the default's where its own says nothing. says: what it is. fitted: whether `rigwise calibrate` fits it;
    prior: what it starts from."""

    path: str
    value: float
    given: str
    says: str
    fitted: bool
    prior: float | None

    def to_dict(self) -> dict[str, Any]:
        """The constant for JSON."""
        return {
            "path": self.path,
            "value": self.value,
            "file": "cost/data/efficiencies.toml",
            "table": self.given,
            "says": self.says,
            "origin": "fitted" if self.fitted else "prior",
            "prior": self.prior,
        }


def constants(reads: Mapping[str, float]) -> tuple[Constant, ...]:
    """The constants that an explanation's paths mean.

    >>> [(c.given, c.fitted) for c in constants({"device.pascal.bandwidth": 0.6, "device.pascal.host_power": 4.0})]
    [('device.pascal', True), ('device.default', False)]
    """
    return tuple(_constant(path, value) for path, value in reads.items())


def provenance() -> str:
    """What the values that are in use come from, as the data file says."""
    return str(current()["provenance"])


def _constant(path: str, value: float) -> Constant:
    layer, name, key = _split(path)
    usual = _DEFAULT.get(layer, "default")
    tables = current()[layer]
    own = name if key in tables.get(name, {}) else usual
    return Constant(
        path=path,
        value=value,
        given=f"{layer}.{own}",
        says=_meanings().get((layer, key), ""),
        fitted=_fitted(layer, own, key),
        prior=_prior(layer, own, key),
    )


def _split(path: str) -> tuple[str, str, str]:
    layer, _, rest = path.partition(".")
    name, _, key = rest.rpartition(".")
    return layer, name, key


def _fitted(layer: str, name: str, key: str) -> bool:
    return any(speaks_of(rule, layer, name, key) for rule in table("fitted")["constant"])


def _prior(layer: str, name: str, key: str) -> float | None:
    priors = table("priors")[layer]
    value = priors.get(name, {}).get(key, priors[_DEFAULT.get(layer, "default")].get(key))
    return value if isinstance(value, float) else None


@cache
def _meanings() -> Mapping[tuple[str, str], str]:
    """What each constant is: the comment beside its default in the data file."""
    text, layer, found = files("rigwise.cost").joinpath("data/efficiencies.toml").read_text("utf-8"), "", {}
    for line in text.splitlines():
        if line.startswith("["):
            layer, _, name = line.split("]")[0].strip("[").partition(".")
            layer = layer if name in ("default", "modern") else ""
        elif layer and (told := _LINE.match(line)):
            found[layer, told["key"]] = told["says"]
    return found

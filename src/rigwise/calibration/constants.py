"""The constants that are fitted: where each stands in the data file, its prior, its bounds, and which cases it moves.

A constant of a device family, a kind of link or a software stack is pooled: its prior is the layer's default as it
stands in the fit, times what data/priors.toml says the two differ by. What was never measured so follows the default.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.cases import Case, KernelCase, StepCase, TransferCase
from rigwise.calibration.patterns import table
from rigwise.cost.efficiencies import family_of

Floats = NDArray[np.float64]
Tables = dict[str, Any]
Path = tuple[str, str, str]
DEFAULTS = {"device": "default", "link": "default", "stack": "modern"}
_BYTES = "peak_mem_gib"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One number that is fitted. path: layer, name and key in the data file.

    prior: its value without evidence; sigma: standard deviation of its logarithm around that. low, high: bounds.
    """

    path: Path
    prior: float
    sigma: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """As a person would write it."""
        return ".".join(self.path)


def constants_of(cases: Sequence[Case]) -> tuple[Constant, ...]:
    """The constants that the cases can say something about, in the order of data/fitted.toml."""
    priors = table("priors")
    spoken = {layer: {name for case in cases for name in names_of(case)[layer]} for layer in DEFAULTS}
    return tuple(constant for rule in table("fitted")["constant"] for constant in _of_rule(rule, priors, spoken))


def _of_rule(rule: Mapping[str, Any], priors: Mapping[str, Any], spoken: Mapping[str, set[str]]) -> Iterator[Constant]:
    layer, _, key = rule["path"]
    known = spoken[layer] & set(priors[layer])
    for one in sorted(known | {DEFAULTS[layer]}):
        value = read(priors, (layer, one, key))
        if value > 0 and speaks_of(rule, layer, one, key):
            yield Constant(
                path=(layer, one, key),
                prior=value,
                sigma=rule["sigma"],
                low=rule.get("low", 0.0),
                high=rule.get("high", np.inf),
            )


def speaks_of(rule: Mapping[str, Any], layer: str, name: str, key: str) -> bool:
    """Whether a rule of data/fitted.toml speaks of a constant; of a layer's default only where it names it."""
    its_layer, names, its_key = rule["path"]
    if (its_layer, its_key) != (layer, key):
        return False
    if names == "*":
        return name != DEFAULTS[layer]
    return name in ([names] if isinstance(names, str) else names)


def names_of(case: Case) -> dict[str, frozenset[str]]:
    """The names of each layer whose constants move a case."""
    device = case.on if isinstance(case, KernelCase) else case.machine.cluster.device
    links: set[str] = set()
    if not isinstance(case, KernelCase):
        cluster = case.machine.cluster
        ends = [cluster.node.link, cluster.node.pair, cluster.node.nic if cluster.nodes > 1 else None]
        links = {end.kind for end in ends if end}
    return {"device": frozenset({family_of(device)}), "stack": frozenset({case.stack}), "link": frozenset(links)}


def touches(constant: Constant, case: Case) -> bool:
    """Whether a constant can move a case."""
    layer, name, key = constant.path
    named = names_of(case)[layer]
    if name == DEFAULTS[layer]:
        given = table("priors")[layer]
        if not named or all(key in given.get(one, {}) and one != name for one in named):
            return False
    elif name not in named:
        return False
    of_network = layer == "link" or key == "network"
    if of_network and "network" in case.assumed:
        return False  # a row whose network is a guess says nothing of a kind of network
    if isinstance(case, TransferCase):
        return of_network
    if isinstance(case, KernelCase):
        return layer == "device" or key in ("transposed", "unaligned")
    if key.startswith("memory"):
        return case.row.metric == _BYTES
    if case.row.metric == _BYTES:
        return False
    several = isinstance(case, StepCase) and case.machine.cluster.devices > 1
    return several or not (of_network or key in ("overlap_dp", "overlap_ep"))


def read(tables: Mapping[str, Any], path: Path) -> float:
    """A constant's value in tables; that of its layer's default where it has none of its own."""
    layer, name, key = path
    return float(tables[layer].get(name, {}).get(key, tables[layer][DEFAULTS[layer]][key]))


def with_values(tables: Mapping[str, Any], constants: Sequence[Constant], values: Sequence[Any]) -> Tables:
    """Tables with other values of some constants: a number, or candidates of shape (P, 1)."""
    changed: Tables = copy.deepcopy(dict(tables))
    for constant, value in zip(constants, values, strict=True):
        layer, name, key = constant.path
        changed[layer][name][key] = value
    return changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What the priors say of the logarithms x of all constants: (rows x - centre) ~ N(0, 1), shapes (K, K) and (K,)."""

    rows: Floats
    centre: Floats

    def away(self, logs: Floats) -> Floats:
        """How many standard deviations each constant is from where the others put it."""
        return np.asarray(self.rows @ logs - self.centre)


def prior_of(constants: Sequence[Constant]) -> Prior:
    """Each constant around its prior, or around its layer's default where that is fitted too."""
    place = {constant.path: k for k, constant in enumerate(constants)}
    rows, centre = np.zeros((len(constants), len(constants))), np.zeros(len(constants))
    for k, constant in enumerate(constants):
        layer, _, key = constant.path
        rows[k, k] = 1 / constant.sigma
        centre[k] = np.log(constant.prior) / constant.sigma
        default = place.get((layer, DEFAULTS[layer], key))
        if default is not None and default != k:
            rows[k, default] = -1 / constant.sigma
            centre[k] -= np.log(constants[default].prior) / constant.sigma
    return Prior(rows=rows, centre=centre)

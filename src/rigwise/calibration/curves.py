"""Fitting measured rates (cost/measured.py) to what was timed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from rigwise.cost.measured import POOLED, Curve, amounts, letters, logarithms

Floats = NDArray[np.float64]
_REACHES = (1.0, 1.7, 2.8, 4.5)  # doublings of a size
_NOISES = (0.05, 0.12, 0.25)  # of one time, standard deviation of its logarithm
_LEAST = 3  # points of a curve of its own
_WIDE = 8.0  # times between its smallest and its largest size
_FLOOR = 1e-9  # seconds: no law predicts less
_TINY = 1e-300
KINDS = frozenset(
    {
        "product",
        "batched",
        "conv",
        "attention",
        "causal attention",
        "recurrent",
        "embedding",
        "optimizer",
        "optimizer call",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One thing that was timed. spread: of the middle 80 % of its times, over their median."""

    kind: str
    which: str
    sizes: Mapping[str, float]
    seconds: float
    spread: float = 0.0


def curves_of(timed: Iterable[Timed]) -> dict[tuple[str, str], Curve]:
    """A curve for each kind and pass; streams of few sizes follow the curve of all streams, scaled."""
    groups: dict[tuple[str, str], list[Timed]] = defaultdict(list)
    for one in timed:
        groups[one.kind, one.which].append(one)
    streams = [one for (kind, _), own in groups.items() if kind not in KINDS for one in own]
    found: dict[tuple[str, str], Curve] = {}
    if streams:
        found[POOLED, ""] = curve(POOLED, streams)
    for (kind, which), own in groups.items():
        if kind in KINDS or _wide(own):
            found[kind, which] = curve(kind, own)
        else:
            found[kind, which] = _scaled(kind, own, found[POOLED, ""])
    return found


def _wide(own: Sequence[Timed]) -> bool:
    sizes = sorted({one.sizes["amount"] for one in own})
    return len(sizes) >= _LEAST and sizes[-1] >= _WIDE * sizes[0]


def _scaled(kind: str, own: Sequence[Timed], like: Curve) -> Curve:
    ratios = [one.seconds / float(like.seconds(amount=one.sizes["amount"])) for one in own]
    factor = float(np.exp(np.mean(np.log(ratios))))
    return Curve(
        kind=kind,
        constants=like.constants * factor,
        at=like.at,
        pull=like.pull,
        reach=like.reach,
        spread=like.spread,
    )


def curve(kind: str, timed: Sequence[Timed]) -> Curve:
    """The law of a kind fitted to what was timed, and what the machine does otherwise near those sizes."""
    sizes = {name: np.array([one.sizes[name] for one in timed]) for name in letters(kind)}
    seconds = np.array([one.seconds for one in timed])
    counted = amounts(kind, sizes)
    constants = law(counted, seconds)
    rest = np.log(seconds) - np.log(np.maximum(counted @ constants, _FLOOR))
    at = logarithms(kind, sizes)
    reach, noise, spread = _best(at, rest)
    pull = np.linalg.solve(_covariance(at, reach, noise, rest), rest) * float(np.var(rest) + 1e-6)
    return Curve(kind=kind, constants=constants, at=at, pull=pull, reach=reach, spread=spread)


def law(counted: Floats, seconds: Floats) -> Floats:
    """Constants of at least 0 that leave the least squares of the relative error.

    Every choice of constants that are not 0 is tried: there are four at most.
    """
    scaled = counted / seconds[:, None]
    sizes = np.maximum(scaled.max(axis=0), _TINY)
    rows, wanted = scaled / sizes, np.ones(len(seconds))
    best, least = np.zeros(counted.shape[-1]), float(len(seconds))
    for kept in product((False, True), repeat=counted.shape[-1]):
        chosen = np.flatnonzero(kept)
        if not len(chosen):
            continue
        found = np.linalg.lstsq(rows[:, chosen], wanted, rcond=None)[0]
        left = float(np.sum((rows[:, chosen] @ found - wanted) ** 2))
        if np.all(found >= 0) and left < least:
            least, best = left, np.zeros(counted.shape[-1])
            best[chosen] = found
    return np.asarray(best / sizes)


def _covariance(at: Floats, reach: float, noise: float, rest: Floats) -> Floats:
    apart = at[:, None, :] - at[None, :, :]
    near = np.exp(-0.5 * np.einsum("ijk,ijk->ij", apart, apart) / reach**2)
    return np.asarray(near * float(np.var(rest) + 1e-6) + noise**2 * np.eye(len(at)))


def _best(at: Floats, rest: Floats) -> tuple[float, float, float]:
    """Reach and noise that say most of each point from the others, and the deviation that is left."""
    if len(rest) < _LEAST:
        return _REACHES[-1], _NOISES[-1], float(np.std(rest) + _NOISES[-1])
    tried = []
    for reach, noise in product(_REACHES, _NOISES):
        inverse = np.linalg.inv(_covariance(at, reach, noise, rest))
        left_out = (inverse @ rest) / np.diag(inverse)
        tried.append((float(np.sqrt(np.mean(left_out**2))), reach, noise))
    spread, reach, noise = min(tried)
    return reach, noise, spread

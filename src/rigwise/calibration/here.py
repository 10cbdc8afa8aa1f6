"""This machine's profile from what was timed on it: rates, link, and how well they say the time of a step that was not
among what they were fitted to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from rigwise.calibration.curves import KINDS, Timed, curves_of, law
from rigwise.cost.interval import Z80
from rigwise.cost.measured import Rates, amounts
from rigwise.cost.profile import Profile, Wire
from rigwise.errors import UsageError
from rigwise.measurements.pace import part_of

COLLECTIVES = ("all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send")
_TWICE = {("conv", "backward"), ("attention", "backward"), ("causal attention", "backward"), ("recurrent", "backward")}
_APART = frozenset({*COLLECTIVES, "pass", "step", "pace", "launch", "meeting"})  # not operations
_FOLDS = 6
_LEAST_HEAPS = 3
_LEAST_SPREAD = 0.03  # no two runs of a step agree better
_UNKNOWN = 0.2  # where no pass was timed
_FLOOR = 1e-9  # seconds: no pass is predicted shorter
_PAIRS = 4  # that a line is drawn through
_ROUNDS, _NEAR = 20, 2.0  # of weighing pairs, and medians of their distances within which each counts whole
_DECILES = 2 * Z80  # standard deviations between the first and the last decile


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFit:
    """seconds = alpha + volume / bandwidth of a collective. error: mean |fitted/measured - 1|; worst: the largest."""

    collective: str
    alpha: float
    bandwidth: float
    error: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A pass of a small network, forward and back: seconds measured, and seconds predicted without it.

    parts: the different operations that it is made of.
    """

    parts: Sequence[Timed]
    measured: float
    predicted: float


def link_fit(collective: str, ranks: int, sizes: Sequence[float], seconds: Sequence[float]) -> LinkFit:
    """The two figures of a link for one collective.

    >>> fitted = link_fit("all_reduce", 2, [1e3, 1e6, 1e9], [1e-4 + m / 1e9 for m in (1e3, 1e6, 1e9)])
    >>> f"{fitted.alpha:.1e} s, {fitted.bandwidth:.1e} B/s, {fitted.error:.0%}"
    '1.0e-04 s, 1.0e+09 B/s, 0%'
    """
    share = {"all_reduce": 2 * (ranks - 1) / ranks, "send": 1.0}.get(collective, (ranks - 1) / ranks)
    volume, took = np.array(sizes) * share, np.array(seconds)
    counted = np.stack([np.ones_like(volume), volume], axis=-1)
    alpha, each = law(counted, took)
    off = np.abs(counted @ np.array([alpha, each]) / took - 1)
    bandwidth = 1 / each if each > 0 else float("inf")
    return LinkFit(
        collective=collective,
        alpha=float(alpha),
        bandwidth=float(bandwidth),
        error=float(off.mean()),
        worst=float(off.max()),
    )


def link_fits(timed: Iterable[Timed]) -> dict[str, LinkFit]:
    """Every collective that was timed."""
    groups: dict[tuple[str, float], list[Timed]] = defaultdict(list)
    for one in timed:
        if one.kind in COLLECTIVES:
            groups[one.kind, one.sizes["ranks"]].append(one)
    return {
        kind: link_fit(kind, int(ranks), [one.sizes["bytes"] for one in own], [one.seconds for one in own])
        for (kind, ranks), own in groups.items()
    }


def profile(
    timed: Sequence[Timed],
    *,
    name: str,
    machine: str,
    ranks: int,
    threads: int,
    date: str,
    precisions: tuple[str, ...] = ("float32",),
) -> Profile:
    """Fit a profile. Raises UsageError where nothing was timed that a step is made of."""
    parts = [one for one in timed if one.kind not in _APART]
    if not any(one.kind == "product" for one in parts):
        raise UsageError("no products were timed", rule="a profile is fitted to what `rigwise measure` writes")
    left = _left_out(timed)
    reduced = link_fits(timed).get("all_reduce")
    return Profile(
        name=name,
        machine=machine,
        ranks=ranks,
        threads=threads,
        precisions=precisions,
        rates=Rates(curves=curves_of(parts), operation_s=max(0.0, _besides(timed)), step_s=_once(timed)),
        spread=max(_LEAST_SPREAD, float(np.quantile(np.abs(left), 0.8)) / Z80) if left else _UNKNOWN,
        before=_mean(_plain(timed)),
        after=_mean(left),
        date=date,
        pace={one.which: (one.seconds, one.spread / _DECILES) for one in timed if one.kind == "pace"},
        wire=_wire(timed, reduced) if reduced else None,
    )


def _wire(timed: Iterable[Timed], reduced: LinkFit) -> Wire:
    """What ranks exchange over, and how long they wait for each other beyond a message's own time."""
    met = sorted((one.sizes["work"], max(0.0, one.seconds - reduced.alpha)) for one in timed if one.kind == "meeting")
    return Wire(alpha=reduced.alpha, bandwidth=reduced.bandwidth, meetings=tuple(met))


def transferred(timed: Sequence[Timed], usual: Sequence[Timed]) -> list[Timed]:
    """What was timed at a setting, and what the usual setting has besides, as it would be there.

    Of what both have, the ratio of times is fitted for each kind and pass as a power of the usual time, within the
    ratios that were seen; kinds with few such pairs go by all kinds that keep step with the same part of the pace.
    """
    own = {_key(one): one.seconds for one in timed}
    pairs: dict[object, list[tuple[float, float]]] = defaultdict(list)
    for one in usual:
        if one.kind not in _APART and (there := own.get(_key(one))):
            for group in ((one.kind, one.which), part_of(one.kind)):
                pairs[group].append((log(one.seconds), log(there / one.seconds)))
    lines = {group: _line(np.array(found)) for group, found in pairs.items() if len(found) >= _PAIRS}
    added = []
    for one in usual:
        line = lines.get((one.kind, one.which)) or lines.get(part_of(one.kind))
        if line and one.kind not in _APART and "probe" in one.sizes and _key(one) not in own:
            sizes = {name: value for name, value in one.sizes.items() if name != "probe"}
            added.append(replace(one, sizes=sizes, seconds=one.seconds * exp(line(log(one.seconds)))))
    return [*timed, *added]


def _key(one: Timed) -> tuple[object, ...]:
    sizes = {name: value for name, value in one.sizes.items() if name not in ("probe", "often")}
    return one.kind, one.which, tuple(sorted(sizes.items()))


def _line(pairs: NDArray[np.float64]) -> Callable[[float], float]:
    """A straight line through pairs, between the least and the greatest of what it was fitted to.

    Pairs far from the others say less (Huber's weights): a layer that two threads make slower, as they do a depthwise
    convolution, says nothing of the rest.
    """
    x, y = pairs.T
    weight = np.ones_like(y)
    for _ in range(_ROUNDS):
        middle, level = np.average(x, weights=weight), np.average(y, weights=weight)
        slope = float((weight * (x - middle) * (y - level)).sum() / ((weight * (x - middle) ** 2).sum() + 1.0))
        off = np.abs(y - level - slope * (x - middle))
        weight = np.minimum(1.0, _NEAR * max(float(np.median(off)), _FLOOR) / np.maximum(off, _FLOOR))
    least, most = np.quantile(y, (0.05, 0.95))
    return lambda at: float(np.clip(level + slope * (at - middle), least, most))


def heap_fit(seen: Sequence[tuple[float, float, float]]) -> tuple[float, float, float] | None:
    """Bytes of a process beyond its tensors: fixed, for each byte that comes and goes in a step, and for each of the
    greatest convolution's blocks.

    seen: bytes that came and went, bytes of blocks, and bytes that the process took for them. None of fewer than three.

    >>> heap_fit([(1e6, 0.0, 3e6), (1e7, 0.0, 1.65e7), (1e8, 0.0, 1.515e8), (1e7, 1e6, 1.85e7)])
    (1500000.0, 0.5, 2.0)
    """
    if len(seen) < _LEAST_HEAPS:
        return None
    moving, blocks, took = (np.array(column) for column in zip(*seen, strict=True))
    fixed, share, each = law(np.stack([np.ones_like(moving), moving, blocks], axis=-1), took)
    return round(float(fixed), 3), max(0.0, round(float(share), 6) - 1.0), round(float(each), 6)


def _probes(timed: Iterable[Timed]) -> Mapping[float, list[Timed]]:
    found: dict[float, list[Timed]] = defaultdict(list)
    for one in timed:
        if "probe" in one.sizes:
            found[one.sizes["probe"]].append(one)
    return found


def _besides(timed: Iterable[Timed]) -> float:
    """Seconds that a pass takes besides its operations, for each of them: the median over the short probes."""
    found = []
    for own in _probes(timed).values():
        whole = next((one.seconds for one in own if one.kind == "pass"), None)
        parts = [one for one in own if one.kind != "pass"]
        if whole is not None and parts:
            count = sum(one.sizes["often"] for one in parts)
            rest = whole - sum(one.seconds * one.sizes["often"] for one in parts)
            found.append((whole, rest / count))
    short = sorted(found)[: max(1, len(found) // 3)]
    return float(np.median([rest for _, rest in short])) if short else 0.0


def _once(timed: Iterable[Timed]) -> float:
    """Seconds of a step that are there whatever it computes."""
    return next((one.seconds for one in timed if one.kind == "step"), 0.0)


def passes(timed: Sequence[Timed]) -> list[Pass]:
    """The pass of each probe, beside what curves say of it that were fitted without it."""
    groups = _probes(timed)
    rest = [one for one in timed if "probe" not in one.sizes and one.kind not in _APART]
    besides = _besides(timed)
    found = []
    for fold in range(min(_FOLDS, len(groups))):
        out = [number for number in groups if int(number) % _FOLDS == fold]
        kept = [one for number, own in groups.items() if number not in out for one in own if one.kind not in _APART]
        rates = Rates(curves=curves_of([*kept, *rest]))
        for number in out:
            whole = next((one.seconds for one in groups[number] if one.kind == "pass"), None)
            parts = [one for one in groups[number] if one.kind not in _APART]
            seconds = [_said(one, rates) for one in parts]
            if whole and seconds and all(value is not None for value in seconds):
                count = sum(one.sizes["often"] for one in parts)
                said = sum(value or 0.0 for value in seconds) + besides * count
                found.append(Pass(parts=parts, measured=whole, predicted=max(said, _FLOOR)))
    return found


def _left_out(timed: Sequence[Timed]) -> list[float]:
    """ln(predicted/measured) of the pass of each probe, by curves that were fitted without it."""
    return [log(one.predicted / one.measured) for one in passes(timed)]


def _said(one: Timed, rates: Rates) -> float | None:
    curve = rates.curve(one.kind, one.which)
    return None if curve is None else float(curve.seconds(**one.sizes)) * one.sizes["often"]


def _plain(timed: Sequence[Timed]) -> list[float]:
    """The same by FLOP over the rate of the best product that was timed: what a data sheet would say."""
    rates = [flop(one) / one.seconds for one in timed if one.kind == "product"]
    errors = []
    for own in _probes(timed).values():
        whole = next((one.seconds for one in own if one.kind == "pass"), None)
        work = sum(flop(one) * one.sizes["often"] for one in own if one.kind != "pass")
        if whole and work and rates:
            errors.append(log(work / max(rates) / whole))
    return errors


def flop(one: Timed) -> float:
    """FLOP of one operation; 0 of one that multiplies nothing."""
    if one.kind not in KINDS or one.kind in ("embedding", "optimizer", "optimizer call"):
        return 0.0
    passes = 2.0 if (one.kind, one.which) in _TWICE else 1.0
    return passes * float(amounts(one.kind, one.sizes)[1])


def _mean(errors: Sequence[float]) -> float:
    """Mean |predicted/measured - 1| of errors of the logarithm."""
    return float(np.mean(np.abs(np.expm1(errors)))) if errors else 0.0

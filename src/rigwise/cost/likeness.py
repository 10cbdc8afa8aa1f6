"""Likeness: what measured runs say about the next one that is like them.

What is not known of a step stands in its logarithm as independent parts, each common to all runs that share its thing:
the software stack, the family of the model, the device, and the run itself, which is shared with none.

    e_i = ln(measured_i / predicted_i),  C_ij = sum over the things that i and j share of s_thing^2,  c_i the same of i
    and the next run
    shift = c' C^-1 e,    left^2 = sum of the next run's s^2 - c' C^-1 c

Of n runs on the next one's own stack, family and device this is the text-book rule of one common factor with prior
N(0, between^2): shift = sum e / (n + within^2/between^2), left^2 = within^2 + 1/(1/between^2 + n/within^2).
Left out: skew, and runs on several devices of one family. Source: conditioning of a normal law (Rasmussen and Williams
2006, equations 2.23 and 2.24); the deviations are those of cost/interval.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

RUN = "run"  # the thing that no two runs share
_ODD = 3.0  # standard deviations beyond which a run is more likely to have been told wrong than to be so


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One measured run beside its prediction. error: ln(measured/predicted) of a step's seconds. doubts: standard
    deviations of what was not known of it, by thing. says: what was run, in words."""

    error: float
    doubts: Mapping[str, float]
    says: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What measured runs leave of a question's doubts. factor: on every second that is predicted. spread: standard
    deviation of the logarithm that is left. says: how it came about. runs: each of them, in words."""

    factor: float
    spread: float
    says: str
    runs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def learn(runs: Sequence[Run], doubts: Mapping[str, float]) -> tuple[float, float]:
    """Shift of the logarithm of the next run's seconds, and the standard deviation that is left.

    doubts: of the next run, by thing.
    A stack known to 0.3 whose runs lie 0.1 around its factor, one run 20 % slower than predicted:

    >>> here = {"stack": 0.3, "run": 0.1}
    >>> shift, left = learn([Run(error=np.log(1.2), doubts=here)], here)
    >>> f"x{exp(shift):.3f}, {left:.3f} of {np.hypot(0.3, 0.1):.3f} left"
    'x1.178, 0.138 of 0.316 left'
    """
    whole = sum(s**2 for s in doubts.values())
    if not runs:
        return 0.0, float(np.sqrt(whole))
    among = np.array([[_shared(a.doubts, b.doubts, same=a is b) for b in runs] for a in runs])
    ours = np.array([_shared(run.doubts, doubts) for run in runs])
    weights = np.linalg.lstsq(among, ours, rcond=None)[0]  # equal runs without a doubt of their own are one run
    shift = float(weights @ [run.error for run in runs])
    return shift, float(np.sqrt(max(whole - weights @ ours, 0.0)))


def _shared(one: Mapping[str, float], two: Mapping[str, float], *, same: bool = False) -> float:
    """Variance that two runs have in common; of a run with itself all of it."""
    return float(sum(s * two[thing] for thing, s in one.items() if thing in two and (same or thing != RUN)))


def known(runs: Sequence[Run], doubts: Mapping[str, float]) -> Known:
    """What runs leave of a question's doubts, in words too."""
    shift, left = learn(runs, doubts)
    many = f"{len(runs)} measured run{'s' if len(runs) > 1 else ''}"
    missing = sorted({thing for run in runs for thing, s in doubts.items() if s > 0 and thing not in run.doubts})
    less = f", which count for less: not on {' or with '.join(missing)}" if missing else ""
    return Known(
        factor=exp(shift),
        spread=left,
        says=f"corrected by {many}: x{exp(shift):.3g}{less}",
        runs=tuple(run.says for run in runs if run.says),
        warnings=tuple(_odd(run) for run in runs if abs(run.error) > _ODD * _deviation(run)),
    )


def _deviation(run: Run) -> float:
    return float(np.sqrt(sum(s**2 for s in run.doubts.values())))


def _odd(run: Run) -> str:
    times = exp(run.error)
    how = f"{times:.2g} times as long as" if times > 1 else f"1/{1 / times:.2g} of the time that is"
    return f"{run.says or 'a measured run'} took {how} predicted: check that its batch and its layout are what was run"

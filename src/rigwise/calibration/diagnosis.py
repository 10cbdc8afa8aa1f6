"""Why a run was slower than it should be: rules over what was measured and what was predicted, each with evidence.

A run is diagnosed where its step took over 20 % longer than the low end of its prediction. Each rule looks at one part
and one cause; those that hold are told with their evidence, the part with the most lost seconds first.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from rigwise.units import show_rate, show_seconds

SLOWER = 1.2  # times the lower bound
_BUSY = 0.15  # cores of other programs
_FAULTS = 2000.0  # pages a step: 8 MB of memory that comes new each time
_SWITCHES = 20.0  # times a step that a rank was put aside
_SHARE = 0.1  # of a step, below which a part is not worth a word
_LINK = 0.6  # of the bandwidth that is expected of a link


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptoms:
    """A run as the rules see it. predicted, measured: seconds of a step by part ("compute", "communication", "loader",
    "optimizer", "other"). low: the lower bound of the step. ranks, threads, cores: of the run and of the machine.
    others: cores that other programs kept busy. faults, switches: of a step. gradient_bytes: exchanged a step, and
    link: bytes/s that its link reached when it was measured, None where it was not. throttled: what slowed a GPU.
    peer: whether GPUs reach each other's memory, None where nobody says.
    """

    step_s: float
    low: float
    predicted: Mapping[str, float]
    measured: Mapping[str, float]
    ranks: int
    threads: int
    cores: int
    others: float = 0.0
    faults: float = 0.0
    switches: float = 0.0
    gradient_bytes: float = 0.0
    link: float | None = None
    throttled: tuple[str, ...] = field(default=())
    peer: bool | None = None

    def lost(self, part: str) -> float:
        """Seconds that a part took beyond its prediction."""
        return max(0.0, self.measured.get(part, 0.0) - self.predicted.get(part, 0.0))

    @property
    def work_lost(self) -> float:
        """Seconds that all parts took beyond their predictions but the loader, which may wait for more than cores."""
        return sum(self.lost(part) for part in self.measured if part != "loader")

    @property
    def slow(self) -> bool:
        """Whether there is anything to ask."""
        return self.step_s > SLOWER * self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One likely cause. part: of the step. lost: seconds of a step. evidence, fix: in words."""

    part: str
    cause: str
    lost: float
    evidence: str
    fix: str

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "part": self.part,
            "cause": self.cause,
            "lost_s": self.lost,
            "evidence": self.evidence,
            "fix": self.fix,
        }


def diagnose(run: Symptoms) -> list[Cause]:
    """The causes that the evidence speaks for, most lost seconds first; none for a run that is not slow.

    A run for which no rule holds is told so, with the part that lost most, where its step took over 20 % longer than
    the prediction itself: within the bar, with nothing to show for it, there is nothing to find.
    """
    if not run.slow:
        return []
    found = [cause for rule in RULES for cause in rule(run)]
    if not found and run.step_s > SLOWER * sum(run.predicted.values()):
        part = max(run.measured, key=run.lost, default="compute")
        found = [
            Cause(
                part=part,
                cause="not known",
                lost=run.lost(part),
                evidence=f"{part} took {show_seconds(run.measured.get(part, 0.0))}, "
                f"predicted {show_seconds(run.predicted.get(part, 0.0))}; no rule speaks for a cause",
                fix="rigwise measure on the quiet machine, then rigwise measure --replay TASK",
            )
        ]
    return sorted(found, key=lambda cause: -cause.lost)


def _cause(cause: str, **read: Any) -> Cause:
    """A cause's words with what the run showed."""
    return Cause(cause=cause, **{**_words()[cause], **read})


@cache
def _words() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(files("rigwise.calibration").joinpath("data/causes.toml").read_text("utf-8"))


def _oversubscribed(r: Symptoms) -> Iterator[Cause]:
    wanted, fewer, s = r.ranks * r.threads, max(1, r.cores // r.ranks), "s" * (r.threads > 1)
    if wanted > r.cores:
        yield _cause(
            "cores oversubscribed",
            lost=r.work_lost,
            evidence=f"{r.ranks} ranks of {r.threads} thread{s} want {wanted} cores, {r.cores} are there",
            fix=f"OMP_NUM_THREADS={fewer}, or fewer ranks" if fewer < r.threads else "fewer ranks",
        )


def _others(r: Symptoms) -> Iterator[Cause]:
    if r.others > _BUSY and r.others + r.ranks * r.threads > r.cores + _BUSY:  # on cores that the run has no use for?
        aside = f", and a rank was put aside {r.switches:.0f} times a step" if r.switches > _SWITCHES else ""
        yield _cause(
            "other programs on the cores",
            lost=r.work_lost,
            evidence=f"other programs kept {r.others:.1f} of {r.cores} cores busy{aside}",
        )


def _starved(r: Symptoms) -> Iterator[Cause]:
    waits = r.measured.get("loader", 0.0)
    if waits > _SHARE * r.step_s and r.lost("loader") > 0:
        yield _cause(
            "loader starved",
            lost=r.lost("loader"),
            evidence=f"each step waits {show_seconds(waits)} for its data, {waits / r.step_s:.0%} of it",
        )


def _faults(r: Symptoms) -> Iterator[Cause]:
    if r.faults > _FAULTS and r.lost("compute") + r.lost("optimizer") > _SHARE * r.step_s:
        yield _cause(
            "page faults",
            lost=r.lost("compute") + r.lost("optimizer"),
            evidence=f"{r.faults:.0f} pages a step are faulted in: memory goes back to the kernel and comes anew",
        )


def _link(r: Symptoms) -> Iterator[Cause]:
    took = r.measured.get("communication", 0.0)
    if r.ranks < 2 or took < _SHARE * r.step_s or not r.lost("communication"):
        return
    if r.peer is False:
        yield _cause(
            "no peer access",
            lost=r.lost("communication"),
            evidence="GPUs do not read each other's memory: every gradient goes through the host's",
        )
        return
    reached = r.gradient_bytes * 2 * (r.ranks - 1) / r.ranks / took if took else 0.0
    if r.link and reached < _LINK * r.link:
        yield _cause(
            "slow link",
            lost=r.lost("communication"),
            evidence=f"gradients moved at {show_rate(reached)}, {show_rate(r.link)} were measured between ranks",
        )


def _throttled(r: Symptoms) -> Iterator[Cause]:
    if r.throttled:
        yield _cause("throttled", lost=r.lost("compute"), evidence="; ".join(r.throttled))


Rule = Callable[[Symptoms], Iterator[Cause]]
RULES: tuple[Rule, ...] = (_oversubscribed, _others, _starved, _faults, _link, _throttled)

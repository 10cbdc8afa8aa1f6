"""The probes: small networks trained for a few steps, their operations timed where they happen, and their passes."""

from __future__ import annotations

import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from math import inf
from statistics import median
from typing import Any

import torch
from torch import nn

from rigwise.measure.listen import Listener
from rigwise.measure.networks import loss_of, network
from rigwise.measure.others import Others
from rigwise.measure.pace import Pace, Sample, paced
from rigwise.measure.reading import Seen
from rigwise.measure.rows import Row, row
from rigwise.measurements.pace import part_of

_MANY = 8  # steps of a round at most, with and without a listener in turns, of a short network; else one with
_ROUND_S = 0.04  # seconds that a very short one may take of a round, twice
_NEAR = 2  # samples of the pace on either side of a step that say at what pace it ran
_SHORT_S = 5e-5  # up to here a call's time is mostly the call's
_LITTLE_S = 1.0  # seconds, of which those of memory take more
_BRIEF_S = 5.0  # seconds that one round over all networks takes on one core
_LEAST = 1  # round; each network has run once before it


@dataclass(slots=True)
class Probe:
    """A small network and what was heard of it, each time with the number of the sample of the machine's pace before.
    first_s: seconds of its first step. whole: of forward and backward pass with nobody listening, of a short network.
    """

    model: nn.Module
    x: torch.Tensor
    target: torch.Tensor
    brief: bool = False
    first_s: float = 1.0
    heard: dict[Seen, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    count: dict[Seen, int] = field(default_factory=dict)
    whole: list[tuple[int, float]] = field(default_factory=list)

    def loss(self) -> Any:
        """Of a forward pass."""
        return loss_of(self.model(self.x), self.target)

    def step(self) -> None:
        """Forward and backward, without an optimizer."""
        self.loss().backward()
        for parameter in self.model.parameters():
            parameter.grad = None

    def round(self, synchronize: Callable[[], None], sample: int) -> None:
        """A few steps with and without a listener, after a sample of the pace."""
        steps = min(_MANY, max(1, int(_ROUND_S / self.first_s))) if self.brief else 1
        for _ in range(steps):
            listener = Listener(self.x.device)
            with listener:
                self.step()
            found = listener.seconds()
            self.count = {what: len(times) for what, times in found.items()}
            for what, times in found.items():
                self.heard[what] += [(sample, seconds) for seconds in times]
            if self.brief:
                synchronize()
                start = time.perf_counter()
                self.step()
                synchronize()
                self.whole.append((sample, time.perf_counter() - start))


def listed(thorough: bool, seconds: float = inf) -> list[Mapping[str, Any]]:
    """The small networks in words; of few seconds those that are short."""
    told = [probe for probe in _told()["probe"] if thorough or not probe.get("thorough")]
    return [probe for probe in told if probe.get("brief")] if seconds < _BRIEF_S else told


def deep(seconds: float = inf) -> list[Mapping[str, Any]]:
    """Those that tell what a process takes beyond its tensors; of few seconds three."""
    return [heap for heap in _told()["heap"] if seconds >= _LITTLE_S or heap.get("brief")]


def _told() -> Mapping[str, Any]:
    return tomllib.loads((files("rigwise.measure") / "data" / "probes.toml").read_text("utf-8"))


def made(words: Mapping[str, Any], device: torch.device) -> Probe:
    """One of them, made on the CPU and moved."""
    model, x, out = network(words["layers"], tuple(words["input"]))
    target = torch.randint(out[-1], (out[:-1].numel(),))
    return Probe(model.to(device), x.to(device), target.to(device), bool(words.get("brief")))


def probes(device: torch.device, thorough: bool, seconds: float = inf) -> list[Probe]:
    """The small networks that so many seconds are enough for; each has run once."""
    found = [made(words, device) for words in listed(thorough, seconds)]
    for probe in found:
        start = time.perf_counter()
        probe.step()
        probe.first_s = time.perf_counter() - start
    return found


def measure_probes(
    device: torch.device, seconds: float, thorough: bool, others: Others, progress: Callable[[float], None]
) -> Iterator[Row]:
    """Rounds over all probes until the time is over, at least one; the ranks begin each probe together.

    Rows: one for each different operation of a probe, with how often it has it; and of each probe its whole pass
    ("pass"), which tells what a step costs besides; and the machine's pace meanwhile, at whose middle they are told.
    """
    synchronize = torch.cuda.synchronize if device.type == "cuda" else _nothing
    start, rounds, longest = time.perf_counter(), 0, 0.0
    trained = probes(device, thorough, seconds)
    pace, paces = Pace(device), list[Sample]()
    while rounds < _LEAST or others.all(time.perf_counter() - start + longest < seconds):
        begin = time.perf_counter()
        for number, probe in enumerate(trained):
            others.meet()
            paces.append(pace.sample())
            probe.round(synchronize, len(paces) - 1)
            progress(
                min(
                    (time.perf_counter() - start) / seconds,
                    (rounds * len(trained) + number + 1) / len(trained) / _LEAST,
                )
            )
        rounds += 1
        longest = max(longest, time.perf_counter() - begin)
    paces.append(pace.sample())
    yield from _rows(trained, paces)
    yield from paced(paces)


def _rows(trained: list[Probe], paces: Sequence[Sample]) -> Iterator[Row]:
    slower = at_pace(paces)
    for number, probe in enumerate(trained):
        for what, told in probe.heard.items():
            part = "call" if median(seconds for _, seconds in told) < _SHORT_S else part_of(what.kind)
            times = [seconds / slower[part][sample] for sample, seconds in told]
            yield row(what.kind, times, what.which, **dict(what.sizes), often=probe.count.get(what, 0), probe=number)
        if probe.whole:
            times = [seconds / slower["call"][sample] for sample, seconds in probe.whole]
            yield row("pass", times, probe=number)


def at_pace(paces: Sequence[Sample]) -> dict[str, list[float]]:
    """Of each sample, how many times as long everything took around it as in the middle of all, by part.

    >>> [round(x, 2) for x in at_pace([{"call": 1.0}] * 4 + [{"call": 2.0}] * 2)["call"]]
    [1.0, 1.0, 1.0, 1.5, 2.0, 2.0]
    """
    found = {}
    for part in paces[0]:
        middle = median(sample[part] for sample in paces)
        around = [[s[part] for s in paces[max(0, i + 1 - _NEAR) : i + 1 + _NEAR]] for i in range(len(paces))]
        found[part] = [median(near) / middle for near in around]
    return found


def _nothing() -> None:
    """A CPU is done when it returns."""

"""The probes: small networks trained for a few steps, their operations timed where they happen, and their passes."""

from __future__ import annotations

import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from math import inf
from typing import Any

import torch
from torch import nn

from rigwise.measure.listen import Listener
from rigwise.measure.networks import loss_of, network
from rigwise.measure.others import Others
from rigwise.measure.pace import Pace
from rigwise.measure.reading import Seen
from rigwise.measure.rows import Row, row
from rigwise.measure.sums import PACE

_LISTENED, _WHOLE = 1, 1  # steps of a round, with and without a listener
_BRIEF_S = 1.5  # seconds, of which one round over all networks takes twice as many
_LEAST = 1  # round; each network has run once before it


@dataclass(slots=True)
class Probe:
    """A small network and what was heard of it. whole: seconds of forward and backward pass with nobody listening."""

    model: nn.Module
    x: torch.Tensor
    target: torch.Tensor
    heard: dict[Seen, list[float]] = field(default_factory=lambda: defaultdict(list))
    count: dict[Seen, int] = field(default_factory=dict)
    whole: list[float] = field(default_factory=list)

    def loss(self) -> Any:
        """Of a forward pass."""
        return loss_of(self.model(self.x), self.target)

    def step(self) -> None:
        """Forward and backward, without an optimizer."""
        self.loss().backward()
        for parameter in self.model.parameters():
            parameter.grad = None

    def round(self, synchronize: Callable[[], None]) -> None:
        """A few steps with and without a listener."""
        device = self.x.device
        for _ in range(_LISTENED):
            listener = Listener(device)
            with listener:
                self.step()
            found = listener.seconds()
            self.count = {what: len(times) for what, times in found.items()}
            for what, times in found.items():
                self.heard[what] += times
        for _ in range(_WHOLE):
            synchronize()
            start = time.perf_counter()
            self.step()
            synchronize()
            self.whole.append(time.perf_counter() - start)


def listed(thorough: bool, seconds: float = inf) -> list[Mapping[str, Any]]:
    """The small networks in words; of few seconds those that are short."""
    told = [probe for probe in _told()["probe"] if thorough or not probe.get("thorough")]
    return [probe for probe in told if probe.get("brief")] if seconds < _BRIEF_S else told


def deep() -> list[Mapping[str, Any]]:
    """Those that tell what a process takes beyond its tensors."""
    return list(_told()["heap"])


def _told() -> Mapping[str, Any]:
    return tomllib.loads((files("rigwise.measure") / "data" / "probes.toml").read_text("utf-8"))


def made(words: Mapping[str, Any], device: torch.device) -> Probe:
    """One of them, made on the CPU and moved."""
    model, x, out = network(words["layers"], tuple(words["input"]))
    target = torch.randint(out[-1], (out[:-1].numel(),))
    return Probe(model.to(device), x.to(device), target.to(device))


def probes(device: torch.device, thorough: bool, seconds: float = inf) -> list[Probe]:
    """The small networks that so many seconds are enough for; each has run once."""
    found = [made(words, device) for words in listed(thorough, seconds)]
    for probe in found:
        probe.step()
    return found


def measure_probes(
    device: torch.device, seconds: float, thorough: bool, others: Others, progress: Callable[[float], None]
) -> Iterator[Row]:
    """Rounds over all probes until the time is over, at least one; the ranks begin each probe together.

    Rows: one for each different operation of a probe, with how often it has it; and of each probe its whole pass
    ("pass"), which tells what a step costs besides; and the machine's pace meanwhile.
    """
    synchronize = torch.cuda.synchronize if device.type == "cuda" else _nothing
    start, rounds, longest = time.perf_counter(), 0, 0.0
    trained = probes(device, thorough, seconds)
    pace, paces = Pace(device), list[float]()
    while rounds < _LEAST or others.all(time.perf_counter() - start + longest < seconds):
        begin = time.perf_counter()
        for number, probe in enumerate(trained):
            others.meet()
            paces.append(pace.sample())
            probe.round(synchronize)
            progress(
                min(
                    (time.perf_counter() - start) / seconds,
                    (rounds * len(trained) + number + 1) / len(trained) / _LEAST,
                )
            )
        rounds += 1
        longest = max(longest, time.perf_counter() - begin)
    yield from _rows(trained)
    yield row(PACE, paces)


def _rows(trained: list[Probe]) -> Iterator[Row]:
    for number, probe in enumerate(trained):
        for what, times in probe.heard.items():
            yield row(what.kind, times, what.which, **dict(what.sizes), often=probe.count.get(what, 0), probe=number)
        yield row("pass", probe.whole, probe=number)


def _nothing() -> None:
    """A CPU is done when it returns."""

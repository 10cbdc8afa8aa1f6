"""Many runs of one task side by side: a grid of settings, as many at a time as there is room for, each in its folder.

A folder of a sweep holds sweep.json (what is the same for all) and one output folder a run, named by its point of the
grid. So a sweep that is asked for again does only what is missing: what has finished stays, what was interrupted goes
on from its last checkpoint, what failed is tried again. Knows no torch; the ranks do.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from statistics import fmean
from typing import Any

from rigwise.errors import LaunchError, RigwiseError, UsageError
from rigwise.files import replace_text
from rigwise.hardware.detect import cores
from rigwise.run.chosen import Value, value
from rigwise.run.launch import Place
from rigwise.run.output import RESULT
from rigwise.run.server_process import INSTALL
from rigwise.run.start import run

OWN = ("batch", "seed", "steps")
"""What is the run's own and not a parameter of the task's function."""
PLAN = "sweep.json"
MOST = 10_000  # runs: more are a slip of the keyboard
_TAIL = 10  # a run's loss is the mean over the last tenth of its steps: one step's loss is noise
_MARKS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+=,")


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What all runs of a sweep share. task: as run takes it. checkpoint_every: steps; 0 only at the end and when asked
    to stop. settings: of the task's function, those that are swept apart.
    """

    task: str
    layout: str
    ranks: int
    steps: int
    batch: int | None = None
    seed: int = 0
    device: str = "auto"
    checkpoint_every: int = 0
    settings: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run of a sweep came to. state: done, failed or stopped. loss: mean over the last tenth of the steps; None
    where it did not finish. error: why it failed. kept: it had finished in an earlier sweep.
    """

    point: Mapping[str, Value]
    state: str
    output: str
    loss: float | None = None
    losses: tuple[float, ...] = ()
    step_s: float | None = None
    error: str = ""
    kept: bool = False

    @property
    def name(self) -> str:
        """The point in words."""
        return named(self.point)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A finished, or stopped, sweep: outcomes in the grid's order. at_once: runs side by side."""

    task: str
    output: Path
    outcomes: tuple[Outcome, ...]
    at_once: int
    where: str

    @property
    def best(self) -> Outcome | None:
        """The run with the lowest loss; None where none finished."""
        done = [outcome for outcome in self.outcomes if outcome.loss is not None]
        return min(done, key=lambda outcome: outcome.loss or 0.0) if done else None

    def to_dict(self) -> dict[str, Any]:
        """The sweep for JSON."""
        return {
            "task": self.task,
            "output": str(self.output),
            "at_once": self.at_once,
            "where": self.where,
            "best": self.best.name if self.best else None,
            "runs": [{"name": outcome.name, **asdict(outcome)} for outcome in self.outcomes],
        }


def grid(over: Iterable[str]) -> list[dict[str, Value]]:
    """The points of `name=value,value` and `name=first..last`, the last name turning fastest.

    >>> grid(["lr=0.1,0.01", "seed=0..1"])[1]
    {'lr': 0.1, 'seed': 1}
    """
    axes: dict[str, list[Value]] = {}
    for entry in over:
        name, equals, text = entry.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise UsageError(f"--over {entry!r}", rule="name=value,value or name=first..last", nearest="lr=0.1,0.01")
        if name in axes:
            raise UsageError(f"--over {name} twice", rule="a name has one list of values")
        axes[name] = list(dict.fromkeys(_values(name, text)))
        if name in OWN and not all(type(one) is int for one in axes[name]):
            raise UsageError(f"--over {entry!r}", rule=f"{name} is a whole number", nearest=f"{name}=1,2")
    if not axes:
        raise UsageError("a sweep over nothing", rule="--over name=value,value", nearest="--over lr=0.1,0.01")
    count = 1
    for values in axes.values():
        count *= len(values)
    if count > MOST:
        raise UsageError(f"a sweep of {count:,} runs", rule=f"at most {MOST:,}")
    return [dict(zip(axes, point, strict=True)) for point in product(*axes.values())]


def _values(name: str, text: str) -> Iterator[Value]:
    for word in text.split(","):
        first, dots, last = (part.strip() for part in word.partition(".."))
        if not dots:
            if not first:
                raise UsageError(f"--over {name}={text!r} has an empty value", rule="values with commas between")
            yield value(first)
            continue
        ends = value(first or "-"), value(last or "-")
        if not (type(ends[0]) is int and type(ends[1]) is int and ends[0] <= ends[1] < ends[0] + MOST):
            raise UsageError(
                f"--over {name}={word!r}", rule="first..last are whole numbers, and first is not above last"
            )
        yield from range(ends[0], ends[1] + 1)


def named(point: Mapping[str, Value]) -> str:
    """A point as words, and as the name of its folder.

    >>> named({"lr": 0.1, "seed": 3})
    'lr=0.1,seed=3'
    """
    text = ",".join(f"{name}={one}" for name, one in point.items())
    return "".join(mark if mark in _MARKS else f"%{ord(mark):02x}" for mark in text)


class Sweeping:
    """Runs of a sweep. hear: called with each outcome as it comes."""

    def __init__(self, common: Common, output: Path, hear: Callable[[Outcome], None]) -> None:
        self.common = common
        self.output = output
        self.hear = hear
        self.stopped = threading.Event()

    def prepare(self, points: Iterable[Mapping[str, Value]]) -> list[Mapping[str, Value]]:
        """Take the folder; the points that are left, the finished ones being heard. UsageError for another sweep's."""
        self._take()
        left = []
        for point in points:
            kept = self.finished(point)
            self.hear(kept) if kept else left.append(point)
        return left

    def _take(self) -> None:
        plan = self.output / PLAN
        mine = {**asdict(self.common), "settings": dict(self.common.settings)}
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            if not plan.exists():
                replace_text(plan, json.dumps(mine, indent=1) + "\n")
                return
            before = json.loads(plan.read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"cannot use {self.output} for a sweep: {error}", rule="output is a folder") from error
        parted = [key for key in mine if before.get(key) != mine[key]]
        if parted:
            key = parted[0]
            raise UsageError(
                f"{self.output} holds a sweep with {key} {before.get(key)!r}, this one has {mine[key]!r}",
                rule="a sweep goes on with the same task, layout and settings; its grid may grow",
                nearest="another output folder",
            )

    def finished(self, point: Mapping[str, Value]) -> Outcome | None:
        """What a point came to in an earlier sweep, if it has finished all its steps."""
        folder = self.output / named(point)
        try:
            result = json.loads((folder / RESULT).read_text())
            if result["steps"] < int(point.get("steps", self.common.steps)):
                return None
            return _done(point, folder, result["losses"], result["step_s"], kept=True)
        except (OSError, ValueError, KeyError):
            return None

    def train(self, point: Mapping[str, Value], place: Place) -> Outcome:
        """One run, to its end or until all are to stop. A failure is an outcome like others."""
        return train(self.common, self.output, point, place)

    def side_by_side(self, points: Sequence[Mapping[str, Value]], places: Sequence[Place]) -> None:
        """All points, as many at a time as there are places. On Ctrl-C the runs finish their step and save."""
        free: SimpleQueue[Place] = SimpleQueue()
        for place in places:
            free.put(place)

        def one(point: Mapping[str, Value]) -> None:
            if self.stopped.is_set():
                return
            place = free.get()
            try:
                self.hear(self.train(point, place))
            finally:
                free.put(place)

        with ThreadPoolExecutor(max_workers=len(places)) as pool:
            futures = [pool.submit(one, point) for point in points]
            try:
                for future in futures:
                    future.result()
            except KeyboardInterrupt:
                self.stopped.set()


def train(common: Common, output: Path, point: Mapping[str, Value], place: Place) -> Outcome:
    """One run of a sweep in its folder; goes on where it was interrupted."""
    folder = output / named(point)
    own = {name: one for name, one in point.items() if name in OWN}
    settings = {**common.settings, **{name: one for name, one in point.items() if name not in OWN}}
    words: dict[str, Any] = {"steps": common.steps, "batch": common.batch, "seed": common.seed, **own}
    try:
        result = run(
            common.task,
            common.layout,
            output=folder,
            resume="auto",
            device=common.device,
            checkpoint_every=common.checkpoint_every or None,
            settings=settings,
            place=place,
            **words,
        )
    except KeyboardInterrupt:
        return Outcome(point=point, state="stopped", output=str(folder))
    except RigwiseError as error:
        return Outcome(point=point, state="failed", output=str(folder), error=str(error))
    return _done(point, folder, result.losses, result.step_s)


def _done(
    point: Mapping[str, Value], folder: Path, losses: Sequence[float], step_s: float, kept: bool = False
) -> Outcome:
    tail = losses[-max(1, len(losses) // _TAIL) :]
    return Outcome(
        point=dict(point),
        state="done",
        output=str(folder),
        loss=fmean(tail),
        losses=tuple(losses),
        step_s=step_s,
        kept=kept,
    )


def require_torch() -> None:
    """Refuse before anything is started where torch is missing."""
    if find_spec("torch") is None:
        raise LaunchError("a sweep needs torch, which is not installed", nearest=INSTALL)


def gpus(device: str) -> list[str]:
    """The GPUs that runs may take, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    count = 0 if device == "cpu" else torch.cuda.device_count()
    if device == "cuda" and not count:
        raise LaunchError("device=cuda, but torch sees no GPU", nearest="device=cpu")
    said = [each.strip() for each in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if each.strip()]
    return said[:count] if said else [str(number) for number in range(count)]


def places(ranks: int, gpus: Sequence[str], at_once: int | None, asked: Callable[[], bool]) -> list[Place]:
    """Where runs go on this machine: on GPUs one for each `ranks` of them, on the CPU as many as cores hold with the
    threads that OMP_NUM_THREADS says, or one. at_once: how many are asked for.
    """
    if gpus:
        if len(gpus) < ranks:
            raise UsageError(
                f"{ranks} ranks a run on {len(gpus)} GPUs", rule="every rank has a GPU of its own", nearest="device=cpu"
            )
        shares = [gpus[i : i + ranks] for i in range(0, len(gpus) - ranks + 1, ranks)][: at_once or None]
        threads = max(1, cores() // (len(shares) * ranks))
        chosen = [{"CUDA_VISIBLE_DEVICES": ",".join(share)} for share in shares]
        return [Place(threads=threads, environment=each, asked=asked) for each in chosen]
    said = os.environ.get("OMP_NUM_THREADS", "")
    threads = max(1, int(said)) if said.isdigit() else 1
    many = at_once or max(1, cores() // (threads * ranks))
    return [Place(threads=threads, asked=asked)] * many

"""The verbs of measuring: measure, calibrate from the history, and what is known of this machine."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigwise.errors import UsageError

if TYPE_CHECKING:
    from rigwise.calibration.here import LinkFit
    from rigwise.hardware.watch import Watch
    from rigwise.measure.rows import Row
    from rigwise.measure.start import Found
    from rigwise.measurements.history import History
    from rigwise.run.seats import Seat

SCHEMA_VERSION = 1
SECONDS, THOROUGH_SECONDS = 20.0, 150.0
_LEAST_S, _BESIDES_S = 0.5, 1.5  # of a setting's share for its small networks, and for what is measured beside them
_PARTS = ("memory", "optimizers", "probes")
_FIRST = 0.6  # share of the seconds of the first setting, where all networks are timed; the others tell ratios


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What `measure` found at one number of ranks and threads, and under which number it stands in the history
    (None where none is kept).

    spread: the median, over all things timed, of how far their middle 80 % lie apart, over the median. others: cores
    that other programs kept busy. doubts: why the figures may be off, in words. skipped: what was not measured, and
    why. links: fitted to each collective.
    """

    session: int | None
    ranks: int
    threads: int
    rows: Sequence[Row]
    spread: float
    others: float
    doubts: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    links: Sequence[LinkFit] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "session": self.session,
            "ranks": self.ranks,
            "threads": self.threads,
            "spread": self.spread,
            "others": self.others,
            "doubts": list(self.doubts),
            "skipped": list(self.skipped),
            "links": [
                {
                    "collective": f.collective,
                    "alpha": f.alpha,
                    "bandwidth": f.bandwidth,
                    "error": f.error,
                    "worst": f.worst,
                }
                for f in self.links
            ],
            "rows": [row.to_dict() for row in self.rows],
        }


def settings_here(cores: int) -> list[tuple[int, int]]:
    """Ranks and threads at which a machine of some cores is measured: one thread, all of them, a rank a core.

    >>> settings_here(1), settings_here(4)
    ([(1, 1)], [(1, 1), (1, 4), (4, 1)])
    """
    return list(dict.fromkeys([(1, 1), (1, cores), (cores, 1)]))


def measure(
    *,
    seconds: float | None = None,
    thorough: bool = False,
    device: str = "auto",
    history: str | Path | None = None,
    settings: Sequence[tuple[int, int]] | None = None,
    on_part: Callable[[str, float], None] | None = None,
) -> list[Measured]:
    """Measure this machine and write it to the history: about `seconds` in all, over all settings.

    settings: pairs of ranks and threads; by default one thread, all cores, and a rank a core. history: a file in place
    of the user's own. on_part: called with what is measured and what of it is done, 0 to 1. A rank that a launcher
    started measures together with the others, on however many hosts, and rank 0 writes; the others return nothing.
    Raises UsageError, LaunchError (torch missing, a rank died).
    """
    from rigwise.hardware.detect import cores
    from rigwise.hardware.watch import Watch
    from rigwise.measure.start import found
    from rigwise.measurements.history import kept_in
    from rigwise.run.seats import once_a_host, seat

    whole = seconds if seconds is not None else THOROUGH_SECONDS if thorough else SECONDS
    if not 1 <= whole <= 24 * 3600:
        raise UsageError(f"seconds={whole:g}", rule="a measurement takes from 1 second to a day")
    asked = list(settings or settings_here(cores()))
    if any(ranks < 1 or threads < 1 for ranks, threads in asked):
        raise UsageError(f"settings {asked}", rule="at least 1 rank of at least 1 thread")
    if here := seat():
        with once_a_host(here):
            return _between(here, asked if settings else [], whole, thorough, device, history, on_part)
    kept = kept_in(history)
    done: list[Measured] = []
    end = time.monotonic() + whole
    for number, (ranks, threads) in enumerate(asked):
        begun = time.monotonic()
        own = begun + (end - begun) * (_FIRST if number == 0 < len(asked) - 1 else 1 / (len(asked) - number))
        says = f"{ranks} rank{'s' * (ranks > 1)} of {threads} thread{'s' * (threads > 1)}"
        with Watch() as watch:
            loop = _loop(ranks, threads, device, on_part)
            once = partial(
                found,
                parts_of(ranks, first=not done),
                world=ranks,
                threads=threads,
                seconds=max(_LEAST_S, own - time.monotonic() - _BESIDES_S),
                thorough=thorough,
                device=device,
                on_part=partial(_of_setting, on_part, says) if on_part else None,
            )
            one = _steadier(once, own + (own - begun) / 2)
        done.append(_kept(replace(one, rows=[*one.rows, *loop]), kept, seen=_seen(watch, device)))
    return done


def _between(
    here: Seat,
    asked: Sequence[tuple[int, int]],
    seconds: float,
    thorough: bool,
    device: str,
    history: str | Path | None,
    on_part: Callable[[str, float], None] | None,
) -> list[Measured]:
    """What the ranks of a launcher find together: on rank 0 that, elsewhere nothing."""
    from rigwise.hardware.watch import Watch
    from rigwise.measure.job import PARTS, MeasureJob
    from rigwise.measure.joined import joined
    from rigwise.measurements.history import kept_in

    said = os.environ.get("OMP_NUM_THREADS", "")
    ranks, threads = (here.world, int(said) if said.isdigit() else 1)
    if asked:
        ranks, threads = asked[0]
    if ranks not in (1, here.world):
        rule = "the launcher says how many ranks measure"
        raise UsageError(f"ranks={ranks}, {here.launcher} started {here.world}", rule=rule, nearest="no --ranks")
    job = MeasureJob(
        world=here.world,
        threads=threads,
        parts=PARTS,
        seconds=max(_LEAST_S, seconds / 2),
        output="",
        device=device,
        rendezvous=here.rendezvous,
        thorough=thorough,
    )
    kept = kept_in(history) if here.rank == 0 else None  # a place that cannot be written is told before, not after
    hosts = here.world // here.near
    says = f"{here.world} ranks on {hosts} host{'s' * (hosts > 1)}"
    with Watch() as watch:
        one = joined(here, job, partial(_of_setting, on_part, says) if on_part and here.rank == 0 else None)
    return [_kept(one, kept, hosts=hosts, seen=_seen(watch, device))] if here.rank == 0 else []


def _seen(watch: Watch, device: str) -> tuple[str, ...]:
    """What the machine said of itself meanwhile that makes timings doubtful."""
    return (*(watch.used if device != "cpu" else ()), *watch.says)


def _steadier(once: Callable[[], Found], until: float) -> Found:
    """What was found; where the machine's pace moved, and it is not later than `until`, the steadier of two."""
    one = once()
    if pace_spread(one.rows) <= _SPREAD or time.monotonic() > until:
        return one
    return min((one, once()), key=lambda found: pace_spread(found.rows))


def pace_spread(rows: Sequence[Row]) -> float:
    """How far the middle 80 % of the times of the machine's fixed product lie apart, over their median."""
    from rigwise.measure.sums import PACE

    return max((row.spread or 0.0 for row in rows if row.kind == PACE and row.which == "product"), default=0.0)


def parts_of(ranks: int, *, first: bool) -> tuple[str, ...]:
    """What is measured at a setting after its loop; first: whether it is the first one."""
    return (*(("heap", "host") if first else ()), *_PARTS, *(("links",) if ranks > 1 else ()))


_LOOP_STEPS = 300


@contextmanager
def unsaid() -> Iterator[None]:
    """An interrupt says nothing of how to go on: what a rehearsal saved goes with its folder."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt from None


def _loop(ranks: int, threads: int, device: str, on_part: Callable[[str, float], None] | None) -> list[Row]:
    """What a step of `rigwise run` costs besides the model and the optimizer, by training next to nothing."""
    from rigwise.measure.rows import row
    from rigwise.measure.sums import loop_heap
    from rigwise.run.launch import Place
    from rigwise.run.start import run

    if on_part:
        on_part(f"{ranks} x {threads}: loop", 0.0)
    file = Path(__file__).parents[1] / "measure" / "loop.py"
    threaded = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with unsaid(), tempfile.TemporaryDirectory(prefix="rigwise-") as folder:
        done = run(
            f"{file}:task",
            f"dp={ranks}",
            steps=_LOOP_STEPS,
            device=device,
            output=folder,
            place=Place(threads=threads, environment=threaded),
        )
    found = [row("step", [done.parts["loader"] + done.parts["other"]])]
    if not done.on_gpu:
        found.append(loop_heap(done.peak_memory - done.base_memory))
    return found


def pace_now(ranks: int, threads: int) -> dict[str, float]:
    """Seconds of the machine's fixed pieces of work on so many ranks at once, by part; half a second."""
    from rigwise.measure.start import found
    from rigwise.measure.sums import PACE

    rows = found(("pace",), world=ranks, threads=threads, device="cpu").rows
    return {row.which: row.value for row in rows if row.kind == PACE}


def _of_setting(on_part: Callable[[str, float], None], says: str, part: str, share: float) -> None:
    on_part(f"{says}: {part}", share)


def _kept(one: Found, history: History | None, hosts: int = 1, seen: Sequence[str] = ()) -> Measured:
    """Write what was found to the history. hosts: that the ranks are on. seen: doubts of the machine's own telling."""
    from rigwise.calibration.here import link_fits
    from rigwise.measurements.history import Beside, Session
    from rigwise.measurements.record import Measurement

    spreads = sorted(row.spread for row in one.rows if row.spread is not None)
    spread = spreads[len(spreads) // 2] if spreads else 0.0
    doubts = (*doubts_of(max(spread, pace_spread(one.rows)), one.others), *seen)
    fits = list(link_fits(_timed(one.rows)).values())
    skipped = skipped_of(one.rows)
    session = Session(
        kind="measure",
        name=f"{one.world} x {one.threads}" + (f" on {hosts} hosts" if hosts > 1 else ""),
        machine=machine_facts(),
        settings={"ranks": one.world, "threads": one.threads, "precision": "float32", "hosts": hosts},
        findings={"spread": spread, "others": one.others, "doubts": doubts, "skipped": skipped},
    )
    measurements = [
        Beside(
            measured=Measurement(
                id=f"{row.kind}{' ' if row.which else ''}{row.which}",
                metric=row.metric,  # type: ignore[arg-type]
                value=row.value,
                settings={"kind": row.kind, "which": row.which, "sizes": dict(row.sizes), "spread": row.spread},
                part="communication" if "ranks" in row.sizes else "compute",
                trusted=row.spread is None or row.spread <= _SPREAD,
            )
        )
        for row in one.rows
    ]
    number = history.add(session, measurements) if history else None
    return Measured(
        session=number,
        ranks=one.world,
        threads=one.threads,
        rows=one.rows,
        spread=spread,
        others=one.others,
        doubts=(*doubts, history.aside) if history and history.kept else doubts,
        skipped=skipped,
        links=fits,
    )


_SPREAD = 0.3  # of the middle 80 % of a thing's times, above which the machine's speed moved


def doubts_of(spread: float, others: float) -> tuple[str, ...]:
    """Why timings may be off, in words."""
    from rigwise.hardware.busy import SOME

    said = []
    if others > SOME:
        said.append(f"other programs kept {others:.1f} cores busy meanwhile: measure again on a quiet machine")
    if spread > _SPREAD:
        said.append(f"the times of one and the same thing spread by {spread:.0%}: clocks moved, or others were at work")
    return tuple(said)


def skipped_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """What the first setting of a measurement holds elsewhere and not here, with the reason."""
    kinds = {row.kind for row in rows}
    if "product of a type" not in kinds:  # not the first setting
        return ()
    said = ["host to device, and a launch: no GPU was measured"] if "to device" not in kinds else []
    return (*said, *(["disk: the system cannot be asked to forget a file"] if "disk" not in kinds else []))


def _timed(rows: Sequence[Row]) -> list[Any]:
    from rigwise.calibration.curves import Timed

    return [
        Timed(kind=row.kind, which=row.which, sizes=row.sizes, seconds=row.value, spread=row.spread or 0.0)
        for row in rows
        if row.metric == "kernel_s"
    ]


def machine_name() -> str:
    """What tells this machine's measurements from another's: processor, cores, and torch's version."""
    from rigwise.hardware.detect import facts

    known = facts()
    gpus = ", ".join(sorted({gpu["name"] for gpu in known["gpus"]}))
    where = gpus or f"{known['cpu']['name'] or 'a CPU'}, {known['cpu']['usable_cores']} cores"
    return f"{where}, torch {known['packages']['torch'] or 'none'}"


def machine_facts() -> dict[str, Any]:
    """What a measurement depends on, as plain values."""
    from rigwise.hardware.detect import facts

    known = facts()
    return {
        "name": machine_name(),
        "cpu": known["cpu"],
        "gpus": known["gpus"],
        "driver": known["driver"],
        "cuda": known["cuda"],
        "system": known["system"],
        "packages": known["packages"],
        "python": known["python"],
    }


def rate_of(row: Row) -> float | None:
    """FLOP/s at which an operation ran; None for one that multiplies nothing."""
    from rigwise.calibration.curves import Timed
    from rigwise.calibration.here import flop

    work = flop(Timed(kind=row.kind, which=row.which, sizes=row.sizes, seconds=row.value))
    return work / row.value if work else None


def passes_of(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The pass of each small network that was measured, beside what the rest of the measurement says of it, seconds.

    what: the operations that multiply. The prediction is of laws that were fitted without the network.
    """
    from rigwise.calibration.here import flop, passes

    def says(parts: Sequence[Any]) -> str:
        often: dict[str, int] = {}
        for one in parts:
            if flop(one):
                often[one.kind] = often.get(one.kind, 0) + int(one.sizes["often"])
        return ", ".join(f"{count} x {kind}" for kind, count in often.items())

    return [
        {"what": says(one.parts), "measured": one.measured, "predicted": one.predicted} for one in passes(_timed(rows))
    ]

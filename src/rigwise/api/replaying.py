"""The verb replay: a few steps of a task rehearsed, its operations timed, as its prediction."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigwise.api.measuring import SCHEMA_VERSION, doubts_of, machine_facts, unsaid
from rigwise.errors import UsageError

if TYPE_CHECKING:
    from rigwise.layouts.layout import Layout
    from rigwise.measure.start import Found
    from rigwise.measurements.history import History
    from rigwise.run.job import StepRecord
    from rigwise.run.result import RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A task replayed. step_s: seconds of a step, the median of a rehearsal of `steps`. operations: different
    ones; operations_s: their sum, each as often as a step has it; 0 where they were not asked for. session: in the
    history, None where none is kept. layout: as it was run. doubts: why the figures may be off,
    and where a history was put that could not be read.
    """

    task: str
    ranks: int
    threads: int
    step_s: float
    parts: dict[str, float]
    steps: int
    operations: int
    operations_s: float
    others: float
    session: int | None
    layout: Layout
    doubts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "task": self.task,
            "ranks": self.ranks,
            "threads": self.threads,
            "layout": self.layout.to_dict(),
            "step_s": self.step_s,
            "time_s": self.parts,
            "steps": self.steps,
            "operations": self.operations,
            "operations_s": self.operations_s,
            "others": self.others,
            "session": self.session,
            "doubts": list(self.doubts),
        }


def replay(
    task: str,
    layout: str = "",
    *,
    ranks: int = 1,
    threads: int | None = None,
    batch: int | None = None,
    seconds: float = 3.0,
    operations: bool = True,
    history: str | Path | None = None,
    on_part: Callable[[str, float], None] | None = None,
) -> Replayed:
    """Rehearse a task for a few steps, then time each of its operations where it happens in a step.

    ranks: that train it together, each on its share of the batch (layout dp=ranks); layout: "dp=2" or "tp=2" instead;
    batch: of one data-parallel rank in place of its share. operations: False rehearses only. Raises as `run` does.
    """
    from rigwise.errors import check_whole
    from rigwise.hardware.detect import cores
    from rigwise.measure.start import found
    from rigwise.measure.sums import operations_s
    from rigwise.measurements.history import kept_in
    from rigwise.run.task import locate

    locate(task)
    check_whole(ranks=ranks, threads=threads, batch=batch)
    layout = layout or f"dp={ranks}"
    said = _replayable(layout)
    kept = kept_in(history)  # a place that cannot be written is told before, not after
    ranks, of = said.ranks, threads or max(1, cores() // said.ranks)
    rehearsed = _rehearsed(task, layout, of, batch and batch * said.dp, seconds, on_part)
    one = found(
        ("replay",) if operations else (),
        world=ranks,
        threads=of,
        seconds=seconds / 2,
        device="cpu",
        task=task,
        layout=layout,
        batch=batch,
        on_part=on_part,
    )
    parts, others = dict(rehearsed.parts), max(one.others, rehearsed.evidence.get("others", 0.0))
    doubts = doubts_of(0.0, others)
    return Replayed(
        task=task,
        ranks=ranks,
        threads=of,
        step_s=rehearsed.step_s,
        parts=parts,
        steps=len(rehearsed.losses),
        operations=sum("often" in row.sizes for row in one.rows),
        operations_s=operations_s(one.rows),
        others=others,
        session=_keep_replay(task, one, parts, batch, others, kept) if kept else None,
        layout=rehearsed.layout,
        doubts=(*doubts, kept.aside) if kept and kept.kept else doubts,
    )


_FEW, _MANY = 8, 2000  # steps of a rehearsal, of which half come before memory is all there, and do not count
_AGAIN = 12  # at least, where more rehearsals are worth their time: the first steps are slow between ranks
_TIMES = 3  # rehearsals, each in processes of its own, which differ by 5 to 10 % by where their memory lies


def _rehearsed(
    task: str,
    layout: str,
    threads: int,
    batch: int | None,
    seconds: float,
    on_part: Callable[[str, float], None] | None,
) -> RunResult:
    """The first steps of a task in the training loop: a few, and where they are short the middle one of several
    rehearsals that together take `seconds`.
    """
    from rigwise.run.launch import Place
    from rigwise.run.start import run

    threaded = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    place = Place(threads=threads, environment=threaded)

    quickest = float("inf")

    def first(steps: int) -> RunResult:
        def on_step(record: StepRecord) -> None:
            nonlocal quickest
            quickest = min(quickest, record.step_s)
            if on_part:
                on_part("rehearsal", record.step / steps)

        with unsaid(), tempfile.TemporaryDirectory(prefix="rigwise-") as folder:
            return run(
                task, layout, steps=steps, batch=batch, device="cpu", output=folder, on_step=on_step, place=place
            )

    tried = first(_FEW)
    steps = int(seconds / quickest)
    if steps < _FEW:
        return tried
    each = min(_MANY, max(_AGAIN, steps // _TIMES))
    more = [first(each) for _ in range(_TIMES if steps >= _TIMES * _AGAIN else 1)]
    return sorted(more, key=lambda one: one.step_s)[len(more) // 2]


def _replayable(layout: str) -> Layout:
    """A layout that can be replayed."""
    from rigwise.layouts.layout import Layout

    said = Layout.parse(layout, precision="float32")
    if said.ranks not in (said.dp, said.tp) or said.precision != "float32":
        raise UsageError(f"replay of {layout}", rule="a replay takes dp or tp, in float32", nearest=f"dp={said.ranks}")
    return said


def _keep_replay(
    task: str, one: Found, parts: dict[str, float], batch: int | None, others: float, kept: History
) -> int:
    """Write a replay to the history; its number."""
    from rigwise.measurements.history import Beside, Session
    from rigwise.measurements.record import Measurement

    session = Session(
        kind="replay",
        name=task,
        machine=machine_facts(),
        settings={"ranks": one.world, "threads": one.threads, "batch": batch},
        findings={"others": others, "doubts": doubts_of(0.0, others)},
    )
    rows = [Measurement(id=f"{task} {part}", metric="step_s", value=value, part=part) for part, value in parts.items()]
    return kept.add(session, [Beside(measured=row) for row in rows])

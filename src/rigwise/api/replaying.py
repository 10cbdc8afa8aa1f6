"""The verb replay: a few steps of a task rehearsed, its operations timed, as its prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigwise.api.measuring import SCHEMA_VERSION, doubts_of, machine_facts, machine_name
from rigwise.errors import UsageError

if TYPE_CHECKING:
    from rigwise.measure.start import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A task replayed. step_s: seconds predicted of a step. operations: different ones; operations_s: their sum, each as
    often as a step has it. session: in the history.
    """

    task: str
    ranks: int
    threads: int
    step_s: float
    parts: dict[str, float]
    operations: int
    operations_s: float
    others: float
    session: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "task": self.task,
            "ranks": self.ranks,
            "threads": self.threads,
            "step_s": self.step_s,
            "time_s": self.parts,
            "operations": self.operations,
            "operations_s": self.operations_s,
            "others": self.others,
            "session": self.session,
        }


def replay(
    task: str,
    layout: str = "",
    *,
    ranks: int = 1,
    threads: int | None = None,
    batch: int | None = None,
    seconds: float = 5.0,
    history: str | Path | None = None,
    on_part: Callable[[str, float], None] | None = None,
) -> Replayed:
    """Rehearse a few steps of a task on its own tensors, and time each of its operations where it happens.

    ranks: that train it together, each on its share of the batch (layout dp=ranks); layout: "dp=2" or "tp=2" instead;
    batch: of one data-parallel rank in place of its share. Raises as `run` does.
    """
    from rigwise.calibration.store import matching
    from rigwise.errors import check_whole
    from rigwise.hardware.detect import cores
    from rigwise.measure.start import found
    from rigwise.measure.sums import PACE, operations_s, parts_of_step
    from rigwise.run.task import locate

    locate(task)
    check_whole(ranks=ranks, threads=threads, batch=batch)
    layout = layout or f"dp={ranks}"
    ranks = _replayable(layout)
    of = threads or max(1, cores() // ranks)
    one = found(
        ("replay",), world=ranks, threads=of, seconds=seconds, task=task, layout=layout, batch=batch, on_part=on_part
    )
    known = matching(machine_name(), ranks, of)
    if known:
        known = known.at(next(row.value for row in one.rows if row.kind == PACE))
    parts = parts_of_step(one.rows, known.rates.step_s if known else 0.0)
    return Replayed(
        task=task,
        ranks=ranks,
        threads=of,
        step_s=sum(parts.values()),
        parts=parts,
        operations=sum("often" in row.sizes for row in one.rows),
        operations_s=operations_s(one.rows),
        others=one.others,
        session=_keep_replay(task, one, parts, batch, history),
    )


def _replayable(layout: str) -> int:
    """Ranks of a layout that can be replayed."""
    from rigwise.layouts.layout import Layout

    said = Layout.parse(layout, precision="float32")
    if said.ranks not in (said.dp, said.tp) or said.precision != "float32":
        raise UsageError(f"replay of {layout}", rule="a replay takes dp or tp, in float32", nearest=f"dp={said.ranks}")
    return said.ranks


def _keep_replay(task: str, one: Found, parts: dict[str, float], batch: int | None, history: str | Path | None) -> int:
    """Write a replay to the history; its number."""
    from rigwise.measurements.history import Beside, History, Session
    from rigwise.measurements.record import Measurement

    session = Session(
        kind="replay",
        name=task,
        machine=machine_facts(),
        settings={"ranks": one.world, "threads": one.threads, "batch": batch},
        findings={"others": one.others, "doubts": doubts_of(0.0, one.others)},
    )
    rows = [Measurement(id=f"{task} {part}", metric="step_s", value=value, part=part) for part, value in parts.items()]
    return History(history).add(session, [Beside(measured=row) for row in rows])

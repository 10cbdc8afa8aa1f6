"""Every run goes into the history, beside what was predicted, with a diagnosis where it was slow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigwise.api.measuring import machine_facts, machine_name
from rigwise.errors import RigwiseError

if TYPE_CHECKING:
    from rigwise.calibration.diagnosis import Cause
    from rigwise.cost.record import Estimate
    from rigwise.measurements.history import History
    from rigwise.run.result import RunResult

_MINE = {
    "compute": ("compute", "recompute"),
    "communication": (
        "tensor_exchange",
        "context_exchange",
        "expert_exchange",
        "pipeline_exchange",
        "gradient_exchange",
        "bubble",  # a rank waits for another stage, whatever that one does
    ),
    "optimizer": ("optimizer",),
    "loader": ("loader",),
    "other": ("host", "offload", "allocator"),
}


def parts_of(predicted: Estimate) -> dict[str, float]:
    """Predicted seconds by the parts that a run's clock tells apart."""
    return {part: sum(predicted.time.get(name, 0.0) for name in names) for part, names in _MINE.items()}


def record(
    result: RunResult,
    predicted: Estimate | None,
    *,
    joules: float | None,
    history: str | Path | None = None,
    throttled: Sequence[str] = (),
) -> tuple[int | None, Sequence[Cause], str]:
    """Write a run to the history: its number, its diagnosis, and what is to be said of the history: why it could not be
    written, or that a file was kept aside. throttled: what slowed the machine meanwhile, in words.
    """
    from rigwise.measurements.history import kept_in

    causes = diagnosis(result, predicted, throttled) if predicted else []
    try:
        kept = kept_in(history)
        if kept is None:
            return None, causes, ""
        return _written(result, predicted, joules, causes, kept), causes, kept.aside
    except RigwiseError as refused:  # a run that is done is not lost for a history that cannot be kept
        return None, causes, str(refused)


def diagnosis(result: RunResult, predicted: Estimate, throttled: Sequence[str] = ()) -> list[Cause]:
    """Likely causes of a slow run. throttled: what slowed the machine meanwhile, in words."""
    from rigwise.calibration.diagnosis import Symptoms, diagnose
    from rigwise.calibration.store import matching
    from rigwise.hardware.detect import cores, peer_access

    threads = int(result.threads)
    known = matching(machine_name(), result.world, threads)
    return diagnose(
        Symptoms(
            step_s=result.step_s,
            low=predicted.interval[0],
            predicted=parts_of(predicted),
            measured=result.parts,
            ranks=result.world,
            threads=1 if result.on_gpu else threads,
            cores=cores(),
            others=0.0 if result.on_gpu else result.evidence.get("others", 0.0),
            faults=result.evidence.get("faults", 0.0),
            switches=result.evidence.get("switches", 0.0),
            gradient_bytes=predicted.memory.get("gradients", 0.0),
            link=known.wire.bandwidth if known and known.wire else None,
            throttled=tuple(throttled),
            peer=peer_access() if result.on_gpu else None,
        )
    )


def _written(
    result: RunResult,
    predicted: Estimate | None,
    joules: float | None,
    causes: Sequence[Cause],
    kept: History,
) -> int:
    from rigwise.measurements.history import Beside, Session
    from rigwise.measurements.record import Measurement

    told: dict[str, float] = parts_of(predicted) if predicted else {}
    settings: dict[str, Any] = {
        "layout": str(result.layout),
        "dp": result.layout.dp,
        "tp": result.layout.tp,
        "pp": result.layout.pp,
        "precision": result.layout.precision,
        "batch": result.batch,
        "micro": result.layout.micro,
        "ranks": result.world,
        "threads": result.threads,
        "device": result.device,
        "steps": result.steps,
    }

    def beside(part: str, metric: Any, value: float, foreseen: float | None) -> Beside:
        identity = f"{result.task} {part}"
        one = Measurement(id=identity, metric=metric, value=value, settings=settings, part=part)
        return Beside(measured=one, predicted=foreseen)

    rows = [beside("total", "step_s", result.step_s, predicted.step_s if predicted else None)]
    rows += [beside(part, "step_s", value, told.get(part)) for part, value in result.parts.items()]
    memory = predicted.memory_total if predicted else None
    rows.append(beside("memory", "peak_memory", float(result.peak_memory), memory))
    if joules is not None:
        rows.append(beside("energy", "joules", joules, predicted.energy_j if predicted else None))
    session = Session(
        kind="run",
        name=result.task,
        machine=machine_facts() | {"versions": dict(result.versions)},
        settings=settings,
        findings={
            "basis": predicted.basis if predicted else "",
            "interval": list(predicted.interval) if predicted else None,
            "evidence": dict(result.evidence),
            "diagnosis": [cause.to_dict() for cause in causes],
            "warnings": list(result.warnings),
        },
    )
    return kept.add(session, rows)

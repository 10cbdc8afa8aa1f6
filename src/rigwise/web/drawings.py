"""What only pictures need, as columns: a pipeline in time, memory by stage, a topology, points of a back-test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rigwise.units import GIBI

if TYPE_CHECKING:
    from rigwise.calibration.backtest import Report
    from rigwise.cost.estimate import Question
    from rigwise.layouts.layout import Layout
    from rigwise.rig.lanes import Seat
    from rigwise.rig.rig import Rig

_SHOWN = 64  # stages of a pipeline that are drawn: of a longer one these, evenly spread


def stages(question: Question, layout: Layout) -> dict[str, Any]:
    """A layout stage by stage: passes in time (seconds from the step's start) and memory by part (GiB).

    A stage's ranks all do the same: tp x cp x dp of them. after_s: what follows the pipeline on every rank.
    """
    from rigwise.cost.timeline import timeline

    found = timeline(question, layout)
    shown = np.unique(np.linspace(0, layout.pp - 1, min(layout.pp, _SHOWN)).round().astype(int))
    rows = []
    for stage in shown:
        actions = found.schedule[stage]
        rows.append(
            {
                "stage": int(stage),
                "kind": "".join(a.kind for a in actions),
                "micro": [a.micro for a in actions],
                "chunk": [a.chunk for a in actions],
                "start": [float(f"{t:.6g}") for t in found.walk.start[stage]],
                "end": [float(f"{t:.6g}") for t in found.walk.end[stage]],
            }
        )
    return {
        "layout": layout.to_dict(),
        "spelling": str(layout),
        "stages": rows,
        "ranks": {"pp": layout.pp, "dp": layout.dp, "cp": layout.cp, "tp": layout.tp},
        "micros": found.micros,
        "walked": found.walked,
        "makespan_s": found.walk.makespan,
        "pipeline_s": found.pipeline_s,
        "bubble_share": found.walk.bubble_share,
        "after_s": found.after_s,
        "walked_step_s": found.step_s,
        "memory_by_stage": _memory(question, layout),
        "memory_limit_gib": question.cluster.device.memory / GIBI,
    }


def _memory(question: Question, layout: Layout) -> list[dict[str, Any]]:
    """GiB by part on each different stage of the pipeline, in order."""
    from rigwise.cost.estimate import evaluate
    from rigwise.cost.memory import PARTS
    from rigwise.layouts.layout import LayoutTable

    table = LayoutTable.of([layout])
    law = evaluate(question, table).step.memory
    found: dict[int, dict[str, Any]] = {}
    for (position, _), parts in zip(law.plan.stages(), law.stages(), strict=True):
        stage = int(_one(position))
        found.setdefault(stage, {"stage": stage} | {part: float(_one(parts[part])) / GIBI for part in PARTS})
    return [found[stage] for stage in sorted(found)]


def _one(values: Any) -> Any:
    return np.asarray(values).ravel()[0]


def topology(found: Rig) -> dict[str, Any]:
    """What hangs on what: processors, cards with their slots and lanes, and what pairs of GPUs go through."""
    from rigwise.rig.lanes import seat
    from rigwise.rig.wiring import WAYS, ways

    build = found.build
    seated = seat(build)
    modules = bool(build.gpus) and build.gpus[0].cooling == "sxm"
    cpu, sockets = build.cpu, max(1, sum(i.count for i in build.items if i.part.kind == "cpu"))
    seats = list(seated.gpus) if seated and not modules else []
    nics = list(seated.nics) if seated else []
    says = f"{cpu.cores} cores" + (f", {cpu.lanes} lanes of PCIe {cpu.gen}" if cpu.lanes else "") if cpu else ""
    return {
        "machines": found.use.nodes,
        "sockets": [{"name": cpu.name if cpu else "processor unknown", "says": says}] * sockets,
        "ram_bytes": build.ram,
        "ram_bytes_per_s": found.wiring.ram_rate,
        "disk_bytes_per_s": found.wiring.disk,
        "modules": modules,
        "gpus": [{"name": card.device.full_name, **_seat(seats, i)} for i, card in enumerate(build.gpus)],
        "nics": [
            {"name": card.technology, "bits_per_s": card.rate, **_seat(nics, i)} for i, card in enumerate(build.nics)
        ],
        "ways": [
            {"way": WAYS[way], "pairs": count, "bytes_per_s": rate}
            for way, (count, rate) in ways(list(found.pairs)).items()
        ],
        "fabric": found.fabric.says() if found.fabric else [],
    }


def _seat(seats: list[Seat], i: int) -> dict[str, Any]:
    """Where a card sits, and what its lanes carry; nothing where no slot is known."""
    from rigwise.rig.wiring import direct_link

    if i >= len(seats):
        return {}
    here = seats[i]
    return {
        "slot": here.place.position,
        "lanes": here.lanes,
        "gen": here.gen,
        "bytes_per_s": direct_link(here.gen, here.lanes).bandwidth,
        "socket": here.place.socket,
        "switch": here.place.port if here.place.switched else "",
        "chipset": here.place.chipset,
    }


_COLUMNS = ("id", "metric", "family", "device", "source", "what", "measured", "predicted", "low", "high", "flag")


def points(report: Report) -> dict[str, list[Any]]:
    """Every row that was predicted, by column."""
    rows = [
        (
            o.row.id,
            o.row.metric,
            o.row.family,
            o.device,
            o.row.prefix,
            f"{o.row.model}, {o.row.n_devices} devices" if o.row.n_devices else str(o.row.model),
            *(float(f"{v:.5g}") if v is not None else None for v in (o.row.value, o.predicted, o.low, o.high)),
            o.flag,
        )
        for o in report.outcomes
        if o.predicted is not None and o.row.value
    ]
    return dict(zip(_COLUMNS, map(list, zip(*rows, strict=True)), strict=True)) if rows else {k: [] for k in _COLUMNS}

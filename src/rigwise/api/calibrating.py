"""The verb calibrate, from the history: this machine's profiles, and which of them speaks for a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigwise.api.measuring import machine_name

if TYPE_CHECKING:
    from rigwise.cost.profile import Profile
    from rigwise.hardware.cluster import Cluster
    from rigwise.measurements.record import Measurement

LOOP = "heap loop"


def calibrate_here(*, name: str = "this", history: str | Path | None = None) -> list[Profile]:
    """Fit this machine's profile to the last measurement of each number of ranks and threads, and keep it under a name.

    Raises NotFoundError where the history has no measurement of this machine.
    """
    from rigwise.calibration.here import heap_fit, profile, transferred
    from rigwise.calibration.store import save
    from rigwise.errors import NotFoundError
    from rigwise.measurements.history import History

    kept, machine = History(history), machine_name()
    latest: dict[tuple[int, int], Any] = {}
    for session in kept.sessions("measure"):
        if session.machine.get("name") == machine and session.settings.get("hosts", 1) == 1:
            latest.setdefault((int(session.settings["ranks"]), int(session.settings["threads"])), session)
    if not latest:
        new = f", which is new: {kept.aside}" if kept.kept else ""
        raise NotFoundError(f"no measurement of {machine} in {kept.path}{new}", nearest="rigwise measure")
    profiles, heaps = [], dict[tuple[int, int], tuple[float, float, float]]()
    usually: list[Any] = []
    loops = dict[tuple[int, int], float]()
    for (ranks, threads), session in sorted(latest.items()):
        rows = [one.measured for one in kept.measurements(session.id)]
        timed = [timed_of(one) for one in rows if one.metric == "kernel_s"]
        made = profile(
            transferred(timed, usually),
            name=name,
            machine=machine,
            ranks=ranks,
            threads=threads,
            date=session.date[:10],
        )
        usually = usually or timed
        if (held := heap_fit(_heaps(rows))) is not None:
            heaps[ranks, threads] = held
        loops[ranks, threads] = next((one.value for one in rows if one.id == LOOP), 0.0)
        profiles.append(made)
    usual = next(iter(heaps.items()), None)
    for number, made in enumerate(profiles):
        held = heaps.get(where := (made.ranks, made.threads))
        if held is None and usual:  # what the loop takes more there, as the exchange does
            more = max(0.0, loops[where] - loops[usual[0]]) if loops[where] and loops[usual[0]] else 0.0
            held = (usual[1][0] + more, *usual[1][1:])
        profiles[number] = replace(made, heap=held)
    save(profiles, name)
    return profiles


def timed_of(one: Measurement) -> Any:
    """A measurement of seconds as the laws take it."""
    from rigwise.calibration.curves import Timed

    told: Any = one.settings
    spread = told.get("spread") or 0.0
    return Timed(kind=told["kind"], which=told["which"], sizes=told["sizes"], seconds=one.value, spread=spread)


def _heaps(rows: Sequence[Measurement]) -> list[tuple[float, float, float]]:
    """Bytes that came and went, bytes of blocks, and bytes that the process took for them."""
    told: list[tuple[Any, float]] = [(one.settings, one.value) for one in rows if one.metric == "peak_memory"]
    sizes = [(settings["sizes"], value) for settings, value in told if "moving" in settings["sizes"]]
    return [(one["moving"], one.get("blocks", 0.0), value) for one, value in sizes]


def profile_here(cluster: Cluster, threads: int | None = None) -> Profile | None:
    """What was measured of this machine for a cluster that is this machine; None where nothing was."""
    from rigwise.api.names import HERE
    from rigwise.calibration.store import matching
    from rigwise.hardware.detect import cores

    if cluster.name != HERE or cluster.device.kind != "cpu":
        return None
    said = os.environ.get("OMP_NUM_THREADS", "")
    of = threads or (int(said) if said.isdigit() else max(1, cores() // cluster.devices))
    return matching(machine_name(), cluster.devices, of)

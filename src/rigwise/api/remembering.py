"""The history, asked: what was measured and run here, compared, drawn and exported. And the machine, examined."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rigwise.errors import UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.hardware.doctor import Patient, Symptom
    from rigwise.measurements.history import Beside, Session

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Sessions of a history, newest first, each with its measurements where they were asked for. kept: where a file
    that could not be read was put."""

    path: Path
    kept: Path | None
    sessions: Sequence[tuple[Session, Sequence[Beside]]]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "history": str(self.path),
            "kept_aside": str(self.kept) if self.kept else None,
            "sessions": [
                {
                    **session.to_dict(),
                    "measurements": [
                        {
                            "id": one.measured.id,
                            "metric": one.measured.metric,
                            "part": one.measured.part,
                            "value": one.measured.value,
                            "predicted": one.predicted,
                            "settings": dict(one.measured.settings),
                            "trusted": one.measured.trusted,
                        }
                        for one in rows
                    ],
                }
                for session, rows in self.sessions
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """This machine, and what looks wrong with it."""

    patient: Patient
    symptoms: Sequence[Symptom]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "machine": self.patient.to_dict(),
            "symptoms": [symptom.to_dict() for symptom in self.symptoms],
        }


def history(
    numbers: Sequence[int] = (), *, kind: str | None = None, last: int = 20, path: str | Path | None = None
) -> Listing:
    """Sessions of the history: those of the numbers, or the last of a kind (measure, replay, run), all with their rows.

    Raises NotFoundError for a number that is not there, UsageError for a kind that is none.
    """
    from rigwise.measurements.history import KINDS, History

    check_whole(last=last)
    if kind is not None and kind not in KINDS:
        raise UsageError(f"kind {kind!r}", rule=f"one of {', '.join(KINDS)}")
    kept = History(path)
    found = [kept.session(number) for number in numbers] or kept.sessions(kind, last=last)
    return Listing(
        path=kept.path, kept=kept.kept, sessions=[(session, kept.measurements(session.id)) for session in found]
    )


def history_csv(listing: Listing) -> str:
    """The runs of a listing as a table in the columns of the measured tables (measurements/tables.py)."""
    from rigwise.measurements.tables import COLUMNS

    columns = sorted(COLUMNS, key=lambda name: (name != "id", name))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for session, rows in listing.sessions:
        if session.kind == "run":
            writer.writerows(_cells(session, rows))
    return out.getvalue()


def _cells(session: Session, rows: Sequence[Beside]) -> list[dict[str, Any]]:
    from rigwise.api.like import LOCAL, SPELT
    from rigwise.units import GIBI

    said = session.settings
    torch = session.machine.get("versions", {}).get("torch", "unknown")
    shared = {
        "family": LOCAL,
        "model": session.name,
        "precision": said.get("precision", ""),
        "device": said.get("device", ""),
        "n_devices": said.get("ranks", 1),
        "devices_per_node": said.get("ranks", 1),
        **{axis: said.get(axis, 1) for axis in ("dp", "tp", "pp")},
        "micro_batch": said.get("micro", ""),
        "global_batch": said.get("batch", ""),
        "source": f"rigwise run, {session.date}",
        "verified": "yes",
        "notes": f"{SPELT}{said.get('layout', '')}; {said.get('threads', 1)} threads a rank; torch {torch}",
    }
    out = []
    for one in rows:
        if one.measured.part == "total":
            out.append({**shared, "id": f"local-{session.id}-step", "metric": "step_s", "value": one.measured.value})
        elif one.measured.part == "memory":
            gib = one.measured.value / GIBI
            out.append({**shared, "id": f"local-{session.id}-memory", "metric": "peak_mem_gib", "value": gib})
    return out


def examine() -> Examined:
    """Look at this machine: devices, links, limits, and what looks wrong by the rules of hardware/doctor.py. What was
    last measured between hosts is taken from the history, and set beside what the network card promises.
    """
    from dataclasses import replace

    from rigwise.hardware.doctor import examine as look
    from rigwise.hardware.doctor import symptoms

    patient = replace(look(), between_hosts=_between_hosts())
    return Examined(patient=patient, symptoms=symptoms(patient))


def _between_hosts() -> tuple[float, str] | None:
    """Bytes/s of the best exchange that was last measured between hosts, and the day; None where none was."""
    from rigwise.api.calibrating import timed_of
    from rigwise.calibration.here import link_fits
    from rigwise.errors import RigwiseError
    from rigwise.measurements.history import History, place

    if not place().is_file():
        return None
    try:
        kept = History()
        session = next((s for s in kept.sessions("measure") if s.settings.get("hosts", 1) > 1), None)
        rows = [one.measured for one in kept.measurements(session.id)] if session else []
    except RigwiseError:  # a machine can be examined whose history cannot be read
        return None
    fits = link_fits([timed_of(one) for one in rows if one.metric == "kernel_s"])
    reached = max((fit.bandwidth for fit in fits.values()), default=None)
    return (reached, session.date[:10]) if session and reached else None

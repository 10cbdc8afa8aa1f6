"""The local history: what was measured and what was run on this machine, one SQLite file in the user's data folder.

A session is one call of `measure` or one run; its measurements stand beside it, each with what was predicted where
something was. A file that this version cannot read (damaged, or of another version) is renamed, never written over,
and a new one is begun.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rigwise.errors import NotFoundError, UsageError
from rigwise.measurements.record import Measurement

VERSION = 1
FILE = "history.sqlite"
Kind = Literal["measure", "replay", "run"]
KINDS: tuple[Kind, ...] = ("measure", "replay", "run")
_APPLICATION = 0x72696777  # "rigw", so that another program's database is told from ours
OFF = "off"
VARIABLE = "RIGWISE_HISTORY"
"""Environment: a file in place of the user's own history, or `off`."""
_WAIT_S = 10.0  # for another process that writes
_TEXTS = {"sessions": ("machine", "settings", "findings"), "measurements": ("settings",)}  # hold JSON objects
_SCHEMA = """
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, date TEXT NOT NULL,
    machine TEXT NOT NULL, settings TEXT NOT NULL, findings TEXT NOT NULL
);
CREATE TABLE measurements (
    session INTEGER NOT NULL REFERENCES sessions(id), id TEXT NOT NULL, metric TEXT NOT NULL, part TEXT NOT NULL,
    value REAL NOT NULL, predicted REAL, settings TEXT NOT NULL, trusted INTEGER NOT NULL, notes TEXT NOT NULL
);
CREATE INDEX by_session ON measurements(session);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A measurement with what was predicted for it, None where nothing was."""

    measured: Measurement
    predicted: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One call of `measure`, or one run. name: the task, or what was measured. date: ISO 8601, UTC. machine: device,
    driver, versions, clocks, power limit. settings: layout, batch, ranks, threads and so on. findings: what was said of
    it (spread, warnings, a diagnosis). id: 0 before it is in a history.
    """

    kind: Kind
    name: str
    machine: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    findings: Mapping[str, Any] = field(default_factory=dict)
    date: str = ""
    id: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "date": self.date,
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "findings": dict(self.findings),
        }


class History:
    """One file. kept: where a file that could not be read was put, None where there was none.

    path: None takes what RIGWISE_HISTORY names, or the user's own. Raises UsageError for a place that cannot be
    written, here and whenever it is written or read.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = place(path)
        self.kept: Path | None = None
        with self._refused():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._open()

    @property
    def aside(self) -> str:
        """That a file which could not be read was kept, and where; "" where none was."""
        return f"a history that could not be read was kept: {self.kept}" if self.kept else ""

    def add(self, session: Session, found: Iterable[Beside]) -> int:
        """Write a session with its measurements; its number."""
        with self._refused(), self._connected() as db, db:
            row = db.execute(
                "INSERT INTO sessions (kind, name, date, machine, settings, findings) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    session.kind,
                    session.name,
                    session.date or now(),
                    json.dumps(session.machine),
                    json.dumps(session.settings),
                    json.dumps(session.findings),
                ),
            )
            number = int(row.lastrowid or 0)
            db.executemany(
                "INSERT INTO measurements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(number, *_cells(one)) for one in found],
            )
        return number

    def sessions(self, kind: Kind | None = None, *, last: int | None = None) -> list[Session]:
        """Newest first; kind: of one kind only."""
        where, limit = ("WHERE kind = ?", (kind,)) if kind else ("", ())
        order = f"ORDER BY id DESC {'LIMIT ?' if last is not None else ''}"
        rows = self._read(f"SELECT * FROM sessions {where} {order}", (*limit, *((last,) if last is not None else ())))
        return [_session(row) for row in rows]

    def session(self, number: int) -> Session:
        """One by its number. Raises NotFoundError."""
        rows = self._read("SELECT * FROM sessions WHERE id = ?", (number,))
        if not rows:
            numbers = [str(row[0]) for row in self._read("SELECT id FROM sessions ORDER BY id DESC LIMIT 5", ())]
            nearest = f"the last: {', '.join(numbers)}" if numbers else "`rigwise measure` or `rigwise run` begin it"
            new = f", which is new: {self.aside}" if self.kept else ""
            raise NotFoundError(f"no session {number} in {self.path}{new}", nearest=nearest)
        return _session(rows[0])

    def measurements(self, number: int) -> list[Beside]:
        """Those of a session, in the order in which they were written."""
        session = self.session(number)
        rows = self._read("SELECT * FROM measurements WHERE session = ? ORDER BY rowid", (number,))
        return [_beside(row, session) for row in rows]

    def _open(self) -> None:
        why = self._unreadable()
        if why:
            self.kept = _aside(self.path, why)
        if self.path.exists() and self.path.stat().st_size:
            return
        with self._connected() as db:  # whole or not at all: another process may begin it too
            db.execute("BEGIN IMMEDIATE")
            if not _readable(db):
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION}")
                db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("COMMIT")

    def _unreadable(self) -> str:
        """Why the file there is not ours to go on with; "" where it is, or where there is none."""
        if not self.path.exists() or not self.path.stat().st_size:
            return ""
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as db:
                if db.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                    return "damaged"
                if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
                    return "foreign"
                version = int(db.execute("PRAGMA user_version").fetchone()[0])
                if version != VERSION or not _readable(db):
                    return f"version-{version}"
                return "" if all(_sound(db, table) for table in _TEXTS) else "damaged"
        except sqlite3.OperationalError:
            raise  # locked, or not allowed: the file may be sound
        except (sqlite3.DatabaseError, ValueError):  # ValueError: a text that is none
            return "damaged"

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_WAIT_S)) as db:
            db.text_factory = lambda told: told.decode("utf-8", "replace")
            yield db

    @contextmanager
    def _refused(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as refused:
            says = f"cannot keep a history in {self.path}: {refused}"
            raise UsageError(says, rule="a file that can be written", nearest=f"{VARIABLE}=FILE, or {OFF}") from None

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._refused(), self._connected() as db:
            return db.execute(query, values).fetchall()


def place(path: str | Path | None = None) -> Path:
    """Where a history lies: at the path, where RIGWISE_HISTORY says, or in the user's own folder."""
    said = path if path is not None else os.environ.get(VARIABLE)
    return Path(said).expanduser() if said and said != OFF else default_path()


def kept_in(path: str | Path | None) -> History | None:
    """The history to write to; None where `off` is asked for, by the path or by RIGWISE_HISTORY."""
    said = path if path is not None else os.environ.get(VARIABLE)
    return None if said == OFF else History(path)


def default_path() -> Path:
    """The user's own history."""
    import platformdirs

    return Path(platformdirs.user_data_dir("rigwise")) / FILE


def now() -> str:
    """The time, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _readable(db: sqlite3.Connection) -> bool:
    names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return {"sessions", "measurements"} <= names


def _sound(db: sqlite3.Connection, table: str) -> bool:
    """Whether the columns that hold JSON objects still do: bytes can change where SQLite's own check sees nothing."""
    each = [f"CASE json_valid({name}) WHEN 1 THEN json_type({name}) = 'object' END" for name in _TEXTS[table]]
    found = db.execute(f"SELECT 1 FROM {table} WHERE ({' AND '.join(each)}) IS NOT 1 LIMIT 1")
    return found.fetchone() is None


def _aside(path: Path, why: str) -> Path:
    """Rename a file out of the way, never over another, with what SQLite keeps beside it."""
    number = 1
    while (place := path.with_name(f"{path.name}.{why}-{number}")).exists():
        number += 1
    path.rename(place)
    for ending in ("-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(place.with_name(place.name + ending))
    return place


def _cells(one: Beside) -> tuple[object, ...]:
    m = one.measured
    return m.id, m.metric, m.part, m.value, one.predicted, json.dumps(dict(m.settings)), int(m.trusted), m.notes


def _session(row: tuple[Any, ...]) -> Session:
    number, kind, name, date, machine, settings, findings = row
    return Session(
        id=number,
        kind=kind,
        name=name,
        date=date,
        machine=json.loads(machine),
        settings=json.loads(settings),
        findings=json.loads(findings),
    )


def _beside(row: tuple[Any, ...], session: Session) -> Beside:
    _, identity, metric, part, value, predicted, settings, trusted, notes = row
    measured = Measurement(
        id=identity,
        metric=metric,
        value=value,
        settings=json.loads(settings),
        part=part,
        source=f"session {session.id}",
        date=session.date,
        trusted=bool(trusted),
        notes=notes,
    )
    return Beside(measured=measured, predicted=predicted)

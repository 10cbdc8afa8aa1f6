"""The history keeps what it is given, and never writes over a file that it cannot read."""

from __future__ import annotations

import sqlite3
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rigwise.errors import NotFoundError, UsageError
from rigwise.measurements.history import VERSION, Beside, History, Session, kept_in, place
from rigwise.measurements.record import Measurement


def rows(*values: float) -> list[Beside]:
    found = [
        Measurement(id=f"m{i}", metric="step_s", value=value, settings={"dp": i}) for i, value in enumerate(values)
    ]
    return [Beside(measured=one, predicted=one.value / 2) for one in found]


def test_a_session_comes_back_as_it_was_written(tmp_path: Path) -> None:
    kept = History(tmp_path / "deep" / "history.sqlite")
    session = Session(kind="run", name="digits", machine={"name": "x"}, settings={"dp": 2}, findings={"doubts": ["a"]})
    number = kept.add(session, rows(1.0, 2.0))
    again = History(tmp_path / "deep" / "history.sqlite")
    assert again.session(number).machine == {"name": "x"}
    assert again.session(number).findings == {"doubts": ["a"]}
    assert [one.measured.value for one in again.measurements(number)] == [1.0, 2.0]
    assert [one.predicted for one in again.measurements(number)] == [0.5, 1.0]
    assert again.measurements(number)[1].measured.settings == {"dp": 1}


@settings(max_examples=10)  # each writes a file to the disk
@given(st.lists(st.floats(min_value=1e-9, max_value=1e9), max_size=5))
def test_any_values_come_back(values: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = History(Path(folder) / "h.sqlite")
        number = kept.add(Session(kind="measure", name="x"), rows(*values))
        assert [one.measured.value for one in kept.measurements(number)] == values


def test_sessions_come_newest_first_and_by_kind(tmp_path: Path) -> None:
    kept = History(tmp_path / "h.sqlite")
    for kind in ("run", "measure", "run"):
        kept.add(Session(kind=kind, name=kind), [])
    assert [session.id for session in kept.sessions()] == [3, 2, 1]
    assert [session.id for session in kept.sessions("run")] == [3, 1]
    assert [session.id for session in kept.sessions(last=1)] == [3]


def test_a_damaged_file_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    path.write_bytes(b"no database" * 100)
    kept = History(path)
    assert kept.kept is not None
    assert kept.kept.read_bytes() == b"no database" * 100
    assert kept.add(Session(kind="run", name="x"), rows(1.0)) == 1


def test_a_torn_file_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    History(path).add(Session(kind="run", name="x"), rows(*range(1, 400)))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 + 17])
    kept = History(path)
    assert kept.kept is not None
    assert len(kept.kept.read_bytes()) == len(whole) // 2 + 17
    assert kept.sessions() == []


def test_a_file_of_another_version_is_kept_aside_and_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    for _ in range(2):
        History(path).add(Session(kind="run", name="x"), [])
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version = {VERSION + 1}")
        db.close()
    names = [kept.name for kept in (History(path).kept,) if kept]
    assert names == [f"h.sqlite.version-{VERSION + 1}-2"]
    assert (tmp_path / f"h.sqlite.version-{VERSION + 1}-1").exists()


def test_another_program_s_database_is_kept_aside(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE mine (x)")
    db.close()
    kept = History(path)
    assert kept.kept is not None
    with sqlite3.connect(kept.kept) as db:
        assert db.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize("bytes_", [b"x", b"\xf8"])
def test_a_text_that_is_torn_where_the_database_is_sound_is_kept_aside(tmp_path: Path, bytes_: bytes) -> None:
    path = tmp_path / "h.sqlite"
    History(path).add(Session(kind="run", name="x", settings={"layout": "dp=2"}), rows(1.0))
    path.write_bytes(path.read_bytes().replace(b'{"layout"', b"{" + bytes_ + b'layout"'))
    kept = History(path)
    assert kept.kept is not None
    assert str(kept.kept) in kept.aside
    with pytest.raises(NotFoundError, match="which is new"):
        kept.session(1)


def test_many_begin_one_history_at_once(tmp_path: Path) -> None:
    begun = threading.Barrier(6)

    def begin(_: int) -> tuple[int, Path | None]:
        begun.wait()
        kept = History(tmp_path / "h.sqlite")
        return kept.add(Session(kind="run", name="x"), []), kept.kept

    with ThreadPoolExecutor(6) as pool:
        found = sorted(pool.map(begin, range(6)))
    assert found == [(number, None) for number in range(1, 7)]


def test_a_history_that_somebody_holds_is_told_in_words(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("rigwise.measurements.history._WAIT_S", 0.01)
    kept = History(tmp_path / "h.sqlite")
    with closing(sqlite3.connect(kept.path)) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match="locked"):
            kept.add(Session(kind="run", name="x"), [])
        with pytest.raises(UsageError, match="locked"):
            kept.sessions()


def test_the_environment_names_the_file_or_none(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("RIGWISE_HISTORY", str(tmp_path / "named.sqlite"))
    assert History().path == tmp_path / "named.sqlite"
    assert History(tmp_path / "said.sqlite").path == tmp_path / "said.sqlite"
    monkeypatch.setenv("RIGWISE_HISTORY", "off")
    assert kept_in(None) is None
    assert kept_in(tmp_path / "said.sqlite") is not None
    assert place().name == "history.sqlite"


def test_a_session_that_is_not_there_is_said_with_the_last(tmp_path: Path) -> None:
    kept = History(tmp_path / "h.sqlite")
    kept.add(Session(kind="run", name="x"), [])
    with pytest.raises(NotFoundError, match="the last: 1"):
        kept.session(7)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot keep a history"):
        History(tmp_path / "file" / "h.sqlite")

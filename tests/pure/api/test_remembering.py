"""What the history says to the doctor, and to whoever exports it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rigwise import api
from rigwise.measurements.history import Beside, History, Session
from rigwise.measurements.record import Measurement


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    monkeypatch.setenv("RIGWISE_HISTORY", str(tmp_path / "h.sqlite"))
    return History()


def exchange(bandwidth: float, trusted: bool = True) -> list[Beside]:
    """An all-reduce of two ranks over sizes."""
    return [
        Beside(
            measured=Measurement(
                id="all_reduce",
                metric="kernel_s",
                value=1e-4 + size / bandwidth,
                settings={"kind": "all_reduce", "which": "", "sizes": {"bytes": size, "ranks": 2.0}, "spread": 0.1},
                part="communication",
                trusted=trusted,
            )
        )
        for size in (2.0**10, 2.0**16, 2.0**20, 2.0**24)
    ]


def test_the_doctor_takes_what_was_last_measured_between_hosts(kept: History) -> None:
    assert api.examine().patient.between_hosts is None
    for hosts, bandwidth in ((2, 9e9), (2, 1.5e8), (1, 5e9)):
        settings = {"hosts": hosts, "ranks": 2, "threads": 1}
        kept.add(Session(kind="measure", name="2 x 1", settings=settings, date="2026-01-01"), exchange(bandwidth))
    reached = api.examine().patient.between_hosts
    assert reached is not None
    assert reached == (pytest.approx(1.5e8, rel=0.05), "2026-01-01")


def test_a_history_that_is_not_there_is_not_begun_by_the_doctor(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RIGWISE_HISTORY", str(tmp_path / "none.sqlite"))
    assert api.examine().patient.between_hosts is None
    assert not list(tmp_path.iterdir())


def test_an_export_holds_sizes_and_trust(kept: History) -> None:
    kept.add(Session(kind="measure", name="2 x 1"), exchange(1e9, trusted=False))
    row = api.history().to_dict()["sessions"][0]["measurements"][0]
    assert row["trusted"] is False
    assert row["settings"]["sizes"] == {"bytes": 2.0**10, "ranks": 2.0}

"""The tables that rigwise carries: all there, each row once, no name of a machine that nobody else has."""

from __future__ import annotations

import re

import pytest

from rigwise.measurements.published import peer_seconds, rows, tables
from rigwise.measurements.tables import read_table

README = (tables()[0].parent / "README.md").read_text(encoding="utf-8")
LARGEST = 1_000_000  # bytes of a file that still shows as a difference
TOLD = dict(re.findall(r"^\| (\S+\.csv) \| (\d+) \|", README, re.MULTILINE))


def test_the_readme_tells_of_every_table() -> None:
    assert [table.name for table in tables()] == sorted(TOLD)


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_a_table_reads_and_has_the_rows_that_the_readme_counts(table) -> None:
    read = read_table(table)
    assert len(read) == int(TOLD[table.name])
    assert not [row.id for row in read if row.problems]
    assert all(row.source and row.device for row in read if row.family != "run")
    assert table.stat().st_size < LARGEST


def test_no_id_stands_twice_and_what_is_derived_has_its_row() -> None:
    ids = [row.id for row in rows()]
    assert len(set(ids)) == len(ids) == 9094
    assert {row.derived_from for row in rows()} - {""} <= set(ids)


def test_one_source_has_one_licence_line() -> None:
    for word in ("Apache-2.0", "BSD-3-Clause", "MIT", "CC BY-SA 4.0"):
        assert word in README


def test_the_peer_predicts_rows_that_are_there_and_whole_steps() -> None:
    steps = {row.id: row for row in rows() if row.metric == "step_s"}
    assert len(peer_seconds()) == 765
    assert peer_seconds().keys() <= steps.keys()
    near = [0.1 < seconds / (steps[name].value or 0) < 10 for name, seconds in peer_seconds().items()]
    assert all(near), "seconds, not milliseconds"


def test_calculon_misses_table_5_as_was_published_of_it() -> None:
    steps = [row for row in rows() if "seqsel_tab5" in row.source and row.metric == "step_s"]
    errors = [abs(peer_seconds()[row.id] / (row.value or 0) - 1) for row in steps]
    assert len(errors) == 8
    assert sum(errors) / 8 == pytest.approx(0.0365, abs=1e-4)
    assert max(errors) == pytest.approx(0.0888, abs=1e-4)

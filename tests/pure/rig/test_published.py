"""Builds that people published, read as they wrote them: no false alarm, and where they deserve findings, those.

Half are machines for deep learning, half desktops with a GPU: people, shops and a magazine publish both as lists.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rigwise.rig.build import Build, Use
from rigwise.rig.catalogue import catalogue
from rigwise.rig.lists import read_text
from rigwise.rig.rules import findings

HERE = Path(__file__).parent


def rows(name: str) -> list[dict[str, str]]:
    with (HERE / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


SOURCES = {row["build"]: row for row in rows("published_sources")}
SOUND = [name for name, row in SOURCES.items() if not row["deserves"]]


def published(name: str) -> Build:
    """The list as a CSV that somebody pastes."""
    lines = ["kind,count,name"]
    for row in rows("published"):
        if row["build"] == name:
            quoted = row["name"].replace('"', '""')
            lines.append(f'{row["kind"]},{row["count"]},"{quoted}"')
    return read_text("\n".join(lines) + "\n", catalogue())


def alarms(build: Build) -> list[tuple[str, str]]:
    return [(f.rule, f.says) for f in findings(build, Use()) if f.severity in ("error", "warning")]


@pytest.mark.parametrize("name", SOUND)
def test_a_published_build_raises_no_alarm(name: str) -> None:
    assert alarms(published(name)) == []


@pytest.mark.parametrize("name", [name for name, row in SOURCES.items() if row["deserves"]])
def test_a_build_that_deserves_a_finding_gets_that_one_and_no_other(name: str) -> None:
    assert [rule for rule, _ in alarms(published(name))] == SOURCES[name]["deserves"].split()


def test_fifty_sound_builds_are_real_ones() -> None:
    assert len(SOUND) >= 50
    assert {row["purpose"] for row in SOURCES.values()} == {"deep learning", "desktop"}


def test_every_published_build_has_its_source_and_most_of_its_parts_are_known() -> None:
    assert {row["build"] for row in rows("published")} == set(SOURCES)
    assert all(row["title"] and row["author"] and row["date"] and row["address"] for row in SOURCES.values())
    parts = [item.part for name in SOURCES for item in published(name).items]
    assert sum(part.id in catalogue().by_id for part in parts) > 0.4 * len(parts)
    assert sum(part.source != "its name" for part in parts) > 0.6 * len(parts)  # kits and chips are read

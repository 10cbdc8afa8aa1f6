"""Rules of a machine: names, severities, reasons and sources from data/rules.toml, and what looks after each."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from rigwise.rig import feed, fit, heat, housing, joins
from rigwise.rig.build import Build, Use
from rigwise.rig.findings import LOOKS, SEVERITIES, Finding, Rule

_TIED = (feed, fit, heat, housing, joins)  # each ties its functions to their rows when it is imported


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order of the table."""
    table: Mapping[str, Mapping[str, Any]] = tomllib.loads(
        files("rigwise.rig").joinpath("data/rules.toml").read_text("utf-8")
    )
    return tuple(_rule(name, row) for name, row in table.items())


def _rule(name: str, row: Mapping[str, Any]) -> Rule:
    return Rule(
        name=name,
        title=row["title"],
        severity=row["severity"],
        reads=tuple(row["reads"]),
        also=tuple(row.get("also", ())),
        why=row["why"],
        source=row["source"],
        look=LOOKS[name],
        missing=row.get("missing", False),
        grows=row.get("grows", False),
        sees={kind: tuple(fields) for kind, fields in row.get("sees", {}).items()},
    )


def findings(build: Build, use: Use) -> list[Finding]:
    """Everything that the rules find, the gravest first: errors, warnings, waste, notes, each by money."""
    found = [finding for rule in rules() for finding in rule.findings(build, use)]
    return ranked(found)


def ranked(found: Iterable[Finding]) -> list[Finding]:
    """Findings by severity, then by the money at stake."""
    return sorted(found, key=lambda f: (SEVERITIES.index(f.severity), f.unknown, -(f.money or 0.0)))

"""What a rule is and what it finds; functions tie themselves to their rows of data/rules.toml by name.

A rule reads some kinds of parts and yields what it finds. The check asks them all; the search asks each as soon as the
kinds that it reads are chosen, so that both can never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rigwise.rig.build import Build, Use

SEVERITIES = ("error", "warning", "waste", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong, or worth knowing. severity: error (does not work), warning (works badly), waste (money that buys
    nothing), note. rule: a name of data/rules.toml. says: with the number. fix: what to do. money: dollars at stake,
    None where they cannot be told. unknown: a fact that nobody told, to be looked up by hand.
    """

    severity: str
    rule: str
    says: str
    fix: str = ""
    money: float | None = None
    unknown: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The finding for JSON."""
        return {
            "severity": self.severity,
            "rule": self.rule,
            "says": self.says,
            "fix": self.fix,
            "money_usd": self.money,
            "by_hand": self.unknown,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a rule yields; the rule adds its name and its usual severity. loss: share by which the step is longer."""

    says: str
    fix: str = ""
    severity: str = ""
    loss: float | None = None
    money: float | None = None
    unknown: bool = False


Look = Callable[[Build, Use], Iterable[Found]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A row of the table. reads: kinds of parts that it needs; also: kinds that it reads where they are there. missing:
    whether it is asked where a kind that it needs is not there. grows: what it finds with some parts it finds with
    more. sees: of a kind, the only fields on which how grave it is depends; every field where it says nothing.
    """

    name: str
    title: str
    severity: str
    reads: tuple[str, ...]
    also: tuple[str, ...]
    why: str
    source: str
    look: Look
    missing: bool = False
    grows: bool = False
    sees: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def findings(self, build: Build, use: Use) -> list[Finding]:
        """What the rule finds; nothing where a kind that it reads is missing."""
        if not self.missing and not build.has(self.reads):
            return []
        whole = self.missing or not self.reads
        seen = build if whole else build.but(i for i in build.items if i.part.kind in (*self.reads, *self.also))
        return [self._finding(found, build) for found in self.look(seen, use)]

    def forbids(self, build: Build, use: Use, severities: Sequence[str]) -> bool:
        """Whether it finds something of these severities; a kind that it needs is there."""
        usual = self.severity
        return any((f.severity or ("note" if f.unknown else usual)) in severities for f in self.look(build, use))

    def _finding(self, found: Found, build: Build) -> Finding:
        money = found.money
        if money is None and found.loss and build.price is not None:
            money = found.loss * build.price  # a machine that is slower by a share is worth as much less
        return Finding(
            severity=found.severity or ("note" if found.unknown else self.severity),
            rule=self.name,
            says=found.says,
            fix=found.fix,
            money=money,
            unknown=found.unknown,
        )


LOOKS: dict[str, Look] = {}
"""What looks after each rule, by its name."""


def looks_after(name: str) -> Callable[[Look], Look]:
    """The decorator that ties a function to its row of the table."""

    def tie(look: Look) -> Look:
        LOOKS[name] = look
        return look

    return tie

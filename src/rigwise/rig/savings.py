"""What waste costs: the cheapest machine that does as well, with the wasteful parts chosen anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rigwise.rig.build import Build, Item, Use
from rigwise.rig.choose import FORBIDDING, ORDER, choose, cost
from rigwise.rig.findings import Finding
from rigwise.rig.parts import Memory
from rigwise.rig.reasons import names
from rigwise.rig.rules import findings
from rigwise.rig.wanted import Domain
from rigwise.units import show_usd

# Kinds that are chosen anew for each rule of waste.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "lanes-waste": ("motherboard", "cpu", "memory", "cooler"),
    "threads-waste": ("cpu", "cooler"),
    "ram-waste": ("memory",),
    "ram-clock": ("memory",),
    "supply-waste": ("psu",),
}
_LEAST = 0.02  # of the machine's price: less is not worth a word


def with_savings(found: Sequence[Finding], build: Build, use: Use, space: Mapping[str, Domain]) -> list[Finding]:
    """The findings, waste with its money; waste for which nothing cheaper does as well is left out."""
    out: list[Finding] = []
    for finding in found:
        kinds = _KINDS.get(finding.rule)
        if finding.severity != "waste" or kinds is None or build.price is None or not space:
            out.append(finding)
            continue
        saved = _saved(build, use, space, kinds, finding.rule)
        if saved is not None and saved[0] > _LEAST * build.price:
            out.append(replace(finding, money=saved[0], fix=f"{saved[1]} saves {show_usd(saved[0])}"))
    return out


def _saved(
    build: Build, use: Use, space: Mapping[str, Domain], kinds: Sequence[str], rule: str
) -> tuple[float, str] | None:
    """Dollars that other parts of some kinds save, and which; None where none are cheaper."""
    allowed: dict[str, Domain] = {}
    for kind in ORDER:
        mine = build.by_kind.get(kind, ())
        allowed[kind] = space.get(kind, (mine,)) if kind in kinds else (mine,)
    if "memory" in kinds:
        allowed["memory"] = tuple(entry for entry in allowed["memory"] if _bytes(entry) >= _enough(build, rule))
    found = choose(allowed, use, name="", base=build.but(()), budget=build.price, forbidding=_forbidden(build, use))
    if found.build is None or build.price is None or found.build.price is None:
        return None
    fresh = [i for kind in kinds for i in found.build.by_kind.get(kind, ()) if i not in build.by_kind.get(kind, ())]
    return build.price - found.build.price - _beside(build), names(fresh) if cost(fresh) else "leaving it out"


def _forbidden(build: Build, use: Use) -> Sequence[str]:
    """Severities that the new parts must not cause: those that the list is free of."""
    there = {finding.severity for finding in findings(build, use)}
    return [severity for severity in FORBIDDING if severity not in there] or ["error"]


def _beside(build: Build) -> float:
    """Dollars of kinds that the search does not decide (fans)."""
    return sum((i.part.price or 0.0) * i.count for i in build.items if i.part.kind not in ORDER)


def _bytes(entry: Sequence[Item]) -> float:
    return sum(i.part.size * i.count for i in entry if isinstance(i.part, Memory))


def _enough(build: Build, rule: str) -> float:
    """Bytes of RAM that a cheaper kit must have: as much as now, except where RAM itself is too much."""
    if rule != "ram-waste":
        return min(build.ram, 2.0**35)
    return max([card.device.memory for card in build.gpus] + [2.0**35])

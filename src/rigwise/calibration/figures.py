"""What is reached of each aim, and which group of rows an aim is missed for.

Where a figure misses its aim, the group is sought whose removal brings it nearest; what is known of the reason is a
hand-written line (data/reasons.toml).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rigwise.calibration.aims import Aim, Cause, Figure, Judged
from rigwise.calibration.composed import effective
from rigwise.calibration.groups import facts
from rigwise.calibration.outcomes import Outcome, summarise, sweeps
from rigwise.calibration.patterns import table
from rigwise.calibration.statistics import EXTREMES, SWEEPS, figure_of, judged_shares

SCHEMES: Mapping[str, str] = {
    "layout": "whole layouts left out",
    "device": "whole devices left out",
    "source": "whole sources left out",
    "shipped": "the constants as shipped",
}
CAUSES = ("source", "stack", "device", "model", "size", "regime", "metric", "precision", "tensor degree")
SWEPT = ("source", "stack", "device", "model", "size", "precision")  # what all layouts of a sweep share
_MOST = 0.5  # a group of more than half of the rows is the rule, not the exception

Outcomes = Mapping[str, Sequence[Outcome]]
Groups = Mapping[tuple[str, str], Sequence[int]]


def judge(aim: Aim, schemes: Outcomes, composed: frozenset[str] = frozenset()) -> Judged:
    """What is reached of an aim. schemes: outcomes by the way of leaving out; composed: ids of composed rows."""
    rows = [o for o in schemes[aim.scheme] if aim.takes(o)]
    if not aim.where:
        rows = effective(rows, composed)
    return Judged(
        aim=aim,
        rows=len(rows),
        predicted=sum(o.predicted is not None for o in rows),
        figures=tuple(_figure(aim, target, rows) for target in aim.figures),
    )


def _figure(aim: Aim, target: Mapping[str, Any], rows: Sequence[Outcome]) -> Figure:
    figure = Figure(value=figure_of(target["statistic"], rows), **target)
    if figure.met is not False:
        return figure
    return Figure(value=figure.value, cause=cause_of(aim, figure, rows), **target)


def cause_of(aim: Aim, figure: Figure, rows: Sequence[Outcome]) -> Cause | None:
    """The group whose removal brings a figure nearest to its aim, of at most half of the rows; None where none helps.

    A figure that is the extreme of some groups is missed for the one that it is the figure of.
    """
    if figure.statistic in EXTREMES:
        return _extreme(aim, figure, rows)
    swept = figure.statistic in SWEEPS
    groups = _groups(rows, SWEPT if swept else CAUSES)
    best, value = None, figure.value
    for name, without in (_without_sweeps if swept else _without_rows)(figure.statistic, rows, groups):
        small = len(groups[name]) <= _MOST * len(rows)
        if small and without is not None and value is not None and figure.better(without, value):
            best, value = name, without
    if best is None or value is None:
        return None
    return _cause(aim, *best, [rows[i] for i in groups[best]], value)


Without = Iterator[tuple[tuple[str, str], float | None]]


def _without_rows(statistic: str, rows: Sequence[Outcome], groups: Groups) -> Without:
    """Each group with the figure of the rows outside of it."""
    for name, members in groups.items():
        inside = set(members)
        yield name, figure_of(statistic, [o for i, o in enumerate(rows) if i not in inside])


def _without_sweeps(statistic: str, rows: Sequence[Outcome], groups: Groups) -> Without:
    """The same for figures of sweeps, none of which reaches over two groups of a kind: each sweep is made once."""
    found = {name: sweeps(rows[i] for i in members) for name, members in groups.items()}
    for name in groups:
        others = [s for other, some in found.items() if other[0] == name[0] and other != name for s in some]
        yield name, SWEEPS[statistic](others)


def _extreme(aim: Aim, figure: Figure, rows: Sequence[Outcome]) -> Cause | None:
    """The family and regime with the lowest or highest share inside; without: the next one's."""
    found = sorted(judged_shares(rows), key=lambda s: s.inside, reverse=figure.most is not None)
    if len(found) < 2:
        return None
    family, regime = found[0].group
    members = [o for o in rows if (facts(o)["family"], facts(o)["regime"]) == (family, regime)]
    return _cause(aim, "regime", f"{family}, {regime}", members, found[1].inside)


def _cause(aim: Aim, kind: str, group: str, members: Sequence[Outcome], without: float) -> Cause:
    own = summarise(members)
    return Cause(
        kind=kind,
        group=group,
        rows=own.rows,
        without=without,
        median=own.median,
        signed=own.signed,
        why=reason(aim.id, kind, group),
    )


def _groups(rows: Sequence[Outcome], kinds: Sequence[str]) -> Groups:
    """The places of the rows in each group of each kind, in the order of kinds and groups."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, outcome in enumerate(rows):
        told = facts(outcome)
        for kind in kinds:
            found[kind, told[kind]].append(place)
    return {name: found[name] for name in sorted(found, key=lambda name: (kinds.index(name[0]), name[1]))}


def reason(aim: str, kind: str, group: str) -> str:
    """What is known of why a group is missed, in words; "" where nothing is."""
    for entry in table("reasons")["reason"]:
        if entry["by"] == kind and group in entry["groups"] and aim in entry.get("aims", [aim]):
            return str(entry["why"])
    return ""

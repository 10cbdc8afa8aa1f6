"""Judging machines: for each device and number of devices the fastest layout that fits, from one table a fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rigwise.advise.fleet import Fleet, Floats, fleets
from rigwise.advise.needs import Need
from rigwise.advise.space import Coarse, allowed, coarse
from rigwise.cost.efficiencies import Efficiencies
from rigwise.cost.estimate import Answer, Question
from rigwise.cost.interval import interval
from rigwise.hardware.cluster import Cluster
from rigwise.hardware.device import Device
from rigwise.hardware.fabrics import default_node
from rigwise.layouts.layout import Layout
from rigwise.search.scale import part_of

Timed = Literal["none", "fitting", "all"]
_NODE = 8
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a machine makes of the need. memory: of the fastest layout that fits, else of the one that needs least.

    step_s: of that layout, None where it was not asked for, as of what does not fit. watts: drawn on average, all
    devices and their share of the host; None where nobody knows.
    """

    cluster: Cluster
    layout: Layout
    step_s: float | None
    batch: int
    memory: float
    fits: bool
    watts: float | None
    efficiencies: Efficiencies

    @property
    def samples_per_s(self) -> float:
        """Samples a second; none of a step that was not timed, as of what does not fit."""
        return self.batch / self.step_s if self.step_s else 0.0

    def spread(self, need: Need) -> tuple[float, float, str, tuple[str, ...]]:
        """Factors on the step within which 80 % lie, how they came about, and what to warn of."""
        around = interval(need.model, self.cluster, self.efficiencies)
        return around.low, around.high, around.basis, around.warnings


def sizes(most: int) -> tuple[int, ...]:
    """Numbers of devices that are looked at: powers of two.

    >>> sizes(12)
    (1, 2, 4, 8)
    """
    return tuple(n for n in _SIZES if n <= most)


def machine(device: Device, count: int) -> Cluster:
    """`count` of a device: one machine with up to eight, or several machines of eight."""
    inside = min(count, _most_inside(device))
    node, says = default_node(device, inside)
    if count <= inside:
        node = replace(node, nic=None, nics=0)
    return Cluster(name=f"{count}x{device.name}", node=node, nodes=-(-count // inside), resolved=says)


def _most_inside(device: Device) -> int:
    usual = default_node(device)[0].count
    return usual if usual in (1, 2, 4, 8, 16) and device.form != "pcie" else _NODE


def judge(need: Need, devices: Iterable[Device], timed: Timed = "fitting") -> dict[tuple[str, int], Verdict]:
    """A verdict for each device and each number of devices, by (name, count).

    Devices without a rate for the precision are left out. What fits nowhere is judged again with states in host memory.
    timed: of which machines the step is timed: none, those that hold the model, or all, as if they held it.
    """
    wanted, counts = list(devices), sizes(need.most)
    largest = {d.name: counts[-1] for d in wanted}
    beyond = [n for n in counts if n > _NODE]
    if beyond:  # machines are taken whole: of a device whose do not make up such a number one machine's worth is judged
        largest |= {d.name: _NODE for d in wanted if beyond[0] % _most_inside(d)}
    return _of(need, [machine(d, largest[d.name]) for d in wanted], counts, timed)


def _of(need: Need, clusters: Sequence[Cluster], counts: Sequence[int], timed: Timed) -> dict[tuple[str, int], Verdict]:
    """The verdicts of clusters, each with `counts` of its devices; one that has fewer answers for what it has."""
    found: dict[tuple[str, int], Verdict] = {}
    by_most: dict[int, list[Cluster]] = {}
    for cluster in clusters:
        by_most.setdefault(cluster.devices, []).append(cluster)
    for most, alike in by_most.items():
        here = [n for n in counts if n <= most]
        tables = [coarse(need.model, need.batch, here, spill=spill) for spill in (False, True)]
        for fleet in fleets(alike, need.stack, need.precision):
            first = _best(_judged(need, fleet, space, here, timed) for space in tables[0])
            rest = {key for key, verdict in first.items() if not verdict.fits}
            if rest:
                spilt = _members(fleet, {name for name, _ in rest})
                more = _best(_judged(need, spilt, space, here, timed) for space in tables[1])
                first |= {key: min(first[key], more[key], key=_order) for key in rest if key in more}
            found |= first
    return found


def _best(tables: Iterable[Mapping[tuple[str, int], Verdict]]) -> dict[tuple[str, int], Verdict]:
    """Of the verdicts of several tables the better one of each machine: what fits, the soonest; else the smallest."""
    best: dict[tuple[str, int], Verdict] = {}
    for table in tables:
        for key, verdict in table.items():
            if key not in best or _order(verdict) < _order(best[key]):
                best[key] = verdict
    return best


def _order(verdict: Verdict) -> tuple[bool, float]:
    return not verdict.fits, verdict.step_s if verdict.fits and verdict.step_s is not None else verdict.memory


def _members(fleet: Fleet, names: set[str]) -> Fleet:
    keep = [i for i, member in enumerate(fleet.members) if member.device.name in names]
    return replace(
        fleet, members=tuple(fleet.members[i] for i in keep), machines=tuple(fleet.machines[i] for i in keep)
    )


def _judged(
    need: Need, fleet: Fleet, space: Coarse, counts: Sequence[int], timed: Timed
) -> dict[tuple[str, int], Verdict]:
    first = fleet.members[0]
    question = Question(model=need.model, cluster=first, batch=need.batch, optimizer=need.optimizer, stack=need.stack)
    legal = allowed(space, need.model, first, need.batch, fleet.precision)
    answer = fleet.evaluate(question, space.table)
    shape = (len(fleet.members), *space.table.shape)
    memory = np.broadcast_to(answer.memory, shape)
    fits = np.broadcast_to(answer.fits, shape) & legal
    least = np.where(legal, memory, np.inf)
    asked = timed == "all" or (timed == "fitting" and bool(fits.any()))
    seconds, joules = _step(answer, shape) if asked else (memory, None)
    score = np.where(fits, seconds, np.inf)
    found: dict[tuple[str, int], Verdict] = {}
    known: dict[tuple[int, int], Layout] = {}
    for count in counts:
        columns = np.flatnonzero(space.ranks == count)
        if not legal[:, columns].any():
            continue
        for i, member in enumerate(fleet.members):
            some = bool(fits[i][:, columns].any())
            at = _least((score if some else least)[i][:, columns], columns)
            found[member.device.name, count] = Verdict(
                cluster=member if member.devices == count else part_of(member, count),
                layout=_layout(space, at, fleet.precision, known),
                step_s=float(seconds[(i, *at)]) if asked and (some or timed == "all") else None,
                batch=need.batch,
                memory=float(memory[(i, *at)]),
                fits=some,
                watts=_watts(joules[(i, *at)], seconds[(i, *at)], count, first.devices)
                if some and joules is not None
                else None,
                efficiencies=fleet.machines[i][0],
            )
    return found


def _step(answer: Answer, shape: tuple[int, ...]) -> tuple[Floats, Floats | None]:
    """Seconds of a step, and its joules where the power is known."""
    joules = answer.joules
    return np.broadcast_to(answer.seconds, shape), None if joules is None else np.broadcast_to(joules, shape)


def _layout(space: Coarse, at: tuple[int, int], precision: str, known: dict[tuple[int, int], Layout]) -> Layout:
    """A row of the table as a Layout; members of a fleet often share theirs."""
    if at not in known:
        known[at] = replace(space.table.layout(*at), precision=precision)
    return known[at]


def _watts(joules: float, seconds: float, count: int, devices: int) -> float:
    """Average watts: the energy law counts all devices of a cluster, of which the layout takes `count`."""
    return float(joules / seconds * count / devices)


def _least(values: Floats, columns: np.ndarray[tuple[int], np.dtype[np.intp]]) -> tuple[int, int]:
    row, column = np.unravel_index(int(np.argmin(values)), values.shape)
    return int(row), int(columns[column])

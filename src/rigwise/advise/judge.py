"""Judging machines: for each device and number of devices the fastest layout that fits, from one table a fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rigwise.advise.fleet import Fleet, Floats, fleets
from rigwise.advise.needs import Need
from rigwise.advise.space import Coarse, allowed, coarse
from rigwise.cost.efficiencies import Efficiencies
from rigwise.cost.estimate import Question
from rigwise.cost.interval import interval
from rigwise.hardware.cluster import Cluster
from rigwise.hardware.device import Device
from rigwise.hardware.fabrics import default_node
from rigwise.layouts.layout import Layout
from rigwise.search.scale import part_of

_NODE = 8
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a machine makes of the need. step_s, memory: of the fastest layout that fits, else of the one that needs
    least memory. watts: drawn on average, all devices and their share of the host; None where nobody knows.
    """

    cluster: Cluster
    layout: Layout
    step_s: float
    batch: int
    memory: float
    fits: bool
    watts: float | None
    efficiencies: Efficiencies

    @property
    def samples_per_s(self) -> float:
        """Samples a second."""
        return self.batch / self.step_s

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


def judge(need: Need, devices: Iterable[Device]) -> dict[tuple[str, int], Verdict]:
    """A verdict for each device and each number of devices, by (name, count).

    Devices without a rate for the precision are left out. What fits nowhere is judged again with states in host memory.
    """
    wanted = list(devices)
    small, large = ([n for n in sizes(need.most) if (n > _NODE) is several] for several in (False, True))
    found = _of(need, [machine(d, max(small)) for d in wanted], small)
    if large:
        whole = [d for d in wanted if large[0] % _most_inside(d) == 0]
        found |= _of(need, [machine(d, large[-1]) for d in whole], large)
    return found


def _of(need: Need, clusters: Sequence[Cluster], counts: Sequence[int]) -> dict[tuple[str, int], Verdict]:
    """The verdicts of clusters, each with `counts` of its devices; one that has fewer answers for what it has."""
    found: dict[tuple[str, int], Verdict] = {}
    by_most: dict[int, list[Cluster]] = {}
    for cluster in clusters:
        by_most.setdefault(cluster.devices, []).append(cluster)
    for most, alike in by_most.items():
        here = [n for n in counts if n <= most]
        tables = [coarse(need.model, need.batch, here, spill=spill) for spill in (False, True)]
        for fleet in fleets(alike, need.stack, need.precision):
            first = _best(_judged(need, fleet, space, here) for space in tables[0])
            rest = {key for key, verdict in first.items() if not verdict.fits}
            if rest:
                spilt = _members(fleet, {name for name, _ in rest})
                more = _best(_judged(need, spilt, space, here) for space in tables[1])
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
    return not verdict.fits, verdict.step_s if verdict.fits else verdict.memory


def _members(fleet: Fleet, names: set[str]) -> Fleet:
    keep = [i for i, member in enumerate(fleet.members) if member.device.name in names]
    return replace(
        fleet, members=tuple(fleet.members[i] for i in keep), machines=tuple(fleet.machines[i] for i in keep)
    )


def _judged(need: Need, fleet: Fleet, space: Coarse, counts: Sequence[int]) -> dict[tuple[str, int], Verdict]:
    first = fleet.members[0]
    question = Question(model=need.model, cluster=first, batch=need.batch, optimizer=need.optimizer, stack=need.stack)
    legal = allowed(space, need.model, first, need.batch, fleet.precision)
    answer = fleet.evaluate(question, space.table)
    shape = (len(fleet.members), *space.table.shape)
    seconds, memory = (np.broadcast_to(values, shape) for values in (answer.seconds, answer.memory))
    joules = None if answer.joules is None else np.broadcast_to(answer.joules, shape)
    fits = np.broadcast_to(answer.fits, shape) & legal
    score = np.where(fits, seconds, np.inf)
    least = np.where(legal, memory, np.inf)
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
                step_s=float(seconds[(i, *at)]),
                batch=need.batch,
                memory=float(memory[(i, *at)]),
                fits=some,
                watts=None if joules is None else _watts(joules[(i, *at)], seconds[(i, *at)], count, first.devices),
                efficiencies=fleet.machines[i][0],
            )
    return found


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

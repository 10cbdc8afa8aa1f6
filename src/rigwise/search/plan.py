"""plan: estimate over every legal layout, ranked, with the reasons."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rigwise.cost.estimate import Question, estimate, estimates
from rigwise.cost.record import Estimate
from rigwise.cost.timeline import Timeline, timeline
from rigwise.errors import InfeasibleError, UsageError
from rigwise.hardware.cluster import Cluster
from rigwise.layouts.layout import OFFLOAD, Layout
from rigwise.layouts.rules import RULES
from rigwise.layouts.runnable import OFFLOADED
from rigwise.search.exact import OBJECTIVES, Found, Row, anything_fits, search
from rigwise.search.mixed import choices, mixed_axes, with_choice
from rigwise.search.reasons import walk_says, why
from rigwise.search.space import Axes, axes, fixed, space
from rigwise.units import show_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The best layouts for a model on a cluster.

    layouts: best first. considered, legal, feasible: how many layouts were looked at, broke no rule, and fit in memory.
    seconds: how long the search took. pareto: layouts that none beats in both time and memory. plain: plain data
    parallel training, for comparison, None where the rules forbid it. timeline: the best layout walked event by event.
    why: the reasons, in words.
    """

    model: str
    cluster: str
    batch: int
    objective: str
    layouts: tuple[Estimate, ...]
    considered: int
    legal: int
    feasible: int
    seconds: float
    pareto: tuple[Estimate, ...]
    plain: Estimate | None
    timeline: Timeline
    why: tuple[str, ...]

    @property
    def best(self) -> Estimate:
        """The first layout."""
        return self.layouts[0]

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a plan."""
        return {
            "model": self.model,
            "cluster": self.cluster,
            "batch": self.batch,
            "objective": self.objective,
            "layouts": [e.to_dict() for e in self.layouts],
            "pareto": [e.to_dict() for e in self.pareto],
            "why": list(self.why),
            "walked_step_s": self.timeline.step_s,
            "search": {
                "considered": self.considered,
                "legal": self.legal,
                "feasible": self.feasible,
                "seconds": self.seconds,
            },
        }


def plan(
    question: Question,
    *,
    precision: str = "bfloat16",
    objective: str = "time",
    top: int = 10,
    fix: Mapping[str, object] | None = None,
    every: bool = False,
) -> Plan:
    """Rank every legal layout that fits.

    objective: time, cost, energy or memory. fix: axes held at one value. every: all options of every axis; otherwise
    offloading is looked at only where nothing fits without, and that of weights, which `run` does not do, only where
    that of all else is not enough. Raises InfeasibleError with the binding constraint and the smallest change that
    lifts it, UsageError for an unknown objective or axis.
    """
    _check(objective, top, question)
    started = time.perf_counter()
    found = _search(question, precision, objective, top, fix or {}, every)
    took = time.perf_counter() - started
    best, front = ([row.layout for row in some] for some in (found.best, _thinned(found.frontier)))
    usual = plain_data_parallel(question, precision)
    different = list(dict.fromkeys([*best, *front, *([usual] if usual else [])]))
    found_rows, answer = estimates(question, different)  # a few layouts take as long as one: all are asked for at once
    known = dict(zip(different, found_rows, strict=True))
    rows, plain = [known[layout] for layout in best], known[usual] if usual else None
    walked = timeline(question, best[0], answer)
    return Plan(
        model=question.model.name,
        cluster=question.cluster.name,
        batch=question.batch,
        objective=objective,
        layouts=tuple(rows),
        considered=found.considered,
        legal=found.legal,
        feasible=found.feasible,
        seconds=took,
        pareto=tuple(known[layout] for layout in front),
        plain=plain,
        timeline=walked,
        why=(*why(question, rows, plain), *walk_says(rows[0], walked)),
    )


def plain_data_parallel(question: Question, precision: str) -> Layout | None:
    """The layout that everybody starts with: a replica on every device. None where the batch does not divide."""
    devices = question.cluster.devices
    if question.batch % devices:
        return None
    here = question.batch // devices
    micro = max(m for m in range(1, min(here, 4096) + 1) if here % m == 0 and m <= _comfortable(question))
    return Layout(dp=devices, micro=micro, precision=precision, overlap="dp" if devices > 1 else "none")


def _comfortable(question: Question) -> int:
    """Samples at a time that a replica would take: one for long sequences, a full tile of rows for small ones."""
    return max(1, 4096 // question.model.tokens)


def _check(objective: str, top: int, question: Question) -> None:
    if objective not in OBJECTIVES:
        raise UsageError(f"objective {objective!r}", rule=f"an objective is one of {', '.join(OBJECTIVES)}")
    if top < 1:
        raise UsageError(f"top {top}", rule="at least one layout is shown")
    if objective == "energy" and question.cluster.device.tdp is None:
        raise UsageError(f"the power of {question.cluster.device.name} is not known", rule="energy needs watts")
    rates = question.rates
    if objective == "cost" and rates.hourly is None and rates.price is None:
        raise UsageError("no price is known for this device", rule="cost needs a price", nearest="give --usd-per-hour")


def _search(
    question: Question, precision: str, objective: str, top: int, fix: Mapping[str, object], every: bool
) -> Found:
    model, cluster, batch = question.model, question.cluster, question.batch
    on = fixed(axes(model, cluster, batch, every=every), fix)
    found = search(question, space(model, cluster, on, precision), objective=objective, top=top)
    spare = not every and "offload" not in fix and cluster.node.host_link is not None
    for offload in (OFFLOADED, OFFLOAD) if spare else ():  # first what run can do, then what other frameworks can
        if found.feasible:
            break
        on = fixed(axes(model, cluster, batch, offload=offload), fix)
        found = search(question, space(model, cluster, on, precision), objective=objective, top=top)
    found = _with_mixed(question, found, on, precision, objective, top)
    if not found.legal:
        raise _no_layout(question, on, precision, fix)
    if not found.feasible:
        raise _no_room(question, found, precision, fix)
    return found


def _with_mixed(question: Question, found: Found, on: Axes, precision: str, objective: str, top: int) -> Found:
    """The same search with each per-block choice, merged."""
    if 1 not in on.tp or 1 not in on.pp or 0 not in on.zero:
        return found
    for choice in choices(question.model):
        table = with_choice(space(question.model, question.cluster, mixed_axes(on), precision), choice)
        found = found.merged(search(question, table, objective=objective, top=top), top)
    return found


def _no_layout(question: Question, on: Axes, precision: str, fix: Mapping[str, object]) -> InfeasibleError:
    """No combination passes every rule: names the rule that leaves none, with what the others leave."""
    model, cluster, batch = question.model, question.cluster, question.batch
    held = ", ".join(f"{key}={value}" for key, value in fix.items())
    table = space(model, cluster, on, precision)
    left = np.ones(table.shape, dtype=bool)
    for rule in RULES:
        left &= np.broadcast_to(rule.holds(table, model, cluster, batch), table.shape)
        if not left.any():
            break
    return InfeasibleError(
        f"no legal layout of {model.name} in {precision}: {cluster.devices} devices, batch {batch}"
        + (f", with {held}" if held else ""),
        rule=f"{rule.name}: {rule.why}",
        nearest=f"a batch that is a multiple of {cluster.devices}" if rule.name in ("batch", "micro") else "",
    )


def _no_room(question: Question, found: Found, precision: str, fix: Mapping[str, object]) -> InfeasibleError:
    """Nothing fits: what needs least, by how much it is over, and the fewest nodes that would do."""
    assert found.least_memory is not None
    memory, layout = found.least_memory
    limit = question.cluster.device.memory
    parts = estimate(question, layout).memory
    biggest = max(parts, key=lambda key: parts[key])
    return InfeasibleError(
        f"{question.model.name} does not fit on {question.cluster.name}: the layout that needs least ({layout}) takes "
        f"{show_bytes(memory)} a device, {show_bytes(limit)} are there; most of it is {biggest}, "
        f"{show_bytes(parts[biggest])}",
        rule="the fullest device holds its part of the states and activations",
        nearest=_smallest_change(question, precision, fix),
    )


def _smallest_change(question: Question, precision: str, fix: Mapping[str, object]) -> str:
    cluster = question.cluster
    for times in (2, 4, 8, 16, 32, 64):
        larger = _grown(cluster, times)
        wider = replace(question, cluster=larger, batch=question.batch * times)
        on = fixed(axes(wider.model, larger, wider.batch), fix)
        if anything_fits(wider, space(wider.model, larger, on, precision)):
            return f"{larger.devices} devices of the kind, with batch {wider.batch}"
    return "a device with more memory, a smaller model, or fewer tokens a sample"


def _grown(cluster: Cluster, times: int) -> Cluster:
    if cluster.nodes == 1 and cluster.node.nic is None:
        node = replace(cluster.node, count=cluster.node.count * times)
        return replace(cluster, node=node, name=f"{node.count}x{node.device.name}")
    return replace(cluster, nodes=cluster.nodes * times)


def _thinned(frontier: list[Row], most: int = 24) -> list[Row]:
    """At most `most` points of the frontier, evenly spread, ends included."""
    if len(frontier) <= most:
        return frontier
    return [frontier[round(i * (len(frontier) - 1) / (most - 1))] for i in range(most)]

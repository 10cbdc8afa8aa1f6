"""estimate(model, layout, cluster): every law put together, for one layout or for a table of them.

A Question is what is asked about: model, cluster, batch, optimizer, stack, prices. `evaluate` answers it for a table,
as arrays; `estimate` answers it for one layout, as a record with every part named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rigwise.cost.arrays import total
from rigwise.cost.bound import least_seconds
from rigwise.cost.compute import Machine
from rigwise.cost.datakinds import Loading, Supply, supply
from rigwise.cost.efficiencies import Efficiencies, efficiencies
from rigwise.cost.energy import energy_joules
from rigwise.cost.gradients import summed_bytes
from rigwise.cost.interval import Interval, interval, memory_interval, widened
from rigwise.cost.likeness import Known
from rigwise.cost.loader import Feed, LoaderReport, feed, loader_report, with_loader
from rigwise.cost.matmul import engine
from rigwise.cost.memory import PARTS as MEMORY_PARTS
from rigwise.cost.memory import MemoryLaw, elements, kept
from rigwise.cost.money import Rates, cost_usd
from rigwise.cost.profile import Profile
from rigwise.cost.record import Estimate
from rigwise.cost.stageplan import StagePlan, stage_plan
from rigwise.cost.step import NEAR_FULL, PARTS, StepLaw
from rigwise.cost.walk import Walk, walk
from rigwise.errors import UsageError
from rigwise.hardware.cluster import Cluster
from rigwise.hardware.device import Device
from rigwise.layouts.choice import table_for
from rigwise.layouts.layout import PRECISIONS, Layout, LayoutTable
from rigwise.layouts.precision import Bytes, element_bytes, states
from rigwise.layouts.teaching import batch_warnings
from rigwise.models.model import Model
from rigwise.models.optimizers import optimizer as find_optimizer

Floats = NDArray[np.float64]
_HELD = 1.0 + 1e-9  # of the bound, to which a step is held


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: train `model` on `cluster` with `batch` samples a step.

    stack: the software stack, one of efficiencies.toml's. states: how weights, gradients and optimizer are held, one of
    layouts/states.toml's, None for the stack's usual way. stepping: False leaves the optimizer's step out. loading: how
    the samples come; None for samples that are on the devices already (synthetic data). known: what measured runs say
    of this one; its factor is on every second that is not the loader's. here: what was measured on the cluster's own
    machine, which goes before the laws and their efficiencies.
    """

    model: Model
    cluster: Cluster
    batch: int
    optimizer: str = "adamw"
    stack: str = "modern"
    states: str | None = None
    rates: Rates = field(default_factory=Rates)
    stepping: bool = True
    loading: Loading | None = None
    known: Known | None = None
    here: Profile | None = None

    @property
    def factor(self) -> float:
        """What measured runs multiply every second with; 1 where there are none."""
        return self.known.factor if self.known else 1.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The laws for a table of layouts; arrays are worked out when they are asked for and broadcast to the table."""

    question: Question
    table: LayoutTable
    step: StepLaw

    @cached_property
    def memory(self) -> Floats:
        """Bytes on the fullest rank."""
        return self.step.memory.whole

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """Whether the fullest rank holds its part."""
        return np.asarray(self.memory <= self.question.cluster.device.memory)

    @cached_property
    def _by_law(self) -> Mapping[str, Floats]:
        """Seconds by part as the laws have them, where memory has room and data is there."""
        parts = dict(self.step.parts())
        if not self.question.stepping:
            parts["optimizer"] = np.zeros(())
        return parts

    @cached_property
    def _roomy(self) -> Mapping[str, Floats]:
        """The same as measured runs correct them."""
        if self.question.factor == 1:
            return self._by_law
        return {key: seconds * self.factor for key, seconds in self._by_law.items()}

    @cached_property
    def least(self) -> float:
        """Seconds that no step goes below, 0 where that is not known."""
        q = self.question
        return least_seconds(q.model, q.cluster, q.batch, PRECISIONS[int(self.table.precision.flat[0])])

    @cached_property
    def factor(self) -> Floats:
        """What measured runs multiply each step with: never to less than its arithmetic takes."""
        asked = self.question.factor
        if asked >= 1:
            return np.asarray(asked)
        return np.asarray(np.maximum(asked, np.minimum(1.0, self.least / total(self._by_law.values()))))

    @cached_property
    def _working(self) -> Floats:
        """Seconds of a step that never waits for data."""
        return np.asarray(total(self._roomy.values()) * (1 + self.step.crowding()))

    @cached_property
    def _waits(self) -> Floats:
        """Seconds of a step that wait for data."""
        return np.zeros(()) if self.feed is None else self.feed.waits(self._working)

    @cached_property
    def parts(self) -> Mapping[str, Floats]:
        """Seconds of a step by part."""
        crowded = self.step.crowding()
        return {**self._roomy, "allocator": self._working * crowded / (1 + crowded), "loader": self._waits}

    @cached_property
    def supply(self) -> Supply | None:
        """What loads the samples; None for synthetic data."""
        q = self.question
        return None if q.loading is None else supply(q.loading, q.model, q.cluster)

    @cached_property
    def feed(self) -> Feed | None:
        """The loader's stages; None for synthetic data."""
        return None if self.supply is None else feed(self.supply, self.question.batch, self.table.dp)

    @cached_property
    def seconds(self) -> Floats:
        """Seconds of a step."""
        return np.asarray(self._working + self._waits)

    @cached_property
    def joules(self) -> Floats | None:
        """Joules of a step, all devices; None where the device's power is not known."""
        p = self.parts
        computing = p["compute"] + p["recompute"] + p["optimizer"]
        moved = sum((p[key] for key in PARTS if key.endswith("exchange")), start=np.zeros(()))
        return self.joules_of(self.seconds, computing, moved)

    def joules_of(
        self, seconds: Floats, computing: Floats | float = 0.0, exchanging: Floats | float = 0.0
    ) -> Floats | None:
        """Joules of a step of so many seconds, in which devices compute and exchange for so long."""
        cluster, shares = self.question.cluster, self.step.eff.power
        watts = cluster.device.tdp
        return None if watts is None else energy_joules(cluster.devices, watts, computing, exchanging, seconds, shares)

    @cached_property
    def usd(self) -> Floats | None:
        """US dollars of a step, where a price is known."""
        return self._usd(self.seconds, self.joules)

    def usd_of(self, seconds: Floats) -> Floats | None:
        """US dollars of a step of so many seconds in which nothing is done."""
        return self._usd(seconds, self.joules_of(seconds))

    def _usd(self, seconds: Floats, joules: Floats | None) -> Floats | None:
        joules = np.zeros(()) if joules is None and self.question.rates.hourly is not None else joules
        if joules is None:
            return None
        return cost_usd(self.question.cluster.devices, seconds, joules, self.question.rates)


def evaluate(question: Question, table: LayoutTable, on: tuple[Efficiencies, Machine] | None = None) -> Answer:
    """The laws of a question for a table of layouts of one precision.

    on: efficiencies and machine in place of those of the question's device; their figures may be arrays, one entry a
    device, whose trailing dims broadcast to the table.
    """
    codes = np.unique(table.precision)
    if len(codes) != 1:
        raise UsageError("a table mixes precisions", rule="one precision a table; ask once for each")
    eff, bare = on or machine_of(question.cluster.device, PRECISIONS[int(codes[0])], question.stack)
    here = question.here
    if here is not None and here.covers(PRECISIONS[int(codes[0])]):
        eff = here.applied(eff, question.cluster.node.link)
        bare = replace(bare, stack=eff.stack, rates=here.rates)
    held = states(question.states or eff.stack.states)
    sizes = element_bytes(table.precision, eff.stack.gradient_bytes or None, held)
    micros = np.maximum(question.batch / (table.dp * table.micro), 1.0)
    machine = replace(bare, summed=eff.stack.accumulate * summed_bytes(table, sizes, micros))
    plan = stage_plan(question.model, table)
    stepped = find_optimizer(question.optimizer)
    memory = MemoryLaw(
        table=table,
        plan=plan,
        sizes=sizes,
        stack=eff.stack,
        states=held,
        state_bytes=stepped.state_bytes * (1.0 if stepped.own_type else sizes.moments),
        side_bytes=stepped.side_bytes,
        micros=micros,
        on_gpu=question.cluster.device.kind != "cpu",
        context=eff.device.memory_context,
        weights=tuple(elements(kind, table_for(kind, table)) for kind in plan.kinds),
        acts=tuple(kept(kind, table_for(kind, table), sizes, eff.stack.memory_apart) for kind in plan.kinds),
        tied=question.model.tied / table.tp.astype(np.float64),
        tied_trained=question.model.tied_trained / table.tp.astype(np.float64),
        walks=_walks(question, table, plan, sizes),
        heap=here.heap if here is not None else None,
    )
    step = StepLaw(
        table=table,
        plan=plan,
        cluster=question.cluster,
        eff=eff,
        machine=machine,
        memory=memory,
        micros=micros,
        optimizer_bytes=stepped.traffic_bytes,
        matrix_flops=stepped.matrix_flops,
        input_bytes=question.model.input_bytes,
        optimizer=question.optimizer,
    )
    return Answer(question=question, table=table, step=step)


def _walks(question: Question, table: LayoutTable, plan: StagePlan, sizes: Bytes) -> tuple[Walk, ...]:
    """The backward pass walked, where nothing is recomputed or cut into stages and the allocator is a CPU's."""
    plain = question.cluster.device.kind == "cpu" and np.all(table.pp == 1) and np.all(table.recompute == 0)
    return tuple(walk(kind, table_for(kind, table), sizes) for kind in plan.kinds) if plain else ()


def machine_of(device: Device, precision: str, stack: str) -> tuple[Efficiencies, Machine]:
    """What the laws take of a device: its efficiencies, and its engines, with gradients added up for free."""
    eff = efficiencies(device, stack)
    narrow = precision in ("float8", "float4")
    return eff, Machine(
        product=engine(
            device,
            precision,
            eff.device,
            eff.stack.matmul,
            transposed=eff.stack.laid_out_anew(precision),
            unaligned=eff.stack.unaligned,
            winograd=eff.stack.winograd,
        ),
        other=engine(device, "bfloat16" if narrow else precision, eff.device, eff.stack.matmul),
        stack=eff.stack,
        summed=np.zeros(()),
    )


def estimate(question: Question, layout: Layout) -> Estimate:
    """One layout, every part named. The layout is taken as legal; layouts/rules.py says whether it is."""
    return records(evaluate(question, LayoutTable.of([layout])))[0]


def estimates(question: Question, layouts: Sequence[Layout]) -> tuple[list[Estimate], Answer | None]:
    """Many layouts, in their order; those of one precision and per-block choice are one table. And the answer whose
    first row is the first of them, None of no layout."""
    tables: dict[tuple[object, ...], list[int]] = {}
    for i, layout in enumerate(layouts):
        tables.setdefault((layout.precision, layout.blocks), []).append(i)
    rows: dict[int, Estimate] = {}
    answers = []
    for where in tables.values():
        answers.append(evaluate(question, LayoutTable.of([layouts[i] for i in where])))
        rows |= dict(zip(where, records(answers[-1]), strict=True))
    return [rows[i] for i in range(len(layouts))], answers[0] if answers else None


def records(answer: Answer) -> list[Estimate]:
    """The rows of a flat table as records."""
    if not answer.table.size:
        return []
    q = answer.question
    spread = interval(q.model, q.cluster, answer.step.eff, q.known)
    stages = list(answer.step.memory.stages())  # of all rows at once
    return [_record(answer, spread, stages, i) for i in range(answer.table.size)]


def _record(answer: Answer, spread: Interval, stages: Sequence[Mapping[str, Floats]], i: int) -> Estimate:
    q, layout = answer.question, answer.table.layout(i)
    seconds = _at(answer.seconds, i)
    memory = _fullest(stages, i)
    held, limit = sum(memory.values()), q.cluster.device.memory
    loader, around = _loader(answer, spread, i)
    useful = (q.model.flops + q.model.flops_backward) * q.batch
    peak = answer.question.cluster.device.peak.get(layout.precision)
    joules = None if answer.joules is None else _at(answer.joules, i)
    ends = widened((around[0] / seconds, around[1] / seconds), answer.step.eff.interval["power"])
    usd = answer.usd
    return Estimate(
        model=q.model.name,
        cluster=q.cluster.name,
        layout=layout,
        batch=q.batch,
        devices=q.cluster.devices,
        step_s=seconds,
        interval=around,
        samples_per_s=q.batch / seconds,
        tokens_per_s_per_device=q.batch * q.model.tokens / seconds / q.cluster.devices
        if q.model.unit == "token"
        else None,
        mfu=useful / (seconds * q.cluster.devices * peak) if peak else None,
        time={key: _at(value, i) for key, value in answer.parts.items()},
        memory=memory,
        memory_total=held,
        memory_interval=_scaled(held, memory_interval(q.cluster, answer.step.eff)),
        memory_limit=limit,
        fits=held <= limit,
        energy_j=joules,
        energy_interval=None if joules is None else _scaled(joules, ends),
        cost_usd=None if usd is None else _at(usd, i),
        cost_interval=None if usd is None else _cost_interval(q, around, joules, ends),
        basis=spread.basis if loader is None else "; ".join((spread.basis, *loader.taken)),
        warnings=(*_warnings(answer, spread, layout, held / limit, seconds), *(loader.helps if loader else ())),
        loader=loader,
    )


def _loader(answer: Answer, spread: Interval, i: int) -> tuple[LoaderReport | None, tuple[float, float]]:
    """The loader's report, and the interval of the step with it."""
    step = _at(answer.seconds, i) - _at(answer.parts["loader"], i)
    around = max(step * spread.low, min(step, answer.least)), step * spread.high
    if answer.supply is None:
        return None, around
    batch = answer.question.batch
    fed = feed(answer.supply, batch, answer.table.layout(i).dp)
    return loader_report(answer.supply, fed, batch, step), with_loader(*around, answer.supply, fed)


def _scaled(value: float, ends: tuple[float, float]) -> tuple[float, float]:
    return value * ends[0], value * ends[1]


def _cost_interval(
    q: Question, around: tuple[float, float], joules: float | None, ends: tuple[float, float]
) -> tuple[float, float]:
    """Dollars of the shortest and the longest step, with the least and the most energy."""
    energy = _scaled(joules or 0.0, ends)
    low, high = (cost_usd(q.cluster.devices, step, used, q.rates) for step, used in zip(around, energy, strict=True))
    assert low is not None  # its middle is known
    assert high is not None
    return float(low), float(high)


def _at(values: Floats, i: int) -> float:
    """A row's value; one value stands for all rows."""
    return float(values.item(i if values.size > 1 else 0))


def _fullest(stages: Sequence[Mapping[str, Floats]], i: int) -> dict[str, float]:
    """The parts of the stage that holds most."""
    here = [{key: _at(v, i) for key, v in stage.items()} for stage in stages]
    fullest = max(here, key=lambda parts: sum(parts.values()))
    return {key: fullest[key] for key in MEMORY_PARTS}


def _warnings(answer: Answer, spread: Interval, layout: Layout, full: float, seconds: float) -> tuple[str, ...]:
    """What a person should know before believing the number."""
    q = answer.question
    says = list(spread.warnings)
    if full > 1:
        says.append(f"needs {full:.0%} of the memory of a device: it does not fit, and its times assume more")
    elif full > NEAR_FULL:
        says.append(
            f"memory {full:.0%} full: the allocator retries near the limit, which is counted; leave it more room"
        )
    if q.model.unit != "token" and q.cluster.device.kind == "gpu":
        says += batch_warnings(layout.micro, 1)
    if q.factor < 1 and seconds <= answer.least * _HELD:
        says.append("measured runs make it less than its arithmetic takes at the devices' peak: it is held to that")
    if full <= 1 < full * memory_interval(q.cluster, answer.step.eff)[1]:
        says.append(f"memory is predicted {full:.0%} full, and the upper end of its interval does not fit")
    return tuple(says)

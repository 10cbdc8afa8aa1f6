"""explain(question, layout): the arithmetic of one estimate, term by term, as the laws themselves told it.

The laws are asked once while a ledger listens (cost/ledger.py); what they told becomes a tree of terms. A term is the
sum of its terms, or times x each; so that the leaves add up to the estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rigwise.cost.block import BLOCK_PARTS, tensor_exposed
from rigwise.cost.estimate import Answer, Question, evaluate, records
from rigwise.cost.interval import doubts
from rigwise.cost.ledger import Entry, Summand, listening
from rigwise.cost.likeness import RUN
from rigwise.cost.record import Estimate
from rigwise.cost.step import on_stage
from rigwise.cost.terms import Term, Value, about, leaf, number, scalar, sum_of, values_of
from rigwise.layouts.layout import Layout, LayoutTable

_EXCHANGES = {
    "tensor_exchange": ("meetings", "portions", "tensor exchange"),
    "context_exchange": ("ring",),
    "expert_exchange": ("expert exchange",),
}
_OWN = {
    "pipeline_exchange": "sends",
    "gradient_exchange": "gradients",
    "optimizer": "optimizer",
    "offload": "offload",
    "bubble": "step",
    "allocator": "allocator",
    "loader": "loader",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An estimate with its arithmetic. step: the tree of its seconds, memory: of the fullest rank's bytes, energy: of
    its joules, cost: of its US dollars, None where the estimate knows none. engines: how
    the device's rates came about. facts: what the formulas of a step take from the layout. doubts: standard deviations
    of the logarithm of a step, by thing, that make the interval. reads: every efficiency that was taken, by its path in
    cost/data/efficiencies.toml."""

    estimate: Estimate
    step: Term
    memory: Term
    energy: Term | None
    cost: Term | None
    engines: tuple[Term, ...]
    facts: tuple[Value, ...]
    doubts: tuple[Value, ...]
    reads: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The explanation for JSON."""
        return {
            "step": self.step.to_dict(),
            "memory": self.memory.to_dict(),
            "energy": self.energy and self.energy.to_dict(),
            "cost": self.cost and self.cost.to_dict(),
            "engines": [term.to_dict() for term in self.engines],
            "facts": [value.to_dict() for value in self.facts],
            "interval": [value.to_dict() for value in self.doubts],
        }


def explain(question: Question, layout: Layout) -> Explanation:
    """One layout's estimate with every term; the layout is taken as legal."""
    with listening() as ledger:
        answer = evaluate(question, LayoutTable.of([layout]))
        found = records(answer)[0]
    parts = _Parts(answer, ledger)
    reads = {path: value for entry in ledger.all() for path, value in entry.reads.items()}
    return Explanation(
        estimate=found,
        step=sum_of("step", [parts.part(key) for key in found.time], law="step"),
        memory=_memory(found, ledger),
        energy=_once(ledger, "energy"),
        cost=_once(ledger, "cost"),
        engines=tuple(_engines(ledger)),
        facts=parts.facts(),
        doubts=tuple(_doubts(answer)),
        reads={path: one for path, value in sorted(reads.items()) if (one := number(value)) is not None},
    )


class _Parts:
    """The parts of a step, from what the laws told."""

    def __init__(self, answer: Answer, ledger: Entry) -> None:
        self.answer, self.ledger, self.step = answer, ledger, answer.step
        self.factor = scalar(answer.factor)
        self.blocks = ledger.of("block")[: len(answer.step.plan.kinds)]
        self.micros = scalar(self.step.micros)
        self.counts = self._slowest()

    def _slowest(self) -> list[float]:
        """Repetitions of each kind of block on the stage that the law took as the slowest."""
        per_kind = [entry.result for entry in self.blocks]
        stages = [counts for _, counts in self.step.plan.stages()]
        seconds = [scalar(sum(on_stage(counts, per_kind).values(), np.zeros(()))) for counts in stages]
        chosen = stages[int(np.argmax(seconds))]
        return [scalar(chosen[..., j]) for j in range(len(per_kind))]

    def facts(self) -> tuple[Value, ...]:
        """m, p, v, t_max and the factor of measured runs."""
        table = self.answer.table
        once = [sum(scalar(entry.result[key]) for key in BLOCK_PARTS) for entry in self.blocks]
        slowest = sum(count * seconds for count, seconds in zip(self.counts, once, strict=True))
        held = ", ".join(
            f"{count:g} {kind.name}" for count, kind in zip(self.counts, self.step.plan.kinds, strict=True) if count
        )
        facts = [
            Value(symbol="m", value=self.micros, says="micro-batches of a step: batch / (dp micro)"),
            Value(symbol="p", value=scalar(table.pp), says="pipeline stages"),
            Value(symbol="v", value=scalar(self.step.plan.pieces), says="pieces a stage"),
            Value(symbol="t_max", value=slowest, unit="s", says=f"a micro-batch on the slowest stage: {held}"),
        ]
        known = self.answer.question.known
        return (*facts, Value(symbol="factor", value=self.factor, says=known.says)) if known else tuple(facts)

    def part(self, key: str) -> Term:
        """One part of the step."""
        amount = scalar(self.answer.parts[key])
        factor = self.factor if key != "loader" else 1.0
        if key == "compute":
            terms = [self._compute(j) for j in range(len(self.blocks))]
        elif key in BLOCK_PARTS:
            terms = [self._of_block(key, j) for j in range(len(self.blocks))]
            if key == "host":
                fixed = scalar(self.step.host_fixed())
                terms.append(leaf("fixed: a step, and each micro-batch", self.factor, fixed, law="host"))
        else:
            terms = []
        entry = next(iter(self.ledger.of(_OWN[key])), None) if key in _OWN else None
        if entry is not None and (summed := list(_summands(entry, self.factor))):
            terms = summed
        terms = [term for term in terms if term.amount]
        law = about(key)
        return Term(
            name=key.replace("_", " "),
            amount=amount,
            times=factor,
            each=amount / factor,
            law=key,
            formula=law.get("formula", ""),
            card=law.get("card", ""),
            values=values_of(key, entry),
            reads=tuple(entry.reads) if entry and key != "bubble" else (),
            terms=tuple(terms),
            made=tuple(_made(entry)) if entry and amount and not terms else (),
        )

    def _times(self, j: int) -> float:
        return self.factor * self.micros * self.counts[j]

    def _compute(self, j: int) -> Term:
        """A block's operations, pass by pass."""
        device = self.blocks[j].of("device")[0]
        operations = {id(entry.result): entry for entry in self.ledger.of("operation") if entry.inner}
        by_name = {
            operation.name: operations[id(entry.result)]
            for operation, entry in zip(self.step.plan.kinds[j].operations, device.inner, strict=True)
        }
        terms = [
            _pass(summand, by_name[summand.name.rpartition(", ")[0]], self._times(j)) for summand in device.summands
        ]
        return sum_of(self._name(j), [term for term in terms if term.amount], times=self._times(j))

    def _of_block(self, key: str, j: int) -> Term:
        """A block's share of a part: what it exchanges, or how much longer the host makes it."""
        entry = self.blocks[j]
        shown = scalar(tensor_exposed(self.answer.table, self.step.eff)) if key == "tensor_exchange" else 1.0
        each, times = scalar(entry.result[key]), self._times(j) * shown
        asked = [one for law in _EXCHANGES.get(key, ()) for one in entry.of(law)]
        exposed = scalar(entry.values["expert_exposed"]) if key == "expert_exchange" else 1.0
        terms = [t for t in _summands(asked[0], times * exposed) if t.amount] if asked else []
        values = values_of(key, *entry.of("launch")[:1], *entry.of("host")[:1]) if key == "host" else ()
        return Term(
            name=self._name(j),
            amount=times * each,
            times=times,
            each=each,
            law=key,
            values=values,
            terms=tuple(terms),
        )

    def _name(self, j: int) -> str:
        return self.step.plan.kinds[j].name


_PASSES = ("forward", "input", "weight")


def _pass(summand: Summand, entry: Entry, times: float) -> Term:
    """One pass of an operation. A law that is a sum tells its three passes one after the other; others tell all passes
    at once, or ask the law of a convolution once a pass."""
    place = _PASSES.index(summand.name.rpartition(", ")[2])
    law = entry.inner[0] if entry.inner else entry
    asked = [one for one in law.inner if one.law in ("product", "convolution")]
    shown = asked[place] if place < len(asked) else law
    each, often = scalar(summand.each), times * scalar(summand.times)
    part = len(law.summands) // len(_PASSES)
    told = [s for s in law.summands[place * part : (place + 1) * part] if scalar(s.times) * scalar(s.each)]
    scale = each / sum(scalar(s.times) * scalar(s.each) for s in told) if told else 1.0
    return Term(
        name=summand.name,
        amount=often * each,
        times=often,
        each=each,
        law=shown.law,
        formula=about(shown.law).get("formula", ""),
        card=about(shown.law).get("card", ""),
        values=values_of(shown.law, shown),
        reads=tuple({**entry.reads, **shown.reads}),
        terms=tuple(_summand(s, often * scale) for s in told),
    )


def _memory(found: Estimate, ledger: Entry) -> Term:
    """Bytes of the fullest stage by part."""
    stages = {id(entry): entry for entry in ledger.of("memory")}
    fullest = max(stages.values(), key=lambda entry: sum(scalar(value) for value in entry.result.values()))
    terms = []
    for key, amount in found.memory.items():
        law = about("optimizer_states" if key == "optimizer" else key)
        inner = [term for entry in fullest.of(key) for term in _summands(entry, 1.0) if term.amount]
        same = inner and np.isclose(sum(term.amount for term in inner), amount, rtol=1e-9)
        terms.append(
            Term(
                name=key,
                amount=amount,
                each=amount,
                law=key,
                formula=law.get("formula", ""),
                card=law.get("card", ""),
                values=values_of("optimizer_states" if key == "optimizer" else key, fullest),
                terms=tuple(inner) if same else (),
            )
        )
    return sum_of("memory", terms, law="memory")


def _once(ledger: Entry, law: str) -> Term | None:
    """A law that was asked once for the whole step; the other askings are for the ends of an interval."""
    entry = next((entry for entry in ledger.of(law) if entry.result is not None), None)
    if entry is None:
        return None
    told = sum_of(law, list(_summands(entry, 1.0)), law=law)
    return replace(told, values=values_of(law, entry), reads=tuple(entry.reads))


def _doubts(answer: Answer) -> Iterator[Value]:
    """What the interval is made of, and what measured runs left of it."""
    q, eff = answer.question, answer.step.eff
    for thing, deviation in doubts(q.model, q.cluster, eff, answer.table.layout(0).precision).items():
        if deviation:
            yield Value(symbol=thing, value=deviation, says="a run's own" if thing == RUN else "shared by all its runs")
    if q.known:
        yield Value(symbol="left", value=q.known.spread, says=f"in place of all above: {q.known.says}")
    yield Value(symbol="floor", value=eff.interval["floor"], says="no interval is narrower")


def _engines(ledger: Entry) -> Iterator[Term]:
    """How the device's rates for products came about, once a precision."""
    seen = set()
    for entry in ledger.of("engine"):
        if (kind := entry.values["precision"]) not in seen:
            seen.add(kind)
            rate = scalar(entry.result.rate)
            yield leaf(str(kind), 1.0, rate, law="engine", values=values_of("engine", entry), reads=tuple(entry.reads))


def _made(entry: Entry) -> Iterator[Term]:
    """The laws inside an entry that gave seconds, those of nothing left out."""
    for one in entry.inner:
        used = [s for s in one.summands if scalar(s.times) * scalar(s.each)]
        if one.summands:
            yield from (_summand(s, 1.0) for s in used)
        elif isinstance(one.result, np.ndarray) and scalar(one.result):
            yield leaf(one.law, 1.0, scalar(one.result), law=one.law, values=values_of(one.law, one))


def _summands(entry: Entry, times: float) -> Iterator[Term]:
    for summand in entry.summands:
        yield _summand(summand, times)


def _summand(summand: Summand, times: float) -> Term:
    """A term of a sum; where it is a law of its own, that law's values, or its only law's."""
    law = summand.entry
    while law is not None and not law.values and law.inner:
        wanted = [one for one in law.inner if isinstance(one.result, np.ndarray) and scalar(one.result)]
        law = wanted[0] if wanted else None
    often = times * scalar(summand.times)
    name = summand.name.replace("_", " ")
    if summand.entry is not None and summand.entry.summands:
        terms = tuple(term for term in _summands(summand.entry, often) if term.amount)
        return Term(name=name, amount=often * scalar(summand.each), times=often, each=scalar(summand.each), terms=terms)
    values = values_of(law.law, law) if law is not None else ()
    return leaf(name, often, scalar(summand.each), law=law.law if law else "", values=values)

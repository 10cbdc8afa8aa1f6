"""The choice: an exact search over every machine that the parts allow, which can say why each other one was left out.

Kinds of parts are decided one after the other, the cheapest first. A partial machine is left where a rule forbids what
is decided already, or where even the least that the open kinds can add is no better than the best machine so far. What
is left over at the end is proved: every machine was either looked at, or is no better than one that was, or breaks a
rule. Rules are those of the check (rules.py); errors and warnings forbid, waste and notes do not.

Entries of a kind are sorted by price. The least that an open kind can add is the price of its first entry that goes
with all that is chosen; as more is chosen that entry only moves on. Whether two entries go together is asked once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rigwise.rig.build import Build, Item, Use
from rigwise.rig.findings import Rule
from rigwise.rig.rules import rules
from rigwise.rig.wanted import Domain

Value = tuple[float, ...]

ORDER = ("gpu", "motherboard", "cpu", "nic", "case", "psu", "cooler", "memory", "storage")
FORBIDDING = ("error", "warning")


def cost(items: Iterable[Item]) -> float:
    """US dollars of items whose prices are known."""
    return sum((item.part.price or 0.0) * item.count for item in items)


def _drawn(items: Iterable[Item]) -> float:
    """Watts of items, GPUs apart, which a limit may hold."""
    return sum(item.part.watts * item.count for item in items if item.part.kind != "gpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What is to be small: `before` first, and among machines alike in it the `total`.

    before: of a partial machine, at most what it is of any that completes it. weight: what an entry adds to the total
    at least. total: of a whole machine and the sum of its weights, at least that sum.
    """

    before: Callable[[Build], Value] = lambda build: ()
    weight: Callable[[Iterable[Item]], float] = cost
    total: Callable[[Build, float], float] = lambda build, weights: weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How the search went. machines: all that the parts make; looked: partial machines looked at; dearer: left because
    they could not become better; broken: left because of a rule, by its name. stopped: whether the
    search was stopped before its end, which proves nothing.
    """

    parts: str
    machines: float
    looked: int
    dearer: int
    broken: Mapping[str, int]
    stopped: bool = False

    def says(self) -> str:
        """The proof in words."""
        cut = ", ".join(f"{name} {count:,}" for name, count in Counter(dict(self.broken)).most_common(4))
        if self.stopped:
            return (
                f"not proved: of the {self.machines:.2g} machines of {self.parts} the search looked at {self.looked:,} "
                f"partial ones, the cheapest first, and stopped"
            )
        return (
            f"best of {self.machines:.2g} machines of {self.parts}, proved: {self.looked:,} partial machines looked "
            f"at, "
            f"{self.dearer:,} could not become better, {sum(self.broken.values()):,} break a rule ({cut})"
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The best machine, None where there is none, with the proof."""

    build: Build | None
    value: Value
    proof: Proof


@dataclass(slots=True)
class _Search:
    use: Use
    domains: Mapping[str, Domain]
    judge: Judge
    base: Build
    rules: Sequence[Rule]
    forbidding: Sequence[str]
    budget: float
    costs: Mapping[str, Sequence[float]] = field(init=False)
    pairs: Mapping[tuple[str, str], Sequence[Rule]] = field(init=False)
    late: Mapping[str, Sequence[Rule]] = field(init=False)
    watts: Mapping[str, float] = field(init=False)
    most: float = float("inf")
    best: Build | None = None
    value: Value = (float("inf"),)
    looked: int = 0
    dearer: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    kinds: Mapping[str, frozenset[str]] = field(init=False)
    alike: Mapping[tuple[str, str], Sequence[int]] = field(init=False)
    known: dict[tuple[object, ...], bool] = field(default_factory=dict)
    goes: dict[tuple[str, int, str], list[bool | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        order = [kind for kind in ORDER if kind in self.domains]
        every = frozenset(order)
        self.kinds = {rule.name: every.intersection((*rule.reads, *rule.also)) for rule in self.rules}
        self.costs = {kind: [self.judge.weight(items) for items in domain] for kind, domain in self.domains.items()}
        self.watts = {kind: min(map(_drawn, domain), default=0.0) for kind, domain in self.domains.items()}
        self.pairs = {(a, b): self._pair_rules(a, b) for i, a in enumerate(order) for b in order[i + 1 :]}
        self.alike = {(r.name, k): _alike(self.domains[k], r.sees[k]) for r in self.rules for k in order if k in r.sees}
        self.late = {kind: [r for r in self.rules if kind in self._asked(r, order)] for kind in order}

    def _pair_rules(self, a: str, b: str) -> list[Rule]:
        """Rules that two kinds alone decide, and those that can only find more with more parts."""
        both = {a, b}
        exact = [rule for rule in self.rules if self.kinds[rule.name] == both]
        return exact + [rule for rule in self.rules if rule.grows and set(rule.reads) == both and rule not in exact]

    def _asked(self, rule: Rule, order: Sequence[str]) -> list[str]:
        """Kinds with which a rule of one kind, or of three and more, is asked: the last that it reads; where it can
        only find more with more parts, each one from the moment that those it needs are there."""
        kinds = sorted(self.kinds[rule.name], key=order.index)
        if len(kinds) == 2 or not kinds:
            return []
        if not rule.grows:
            return kinds[-1:]
        return [kind for kind in kinds if set(order[: order.index(kind) + 1]).issuperset(rule.reads)]

    def walk(
        self, order: Sequence[str], chosen: dict[str, int], first: Mapping[str, int], spent: float, before: Value
    ) -> None:
        """Decide the next kind in every way that can still be the best. first: of each open kind the first entry that
        may go with what is chosen. before: the judge's, of what is chosen."""
        if not order:
            self._take(self._build(chosen), spent)
            return
        kind, rest = order[0], order[1:]
        others = sum(self.costs[k][first[k]] for k in rest)
        for entry in range(first[kind], len(self.domains[kind])):
            now = spent + self.costs[kind][entry]
            if self.looked > self.most:
                return
            if (*before, now + others) >= self.value or now + others > self.budget:
                self.dearer += len(self.domains[kind]) - entry  # entries are sorted: the others weigh no less
                break
            if not self._goes(kind, entry, chosen):
                continue
            self.looked += 1
            chosen[kind] = entry
            if not self._breaks(self.late[kind], chosen):
                moved = self._moved(rest, chosen, first, now, before)
                if moved is not None:
                    self.walk(rest, chosen, moved[0], now, moved[1])
            del chosen[kind]

    def _take(self, build: Build, spent: float) -> None:
        value = (*self.judge.before(build), self.judge.total(build, spent))
        if value < self.value and (build.price or 0.0) <= self.budget:
            self.best, self.value = build, value

    def _moved(
        self, rest: Sequence[str], chosen: Mapping[str, int], first: Mapping[str, int], spent: float, before: Value
    ) -> tuple[dict[str, int], Value] | None:
        """The first entries beside what is chosen, and the judge's `before`; None where nothing can be better."""
        moved, least = dict(first), spent + sum(self.costs[k][first[k]] for k in rest)
        for kind in rest:
            entry = next((e for e in range(first[kind], len(self.domains[kind])) if self._goes(kind, e, chosen)), None)
            if entry is None:
                return None
            least += self.costs[kind][entry] - self.costs[kind][first[kind]]
            moved[kind] = entry
            if (*before, least) >= self.value or least > self.budget:
                self.dearer += 1
                return None
        sharper = self.judge.before(self._build(chosen))
        if (*sharper, least) >= self.value:
            self.dearer += 1
            return None
        return moved, sharper

    def _goes(self, kind: str, entry: int, chosen: Mapping[str, int]) -> bool:
        """Whether an entry goes with each part that is chosen."""
        for other, taken in chosen.items():
            asked = self.pairs[other, kind]
            if asked:
                row = self.goes.get((other, taken, kind))
                if row is None:
                    row = self.goes[other, taken, kind] = [None] * len(self.domains[kind])
                goes = row[entry]
                if goes is None:
                    goes = row[entry] = not self._breaks(asked, {other: taken, kind: entry}, remember=False)
                if not goes:
                    return False
        return True

    def _breaks(self, asked: Iterable[Rule], chosen: Mapping[str, int], *, remember: bool = True) -> bool:
        for rule in asked:
            read = {kind: chosen[kind] for kind in self.kinds[rule.name] if kind in chosen}
            keep = remember or bool(rule.sees)
            key = (rule.name, *((k, self._like(rule.name, k, e)) for k, e in read.items())) if keep else ()
            broken = self.known.get(key) if keep else None
            if broken is None:
                build = self._build(read)
                if rule.grows:
                    spare = sum(watts for kind, watts in self.watts.items() if kind not in read)
                    build = replace(build, spare=spare)
                broken = build.has(rule.reads) and rule.forbids(build, self.use, self.forbidding)
                if keep:
                    self.known[key] = broken
            if broken:
                self.broken[rule.name] += 1
                return True
        return False

    def _like(self, rule: str, kind: str, entry: int) -> int:
        """The first entry of a kind that a rule cannot tell from this one."""
        alike = self.alike.get((rule, kind))
        return entry if alike is None else alike[entry]

    def _build(self, chosen: Mapping[str, int]) -> Build:
        return self.base.but([item for kind, entry in chosen.items() for item in self.domains[kind][entry]])


def _alike(domain: Domain, fields: Sequence[str]) -> list[int]:
    """For each entry the first one that has the same fields, part by part, as often."""
    first: dict[object, int] = {}
    seen = [tuple((item.count, *(getattr(item.part, name) for name in fields)) for item in items) for items in domain]
    return [first.setdefault(what, entry) for entry, what in enumerate(seen)]


def choose(
    domains: Mapping[str, Domain],
    use: Use,
    *,
    name: str,
    judge: Judge | None = None,
    budget: float | None = None,
    base: Build | None = None,
    forbidding: Sequence[str] = FORBIDDING,
    without: Iterable[str] = (),
    most: float = float("inf"),
) -> Choice:
    """The best machine of the domains. judge: what is to be small, the price by default. budget: US
    dollars. without: rules not asked. most: partial machines to look at; a search that stops there has proved nothing.
    """
    dropped = set(without)
    judge = judge or Judge()
    search = _Search(
        use=replace(use, brief=True),
        domains={kind: tuple(sorted(domain, key=judge.weight)) for kind, domain in domains.items()},
        judge=judge,
        base=base or Build(items=()),
        rules=[r for r in rules() if r.name not in dropped and r.severity in FORBIDDING and not r.missing],
        forbidding=forbidding,
        budget=float("inf") if budget is None else budget,
        most=most,
    )
    machines = 1.0
    for domain in domains.values():
        machines *= len(domain)
    order = [kind for kind in ORDER if kind in domains]
    search.walk(order, {}, dict.fromkeys(order, 0), 0.0, ())
    proof = Proof(
        parts=name,
        machines=machines,
        looked=search.looked,
        dearer=search.dearer,
        broken=dict(search.broken),
        stopped=search.looked > most,
    )
    return Choice(build=search.best, value=search.value, proof=proof)

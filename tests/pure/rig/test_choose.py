"""The exact search against an independent solver (mixed integer programming) and against brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import rigwise
from rigwise.hardware import catalog
from rigwise.rig.build import Build, Item, Use
from rigwise.rig.catalogue import Catalogue, catalogue
from rigwise.rig.choose import FORBIDDING, ORDER, choose, cost
from rigwise.rig.objective import judge_of
from rigwise.rig.rules import findings, rules
from rigwise.rig.steps import BEST, Work
from rigwise.rig.wanted import Wanted, domains
from rigwise.rig.wiring import wiring_of

NOTHING = Use()
KINDS = ("gpu", "motherboard", "cpu", "case", "psu", "cooler", "memory", "storage")


def small(
    seed: int, each: int, device: str = "", gpus: int = 0, use: Use = NOTHING
) -> dict[str, tuple[tuple[Item, ...], ...]]:
    """A random part of the catalogue at random prices, `each` entries a kind, among them those of one sound machine."""
    rng = np.random.default_rng(seed)
    names = ("rtx-3060-12gb", "rtx-3090", "rtx-4090", "rtx-a5000", "rtx-2080-ti")
    drawn = (str(rng.choice(names)), int(rng.integers(1, 4)))
    wanted = Wanted(device=catalog.device(device or drawn[0]), gpus=gpus or drawn[1])
    space = domains(wanted, catalogue())
    some = {kind: tuple(rng.permutation(np.array([*space[kind], None], dtype=object)[:-1])[:30]) for kind in KINDS}
    sound = choose({kind: repriced(space[kind], rng) for kind in KINDS}, use, name="all", most=2000).build
    out = {}
    for kind in KINDS:
        mine = sound.by_kind.get(kind, ()) if sound else ()
        others = [e for e in some[kind] if not any(i.part.set for i in e) and key(e) != key(mine)]
        out[kind] = repriced(tuple([mine, *others][:each]), rng)
    return out


def key(entry) -> tuple[tuple[str, int], ...]:
    return tuple((i.part.id, i.count) for i in entry)


def repriced(domain, rng):
    """The same parts at other prices."""
    drawn = {i.part.id: float(rng.integers(20, 900)) for entry in domain for i in entry}
    return tuple(tuple(replace(i, part=replace(i.part, price=drawn[i.part.id])) for i in entry) for entry in domain)


def allowed(build: Build, use: Use = NOTHING) -> bool:
    found = findings(build, use)
    return not any(f.severity in FORBIDDING for f in found)


def brute(space) -> float:
    best = np.inf
    for entries in product(*(space[kind] for kind in KINDS)):
        price = sum(cost(entry) for entry in entries)
        if price < best and allowed(Build(items=tuple(i for entry in entries for i in entry))):
            best = price
    return best


@pytest.mark.parametrize("seed", range(16))
def test_it_finds_what_brute_force_finds(seed: int) -> None:
    space = small(seed, 2)
    found = choose(space, Use(), name="a few parts")
    least = brute(space)
    assert found.value[0] == pytest.approx(least) if found.build else least == np.inf


@pytest.mark.parametrize("seed", range(100, 105))
def test_it_finds_what_an_integer_program_finds(seed: int) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    space = small(seed, 6)
    pairwise = [
        rule for rule in rules() if len(kinds_of(rule)) <= 2 and rule.severity in FORBIDDING and not rule.missing
    ]
    others = {rule.name for rule in rules()} - {rule.name for rule in pairwise}
    found = choose(space, Use(), name="a few parts", without=others)
    entries = [(kind, entry) for kind in KINDS for entry in space[kind]]
    rows, low, high = [], [], []
    for kind in KINDS:
        rows.append([float(k == kind) for k, _ in entries])
        low.append(1.0)
        high.append(1.0)
    for i, (kind, entry) in enumerate(entries):
        for j, (other, another) in enumerate(entries[:i]):
            if kind != other and clash(pairwise, {kind: entry, other: another}):
                rows.append([float(k in (i, j)) for k in range(len(entries))])
                low.append(0.0)
                high.append(1.0)
    solved = optimize.milp(
        c=[cost(entry) for _, entry in entries],
        constraints=optimize.LinearConstraint(np.array(rows), low, high),
        integrality=np.ones(len(entries)),
        bounds=optimize.Bounds(0, 1),
    )
    assert solved.success == (found.build is not None)
    if found.build is not None:
        assert found.value[0] == pytest.approx(solved.fun)


def kinds_of(rule) -> set[str]:
    return {kind for kind in (*rule.reads, *rule.also) if kind in KINDS}


def clash(asked, pair) -> bool:
    build = Build(items=tuple(i for entry in pair.values() for i in entry))
    for rule in asked:
        kinds = kinds_of(rule)
        if (
            kinds
            and kinds <= set(pair)
            and set(rule.reads) <= set(build.by_kind)
            and rule.forbids(build.but(i for i in build.items if i.part.kind in kinds), Use(), FORBIDDING)
        ):
            return True
    return False


@pytest.mark.parametrize("objective", ["cost", "price"])
@pytest.mark.parametrize("seed", range(20, 23))
def test_every_objective_finds_what_brute_force_finds(seed: int, objective: str) -> None:
    space = small(seed, 2)
    watts = min(sum(min(i.part.watts, 1e9) * i.count for i in entry) for entry in space["gpu"])
    judge = judge_of(objective, Use(), watts)
    found = choose(space, Use(), name="a few parts", judge=judge)
    best = np.inf
    for entries in product(*(space[kind] for kind in KINDS)):
        build = Build(items=tuple(i for entry in entries for i in entry))
        if allowed(build):
            best = min(best, judge.total(build, sum(judge.weight(entry) for entry in entries)))
    assert found.value[-1] == pytest.approx(best) if found.build else best == np.inf


@pytest.fixture(scope="module")
def working() -> Use:
    return rigwise.rig("2xrtx-3090", model="resnet50", data="imagenet-jpeg", batch=128).use


@pytest.mark.parametrize("seed", range(40, 42))
def test_the_shortest_step_is_the_one_that_trying_every_machine_finds(seed: int, working: Use) -> None:
    """Every machine's step is asked of the cost model anew, without the search's bounds on machines half chosen."""
    use = working
    space = small(seed, 2, device="rtx-3090", gpus=2, use=use)
    found = choose(space, use, name="a few parts", judge=judge_of("time", use))
    fresh = Work(question=use.work.question, layouts=use.work.layouts)
    unit, best = 0.005 * fresh.seconds(BEST), (np.inf, np.inf)
    for entries in product(*(space[kind] for kind in KINDS)):
        build = Build(items=tuple(i for entry in entries for i in entry))
        value = (np.floor(fresh.seconds(wiring_of(build)) / unit), sum(cost(entry) for entry in entries))
        if value < best and allowed(build, use):
            best = value
    assert found.value == pytest.approx(best) if found.build else best[0] == np.inf


def test_the_random_catalogues_are_not_all_without_a_machine() -> None:
    found = [choose(small(seed, 2), Use(), name="a few parts").build for seed in range(16)]
    assert sum(build is not None for build in found) >= 10


def test_a_budget_that_binds_leaves_nothing() -> None:
    space = domains(Wanted(device=catalog.device("rtx-3060-12gb"), gpus=1), catalogue())
    best = choose(space, Use(), name="all")
    assert choose(space, Use(), name="all", budget=best.value[0] - 1).build is None
    assert choose(space, Use(), name="all", budget=best.value[0]).value == best.value


def test_the_order_of_kinds_is_that_of_the_domains() -> None:
    space = domains(
        Wanted(device=catalog.device("rtx-3060-12gb"), gpus=1), Catalogue(name="all", parts=catalogue().parts)
    )
    assert set(space) == set(ORDER)


@pytest.mark.parametrize("rule", [rule for rule in rules() if rule.sees], ids=lambda rule: rule.name)
def test_a_rule_is_as_grave_for_parts_alike_in_what_it_sees(rule, working: Use) -> None:
    """What the search asks once for parts alike; held against asking for each, with the other parts drawn."""
    rng = np.random.default_rng(7)
    device, parts = catalog.device("rtx-3090"), catalogue()
    nics = domains(Wanted(device=device, gpus=2, nic=10e9), parts)["nic"]
    graver = 0
    for kind, fields in rule.sees.items():
        for _ in range(30):
            space = {**domains(Wanted(device=device, gpus=int(rng.integers(2, 5))), parts), "nic": nics}
            drawn = {k: space[k][int(rng.integers(len(space[k])))] for k in (*KINDS, "nic")}
            mine = seen(drawn[kind], fields)
            alike = [entry for entry in space[kind] if seen(entry, fields) == mine]
            builds = [
                Build(items=tuple(i for e in {**drawn, kind: entry}.values() for i in e))
                for entry in (drawn[kind], *alike[:3], *alike[-3:])
            ]
            use = Use(nodes=2) if rng.random() < 0.5 else working
            verdicts = {rule.forbids(build, use, FORBIDDING) for build in builds if build.has(rule.reads)}
            assert len(verdicts) <= 1
            graver += True in verdicts
    assert graver


def seen(entry, fields) -> tuple:
    return tuple((i.count, *(getattr(i.part, field) for field in fields)) for i in entry)

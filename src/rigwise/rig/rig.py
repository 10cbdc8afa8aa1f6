"""A machine proposed or checked: parts with reasons, findings, totals; and why there is none where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rigwise.errors import InfeasibleError, NotFoundError, UsageError
from rigwise.hardware.cluster import Cluster
from rigwise.hardware.load import load_cluster
from rigwise.rig import power
from rigwise.rig.build import Build, Item, Use
from rigwise.rig.catalogue import Catalogue, catalogue
from rigwise.rig.choose import FORBIDDING, Choice, Proof, choose
from rigwise.rig.fabric import Fabric, fabric_of
from rigwise.rig.findings import Finding
from rigwise.rig.heat import BTU, noise_db, wall_watts
from rigwise.rig.objective import electricity, judge_of
from rigwise.rig.parts import KINDS, Board, Gpu
from rigwise.rig.reasons import Alternative, alternatives, reason
from rigwise.rig.rules import findings, ranked
from rigwise.rig.savings import with_savings
from rigwise.rig.steps import Wiring, wired_node
from rigwise.rig.wanted import Domain, Wanted, check_wanted, domains
from rigwise.rig.wiring import Pair, pairs, wiring_of
from rigwise.units import show_usd

_TRIES = 3000  # partial machines that are looked at for each thing that might lift it
_WHOLE = 3000  # parts from which a catalogue is a whole database: a search in it is stopped
_STOP = 30_000  # partial machines that are looked at in a whole database
_RELAXED = 6  # rules that are left out one by one to find the one that binds


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A part of the list with its reason and the cheapest others that would do."""

    item: Item
    reason: str
    others: tuple[Alternative, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The line for JSON; price and watts are of one piece."""
        part = self.item.part
        return {
            "kind": part.kind,
            "id": part.id,
            "name": part.name,
            "count": self.item.count,
            "price_usd": part.price,
            "condition": part.condition,
            "watts": part.watts,
            "reason": self.reason,
            "alternatives": [{"name": a.names, "more_usd": a.more} for a in self.others],
            "source": part.source,
            "weak": part.weak,
        }


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A machine, or several alike. lines: its parts. wiring, pairs: its lanes and what each two GPUs go through.
    fabric: what joins several machines. step_s: seconds of the network's step, with its 80 % interval; None without a
    network. proof: how the choice was made, None for a list that was checked.
    """

    build: Build
    use: Use
    lines: tuple[Line, ...]
    findings: tuple[Finding, ...]
    wiring: Wiring
    pairs: tuple[Pair, ...]
    fabric: Fabric | None
    step_s: float | None
    interval: tuple[float, float] | None
    layout: str
    proof: Proof | None = None
    objective: str = "price"

    @property
    def price(self) -> float | None:
        """US dollars of all machines and what joins them; None where a price is not known."""
        node = self.build.price
        return None if node is None else node * self.use.nodes + (self.fabric.price if self.fabric else 0.0)

    @property
    def watts(self) -> float:
        """Watts at the wall, all machines."""
        return wall_watts(self.build) * self.use.nodes + (self.fabric.watts if self.fabric else 0.0)

    @property
    def by_hand(self) -> list[str]:
        """What to look up by hand, because nobody told."""
        return [f"{f.says}: {f.fix}" for f in self.findings if f.unknown]

    @property
    def passes(self) -> bool:
        """Whether no finding is an error."""
        return not any(f.severity == "error" for f in self.findings)

    @property
    def verdict(self) -> str:
        """The count of findings in words."""
        counts = {s: sum(f.severity == s for f in self.findings) for s in ("error", "warning", "waste")}
        said = ", ".join(f"{n} {s}{'s' * (n != 1 and s != 'waste')}" for s, n in counts.items() if n)
        return said or "no errors, no warnings, nothing wasted"

    @property
    def cluster(self) -> Cluster:
        """The machines as a cluster that plan, estimate and run take: their own lanes, hosts and network cards. Raises
        UsageError for a list without a GPU."""
        if not self.build.gpus:
            raise UsageError("a list without a GPU is no cluster", nearest="add a gpu")
        cards = self.build.gpus
        base = load_cluster(f"{self.use.nodes}x{len(cards)}x{cards[0].device.name}")
        node = wired_node(base.node, self.wiring)
        return replace(base, node=node, name=f"{base.name} as designed")

    def to_dict(self) -> dict[str, Any]:
        """The JSON of a machine."""
        years = electricity(self.build, self.use) * self.use.nodes
        hourly = power.running_cost(self.watts, 1.0, self.use.per_kwh)[1]
        return {
            "nodes": self.use.nodes,
            "parts": [line.to_dict() for line in self.lines],
            "findings": [finding.to_dict() for finding in self.findings],
            "passes": self.passes,
            "total": {
                "price_usd": self.price,
                "watts": self.watts,
                "heat_btu_per_h": self.watts * BTU,
                "noise_db": noise_db(self.build),
                "usd_per_hour": hourly,
                "electricity_usd_3_years": years,
            },
            "lanes": self.wiring.lanes,
            "pcie_gen": self.wiring.gen,
            "throttling": self.wiring.slow,
            "pairs": [
                {
                    "first": p.first,
                    "second": p.second,
                    "way": p.way,
                    "link": p.link.name,
                    "bytes_per_s": p.link.bandwidth,
                }
                for p in self.pairs
            ],
            "network": self.fabric and self.fabric.to_dict(),
            "step_s": self.step_s,
            "interval": list(self.interval) if self.interval else None,
            "layout": self.layout,
            "by_hand": self.by_hand,
            "objective": self.objective,
            "proof": self.proof
            and {
                "parts": self.proof.parts,
                "machines": self.proof.machines,
                "looked": self.proof.looked,
                "dearer": self.proof.dearer,
                "broken": dict(self.proof.broken),
                "proved": not self.proof.stopped,
                "says": self.proof.says(),
            },
        }


def design(wanted: Wanted, use: Use, *, objective: str = "price", parts: Catalogue | None = None) -> Rig:
    """The best machine of the catalogue, proved. Raises InfeasibleError with what binds and what would lift it."""
    check_wanted(wanted)
    parts = parts or catalogue()
    space = domains(wanted, parts)
    if _most_slots(parts, _on_a_baseboard(space)) < wanted.gpus:
        raise _no_slots(wanted, use, parts, _most_slots(parts, _on_a_baseboard(space)))
    found = _searched(space, wanted, use, objective, parts, FORBIDDING)
    if found.build is None:
        stopped = found.proof.stopped  # a machine without warnings may be there all the same
        found = _searched(space, wanted, use, objective, parts, ("error",))
        found = replace(found, proof=replace(found.proof, stopped=found.proof.stopped or stopped))
    if found.build is None:
        raise _none(space, wanted, use, objective, parts)
    return describe(found.build, use, space=space, proof=found.proof, objective=objective)


def _searched(
    space: Mapping[str, Domain],
    wanted: Wanted,
    use: Use,
    objective: str,
    parts: Catalogue,
    forbidding: Sequence[str],
    without: Sequence[str] = (),
    budget: bool = True,
    most: float = float("inf"),
) -> Choice:
    return choose(
        space,
        use,
        name=parts.name,
        judge=judge_of(objective, use, _gpu_watts(space, wanted)),
        budget=_each(wanted, use) if budget else None,
        base=Build(items=(), limit=wanted.limit),
        forbidding=forbidding,
        without=without,
        most=min(most, _STOP) if len(parts.parts) > _WHOLE else most,
    )


def _gpu_watts(space: Mapping[str, Domain], wanted: Wanted) -> float:
    """What the GPUs of any machine draw at least."""
    each = [min(i.part.watts, wanted.limit or i.part.watts) * i.count for entry in space["gpu"] for i in entry]
    return min(each, default=0.0)


def _each(wanted: Wanted, use: Use) -> float | None:
    """What one machine may cost."""
    return None if wanted.budget is None else wanted.budget / use.nodes


def _none(space: Mapping[str, Domain], wanted: Wanted, use: Use, objective: str, parts: Catalogue) -> InfeasibleError:
    """Why there is no machine: the budget, or the rule without which there would be one, and what lifts it."""
    what = f"{wanted.gpus} x {wanted.device.name}"
    if len(parts.parts) > _WHOLE:
        return InfeasibleError(
            f"no machine of {what} among the first {_STOP:,} partial machines of {parts.name}",
            rule="a search in a whole database is stopped; it tries the cheapest first",
            nearest="say parts that must be in it (--keep BOARD, --keep CASE), or leave --parts out",
        )
    free = _searched(space, wanted, use, "price", parts, ("error",), budget=False)
    if free.build is not None:
        least = (free.build.price or 0.0) * use.nodes
        return InfeasibleError(
            f"no machine of {what} for {show_usd(wanted.budget or 0.0)}: the cheapest that works costs "
            f"{show_usd(least)}",
            rule="the budget binds",
            nearest=f"a budget of {show_usd(least)}, or fewer GPUs",
        )
    for rule, _ in sorted(free.proof.broken.items(), key=lambda row: -row[1])[:_RELAXED]:
        relaxed = _searched(space, wanted, use, "price", parts, ("error",), [rule], False, _TRIES)
        if relaxed.build is not None:
            broken = [f for f in findings(relaxed.build, use) if f.rule == rule and f.severity == "error"]
            says, fix = (broken[0].says, broken[0].fix) if broken else (rule, "")
            return InfeasibleError(
                f"no machine of {what}: {says}", rule=f"{rule} binds", nearest=_lifted(wanted, use, parts) or fix
            )
    return InfeasibleError(
        f"no machine of {what} in {parts.name}: several rules forbid every one",
        rule=" and ".join(name for name, _ in sorted(free.proof.broken.items(), key=lambda row: -row[1])[:3]) + " bind",
        nearest=_lifted(wanted, use, parts) or "fewer GPUs a machine",
    )


def _no_slots(wanted: Wanted, use: Use, parts: Catalogue, most: int) -> InfeasibleError:
    return InfeasibleError(
        f"no machine of {wanted.gpus} x {wanted.device.name}: the largest board of {parts.name} has {most} slots",
        rule="slots binds",
        nearest=_lifted(wanted, use, parts) or "several machines: 2x8x...",
    )


def _most_slots(parts: Catalogue, sxm: bool = False) -> int:
    boards = [board for board in parts.of("motherboard") if isinstance(board, Board)]
    return max((board.modules_sxm if sxm else len(board.slots) for board in boards), default=0)


def _on_a_baseboard(space: Mapping[str, Domain]) -> bool:
    return any(isinstance(i.part, Gpu) and i.part.cooling == "sxm" for entry in space["gpu"] for i in entry)


def _lifted(wanted: Wanted, use: Use, parts: Catalogue) -> str:
    """The smallest change of what is wanted that gives a machine: one wish less, a power limit, or fewer GPUs."""
    least = float(power.constants()["supply"]["limit"]) * (wanted.device.tdp or 0.0) // 10 * 10
    changes = [
        ("another style of case", replace(wanted, cases=()), bool(wanted.cases)),
        ("cards cooled in another way", replace(wanted, cooling=""), bool(wanted.cooling)),
        ("used parts", replace(wanted, new=False), wanted.new),
        (f"hold each GPU to {least:.0f} W", replace(wanted, limit=least), wanted.limit is None and least > 0),
    ]
    fewer = [n for n in sorted({wanted.gpus - 1, 8, 6, 4, 3, 2, 1}, reverse=True) if 0 < n < wanted.gpus]
    changes += [(f"{n} GPUs a machine", replace(wanted, gpus=n, budget=None), True) for n in fewer]
    for words, other, asked in changes:
        if asked and _most_slots(parts) >= other.gpus and _feasible(other, use, parts):
            return words
    return ""


def _feasible(wanted: Wanted, use: Use, parts: Catalogue) -> bool:
    try:
        space = domains(wanted, parts)
    except (InfeasibleError, NotFoundError):
        return False
    return _searched(space, wanted, use, "price", parts, ("error",), (), False, _TRIES).build is not None


def check(build: Build, use: Use, parts: Catalogue | None = None) -> Rig:
    """What is wrong with a list of parts, and what of it is wasted."""
    return describe(build, use, parts=parts or catalogue())


def describe(
    build: Build,
    use: Use,
    *,
    space: Mapping[str, Domain] | None = None,
    parts: Catalogue | None = None,
    proof: Proof | None = None,
    objective: str = "price",
) -> Rig:
    """A machine with its reasons, findings and totals. space: what else could have been taken of each kind."""
    if space is None and build.gpus:
        first = build.gpus[0].device
        open_ = Wanted(device=first, gpus=len(build.gpus), ram=1.0, storage=1.0, cases=())
        space = _space(open_, parts or catalogue())
    found = with_savings(findings(build, use), build, use, space or {})
    wiring = wiring_of(build)
    step = use.work.estimate(wiring) if use.work else None
    lines = tuple(
        Line(
            item=item,
            reason=reason(item.part, build, use) if build.has(_FULL) else "",
            others=tuple(alternatives(build, kind, (space or {}).get(kind, ()), use)) if proof else (),
        )
        for kind in KINDS
        for item in build.by_kind.get(kind, ())
    )
    return Rig(
        build=build,
        use=use,
        lines=lines,
        findings=tuple(ranked(found)),
        wiring=wiring,
        pairs=tuple(pairs(build)),
        fabric=fabric_of(build, use),
        step_s=step.step_s if step else None,
        interval=step.interval if step else None,
        layout=str(step.layout) if step else "",
        proof=proof,
        objective=objective,
    )


_FULL = ("gpu", "cpu", "motherboard", "case")


def _space(wanted: Wanted, parts: Catalogue) -> Mapping[str, Domain]:
    """What a list of one's own is compared with; without its kind of card where the catalogue has none of it."""
    try:
        return domains(wanted, parts)
    except (NotFoundError, InfeasibleError):
        known = next(part.device for part in parts.of("gpu") if isinstance(part, Gpu))
        other = replace(wanted, device=known, gpus=1)
        return {kind: domain for kind, domain in domains(other, parts).items() if kind != "gpu"}

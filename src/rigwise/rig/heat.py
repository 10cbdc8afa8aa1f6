"""Rules of power and cooling, each a row of data/rules.toml; numbers in data/power.toml and cooling.toml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil, log10

from rigwise.rig import power
from rigwise.rig.build import Build, Use
from rigwise.rig.constants import cooling
from rigwise.rig.findings import Found, looks_after
from rigwise.rig.parts import Cooler, Cpu, Supply
from rigwise.rig.throttle import air_loss, slowdown
from rigwise.rig.wiring import wiring_of
from rigwise.rig.words import percent, plural
from rigwise.units import show_usd

BTU = 3.412  # an hour, of a watt


def wanted(build: Build) -> float:
    """Watts that the supplies should deliver."""
    return build.watts * power.margin()


def wall_watts(build: Build) -> float:
    """Watts at the wall."""
    supply = build.one(Supply)
    return build.watts / power.efficiency(supply.efficiency if supply else "")


@looks_after("supply")
def _supply(build: Build, use: Use) -> Iterator[Found]:
    rest = build.watts - build.gpu_watts - (build.cpu.watts * build.count(Cpu) if build.cpu else 0.0)
    says = (
        f"{build.gpu_watts:.0f} W of GPUs, {build.watts - build.gpu_watts - rest:.0f} W of processor and {rest:.0f} "
        f"W of "
        f"the rest are {build.watts:.0f} W; with a tenth more {wanted(build):.0f} W"
    )
    if build.rating < build.watts:
        yield Found(says=f"{says}, the supply gives {build.rating:.0f} W", fix=_stronger(build))
    elif build.rating < wanted(build):
        yield Found(says=f"{says}, the supply gives {build.rating:.0f} W", fix=_stronger(build), severity="warning")
    unknown = [card.name for card in build.gpus if not card.watts]
    if unknown:
        yield Found(says=f"what {unknown[0]} draws is not known", fix="look it up", unknown=True)


def _stronger(build: Build) -> str:
    held = _limited(build)
    text = f"supplies of {power.whole_supply(wanted(build))} W"
    return f"{text}, or hold each GPU to {held:.0f} W" if held else text


def _limited(build: Build) -> float | None:
    """Watts to which each GPU would have to be held for the supply, where that costs little; None where it does not."""
    cards = len(build.gpus)
    if not cards or build.limit:
        return None
    each = (build.rating / power.margin() - (build.watts - build.gpu_watts)) / cards
    least = float(power.constants()["supply"]["limit"]) * build.gpu_watts / cards
    return each // 10 * 10 if each >= least else None


@looks_after("peaks")
def _peaks(build: Build, use: Use) -> Iterator[Found]:
    cards = [(min(c.watts, build.limit or c.watts), c.device.arch) for c in build.gpus if c.cooling != "sxm"]
    if not cards:
        return
    peak = power.peak_watts(build.watts, cards)
    allowed = sum(power.peak_allowed(s.rating, s.atx3) * count for s, count in build.all(Supply))
    if peak > allowed:
        yield Found(
            says=f"peaks of a millisecond reach about {peak:.0f} W, the supply stands about {allowed:.0f} W",
            fix="a supply of ATX 3, a stronger one, or a power limit for the GPUs",
        )


@looks_after("plugs")
def _plugs(build: Build, use: Use) -> Iterator[Found]:
    supplies = build.all(Supply)
    if any(card.plugs is None for card in build.gpus):
        name = next(card.name for card in build.gpus if card.plugs is None)
        yield Found(says=f"the power plugs of {name} are not known", fix="look them up", unknown=True)
        return
    if any(s.plugs.get("pcie8") is None for s, _ in supplies):
        yield Found(says="the plugs of the supply are not known", fix="count its 8-pin PCIe plugs", unknown=True)
        return
    eight = sum((s.plugs.get("pcie8") or 0) * n for s, n in supplies)
    sixteen = sum((s.plugs.get("pin16") or 0) * n for s, n in supplies)
    plain, wide = _wanted_plugs(build)
    adapted = max(0, len(wide) - sixteen)
    through = sum(sorted(wide)[:adapted])
    if plain + through > eight:
        extra = f", {through} of them for {plural(adapted, 'adapter')} to 16 pins" if adapted else ""
        yield Found(
            says=f"the cards want {plain + through} 8-pin plugs{extra}; the supply has {eight}"
            + (f" and {sixteen} of 16 pins" if sixteen or wide else ""),
            fix=f"a supply with {plain + through} PCIe plugs" + (f" or {len(wide)} of 16 pins" if wide else ""),
        )
    elif adapted:
        yield Found(
            says=f"{plural(adapted, 'card')} with 16 pins through an adapter of 8-pin plugs",
            fix="push the plug in until it clicks: one that is not fully in melts (article 7)",
            severity="note",
        )


def _wanted_plugs(build: Build) -> tuple[int, list[int]]:
    """8-pin plugs that cards take directly, and for each 16-pin card those that its adapter takes."""
    plain, wide = 0, []
    for card in build.gpus:
        plugs = card.plugs or {}
        plain += plugs.get("8", 0) + plugs.get("6", 0) + 2 * plugs.get("EPS8", 0)
        wide += [ceil(card.watts / power.constants()["connectors"]["8"])] * plugs.get("16", 0)
    return plain, wide


@looks_after("cpu-plugs")
def _cpu_plugs(build: Build, use: Use) -> Iterator[Found]:
    board = build.board
    assert board
    have = [s.plugs.get("eps8") for s, n in build.all(Supply) for _ in range(n)]
    given = sum(count or 0 for count in have)
    needed = 2 if board.sockets > 1 and build.count(Cpu) > 1 else 1
    if board.eps and None not in have and given < min(board.eps, needed):
        yield Found(
            says=f"{board.name} wants {plural(min(board.eps, needed), 'processor plug')}, the supply has {given}",
            fix="a supply with as many EPS plugs",
        )
    elif board.eps and None not in have and given < board.eps:
        yield Found(
            says=f"{board.name} has {plural(board.eps, 'processor plug')}, the supply {given}: one carries 235 "
            "W or more",
            fix="one plug is enough for a processor of up to about 235 W",
            severity="warning" if build.cpu and build.cpu.watts > 235 else "note",
        )


@looks_after("several-supplies")
def _several(build: Build, use: Use) -> Iterator[Found]:
    count = build.count(Supply)
    if count > 1 and not (build.case and build.case.set):
        yield Found(
            says=f"{count} supplies of {build.rating:.0f} W together",
            fix="join them by an adapter that starts both; feed each card from one supply only",
        )


@looks_after("circuit")
def _circuit(build: Build, use: Use) -> Iterator[Found]:
    drawn = wall_watts(build)
    if use.circuit is not None:
        if drawn > use.circuit.lasting:
            yield Found(
                says=f"{drawn:.0f} W at the wall, a circuit of {use.circuit} gives {use.circuit.lasting:.0f} W "
                "for hours",
                fix=_less(build, use.circuit.lasting),
            )
        return
    for text in power.constants()["circuit"]["usual"]:
        circuit = power.read_circuit(text)
        if drawn > circuit.lasting:
            yield Found(
                says=f"{drawn:.0f} W at the wall; a circuit of {circuit} gives {circuit.lasting:.0f} W for hours",
                fix=f"say --circuit {text!r} if that is yours: {_less(build, circuit.lasting)}",
                severity="note",
            )


def _less(build: Build, allowed: float) -> str:
    cards = len(build.gpus)
    each = (allowed * build.watts / wall_watts(build) - (build.watts - build.gpu_watts)) / max(cards, 1)
    if cards and each >= float(power.constants()["supply"]["limit"]) * build.gpu_watts / cards:
        return f"hold each GPU to {each // 10 * 10:.0f} W, or two circuits with a supply on each"
    return "two circuits with a supply on each, or fewer GPUs"


@looks_after("efficiency")
def _efficiency(build: Build, use: Use) -> Iterator[Found]:
    supply = build.one(Supply)
    floor = power.constants()["supply"]["gold_from"]
    if supply is None or build.watts < floor or not supply.efficiency:
        return
    mine, gold = power.efficiency(supply.efficiency), power.efficiency("gold")
    if mine < gold:
        hours = power.year_hours(power.constants()["years"]["use"]) * power.constants()["years"]["years"]
        more = build.watts * hours / 1e3 * use.per_kwh * (1 / mine - 1 / gold)
        yield Found(
            says=f"{supply.name} wastes {percent(1 - mine)} of {build.watts:.0f} W: {show_usd(more)} more in "
            "three years "
            "than a Gold one, at 15 % of the hours",
            fix="a supply of 80 PLUS Gold or better",
            money=more,
        )


@looks_after("adjacent")
def _adjacent(build: Build, use: Use) -> Iterator[Found]:
    low, high = air_loss(build)
    if not high:
        return
    fans = [card for card in build.gpus if card.cooling in ("open", "")]
    felt, lost = _felt(build, use)
    if len(fans) >= 2:
        many = len(fans) >= cooling()["rules"]["open_adjacent"]
        yield Found(
            says=f"{len(fans)} cards with open fans side by side lose {low:.0%} to {high:.0%} by throttling and "
            f"die sooner{felt}",
            fix="blower or water cooled cards, an open frame with risers, or a power limit of "
            f"{power.constants()['supply']['limit'] * max(c.watts for c in fans) // 10 * 10:.0f} W a card",
            severity="error" if many else "warning",
            loss=(low + high) / 2 if lost is None else lost,
        )
    else:
        yield Found(
            says=f"{len(build.gpus)} blowers side by side lose {low:.0%} to {high:.0%} at full power{felt}",
            fix="a power limit, or water",
            severity="note",
            loss=lost,
        )


def _felt(build: Build, use: Use) -> tuple[str, float | None]:
    """What throttling costs the user's own step, in words and as a share; nothing without a network."""
    if use.work is None or use.brief:
        return "", None
    now = wiring_of(build)
    lost = use.work.loss(now, replace(now, slow=0.0))
    return f"; it costs {percent(lost)} of the step", lost


@looks_after("passive")
def _passive(build: Build, use: Use) -> Iterator[Found]:
    case = build.case
    assert case
    cards = [card for card in build.gpus if card.cooling == "passive"]
    if cards and case.style != "server":
        yield Found(
            says=f"{cards[0].name} has no fan, {case.name} sends no wind through its cards",
            fix="a server's chassis, or a fan in a shroud at each card",
            severity="warning" if max(c.watts for c in cards) <= 75 else "",
        )


@looks_after("radiators")
def _radiators(build: Build, use: Use) -> Iterator[Found]:
    case = build.case
    assert case
    sizes = cooling()["radiator_mm"]
    own = [float(sizes["hybrid"]) for card in build.gpus if card.cooling == "hybrid"]
    blocks = len([card for card in build.gpus if card.cooling == "water"])
    cpu = [cooler.radiator for cooler, _ in build.all(Cooler) if cooler.radiator]
    if blocks:
        each, once = sizes["loop_usd"]
        yield Found(
            says=f"{plural(blocks, 'card')} with water blocks: pump, radiators and tubes are bought apart, about "
            f"{show_usd(each * blocks + once)}",
            fix="add a loop, or cards with a radiator of their own",
            severity="note",
            unknown=True,
        )
    if case.style == "frame" or not own:
        return
    if case.radiator is None:
        yield Found(says=f"radiators that {case.name} takes are not known", fix="look them up", unknown=True)
    elif sum(own) + sum(cpu) > 2.2 * case.radiator + 240:  # two sides of the longest mount, and one at the back
        yield Found(
            says=f"{len(own) + len(cpu)} radiators, {sum(own) + sum(cpu):.0f} mm together, for {case.name} with a "
            f"longest mount of {case.radiator:.0f} mm",
            fix="a larger case, an open frame, or blowers",
        )


@looks_after("power-limit")
def _power_limit(build: Build, use: Use) -> Iterator[Found]:
    shares = power.constants()["supply"]
    cards = len(build.gpus)
    if cards < 3 or build.limit:
        return
    each = build.gpu_watts / cards
    held = shares["limit"] * each // 10 * 10
    hours = power.year_hours(power.constants()["years"]["use"])
    saved = power.running_cost(cards * (each - held), hours, use.per_kwh)[1]
    yield Found(
        says=f"{each:.0f} W to {held:.0f} W a card saves {cards * (each - held):.0f} W ({show_usd(saved)} a "
        "year at 15 % of "
        f"the hours) for about {shares['limit_loss']:.0%} of the speed{_limited_step(build, use, held)}",
        fix=f"nvidia-smi -pl {held:.0f}",
    )


def _limited_step(build: Build, use: Use, held: float) -> str:
    """What a power limit does to the user's own step, in words."""
    if use.work is None:
        return ""
    now = wiring_of(build)
    then = replace(now, slow=slowdown(replace(build, limit=held)))
    change = use.work.seconds(then) / use.work.seconds(now) - 1.0
    return f": the step takes {percent(abs(change))} {'more' if change >= 0 else 'less'}"


def noise_db(build: Build) -> float:
    """Decibels at the machine: each source's power added up.

    >>> from rigwise.rig.build import Build
    >>> noise_db(Build(items=()))
    0.0
    """
    table = cooling()["noise_db"]
    levels = [float(table.get(card.cooling or "open", table["open"])) for card in build.gpus]
    levels += [part.noise for part in (build.case, build.cooler) if part is not None and part.noise]
    levels += [float(table["supply"])] * (build.count(Supply) if build.case and not build.case.set else 0)
    return 10 * log10(sum(10 ** (level / 10) for level in levels)) if levels else 0.0


@looks_after("noise")
def _noise(build: Build, use: Use) -> Iterator[Found]:
    loud = noise_db(build)
    if loud > cooling()["noise_db"]["quiet"]:
        yield Found(
            says=f"about {loud:.0f} dB at work", fix="another room, water, or lower power limits and fan curves"
        )


@looks_after("heat")
def _heat(build: Build, use: Use) -> Iterator[Found]:
    drawn = wall_watts(build)
    if drawn > 1000:
        yield Found(
            says=f"{drawn:.0f} W of heat, {drawn * BTU:,.0f} BTU an hour",
            fix="air conditioning, or a room that is not lived in",
        )

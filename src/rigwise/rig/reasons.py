"""Why each part was taken, and what else could have been."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rigwise.rig.build import Build, Item, Use
from rigwise.rig.choose import FORBIDDING, cost
from rigwise.rig.feed import threads_wanted
from rigwise.rig.heat import wanted
from rigwise.rig.lanes import seat
from rigwise.rig.parts import Cooler, Cpu, Drive, Gpu, Nic, Part, Supply
from rigwise.rig.rules import rules
from rigwise.rig.wanted import Domain
from rigwise.rig.wiring import read_rate
from rigwise.rig.words import plural
from rigwise.units import GIGA, show_bytes, show_rate, show_usd

_SHOWN = 2  # alternatives of each kind
_TRIED = 80  # entries that are tried for them


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Another entry that would do, and by how much dearer it is."""

    names: str
    more: float


def reason(part: Part, build: Build, use: Use) -> str:
    """Why a part is what is needed, with its numbers."""
    why = _REASONS.get(part.kind)
    return why(build, use) if why else ""


def _gpu(build: Build, use: Use) -> str:
    card = build.one(Gpu)
    assert card
    air = {
        "blower": "blows its heat out of the case",
        "open": "open fans",
        "hybrid": "a radiator of its own",
        "water": "a block for a water loop",
        "passive": "cooled by the server's fans",
        "sxm": "sits on the server's baseboard",
    }.get(card.cooling, "")
    size = f", {card.slots:g} slots and {card.length:.0f} mm" if card.slots and card.length else ""
    return f"{show_bytes(card.device.memory)}, {card.watts:.0f} W{size}; {air}"


def _cpu(build: Build, use: Use) -> str:
    cpu, count = build.cpu, build.count(Cpu)
    assert cpu
    need = threads_wanted(len(build.gpus), use.preprocess)[0]
    lanes = f"; {cpu.lanes * count} PCIe lanes" if cpu.lanes else ""
    return f"{cpu.threads * count} threads, {need} are wanted for {plural(len(build.gpus), 'GPU')}{lanes}"


def _board(build: Build, use: Use) -> str:
    board, seated = build.board, seat(build)
    assert board
    if seated is None or not seated.gpus:
        return f"{board.socket}, {board.memory}"
    lanes = "+".join(f"x{s.lanes}" for s in seated.gpus)
    return f"GPUs on {lanes} of PCIe {seated.gen}; {board.socket}, {board.memory}"


def _memory(build: Build, use: Use) -> str:
    largest = max((card.device.memory for card in build.gpus), default=0.0)
    channels = build.cpu.channels if build.cpu and build.cpu.channels else 0
    filled = f", {build.modules} modules in {channels * build.count(Cpu)} channels" if channels else ""
    return f"{show_bytes(build.ram)} beside a largest GPU of {show_bytes(largest)}{filled}"


def _storage(build: Build, use: Use) -> str:
    drive = build.one(Drive)
    rate = read_rate(drive) if drive else None
    return f"reads samples at about {show_rate(rate)}" if rate else ""


def _psu(build: Build, use: Use) -> str:
    supply = build.one(Supply)
    plugs = supply.plugs if supply else {}
    count = build.count(Supply)
    told = f"; {(plugs.get('pcie8') or 0) * count} x 8 pins, {(plugs.get('pin16') or 0) * count} x 16 pins"
    told = "" if supply and supply.set else told
    return f"{build.rating:.0f} W where {wanted(build):.0f} W are wanted ({build.watts:.0f} W drawn){told}"


def _case(build: Build, use: Use) -> str:
    case, card = build.case, build.one(Gpu)
    assert case
    if case.style == "frame":
        return "cards on risers with air between them"
    if case.style == "server":
        return "board, supplies, heatsinks and wind in one price"
    longest = (
        f"cards of {card.length:.0f} of {case.gpu_length:.0f} mm" if card and card.length and case.gpu_length else ""
    )
    return f"{longest}, {case.slots or '?'} brackets, {build.board.form if build.board else ''} board"


def _cooler(build: Build, use: Use) -> str:
    cooler, cpu = build.one(Cooler), build.cpu
    assert cooler
    assert cpu
    return f"carries {cooler.takes or 0:.0f} W of the processor's {cpu.watts:.0f} W, fits {cpu.socket}"


def _nic(build: Build, use: Use) -> str:
    card = build.one(Nic)
    assert card
    return (
        f"{card.technology} {card.rate / GIGA:g} Gbit/s{' with RDMA' if card.rdma else ''} to "
        f"{use.nodes - 1} other machines"
    )


_REASONS: Mapping[str, Callable[[Build, Use], str]] = {
    "gpu": _gpu,
    "cpu": _cpu,
    "motherboard": _board,
    "memory": _memory,
    "storage": _storage,
    "psu": _psu,
    "case": _case,
    "cooler": _cooler,
    "nic": _nic,
}


def alternatives(build: Build, kind: str, domain: Domain, use: Use) -> list[Alternative]:
    """The cheapest other entries of a kind that break no rule with the rest of the machine as it is."""
    mine = build.by_kind.get(kind, ())
    asked = [r for r in rules() if kind in (*r.reads, *r.also) and r.severity in FORBIDDING and not r.missing]
    found: list[Alternative] = []
    taken = {tuple(i.part.id for i in mine)}
    for items in sorted(domain, key=cost)[:_TRIED]:
        ids = tuple(i.part.id for i in items)
        other = build.swapped(kind, items)
        if (
            ids not in taken
            and items
            and not any(r.forbids(other, use, FORBIDDING) for r in asked if other.has(r.reads))
        ):
            found.append(Alternative(names=names(items), more=cost(items) - cost(mine)))
            taken.add(ids)
            if len(found) == _SHOWN:
                break
    return found


def names(items: Sequence[Item]) -> str:
    """Items in words."""
    return " + ".join(f"{i.count} x {i.part.name}" if i.count > 1 else i.part.name for i in items)


def says(found: Sequence[Alternative]) -> str:
    """Alternatives in words."""
    return "; ".join(f"{a.names} ({'+' if a.more >= 0 else '-'}{show_usd(abs(a.more))})" for a in found)

"""Rules of what fits the board: sockets, memory, slots, drives. Each function is a row of data/rules.toml."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from rigwise.hardware.tables import whole
from rigwise.rig.build import Build, Use
from rigwise.rig.catalogue import platform, rows
from rigwise.rig.findings import Found, looks_after
from rigwise.rig.lanes import seat, thickness
from rigwise.rig.parts import Board, Cooler, Cpu, Drive, Memory, Part, Supply
from rigwise.rig.sockets import plain_socket
from rigwise.rig.words import plural
from rigwise.units import show_bytes

_NEEDED = ("gpu", "cpu", "motherboard", "memory", "storage", "psu", "case")


@looks_after("parts")
def _parts(build: Build, use: Use) -> Iterator[Found]:
    for kind in _NEEDED:
        if kind not in build.by_kind:
            yield Found(says=f"no {kind} in the list", fix=f"add a {kind}")
    if build.board and build.count(Board) > 1:
        yield Found(says=f"{build.count(Board)} motherboards in one list", fix="a list is one machine")


@looks_after("cooler")
def _cooler(build: Build, use: Use) -> Iterator[Found]:
    cpu, coolers, cpus = build.cpu, build.count(Cooler), build.count(Cpu)
    assert cpu
    if cpu.cooler is None and not coolers:
        yield Found(
            says=f"whether a cooler comes in the box of {cpu.name} is not known", fix="look it up", unknown=True
        )
    elif not cpu.cooler and coolers < cpus:
        missing = "no cooler" if not coolers else f"{plural(coolers, 'cooler')} for {cpus} processors"
        yield Found(says=f"{missing}, and none comes in the box of {cpu.name}", fix=f"add a cooler for {cpu.socket}")
    elif coolers > cpus:
        yield Found(
            says=f"{plural(coolers, 'cooler')} for {plural(cpus, 'processor')}", fix="one each", severity="warning"
        )


@looks_after("socket")
def _socket(build: Build, use: Use) -> Iterator[Found]:
    cpu, board, count = build.cpu, build.board, build.count(Cpu)
    assert cpu
    assert board
    if plain_socket(cpu.socket) != plain_socket(board.socket):
        yield Found(
            says=f"{cpu.name} is made for {cpu.socket}, {board.name} has {board.socket}",
            fix=f"a processor for {board.socket}, or a board with {cpu.socket}",
        )
    elif count > min(board.sockets, cpu.sockets):
        yield Found(
            says=f"{count} x {cpu.name}: the board has {plural(board.sockets, 'socket')}, the processor works "
            f"{'alone' if cpu.sockets == 1 else f'in up to {cpu.sockets}'}",
            fix="one processor",
        )


@looks_after("chipset")
def _chipset(build: Build, use: Use) -> Iterator[Found]:
    cpu, board = build.cpu, build.board
    assert cpu
    assert board
    for row in rows("chipsets"):
        if (
            board.chipset
            and re.fullmatch(row["chipset"], board.chipset)
            and plain_socket(cpu.socket) == plain_socket(board.socket)
        ):
            if not re.search(row["processors"], cpu.name):
                yield Found(
                    says=f"the chipset {board.chipset} of {board.name} does not serve {cpu.name}",
                    fix="a board with a chipset of the processor's generation, as its support list says",
                )
            elif row["late"] and re.search(row["late"], cpu.name):
                yield Found(
                    says=f"{cpu.name} on {board.chipset} needs a late firmware",
                    fix="look up the board's support list before buying",
                    severity="note",
                    unknown=True,
                )


@looks_after("memory-type")
def _memory_type(build: Build, use: Use) -> Iterator[Found]:
    board = build.board
    assert board
    for kit, _ in build.all(Memory):
        if board.memory and kit.type != board.memory:
            yield Found(
                says=f"{kit.name} is {kit.type}, {board.name} takes {board.memory}", fix=f"a kit of {board.memory}"
            )
        elif board.dimm_kinds and kit.dimm not in board.dimm_kinds:
            yield Found(
                says=f"{kit.name} is {kit.dimm}, {board.name} takes {' or '.join(board.dimm_kinds)}",
                fix=f"a kit of {board.dimm_kinds[0]}",
            )
    if len({kit.dimm for kit, _ in build.all(Memory)}) > 1:
        yield Found(says="registered and plain modules are mixed", fix="one kind of module")


@looks_after("memory-cpu")
def _memory_cpu(build: Build, use: Use) -> Iterator[Found]:
    cpu = build.cpu
    assert cpu
    for kit, _ in build.all(Memory):
        if cpu.memory and kit.type not in cpu.memory:
            yield Found(says=f"{cpu.name} drives {'/'.join(cpu.memory)}, not {kit.type}", fix="another kit and board")


@looks_after("memory-slots")
def _memory_slots(build: Build, use: Use) -> Iterator[Found]:
    board = build.board
    assert board
    if board.dimms is not None and build.modules > board.dimms:
        yield Found(
            says=f"{build.modules} modules for {plural(board.dimms, 'socket')} of {board.name}",
            fix=f"at most {board.dimms} modules",
        )
    elif board.dimms is None and build.modules > (most := _most_modules(board)) > 0:
        yield Found(
            says=f"{build.modules} modules for {board.name}; no board of {board.socket} has more than {most} sockets",
            fix=f"at most {most} modules",
        )
    if board.memory_max and build.ram > board.memory_max:
        yield Found(
            says=f"{show_bytes(build.ram)} of memory, {board.name} takes {show_bytes(board.memory_max)}",
            fix=f"at most {show_bytes(board.memory_max)}",
        )


def _most_modules(board: Board) -> int:
    """Modules that a board of the socket takes at most; 0 where the hardware catalogue does not say."""
    place = platform(board.socket) or {}
    return (whole(place.get("dimms_per_cpu_max", "")) or 0) * board.sockets


@looks_after("slots")
def _slots(build: Build, use: Use) -> Iterator[Found]:
    board = build.board
    assert board
    cards = len([c for c in build.gpus if c.cooling != "sxm"]) + len(build.nics)
    if not board.slots and cards:
        yield Found(says=f"the slots of {board.name} are not known", fix="look them up in its manual", unknown=True)
    elif cards and seat(build, spaced=False) is None:
        usable = len([s for s in board.slots if s.socket < max(build.count(Cpu), 1)])
        empty = " (more with the second processor)" if usable < len(board.slots) else ""
        yield Found(
            says=f"{plural(cards, 'card')} for {plural(usable, 'slot')} of {board.name}{empty}",
            fix=f"at most {plural(usable, 'card')}, or a board with {cards} slots",
        )


@looks_after("spacing")
def _spacing(build: Build, use: Use) -> Iterator[Found]:
    board, case = build.housed
    flat = seat(build, spaced=False)
    if not board.slots or flat is None or case.style == "frame" or build.risers:
        return
    brackets = sum(thickness(card) for card in build.gpus if card.cooling != "sxm")
    if not flat.known and case.slots and brackets > case.slots:
        yield Found(
            says=f"{plural(len(build.gpus), 'card')} cover {brackets} brackets, {case.name} has {case.slots}",
            fix="thinner cards (two slots), fewer cards, or an open frame with risers",
        )
    elif not flat.known and len(build.gpus) > 1:
        yield Found(
            says=f"the distance between the slots of {board.name} is not known: {len(build.gpus)} cards of "
            f"{max(thickness(c) for c in build.gpus)} slots have to fit",
            fix="count the slots on a picture of the board",
            unknown=True,
        )
    elif flat.known and seat(build) is None:
        says = ", ".join(f"{s.position}" for s in board.slots)
        yield Found(
            says=f"cards of {' + '.join(str(thickness(c)) for c in build.gpus)} brackets do not fit on {board.name} "
            f"(slots at {says}) in {case.name} ({case.slots or '?'} brackets)",
            fix="thinner cards (two slots), fewer cards, a case with more brackets, or an open frame with risers",
        )


@looks_after("set")
def _set(build: Build, use: Use) -> Iterator[Found]:
    yield from _strangers(build, build.all(Board))


@looks_after("set-psu")
def _set_psu(build: Build, use: Use) -> Iterator[Found]:
    yield from _strangers(build, build.all(Supply))


@looks_after("set-cooler")
def _set_cooler(build: Build, use: Use) -> Iterator[Found]:
    yield from _strangers(build, build.all(Cooler))


def _strangers(build: Build, parts: Iterable[tuple[Part, int]]) -> Iterator[Found]:
    case = build.case
    assert case
    for part, _ in parts:
        if part.set != case.set and (part.set or not isinstance(part, Cooler)):
            whose = part.name if part.set else case.name
            yield Found(
                says=f"{part.name} does not go with {case.name}: {whose} is sold with parts of its own",
                fix=f"the parts that belong to {whose}",
            )


@looks_after("sxm")
def _sxm(build: Build, use: Use) -> Iterator[Found]:
    board = build.board
    assert board
    modules = [card for card in build.gpus if card.cooling == "sxm"]
    if modules and not board.modules_sxm:
        yield Found(
            says=f"{modules[0].name} needs a baseboard, {board.name} has none",
            fix="a server with the baseboard, or cards of the PCIe form",
        )
    elif modules and len(modules) != board.modules_sxm:
        yield Found(
            says=f"{len(modules)} modules for a baseboard of {board.modules_sxm}", fix=f"{board.modules_sxm} modules"
        )
    elif modules and board.modules_sxm and _baseboard(board.set) not in _generation(modules[0].device.name):
        yield Found(
            says=f"{modules[0].name} does not go onto {board.name}", fix="modules of the baseboard's generation"
        )
    elif board.modules_sxm and not modules:
        yield Found(says=f"{board.name} carries SXM modules, the GPUs are cards", fix="a server for PCIe cards")


@looks_after("both-sockets")
def _both_sockets(build: Build, use: Use) -> Iterator[Found]:
    board, count = build.board, build.count(Cpu)
    assert board
    if board.modules_sxm and count < board.sockets:
        yield Found(
            says=f"{plural(count, 'processor')} on {board.name}, whose modules hang on {board.sockets}",
            fix=f"{board.sockets} processors",
        )


def _baseboard(name: str) -> str:
    return name.removeprefix("hgx-")


def _generation(device: str) -> tuple[str, ...]:
    """Baseboards that take a module: those of its generation, H200 that of H100."""
    first = device.split("-")[0]
    return (first, "h100") if first == "h200" else (first,)


@looks_after("drives")
def _drives(build: Build, use: Use) -> Iterator[Found]:
    board = build.board
    assert board
    count = _forms(build)
    yield from _places("M.2 socket", board.m2, count["M.2"])
    yield from _places("U.2 bay", board.u2, count["U.2"])
    yield from _places("SATA port", board.sata, count["2.5"] + count["3.5"])


@looks_after("bays")
def _bays(build: Build, use: Use) -> Iterator[Found]:
    case = build.case
    assert case
    if case.style != "frame":
        yield from _places("3.5-inch bay", case.bays, _forms(build)["3.5"])


def _forms(build: Build) -> Counter[str]:
    """Drives by their form."""
    count: Counter[str] = Counter()
    for drive, number in build.all(Drive):
        count[drive.form] += number
    return count


def _places(what: str, have: int | None, want: int) -> Iterator[Found]:
    if have is not None and want > have:
        yield Found(
            says=f"{plural(want, 'drive')} for {plural(have, what)}",
            fix=f"at most {have}, or drives of another form",
            severity="warning" if what == "U.2 bay" else "",  # adapters from M.2 or a slot exist
        )
    elif have is None and want:
        yield Found(says=f"how many {what}s there are is not known", fix=f"{want} are wanted", unknown=True)

"""The topology of a machine or a cluster: what hangs on what, with lanes and bandwidths, as one SVG."""

from __future__ import annotations

from itertools import pairwise
from textwrap import wrap
from typing import TYPE_CHECKING

from rigwise import units
from rigwise.report.svg import Board, legend

if TYPE_CHECKING:
    from rigwise.rig.lanes import Seat
    from rigwise.rig.rig import Rig

_GPU, _CPU, _SWITCH, _NIC, _MEMORY, _DISK = 0, 4, 3, 5, 2, 6
_WIDE, _GAP, _LEFT = 108.0, 14.0, 24.0


def topology_svg(found: Rig) -> str:
    """Processors on top, switches below them, GPUs and network cards at the bottom, each line with what it carries."""
    from rigwise.rig.lanes import seat

    seated = seat(found.build)
    gpus = list(seated.gpus) if seated and seated.gpus else []
    bottom = max(len(found.build.gpus) + len(found.build.nics), 3)
    width = max(720.0, 2 * _LEFT + bottom * (_WIDE + _GAP))
    ways = _ways(found)
    most = int((width - 2 * _LEFT) / 6.2)
    network = [line for text in (found.fabric.says() if found.fabric else []) for line in wrap(text, most)]
    height = 372 + 18 * len(ways) + (112 + 18 * len(network) if found.fabric else 0)
    board = Board(width, height, f"Topology of {len(found.build.gpus)} GPUs")
    many = f"{found.use.nodes} machines of " if found.use.nodes > 1 else ""
    cards = found.build.gpus
    board.text(_LEFT, 28, f"{many}{len(cards)} x {cards[0].device.full_name if cards else 'no GPU'}", "title")
    network_card = [(_NIC, "network card")] if found.build.nics else []
    there = [(_CPU, "processor"), (_GPU, "GPU"), *network_card, (_MEMORY, "RAM"), (_DISK, "drive")]
    legend(board, _LEFT, 50, there, width)
    places = _processors(board, found, width)
    _hosted(board, found, places)
    if cards and cards[0].cooling == "sxm":
        _modules(board, found, places)
    else:
        _cards(board, found, gpus, places)
    _nics(board, found, list(seated.nics) if seated else [], places)
    y = 352.0
    for text in ways:
        board.text(_LEFT, y, text, "soft")
        y += 18
    if found.fabric:
        _network(board, found, y, width, network)
    return board.svg()


def _box(board: Board, x: float, y: float, wide: float, hue: int, lines: list[str], says: str) -> None:
    board.bar(x, y, wide, 6, hue, says)
    board.line(x, y, x, y + 46)
    board.line(x + wide, y, x + wide, y + 46)
    board.line(x, y + 46, x + wide, y + 46)
    for i, text in enumerate(lines):
        board.text(x + wide / 2, y + 22 + 15 * i, _short(text, wide), "soft" if i else "", "middle")


def _elbow(board: Board, x: float, y: float, bend: float, to: float, kind: str = "edge", down: float = 280) -> None:
    """Down to the bend, across, and down: lines that share a way lie on each other."""
    board.line(x, y, x, bend, kind)
    board.line(x, bend, to, bend, kind)
    board.line(to, bend, to, down, kind)


def _short(text: str, wide: float) -> str:
    most = int(wide / 6.6)
    return text if len(text) <= most else text[: most - 1] + "…"


def _processors(board: Board, found: Rig, width: float) -> list[float]:
    """Middles of the processors, left to right."""
    cpu = found.build.cpu
    count = max(1, sum(n for part, n in ((i.part, i.count) for i in found.build.items) if part.kind == "cpu"))
    span = (width - 2 * _LEFT) / count
    middles = []
    for i in range(count):
        middle = _LEFT + span * (i + 0.5)
        name = cpu.name if cpu else "processor unknown"
        lanes = f"{cpu.lanes} lanes of PCIe {cpu.gen}" if cpu and cpu.lanes else ""
        _box(board, middle - 110, 84, 220, _CPU, [name, f"{cpu.cores} cores; {lanes}" if cpu else ""], name)
        middles.append(middle)
    for left, right in pairwise(middles):
        board.line(left + 110, 107, right - 110, 107, "edge")
        cross = [pair.link for pair in found.pairs if pair.way == "socket"]
        if cross:
            board.text((left + right) / 2, 101, units.show_rate(cross[0].bandwidth), "soft", "middle")
    return middles


def _hosted(board: Board, found: Rig, places: list[float]) -> None:
    """RAM and drive beside the first processor."""
    x = places[0] + 8
    rate = found.wiring.ram_rate
    ram = f"RAM {units.show_bytes(found.build.ram)}" + (f", {units.show_rate(rate)}" if rate else "")
    disk = f"drive, reads {units.show_rate(found.wiring.disk)}" if found.wiring.disk else "drive"
    board.dot(x + 6, 148, _MEMORY, ram)
    board.text(x + 16, 152, ram, "soft")
    board.dot(x + 6, 166, _DISK, disk)
    board.text(x + 16, 170, disk, "soft")


def _cards(board: Board, found: Rig, gpus: list[Seat], places: list[float]) -> None:
    switches: dict[str, float] = {}
    order = sorted(range(len(gpus)), key=lambda i: (gpus[i].place.socket, gpus[i].place.position or 0))
    for column, i in enumerate(order):
        seat = gpus[i]
        x = _LEFT + column * (_WIDE + _GAP)
        middle = x + _WIDE / 2
        where = f"slot {seat.place.position}" if seat.place.position else "slot"
        lanes = f"x{seat.lanes} PCIe {seat.gen}"
        name = found.build.gpus[i].device.full_name.removeprefix("GeForce ")
        _box(board, x, 280, _WIDE, _GPU, [f"GPU {i} {name}", where], found.build.gpus[i].name)
        top = places[min(seat.place.socket, len(places) - 1)]
        if seat.place.switched:
            switches.setdefault(seat.place.port, middle + (_WIDE + _GAP) / 2)
            _elbow(board, switches[seat.place.port], 232, 250, middle)
        else:
            _elbow(board, top, 130, 200, middle, "dash" if seat.place.chipset else "edge")
        board.text(middle + 5, 272, lanes, "soft")
        if seat.place.chipset:
            board.text(middle + 5, 258, "chipset", "soft")
    for port, x in switches.items():
        socket = int(port[0])
        _elbow(board, places[min(socket, len(places) - 1)], 130, 200, x, down=216)
        board.bar(x - 52, 216, 104, 16, _SWITCH, "PCIe switch")
        board.text(x, 228, "PCIe switch", "", "middle")


def _modules(board: Board, found: Rig, places: list[float]) -> None:
    cards = found.build.gpus
    left, right = _LEFT, _LEFT + len(cards) * (_WIDE + _GAP) - _GAP
    link = found.pairs[0].link if found.pairs else None
    board.bar(left, 226, right - left, 16, _SWITCH, "baseboard")
    board.text(
        (left + right) / 2,
        238,
        f"{link.name}: {units.show_rate(link.bandwidth)} each way" if link else "",
        "",
        "middle",
    )
    for place in places:
        board.line(place, 130, place, 226, "edge")
    for i, card in enumerate(cards):
        x = _LEFT + i * (_WIDE + _GAP)
        _box(board, x, 280, _WIDE, _GPU, [f"GPU {i}", card.device.name], card.name)
        board.line(x + _WIDE / 2, 242, x + _WIDE / 2, 280, "edge")


def _nics(board: Board, found: Rig, seats: list[Seat], places: list[float]) -> None:
    start = len(found.build.gpus)
    for column, (card, seat) in enumerate(zip(found.build.nics, seats, strict=False)):
        x = _LEFT + (start + column) * (_WIDE + _GAP)
        _box(board, x, 280, _WIDE, _NIC, [f"{card.technology}", f"{card.rate / 1e9:g} Gbit/s"], card.name)
        top = places[min(seat.place.socket, len(places) - 1)]
        _elbow(board, top, 130, 200, x + _WIDE / 2, "dash" if seat.place.chipset else "edge")
        board.text(x + _WIDE / 2 + 5, 272, f"x{seat.lanes} PCIe {seat.gen}", "soft")


def _ways(found: Rig) -> list[str]:
    from rigwise.rig.wiring import WAYS, ways

    return [
        f"{count} pair{'s' * (count != 1)} of GPUs through {WAYS[way]}: {units.show_rate(rate)}"
        for way, (count, rate) in ways(list(found.pairs)).items()
    ]


def _network(board: Board, found: Rig, y: float, width: float, says: list[str]) -> None:
    """Machines in a row, joined by a cable or by switches."""
    fabric = found.fabric
    assert fabric is not None
    shown = min(fabric.nodes, 6)
    span = (width - 2 * _LEFT) / shown
    middle = width / 2
    for i in range(shown):
        x = _LEFT + span * (i + 0.5)
        last = i == shown - 1 and fabric.nodes > shown
        text = f"… {fabric.nodes - shown + 1} more" if last else f"machine {i + 1}"
        board.bar(x - 50, y + 54, 100, 6, _GPU, text)
        board.text(x, y + 76, text, "", "middle")
        if fabric.tiers:
            board.line(middle, y + 24, x, y + 54, "edge")
        elif i:
            board.line(x - span + 50, y + 57, x - 50, y + 57, "edge")
    if fabric.tiers:
        board.bar(middle - 190, y + 8, 380, 16, _SWITCH, fabric.switch)
        board.text(middle, y + 20, f"{fabric.switches} x {fabric.switch}", "", "middle")
    for i, text in enumerate(says):
        board.text(_LEFT, y + 104 + 18 * i, text, "soft")

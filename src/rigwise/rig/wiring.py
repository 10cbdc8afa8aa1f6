"""The wiring of a build: what of it the laws can feel, and what each pair of its GPUs goes through."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

from rigwise.hardware.catalog import bridge, links
from rigwise.hardware.device import Link
from rigwise.hardware.fabrics import PCIE_WIDTHS, default_node, own_link
from rigwise.rig.build import Build
from rigwise.rig.catalogue import FOLDER
from rigwise.rig.lanes import Seat, Seating, seat
from rigwise.rig.parts import Cpu, Drive, Gpu, Memory
from rigwise.rig.steps import BEST, Wiring
from rigwise.rig.throttle import slowdown
from rigwise.units import GIGA

# Share of a drive's label that random reads of samples keep (recalled; article 3 reads a disk at 100 MB/s).
READ = {"HDD": 0.55, "SSD": 0.5, "sata": 0.9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two GPUs of a machine, by number. way: bridge, board (SXM), switch, root (root ports of one processor), socket
    (two processors), host (through host memory), chipset. link: what a large transfer between them reaches.
    """

    first: int
    second: int
    way: str
    link: Link


WAYS: Mapping[str, str] = {
    "bridge": "NVLink bridge",
    "board": "the baseboard's own links",
    "switch": "one PCIe switch",
    "root": "root ports of one processor",
    "socket": "the link between two processors",
    "host": "host memory",
    "chipset": "the chipset's link",
}


def read_rate(drive: Drive) -> float | None:
    """Bytes/s at which samples are read from a drive."""
    share = READ["HDD"] if drive.medium == "HDD" else READ["sata" if drive.interface == "sata" else "SSD"]
    return drive.rate * share if drive.rate else None


def disk_rate(build: Build) -> float | None:
    """Bytes/s of the fastest drive: where a set that is trained on belongs."""
    rates = [rate for drive, _ in build.all(Drive) if (rate := read_rate(drive)) is not None]
    return max(rates, default=None)


def memory_rate(build: Build) -> float | None:
    """Bytes/s of the RAM, all processors: the platform's, in the share of its channels that have a module.

    A kit that is slower than the platform's memory lowers it in proportion.
    """
    cpu, kit = build.cpu, build.one(Memory)
    if cpu is None or cpu.bandwidth is None:
        return None
    count = build.count(Cpu)
    filled = min(1.0, build.modules / (count * cpu.channels)) if cpu.channels and build.modules else 1.0
    full = cpu.channels * 8e6 * kit.speed if cpu.channels and kit and kit.speed else cpu.bandwidth
    return min(full, cpu.bandwidth) * count * filled


def wiring_of(build: Build, seating: Seating | None = None) -> Wiring:
    """What the laws feel of a build. seating: where it is known already."""
    seating = seating or seat(build)
    cpu, count = build.cpu, build.count(Cpu)
    nics = build.nics
    return Wiring(
        lanes=seating.lanes or None if seating else None,
        gen=seating.gen or None if seating else None,
        direct=_direct(build, seating),
        sharing=seating.sharing if seating else 1,
        bridged=build.bridges > 0,
        cores=cpu.cores * count if cpu else None,
        threads=cpu.threads * count if cpu else None,
        arch=cpu.arch if cpu else "",
        ram=build.ram or None,
        ram_rate=memory_rate(build),
        disk=disk_rate(build),
        nic=nics[0].link if nics else "",
        nics=len(nics),
        slow=slowdown(build, seating),
    )


_OPEN = {
    "cpu": ("cores", "threads", "arch", "ram_rate"),
    "memory": ("ram", "ram_rate"),
    "storage": ("disk",),
}


def eased(wiring: Wiring, build: Build) -> Wiring:
    """The wiring with everything that is not decided yet at its best."""
    if build.board is None:
        wiring = replace(wiring, direct=all(card.device.peer_access is True for card in build.gpus))
    for kind, names in _OPEN.items():
        if kind not in build.by_kind:
            wiring = replace(wiring, **{name: getattr(BEST, name) for name in names})
    return wiring


def _direct(build: Build, seating: Seating | None) -> bool | None:
    """Whether GPUs reach each other directly: their driver allows it and one processor holds them all."""
    if not build.gpus or any(card.device.peer_access is not True for card in build.gpus):
        return False
    return seating is None or seating.sockets <= 1


def pairs(build: Build, seating: Seating | None = None) -> list[Pair]:
    """What every pair of GPUs goes through, and its bandwidth."""
    cards = build.gpus
    if cards and cards[0].cooling == "sxm":
        link = default_node(cards[0].device, len(cards))[0].link
        return [Pair(first=i, second=j, way="board", link=link) for i, j in combinations(range(len(cards)), 2)]
    seating = seating or seat(build)
    if seating is None:
        return []
    return [_pair(build, cards, seating, i, j) for i, j in combinations(range(len(cards)), 2)]


def _pair(build: Build, cards: tuple[Gpu, ...], seating: Seating, i: int, j: int) -> Pair:
    first, second = seating.gpus[i], seating.gpus[j]
    joined = bridge(cards[i].device.name) if i % 2 == 0 and j == i + 1 and i // 2 < build.bridges else None
    if joined is not None:
        return Pair(first=i, second=j, way="bridge", link=joined)
    way = _way(first, second)
    device = cards[i].device
    direct = all(card.device.peer_access is True for card in (cards[i], cards[j])) and way in ("switch", "root")
    lanes = next(width for width in PCIE_WIDTHS if width <= min(first.lanes, second.lanes) or width == 1)
    link = own_link(device, min(first.gen, second.gen), lanes, peer=direct)
    if way == "socket":
        link = _crossing(build, link)
    return Pair(first=i, second=j, way=way if direct or way in ("socket", "chipset") else "host", link=link)


def _way(first: Seat, second: Seat) -> str:
    if first.place.chipset or second.place.chipset:
        return "chipset"
    if first.place.socket != second.place.socket:
        return "socket"
    return "switch" if first.place.switched and first.place.port == second.place.port else "root"


@cache
def _between() -> dict[str, float]:
    """Bytes/s between two processors by microarchitecture (catalog/crossings.csv)."""
    with (FOLDER / "crossings.csv").open(newline="", encoding="utf-8") as file:
        return {row["arch"]: float(row["gb_s"]) * GIGA for row in csv.DictReader(file)}


def _crossing(build: Build, link: Link) -> Link:
    most = _between().get(build.cpu.arch if build.cpu else "", link.bandwidth)
    return replace(link, name=f"{link.name} across processors", bandwidth=min(link.bandwidth, most))


def ways(found: list[Pair]) -> dict[str, tuple[int, float]]:
    """How many pairs go each way, and the least bandwidth of them."""
    counts = Counter(pair.way for pair in found)
    return {way: (count, min(p.link.bandwidth for p in found if p.way == way)) for way, count in counts.items()}


def direct_link(gen: int, lanes: int) -> Link:
    """The link of a slot by itself."""
    return links()[f"pcie-{gen}-x{next(width for width in PCIE_WIDTHS if width <= lanes or width == 1)}"]

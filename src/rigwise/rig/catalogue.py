"""The catalogue: parts that make sense for deep learning, read from catalog/*.csv, each row with source and date."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from rigwise.errors import not_found
from rigwise.hardware.catalog import devices
from rigwise.hardware.tables import number, table, whole
from rigwise.rig.parts import Board, Case, Cooler, Cpu, Drive, Fan, Gpu, Memory, Nic, Part, Supply
from rigwise.rig.slots import parse_slots, sxm_sockets
from rigwise.units import GIBI, GIGA, MEGA

FOLDER = Path(__file__).with_name("catalog")
Row = Mapping[str, str]
_PLUG = re.compile(r"(\d+)x(\S+?)(?=\+|$)")


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Parts to choose from. name: what a proof says it was proved on."""

    name: str
    parts: tuple[Part, ...]

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Part, ...]]:
        """Parts of each kind."""
        kinds: dict[str, list[Part]] = {}
        for part in self.parts:
            kinds.setdefault(part.kind, []).append(part)
        return {kind: tuple(parts) for kind, parts in kinds.items()}

    @cached_property
    def by_id(self) -> Mapping[str, Part]:
        """Parts by their id."""
        return {part.id: part for part in self.parts}

    def of(self, kind: str) -> tuple[Part, ...]:
        """Parts of a kind; empty where there is none."""
        return self.by_kind.get(kind, ())

    def part(self, ident: str) -> Part:
        """The part of an id. Raises NotFoundError with the nearest."""
        if ident not in self.by_id:
            raise not_found("part", ident, self.by_id)
        return self.by_id[ident]


@cache
def catalogue() -> Catalogue:
    """The catalogue that comes with the package.

    >>> len(catalogue().parts) > 400, catalogue().part("ryzen-5-5600").price
    (True, 115.0)
    """
    prices = {row["part"]: row for row in rows("prices")}
    found: list[Part] = []
    for name, read in _READERS.items():
        found += [_priced(read(row), prices.get(row["id"])) for row in rows(name)]
    return Catalogue(name="the catalogue of rigwise", parts=tuple(found))


def rows(name: str) -> list[dict[str, str]]:
    """The rows of catalog/<name>.csv as text."""
    with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _priced(part: Part, row: Row | None) -> Part:
    return part if row is None else replace(part, price=float(row["price_usd"]), condition=row["condition"])


def common(row: Row) -> dict[str, str]:
    """The fields that every part has."""
    return {key: row.get(key, "") for key in ("id", "name", "set", "source", "date", "weak")}


def read_plugs(text: str) -> dict[str, int] | None:
    """Power plugs of a card; None where they are not known.

    >>> read_plugs("2x8"), read_plugs("1x8+1x6"), read_plugs("1x12V-2x6"), read_plugs("none"), read_plugs("")
    ({'8': 2}, {'8': 1, '6': 1}, {'16': 1}, {}, None)
    """
    if not text:
        return None
    kinds = {"12VHPWR": "16", "12V-2x6": "16"}
    return {kinds.get(kind, kind): int(count) for count, kind in _PLUG.findall(text)}


def _gpu(row: Row) -> Gpu:
    device = devices()[row["device"]]
    return Gpu(
        **common(row),
        device=device,
        watts=float(row["watts"]) if row["watts"] else device.tdp or 0.0,
        length=number(row["length_mm"]) or None,
        slots=number(row["slots"]),
        plugs=read_plugs(row["power"]) if row["power"] != "board" else {},
        cooling=row["cooling"],
    )


def platform(socket: str, name: str = "") -> Row | None:
    """The row of the hardware catalogue's platforms for a socket; where it has several, the one that the name fits."""
    found = [row for row in table("platforms") if row["socket"] == socket]
    if len(found) > 1:
        # sTR5: Threadripper and PRO; LGA 4677: Xeon W-2400, W-3400 and Scalable; SP3: 7001 and 7002
        words = {"PRO": "PRO", "w5-2": "W-2400", "w7-2": "W-2400", "w5-3": "W-3400", "w7-3": "W-3400", "w9": "W-3400"}
        wanted = next((text for word, text in words.items() if word in name), "")
        if not wanted and "Xeon" in name:
            wanted = "-SP"
        elif not wanted and "Threadripper" in name:
            wanted = "TRX50"
        first = "7001" if re.search(r"EPYC 7\d\d1", name) else "7002" if socket == "SP3" else ""
        return next((row for row in found if (wanted or first) in row["id"]), found[0])
    return found[0] if found else None


def _cpu(row: Row) -> Cpu:
    place = platform(row["socket"], row["name"]) or {}
    return Cpu(
        **common(row),
        watts=float(row["watts"]),
        socket=row["socket"],
        sockets=int(row["sockets"]),
        cores=int(row["cores"]),
        threads=int(row["threads"]),
        channels=whole(row["channels"]),
        memory=tuple(row["memory"].split("/")),
        lanes=whole(row["pcie_lanes"]) or whole(place.get("pcie_lanes_usable", "")),
        gen=whole(place.get("pcie_gen", "")),
        arch=row["arch"],
        bandwidth=number(place.get("bandwidth_gb_s", ""), GIGA),
        cooler=row["cooler"] == "1",
    )


def _board(row: Row) -> Board:
    return Board(
        **common(row),
        watts=50.0 if int(row["dimms"]) > 4 else 30.0,
        socket=row["socket"],
        sockets=int(row["sockets"]),
        chipset=row["chipset"],
        form=row["form"],
        memory=row["memory"],
        dimms=int(row["dimms"]),
        dimm_kinds=tuple(row["dimm_kinds"].split()),
        memory_max=number(row["memory_max_gib"], GIBI),
        slots=parse_slots(row["slots"]),
        modules_sxm=sxm_sockets(row["slots"]),
        m2=int(row["m2"]),
        u2=int(row["u2"]),
        sata=int(row["sata"]),
        ethernet=float(row["ethernet_gbit_s"]) * GIGA,
        eps=int(row["eps8"]),
    )


def _memory(row: Row) -> Memory:
    modules = int(row["modules"])
    return Memory(
        **common(row),
        watts=MODULE_WATTS * modules,
        type=row["type"],
        speed=whole(row["speed_mt_s"]),
        modules=modules,
        module=float(row["module_gib"]) * GIBI,
        dimm=row["kind"],
        ecc=row["ecc"] == "1",
    )


MODULE_WATTS = 4.0  # of a memory module at work: 3 to 5 W by vendors' power calculators (recalled)


def _drive(row: Row) -> Drive:
    return Drive(
        **common(row),
        watts=float(row["watts"]),
        medium=row["kind"],
        size=float(row["capacity_gb"]) * GIGA,
        form=row["form"],
        interface=row["interface"],
        rate=number(row["read_mb_s"], MEGA),
    )


def _supply(row: Row) -> Supply:
    return Supply(
        **common(row),
        rating=float(row["watts"]),
        form=row["form"],
        efficiency=row["efficiency"],
        length=number(row["length_mm"]) or None,
        plugs={plug: whole(row[plug]) for plug in ("eps8", "pcie8", "pin16")},
        atx3=row["atx3"] == "1",
    )


def _case(row: Row) -> Case:
    return Case(
        **common(row),
        watts=float(row["fan_watts"]),
        style=row["kind"],
        boards=tuple(row["boards"].split("/")),
        gpu_length=number(row["gpu_max_mm"]) or None,
        slots=whole(row["expansion_slots"]),
        cooler_height=number(row["cooler_max_mm"]),
        supply_length=number(row["psu_max_mm"]),
        radiator=number(row["radiator_mm"]),
        bays=whole(row["bays_35"]),
        supplies=int(row["supplies"]),
        supply_forms=tuple(row["supply_forms"].split("/")),
        noise=number(row["noise_db"]),
    )


def _cooler(row: Row) -> Cooler:
    return Cooler(
        **common(row),
        watts=6.0 if row["kind"] == "water" else 2.0,
        type=row["kind"],
        sockets=tuple(row["sockets"].split("/")),
        height=number(row["height_mm"]) or None,
        radiator=number(row["radiator_mm"]) or None,
        takes=number(row["watts_max"]),
        noise=number(row["noise_db"]),
    )


def _nic(row: Row) -> Nic:
    return Nic(
        **common(row),
        watts=float(row["watts"]),
        technology=row["technology"],
        rate=float(row["gbit_s"]) * GIGA,
        link=row["link"],
        ports=int(row["ports"]),
        gen=int(row["pcie_gen"]),
        lanes=int(row["pcie_lanes"]),
        rdma=row["rdma"] == "1",
    )


def _fan(row: Row) -> Fan:
    return Fan(
        **common(row),
        watts=float(row["watts"]),
        size=float(row["size_mm"]),
        quantity=int(row["quantity"]),
        noise=number(row["noise_db"]),
    )


_READERS = {
    "gpus": _gpu,
    "cpus": _cpu,
    "boards": _board,
    "memory": _memory,
    "drives": _drive,
    "supplies": _supply,
    "cases": _case,
    "coolers": _cooler,
    "nics": _nic,
    "fans": _fan,
}


def with_prices(parts: Catalogue, prices: Iterable[tuple[str, float]]) -> Catalogue:
    """The catalogue with other prices for some of its parts. Raises NotFoundError for an unknown id."""
    said = {parts.part(ident).id: price for ident, price in prices}
    changed = tuple(replace(part, price=said[part.id]) if part.id in said else part for part in parts.parts)
    return Catalogue(name=f"{parts.name}, {len(said)} prices of your own", parts=changed)

"""The catalogue: parts that make sense for deep learning, read from catalog/*.csv, each row with source and date."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TypedDict

from rigwise.errors import UsageError, not_found
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


def _amount(row: Row, key: str, scale: float = 1.0) -> float:
    """A cell as an amount; 0 where it is empty."""
    return number(row.get(key, ""), scale) or 0.0


def _count(row: Row, key: str, least: int = 0) -> int:
    """A cell as a count; the least where it is empty."""
    return whole(row.get(key, "")) or least


class Common(TypedDict):
    """The text that every part has."""

    id: str
    name: str
    set: str
    source: str
    date: str
    weak: str


def common(row: Row) -> Common:
    """The fields that every part has."""
    return Common(
        id=row.get("id", ""),
        name=row.get("name", ""),
        set=row.get("set", ""),
        source=row.get("source", ""),
        date=row.get("date", ""),
        weak=row.get("weak", ""),
    )


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
    device = devices()[row.get("device", "")]
    return Gpu(
        **common(row),
        device=device,
        watts=_amount(row, "watts") if row.get("watts", "") else device.tdp or 0.0,
        length=number(row.get("length_mm", "")) or None,
        slots=number(row.get("slots", "")),
        plugs=read_plugs(row.get("power", "")) if row.get("power", "") != "board" else {},
        cooling=row.get("cooling", ""),
    )


def platform(socket: str, name: str = "") -> Row | None:
    """The row of the hardware catalogue's platforms for a socket; where it has several, the one that the name fits."""
    found = [row for row in table("platforms") if row.get("socket", "") == socket]
    if len(found) > 1:
        # sTR5: Threadripper and PRO; LGA 4677: Xeon W-2400, W-3400 and Scalable; SP3: 7001 and 7002
        words = {"PRO": "PRO", "w5-2": "W-2400", "w7-2": "W-2400", "w5-3": "W-3400", "w7-3": "W-3400", "w9": "W-3400"}
        wanted = next((text for word, text in words.items() if word in name), "")
        if not wanted and "Xeon" in name:
            wanted = "-SP"
        elif not wanted and "Threadripper" in name:
            wanted = "TRX50"
        first = "7001" if re.search(r"EPYC 7\d\d1", name) else "7002" if socket == "SP3" else ""
        return next((row for row in found if (wanted or first) in row.get("id", "")), found[0])
    return found[0] if found else None


def _cpu(row: Row) -> Cpu:
    socket, name = row.get("socket", ""), row.get("name", "")
    place: Row = platform(socket, name) or {}
    own: Row = next((r for r in rows("lanes") if r["socket"] == socket and re.search(r["processors"], name)), {})
    return Cpu(
        **common(row),
        watts=_amount(row, "watts"),
        socket=socket,
        sockets=_count(row, "sockets", 1),
        cores=_count(row, "cores"),
        threads=_count(row, "threads"),
        channels=whole(row.get("channels", "")),
        memory=tuple(word for word in row.get("memory", "").split("/") if word),
        lanes=next(filter(None, (whole(r.get("pcie_lanes", "")) for r in (row, own))), None)
        or whole(place.get("pcie_lanes_usable", "")),
        gen=whole(own.get("pcie_gen", "")) or whole(place.get("pcie_gen", "")),
        arch=row.get("arch", ""),
        bandwidth=number(place.get("bandwidth_gb_s", ""), GIGA),
        cooler=None if row.get("cooler", "") == "?" else row.get("cooler", "") == "1",
    )


def _board(row: Row) -> Board:
    return Board(
        **common(row),
        watts=50.0 if _count(row, "dimms") > 4 else 30.0,
        socket=row.get("socket", ""),
        sockets=_count(row, "sockets", 1),
        chipset=row.get("chipset", ""),
        form=row.get("form", ""),
        memory=row.get("memory", ""),
        dimms=whole(row.get("dimms", "")),
        dimm_kinds=tuple(row.get("dimm_kinds", "").split()),
        memory_max=number(row.get("memory_max_gib", ""), GIBI),
        slots=parse_slots(row.get("slots", "")),
        modules_sxm=sxm_sockets(row.get("slots", "")),
        m2=whole(row.get("m2", "")),
        u2=_count(row, "u2"),
        sata=whole(row.get("sata", "")),
        ethernet=_amount(row, "ethernet_gbit_s", GIGA),
        eps=whole(row.get("eps8", "")),
    )


def _memory(row: Row) -> Memory:
    modules = _count(row, "modules", 1)
    return Memory(
        **common(row),
        watts=MODULE_WATTS * modules,
        type=row.get("type", ""),
        speed=whole(row.get("speed_mt_s", "")),
        modules=modules,
        module=_amount(row, "module_gib", GIBI),
        dimm=row.get("kind", ""),
        ecc=row.get("ecc", "") == "1",
    )


MODULE_WATTS = 4.0  # of a memory module at work: 3 to 5 W by vendors' power calculators (recalled)


def _drive(row: Row) -> Drive:
    return Drive(
        **common(row),
        watts=_amount(row, "watts"),
        medium=row.get("kind", ""),
        size=_amount(row, "capacity_gb", GIGA),
        form=row.get("form", ""),
        interface=row.get("interface", ""),
        rate=number(row.get("read_mb_s", ""), MEGA),
    )


def _supply(row: Row) -> Supply:
    return Supply(
        **common(row),
        rating=_amount(row, "watts"),
        form=row.get("form", ""),
        efficiency=row.get("efficiency", ""),
        length=number(row.get("length_mm", "")) or None,
        plugs={plug: whole(row.get(plug, "")) for plug in ("eps8", "pcie8", "pin16")},
        atx3=row.get("atx3", "") not in ("", "0"),
    )


def _case(row: Row) -> Case:
    return Case(
        **common(row),
        watts=_amount(row, "fan_watts"),
        style=row.get("kind", "") or "desktop",
        boards=tuple(word for word in row.get("boards", "").split("/") if word),
        gpu_length=number(row.get("gpu_max_mm", "")) or None,
        slots=whole(row.get("expansion_slots", "")),
        cooler_height=number(row.get("cooler_max_mm", "")),
        supply_length=number(row.get("psu_max_mm", "")),
        radiator=number(row.get("radiator_mm", "")),
        bays=whole(row.get("bays_35", "")),
        supplies=_count(row, "supplies", 1),
        supply_forms=tuple(word for word in row.get("supply_forms", "").split("/") if word),
        noise=number(row.get("noise_db", "")),
    )


def _cooler(row: Row) -> Cooler:
    return Cooler(
        **common(row),
        watts=6.0 if row.get("kind", "") == "water" else 2.0,
        type=row.get("kind", ""),
        sockets=tuple(word for word in row.get("sockets", "").split("/") if word),
        height=number(row.get("height_mm", "")) or None,
        radiator=number(row.get("radiator_mm", "")) or None,
        takes=number(row.get("watts_max", "")),
        noise=number(row.get("noise_db", "")),
    )


def _nic(row: Row) -> Nic:
    return Nic(
        **common(row),
        watts=_amount(row, "watts"),
        technology=row.get("technology", ""),
        rate=_amount(row, "gbit_s", GIGA),
        link=row.get("link", ""),
        ports=_count(row, "ports", 1),
        gen=_count(row, "pcie_gen"),
        lanes=_count(row, "pcie_lanes"),
        rdma=row.get("rdma", "") == "1",
    )


def _fan(row: Row) -> Fan:
    return Fan(
        **common(row),
        watts=_amount(row, "watts"),
        size=_amount(row, "size_mm"),
        quantity=_count(row, "quantity", 1),
        noise=number(row.get("noise_db", "")),
    )


TABLES: Mapping[str, str] = {
    "gpu": "gpus",
    "cpu": "cpus",
    "motherboard": "boards",
    "memory": "memory",
    "storage": "drives",
    "psu": "supplies",
    "case": "cases",
    "cooler": "coolers",
    "nic": "nics",
    "fan": "fans",
}
"""The table of each kind of part."""

_READERS: Mapping[str, Callable[[Row], Part]] = {
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


def read_part(kind: str, row: Row) -> Part:
    """A part from a row of text in the columns of its table; price_usd and condition may stand in it. Raises
    UsageError.
    """
    try:
        part = _READERS[TABLES[kind]](row)
        return replace(part, price=number(row.get("price_usd", "")), condition=row.get("condition") or "new")
    except (ValueError, KeyError) as wrong:
        raise UsageError(
            f"cannot read the {kind} {row.get('name', '')!r}: {wrong}", rule=f"columns of {TABLES[kind]}.csv"
        ) from None


def columns(kind: str) -> tuple[str, ...]:
    """The columns of the table of a kind of part."""
    return tuple(rows(TABLES[kind])[0])


def raw(kind: str) -> Mapping[str, Row]:
    """The rows of the table of a kind by id, as text."""
    return {row["id"]: row for row in rows(TABLES[kind])}


def with_prices(parts: Catalogue, prices: Iterable[tuple[str, float]]) -> Catalogue:
    """The catalogue with other prices for some of its parts. Raises NotFoundError for an unknown id."""
    said = {parts.part(ident).id: price for ident, price in prices}
    changed = tuple(replace(part, price=said[part.id]) if part.id in said else part for part in parts.parts)
    return Catalogue(name=f"{parts.name}, {len(said)} prices of your own", parts=changed)

"""Parts that no catalogue has, as far as their names tell: a supply's watts, a board's socket, a drive's size.

A list that somebody wrote has a case or a supply that nobody else has. What its name tells is used; what it does not
tell is unknown, and the rules say what is to be looked up by hand. A processor is not guessed: everything hangs on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypedDict

from rigwise.rig.catalogue import rows
from rigwise.rig.parts import Board, Case, Cooler, Drive, Fan, Part, Supply
from rigwise.units import GIGA, KILO

_SOCKET = re.compile(r"\b(AM[45]|TR4|sTRX4|sWRX8|sTR5|SP[356]|LGA ?\d{4}(?:-3)?)\b", re.IGNORECASE)
_FORM = re.compile(r"\b(E-?ATX|SSI[- ](?:EEB|CEB)|Micro ATX|mATX|Mini[- ]ITX|ATX)\b", re.IGNORECASE)
_SIZE = re.compile(r"([\d.]+) ?([TG])B?\b", re.IGNORECASE)
_DISK = re.compile(r"rpm|hdd|hard|barracuda|caviar|ironwolf|exos|wd ?(?:blue|red|black) \d", re.IGNORECASE)
_LEVEL = re.compile(r"\b(titanium|platinum|gold|silver|bronze|white)\b", re.IGNORECASE)
_WEAK = "read from its name; the rest is not known"


class _Said(TypedDict):
    id: str
    name: str
    source: str
    weak: str


def stranger(kind: str, name: str) -> Part | None:
    """The part of a kind by its name alone; None for kinds that cannot be told so, or a name that tells too little.

    >>> stranger("psu", "Corsair TXM Gold 650W 80+ Gold Certified").rating
    650.0
    >>> board = stranger("motherboard", "Asus PRIME Z270-A ATX LGA1151 Motherboard")
    >>> (board.socket, board.chipset, board.memory, board.form)
    ('LGA 1151', 'Z270', 'DDR4', 'ATX')
    >>> stranger("cpu", "Hal 9000") is None, stranger("psu", "a strong one") is None
    (True, True)
    """
    read = _READ.get(kind)
    return read(name, _Said(id=name, name=name, source="its name", weak=_WEAK)) if read else None


def _supply(name: str, said: _Said) -> Part | None:
    watts = re.search(r"(\d{3,4}) ?W\b", name) or re.search(r"(?<![\d.])([3-9]\d\d|[12]\d{3})(?!\d)", name)
    level = _LEVEL.search(name)
    if watts is None:
        return None
    rating = float(watts[1])
    plugs = {"pcie8": None, "pin16": None, "eps8": None}
    return Supply(**said, rating=rating, efficiency=level[1].capitalize() if level else "", plugs=plugs)


def _board(name: str, said: _Said) -> Part | None:
    socket, form = _SOCKET.search(name), _FORM.search(name)
    row = next((row for row in rows("chipsets") if _chipset(row, name)), None)
    if socket is None and row is None:
        return None
    own = re.search(r"\bDDR[345]\b|\bD4\b", name.upper())
    memory = own[0].replace("D4", "DDR4") if own and own[0] == "D4" else own[0] if own else ""
    return Board(
        **said,
        watts=30.0,
        socket=re.sub(r"(?i)LGA ?", "LGA ", socket[1]) if socket else (row or {}).get("socket", ""),
        chipset=_chipset(row, name) if row else "",
        form=form[1] if form else "",
        memory=memory or (row or {}).get("memory", ""),
    )


def _chipset(row: Mapping[str, str], name: str) -> str:
    found = re.search(rf"\b({row['chipset']})(?!\d)", name.upper())
    return found[1] if found else ""


def _drive(name: str, said: _Said) -> Part | None:
    size, disk = _SIZE.search(name), _DISK.search(name) is not None
    if size is None:
        return None
    fast = re.search(r"nvme|m\.2|pcie", name.lower()) is not None
    scale = GIGA * (KILO if size[2].upper() == "T" else 1.0)
    return Drive(
        **said,
        watts=8.0 if disk else 5.0,
        medium="HDD" if disk else "SSD",
        size=float(size[1]) * scale,
        form="M.2" if fast else "3.5" if disk else "2.5",
        interface="nvme" if fast else "sata",
    )


def _cooler(name: str, said: _Said) -> Part:
    radiator = re.search(r"\b(120|140|240|280|360|420)\b", name)
    water = radiator is not None or re.search(r"liquid|water|aio|hydro", name.lower()) is not None
    return Cooler(
        **said, type="water" if water else "air", sockets=(), radiator=float(radiator[1]) if radiator else None
    )


def _case(name: str, said: _Said) -> Part:
    frame = re.search(r"open[- ]?(?:air )?frame|mining (?:frame|rig)|gpu frame", name.lower()) is not None
    return Case(**said, style="frame" if frame else "desktop", supplies=2 if frame else 1)


def _fan(name: str, said: _Said) -> Part:
    size = re.search(r"\b(80|92|120|140|200)\b", name)
    return Fan(**said, size=float(size[1]) if size else 120.0)


_READ: Mapping[str, Callable[[str, _Said], Part | None]] = {
    "psu": _supply,
    "motherboard": _board,
    "storage": _drive,
    "cooler": _cooler,
    "case": _case,
    "fan": _fan,
}

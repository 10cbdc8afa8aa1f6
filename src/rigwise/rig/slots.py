"""Slots of a board: where they are, how many lanes they have by wire, and with whom they share them.

A board's slots are written from the top down as POSITION:LANES@GENERATION, with what they hang on:

    1:16@4            lanes of their own from the first processor
    1:16@4/1          from the second processor
    1:16@5=A16        lanes of the group A, which has 16 in all: one card alone gets its 16, two get 8 each
    1:16@3=swA16      behind the PCIe switch A with 16 lanes up: full width to each other, shared on the way up
    4:4@3=pch         behind the chipset, whose own link is shared by everything on it
    sxm:8@4           sockets for eight SXM modules

A list without positions, 2x16@5;1x4@4, is read too: neither distance nor sharing is known then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rigwise.errors import UsageError

_SLOT = re.compile(r"(\d+):(\d+)@(\d)(?:=(sw|pch|[A-Z])([A-Z]?)(\d*))?(?:/(\d))?$")
_COUNTED = re.compile(r"(\d+)x(\d+)(?:@(\d))?$")
_SXM = re.compile(r"sxm:(\d+)@(\d)$")
WIDTHS = (16, 8, 4, 2, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """position: bracket at the back, 1 at the top, None where unknown. group: whose lanes it shares, "" for nobody's;
    total: lanes of the group. switched: the group is a PCIe switch. chipset: behind it. socket: of the processor.
    """

    position: int | None
    lanes: int
    gen: int
    group: str = ""
    total: int = 0
    switched: bool = False
    chipset: bool = False
    socket: int = 0

    @property
    def port(self) -> str:
        """The root port or switch that it hangs on, by name; slots of one port reach each other below the processor."""
        if self.chipset:
            return "chipset"
        return f"{self.socket}{self.group}" if self.group else f"{self.socket}:{self.position}"


def parse_slots(text: str) -> tuple[Slot, ...]:
    """The slots of a text in either spelling; sxm sockets are counted by `sxm_sockets`. Raises UsageError.

    >>> [(s.position, s.lanes, s.gen, s.group, s.total) for s in parse_slots("1:16@5=A16 4:8@5=A16 7:4@4=pch")]
    [(1, 16, 5, 'A', 16), (4, 8, 5, 'A', 16), (7, 4, 4, '', 0)]
    >>> [s.lanes for s in parse_slots("2x16@5;1x4@4")]
    [16, 16, 4]
    """
    words = [word for word in re.split(r"[;\s]+", text.strip()) if word]
    return tuple(slot for word in words if not _SXM.match(word) for slot in _slots(word))


def sxm_sockets(text: str) -> int:
    """Sockets for SXM modules in a board's slots.

    >>> sxm_sockets("sxm:8@4 1:16@4"), sxm_sockets("1:16@4")
    (8, 0)
    """
    found = [_SXM.match(word) for word in text.split()]
    return sum(int(match[1]) for match in found if match)


def _slots(word: str) -> Iterator[Slot]:
    if found := _SLOT.match(word):
        hangs, name, total, socket = found[4] or "", found[5], found[6], int(found[7] or 0)
        yield Slot(
            position=int(found[1]),
            lanes=int(found[2]),
            gen=int(found[3]),
            group=(name if hangs == "sw" else hangs) if hangs not in ("", "pch") else "",
            total=int(total or 0),
            switched=hangs == "sw",
            chipset=hangs == "pch",
            socket=socket,
        )
    elif found := _COUNTED.match(word):
        slot = Slot(position=None, lanes=int(found[2]), gen=int(found[3] or 3), group="?")
        yield from [slot] * int(found[1])
    else:
        raise UsageError(f"cannot read {word!r} as a slot", rule="1:16@4, 4:8@5=A16, 7:4@3=pch, or 2x16@4;1x4@3")


def widths(lanes: list[int], total: int) -> list[int]:
    """Lanes of cards that share `total`: each what its slot has, the widest halved until all fit.

    >>> widths([16], 16), widths([16, 8], 16), widths([16, 8, 16], 32), widths([16, 16, 16, 16], 40)
    ([16], [8, 8], [8, 8, 16], [8, 8, 8, 16])
    """
    got = list(lanes)
    while sum(got) > total and max(got) > 1:
        got[got.index(max(got))] //= 2
    return got

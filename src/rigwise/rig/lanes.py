"""Cards in slots: which card sits where, with how many lanes, how near its neighbours, and what the pairs go through.

Cards must not overlap, the last one needs brackets below it, and cards that share lanes get widths that fit the group.
Of all ways to seat them the best has, in this order: eight lanes or more for every GPU (article 3: more do not matter
for up to four), air between neighbours, most lanes. Left out: how a board's firmware splits lanes when told otherwise,
and risers' signal quality.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
from math import ceil

from rigwise.rig.build import Build
from rigwise.rig.parts import Case, Cpu, Gpu
from rigwise.rig.slots import Slot, widths

ENOUGH = 8  # lanes of a GPU that are enough for up to four: article 3
_LANE = 2.0**30  # article 3 counts a lane at 1 GiB/s
_MOST = 20_000  # ways to seat cards that are tried; boards have fewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A card in its slot. slot: by its place in the board's list. gap: free brackets to the next card, None where the
    board's slots have no known positions or the card has its own air.
    """

    slot: int
    place: Slot
    lanes: int
    gen: int
    gap: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seating:
    """Every card's seat: GPUs first, then network cards, in the order of the build. known: whether distances are."""

    gpus: tuple[Seat, ...]
    nics: tuple[Seat, ...]
    known: bool

    @property
    def lanes(self) -> int:
        """Lanes of the narrowest GPU; 0 without one."""
        return min((seat.lanes for seat in self.gpus), default=0)

    @property
    def gen(self) -> int:
        """PCIe generation of the slowest GPU slot."""
        return min((seat.gen for seat in self.gpus), default=0)

    @property
    def sharing(self) -> int:
        """Most GPUs behind one switch."""
        ports = [seat.place.port for seat in self.gpus if seat.place.switched]
        return max((ports.count(port) for port in ports), default=1)

    @property
    def sockets(self) -> int:
        """Processors among whose slots the GPUs are spread."""
        return len({seat.place.socket for seat in self.gpus})


def lanes_wanted(gpus: int) -> int:
    """Lanes that GPUs want together: eight each; two or three do not need even those.

    >>> lanes_wanted(4), lanes_wanted(1)
    (32, 8)
    """
    return ENOUGH * gpus


def thickness(card: Gpu) -> int:
    """Brackets that a card takes."""
    return ceil(card.slots or 2)


def seat(build: Build, *, spaced: bool = True) -> Seating | None:
    """The best seating of a build's cards, None where they do not all fit. spaced: whether thickness counts."""
    board, case = build.board, build.case
    if board is None:
        return None
    frame = case is not None and (case.style == "frame" or build.risers)
    sockets = build.count(Cpu) if build.cpu else board.sockets
    cards = tuple(c for c in build.gpus if c.cooling != "sxm")
    lanes = (build.cpu.lanes or 0) * sockets if build.cpu else 0
    return _seat(
        board.slots,
        tuple(thickness(c) for c in cards),
        tuple((c.device.pcie_lanes or 16, c.device.pcie_gen or 3) for c in cards),
        tuple((c.lanes, c.gen) for c in build.nics),
        sockets,
        lanes,
        build.cpu.gen if build.cpu and build.cpu.gen else 9,
        None if frame or not spaced else _brackets(case),
        spaced and not frame,
    )


def _brackets(case: Case | None) -> int:
    return case.slots if case and case.slots else 8


@lru_cache(maxsize=4096)
def _seat(
    slots: tuple[Slot, ...],
    thick: tuple[int, ...],
    gpus: tuple[tuple[int, int], ...],
    nics: tuple[tuple[int, int], ...],
    sockets: int,
    lanes: int,
    gen: int,
    brackets: int | None,
    spaced: bool,
) -> Seating | None:
    usable = [i for i, slot in enumerate(slots) if slot.socket < sockets]
    known = all(slots[i].position is not None for i in usable)
    best, score = None, None
    for chosen in _choices(usable, len(gpus), slots):
        gaps = _gaps([slots[i] for i in chosen], thick, brackets) if spaced and known else [None] * len(chosen)
        if gaps is None:
            continue
        free = _free(usable, chosen, slots, thick, spaced and known)
        cards = _cards(free, len(nics), slots)
        if cards is None:
            continue
        got = _lanes([*chosen, *cards], slots, [*gpus, *nics], lanes, gen)
        seats = [
            Seat(slot=i, place=slots[i], lanes=width, gen=pace, gap=gap)
            for i, (width, pace), gap in zip([*chosen, *cards], got, [*gaps, *[None] * len(cards)], strict=True)
        ]
        found = Seating(gpus=tuple(seats[: len(gpus)]), nics=tuple(seats[len(gpus) :]), known=known)
        now = _score(found)
        if score is None or now > score:
            best, score = found, now
    return best


def _choices(usable: Sequence[int], count: int, slots: Sequence[Slot]) -> Iterator[tuple[int, ...]]:
    wide = [i for i in usable if slots[i].lanes >= 1]
    for tried, chosen in enumerate(combinations(wide, count)):
        if tried >= _MOST:
            return
        yield chosen


def _gaps(chosen: Sequence[Slot], thick: Sequence[int], brackets: int | None) -> list[int | None] | None:
    """Free brackets below each card, None for the last; None altogether where cards overlap or stick out."""
    if not chosen:
        return []
    ends = [(slot.position or 0) + size for slot, size in zip(chosen, thick, strict=True)]
    if brackets is not None and ends[-1] - 1 > brackets:
        return None
    gaps = [(lower.position or 0) - end for (_, lower), end in zip(pairwise(chosen), ends, strict=False)]
    return None if any(gap < 0 for gap in gaps) else [*gaps, None]


def _free(
    usable: Sequence[int], chosen: Sequence[int], slots: Sequence[Slot], thick: Sequence[int], near: bool
) -> list[int]:
    """Slots that are left, those under a thick card apart."""
    taken = set(chosen)
    covered: set[int] = set()
    if near:
        for i, size in zip(chosen, thick, strict=True):
            start = slots[i].position or 0
            covered |= set(range(start, start + size))
    return [i for i in usable if i not in taken and slots[i].position not in covered]


def _cards(free: Sequence[int], count: int, slots: Sequence[Slot]) -> list[int] | None:
    """Slots for network cards: the widest of what is left."""
    ranked = sorted(free, key=lambda i: (slots[i].chipset, -slots[i].lanes, i))
    return sorted(ranked[:count]) if len(ranked) >= count else None


def _lanes(
    chosen: Sequence[int], slots: Sequence[Slot], cards: Sequence[tuple[int, int]], lanes: int, gen: int
) -> list[tuple[int, int]]:
    """Lanes and generation of each card: its own, its slot's, its group's and the processor's."""
    got = [min(slots[i].lanes, card) for i, (card, _) in zip(chosen, cards, strict=True)]
    for group in {(slots[i].group, slots[i].socket) for i in chosen if slots[i].group and not slots[i].switched}:
        members = [k for k, i in enumerate(chosen) if (slots[i].group, slots[i].socket) == group]
        limit = slots[chosen[members[0]]].total or lanes or sum(got)
        for k, width in zip(members, widths([got[k] for k in members], limit), strict=True):
            got[k] = width
    own = [k for k, i in enumerate(chosen) if not slots[i].chipset and not slots[i].switched]
    if lanes and own:
        for k, width in zip(own, widths([got[k] for k in own], lanes), strict=True):
            got[k] = width
    return [
        (width, min(slots[i].gen, pace, 9 if slots[i].chipset else gen))
        for i, width, (_, pace) in zip(chosen, got, cards, strict=True)
    ]


def _score(found: Seating) -> tuple[float, ...]:
    gaps = [seat.gap for seat in found.gpus if seat.gap is not None]
    lanes = [seat.lanes for seat in found.gpus]
    return (
        min((min(width, ENOUGH) for width in lanes), default=0),
        min(gaps, default=0),
        min((seat.lanes << seat.gen for seat in found.gpus), default=0),
        -found.sharing,
        sum(lanes),
        sum(seat.lanes for seat in found.nics),
        -sum(seat.slot for seat in found.gpus),
    )


def transfer_seconds(size: float, lanes: int) -> float:
    """Seconds of a batch of `size` bytes over lanes, as article 3 counts: 1 GiB/s a lane, in theory.

    >>> [round(transfer_seconds(32 * 225 * 225 * 3 * 4, lanes) * 1e3, 2) for lanes in (16, 8, 4)]
    [1.13, 2.26, 4.53]
    """
    return size / (lanes * _LANE)

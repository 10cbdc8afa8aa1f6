"""A machine as a list of parts, and what it is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from rigwise.rig.parts import Board, Case, Cooler, Cpu, Gpu, Memory, Nic, Part, Supply
from rigwise.rig.power import Circuit
from rigwise.rig.steps import Work

P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A part and how many of it."""

    part: Part
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Build:
    """A machine.

    limit: watts that each GPU is held to, None for its own. bridges: NVLink bridges between pairs. risers: cards on
    cables, wherever there is room. spare: watts that parts which are not decided yet will draw at least.
    """

    items: tuple[Item, ...]
    limit: float | None = None
    bridges: int = 0
    risers: bool = False
    spare: float = 0.0

    @cached_property
    def by_kind(self) -> Mapping[str, tuple[Item, ...]]:
        """The items of each kind; a kind that is not there is missing."""
        found: dict[str, list[Item]] = {}
        for item in self.items:
            found.setdefault(item.part.kind, []).append(item)
        return {kind: tuple(items) for kind, items in found.items()}

    def all(self, of: type[P]) -> tuple[tuple[P, int], ...]:
        """Every part of a kind with its count."""
        return tuple((i.part, i.count) for i in self.by_kind.get(of.kind, ()) if isinstance(i.part, of))

    def one(self, of: type[P]) -> P | None:
        """The first part of a kind, None where there is none."""
        found = self.all(of)
        return found[0][0] if found else None

    def count(self, of: type[P]) -> int:
        """How many of a kind there are."""
        return sum(count for _, count in self.all(of))

    def has(self, kinds: Iterable[str]) -> bool:
        """Whether every one of the kinds is there."""
        return all(kind in self.by_kind for kind in kinds)

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """Every GPU, one entry a card."""
        return tuple(card for card, count in self.all(Gpu) for _ in range(count))

    @property
    def nics(self) -> tuple[Nic, ...]:
        """Every network card."""
        return tuple(card for card, count in self.all(Nic) for _ in range(count))

    @property
    def cpu(self) -> Cpu | None:
        """The processor."""
        return self.one(Cpu)

    @property
    def board(self) -> Board | None:
        """The motherboard."""
        return self.one(Board)

    @property
    def case(self) -> Case | None:
        """The case."""
        return self.one(Case)

    @property
    def housed(self) -> tuple[Board, Case]:
        """Board and case, for a rule that reads both and so has both."""
        board, case = self.board, self.case
        assert board
        assert case
        return board, case

    @property
    def cooler(self) -> Cooler | None:
        """The processor's cooler."""
        return self.one(Cooler)

    @property
    def ram(self) -> float:
        """Bytes of memory in all."""
        return sum(kit.size * count for kit, count in self.all(Memory))

    @property
    def modules(self) -> int:
        """Memory modules in all."""
        return sum(kit.modules * count for kit, count in self.all(Memory))

    @property
    def rating(self) -> float:
        """Watts that the supplies deliver together."""
        return sum(supply.rating * count for supply, count in self.all(Supply))

    @property
    def gpu_watts(self) -> float:
        """Watts of the GPUs, at the limit that they are held to."""
        return sum(min(card.watts, self.limit or card.watts) for card in self.gpus)

    @property
    def watts(self) -> float:
        """Watts that the parts draw at work, losses of the supplies apart."""
        rest = sum(i.part.watts * i.count for i in self.items if not isinstance(i.part, Gpu))
        return self.gpu_watts + rest + self.spare

    @property
    def price(self) -> float | None:
        """US dollars, None where the price of a part is not known."""
        prices = [i.part.price for i in self.items]
        if any(price is None for price in prices):
            return None
        return sum((i.part.price or 0.0) * i.count for i in self.items)

    def but(self, items: Iterable[Item]) -> Build:
        """The machine with other items, the rest of it the same."""
        return Build(items=tuple(items), limit=self.limit, bridges=self.bridges, risers=self.risers, spare=self.spare)

    def swapped(self, kind: str, items: Iterable[Item]) -> Build:
        """The machine with other items of one kind."""
        return self.but([*(i for i in self.items if i.part.kind != kind), *items])


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a machine is for. work: the user's own network, None where nobody said. preprocess: while, where the
    processor prepares samples during training, or before. circuit: the wall's. nodes: machines of the kind. brief: only
    how grave a finding is will be read, so that a rule need not work out what it only says.
    """

    work: Work | None = None
    preprocess: str = "while"
    circuit: Circuit | None = None
    nodes: int = 1
    per_kwh: float = 0.175
    brief: bool = False

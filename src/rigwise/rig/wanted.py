"""What is wanted of a machine, and the parts of each kind that come into question for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rigwise.errors import InfeasibleError, UsageError, not_found
from rigwise.hardware.device import Device
from rigwise.rig.build import Item
from rigwise.rig.catalogue import Catalogue
from rigwise.rig.parts import Board, Case, Cpu, Drive, Gpu, Memory, Nic, Part, Supply
from rigwise.rig.power import constants
from rigwise.units import BITS_PER_BYTE, GIBI, GIGA, TERA, show_bytes

_KITS = 4  # kits of memory that are bought together at most
_DRIVES = 4
_FRAME = 3  # GPUs from which an open frame is worth its looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """device, gpus: kind and number of GPUs of a machine. budget: US dollars. ram, storage: bytes at least. nic: bit/s
    between machines, 0 for none; technology: of the network, "" for any. cooling: of the cards, "" for any. new:
    nothing used. limit: watts that each GPU is held to. keep: ids of parts that are already there or must be taken.
    cases: styles of case, by default every one, an open frame only from three GPUs on.
    """

    device: Device
    gpus: int
    budget: float | None = None
    ram: float = 16 * GIBI
    storage: float = TERA
    nic: float = 0.0
    technology: str = ""
    cooling: str = ""
    new: bool = False
    limit: float | None = None
    keep: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()


Domain = tuple[tuple[Item, ...], ...]
"""What can be taken of a kind: each entry is a few items taken together, none for a kind that may be left out."""


def domains(wanted: Wanted, parts: Catalogue) -> Mapping[str, Domain]:
    """What can be taken of each kind. Raises InfeasibleError where a kind has nothing, NotFoundError for an id."""
    kept = [parts.part(ident) for ident in wanted.keep]
    found = {
        "gpu": _items(_gpus(wanted, parts), [wanted.gpus]),
        "nic": _nics(wanted, parts),
        "motherboard": _items(_good(wanted, parts, Board), [1]),
        "cpu": _items(_good(wanted, parts, Cpu), [1, 2]),
        "case": _items(_cases(wanted, parts), [1]),
        "psu": _supplies(wanted, parts),
        "cooler": ((), *_items(_good(wanted, parts, "cooler"), [1, 2])),
        "memory": _enough(_items(_good(wanted, parts, Memory), range(1, _KITS + 1)), wanted.ram),
        "storage": _enough(_items(_good(wanted, parts, Drive), range(1, _DRIVES + 1)), wanted.storage),
    }
    for part in kept:
        found[part.kind] = tuple(c for c in found[part.kind] if any(i.part.id == part.id for i in c)) or (
            (Item(part=part, count=wanted.gpus if part.kind == "gpu" else 1),),
        )
    found = {kind: _cheapest_of_alike(domain) for kind, domain in found.items()}
    for kind, domain in found.items():
        if not domain:
            raise InfeasibleError(
                f"{parts.name} has no {kind} that comes into question", nearest=_nearest(kind, wanted)
            )
    return found


def _cheapest_of_alike(domain: Domain) -> Domain:
    """Entries less those that differ from a cheaper one in nothing that a rule can read."""
    best: dict[object, tuple[float, tuple[Item, ...]]] = {}
    for entry in domain:
        alike = tuple((_plain(item.part), item.count) for item in entry)
        price = sum((item.part.price or 0.0) * item.count for item in entry)
        if alike not in best or price < best[alike][0]:
            best[alike] = (price, entry)
    return tuple(entry for _, entry in best.values())


def _plain(part: Part) -> str:
    """A part without what only people read: its name, its price, its sources. A processor is told from others by its
    name, which says what chipsets serve it."""
    name = part.name if isinstance(part, Cpu) else ""
    return repr(replace(part, id="", name=name, price=None, condition="", source="", date="", weak=""))


def _nearest(kind: str, wanted: Wanted) -> str:
    sizes = {"memory": f"less than {show_bytes(wanted.ram)} of RAM", "storage": "less storage"}
    if kind == "gpu" and (wanted.cooling or wanted.new):
        return "another cooling, or used cards"
    return sizes.get(kind, "a larger parts database: --parts FOLDER")


def _good(wanted: Wanted, parts: Catalogue, kind: type[Part] | str) -> list[Part]:
    """Parts of a kind that have a price and are not used where only new ones are wanted."""
    name = kind if isinstance(kind, str) else kind.kind
    return [p for p in parts.of(name) if p.price is not None and not (wanted.new and p.condition == "used")]


def _gpus(wanted: Wanted, parts: Catalogue) -> list[Part]:
    every = [p for p in parts.of("gpu") if isinstance(p, Gpu)]
    mine = [p for p in every if p.device.name == wanted.device.name]
    if not mine:
        raise not_found("card in the parts", wanted.device.name, {p.device.name for p in every}, hint="--parts FOLDER")
    good = [p for p in _good(wanted, parts, Gpu) if p in mine]
    return [p for p in good if isinstance(p, Gpu) and wanted.cooling in ("", p.cooling)]


def _cases(wanted: Wanted, parts: Catalogue) -> list[Part]:
    every = ("desktop", "rack", "server") + (("frame",) if wanted.gpus >= _FRAME else ())
    styles = wanted.cases or every
    return [p for p in _good(wanted, parts, Case) if isinstance(p, Case) and p.style in styles]


def _nics(wanted: Wanted, parts: Catalogue) -> Domain:
    if not wanted.nic:
        return ((),)
    cards = [p for p in _good(wanted, parts, Nic) if isinstance(p, Nic)]
    meant = (
        ("ethernet", "roce") if wanted.technology == "ethernet" else (wanted.technology,)
    )  # RoCE cards are Ethernet's
    fitting = [p for p in cards if p.rate >= wanted.nic and (not wanted.technology or p.technology in meant)]
    if not fitting:
        rates = ", ".join(sorted({f"{p.technology} {p.rate / GIGA:g} Gbit/s" for p in cards}))
        raise InfeasibleError(
            f"no {wanted.technology or 'network'} card of {wanted.nic / GIGA:g} Gbit/s "
            f"({wanted.nic / BITS_PER_BYTE / GIGA:g} GB/s)",
            nearest=rates,
        )
    return _items(fitting, [1])


def _supplies(wanted: Wanted, parts: Catalogue) -> Domain:
    """One supply, or two alike; those of a server in its own number."""
    numbers = {case.set: case.supplies for case in parts.of("case") if isinstance(case, Case) and case.set}
    found: list[tuple[Item, ...]] = []
    for supply in _good(wanted, parts, Supply):
        counts = [numbers.get(supply.set, 1)] if supply.set else [1, 2]
        found += _items([supply], counts)
    return tuple(found)


def _items(parts: Iterable[Part], counts: Iterable[int]) -> Domain:
    numbers = list(counts)
    return tuple((Item(part=part, count=count),) for part in parts for count in numbers)


def _enough(domain: Domain, least: float) -> Domain:
    """Entries of at least so many bytes, and no more kits or drives than that takes, twice over."""
    out = []
    for items in domain:
        size = sum(i.part.size * i.count for i in items if isinstance(i.part, Memory | Drive))
        if size >= least:
            out.append(items)
    return tuple(out)


def check_wanted(wanted: Wanted) -> None:
    """Refuse what cannot be wanted. Raises UsageError."""
    if wanted.gpus < 1:
        raise UsageError(f"{wanted.gpus} GPUs", rule="a machine has at least one")
    for name in ("budget", "ram", "storage", "limit"):
        value = getattr(wanted, name)
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} of {value:g}", rule="more than nothing, and finite")
    least = float(constants()["supply"]["limit_least"]) * (wanted.device.tdp or 0.0)
    if wanted.limit is not None and wanted.limit < least:
        raise UsageError(
            f"limit of {wanted.limit:g} W a card", rule=f"at least {least:.0f} W of its {wanted.device.tdp:.0f} W"
        )

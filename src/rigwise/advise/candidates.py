"""Candidates: what can be had. Devices that the need allows, and for each the ways to get some of it.

A device that is left out has a reason, which `--why-not` prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rigwise.advise.assumptions import Machine, assumed, host_for, host_named
from rigwise.advise.money import useful_share
from rigwise.advise.needs import Need
from rigwise.advise.prices import Price, PriceBook, left_behind
from rigwise.cost.efficiencies import family_of
from rigwise.hardware.catalog import devices
from rigwise.hardware.device import Device
from rigwise.hardware.fabrics import default_node
from rigwise.units import show_bytes

SOLD = ("new", "used")
HIRED = ("rent", "spot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to get some of a device. card: price of one, or of its hour. host: the machine around it, where bought.

    cards, around: dollars for devices that are not there yet, and for the machines and network around them, 0 for rent.
    sold: dollars that cards fetch which are there and not used any more. hourly: dollars an hour of all, 0 where owned.
    useful: the share of the hours that interruptions leave. owned: how many of the devices are there already. age: of
    the device in years, since its launch.
    """

    device: Device
    count: int
    condition: str
    card: Price
    host: Machine | None
    cards: float = 0.0
    around: float = 0.0
    sold: float = 0.0
    hourly: float = 0.0
    useful: float = 1.0
    owned: int = 0
    age: float = 0.0

    @property
    def capital(self) -> float:
        """Dollars before the first step, 0 for rent; below 0 where what is sold fetches more."""
        return self.cards + self.around - self.sold

    @property
    def bought(self) -> bool:
        """Whether it is owned afterwards."""
        return self.condition in SOLD

    @property
    def name(self) -> str:
        """In words: 2x rtx-3090, used."""
        return f"{self.count}x {self.device.name}, {self.condition}"


def kept(need: Need, book: PriceBook) -> tuple[list[Device], dict[str, str]]:
    """The devices that the need allows and somebody offers, and why the others are left out, by name."""
    allowed, refused = [], {}
    for device in devices().values():
        reason = _refusal(need, device) or _unpriced(need, device, book)
        if reason:
            refused[device.name] = reason
        else:
            allowed.append(device)
    return allowed, refused


def _refusal(need: Need, device: Device) -> str:
    """Why a limit of the need leaves a device out; empty where none does."""
    if device.kind == "cpu":
        return "it is a processor, not a card"
    if device.kind != "gpu" and device.vendor.lower() not in need.vendors:
        return f"it needs a software stack of its own; ask for it: --vendor {device.vendor.lower()}"
    if family_of(device) == "default" and device.vendor.lower() not in need.vendors:
        return (
            f"no card of its architecture ({device.arch}) was ever measured in training, so its speed is a guess; ask "
            f"for it: --vendor {device.vendor.lower()}"
        )
    if device.name in assumed("unsold"):
        return str(assumed("unsold")[device.name])
    if need.vendors and device.vendor.lower() not in need.vendors:
        return f"its vendor is {device.vendor}, asked was for {', '.join(need.vendors)}"
    if device.memory < need.memory * 0.93:  # a card of "24 GB" may report 22.5 GiB
        where = f" ({need.persona}: {need.source})" if need.persona else ""
        return f"it has {show_bytes(device.memory)} of memory, the need asks for {show_bytes(need.memory)}{where}"
    if need.precision and need.precision not in device.peak:
        return f"it has no {need.precision}"
    return ""


def _unpriced(need: Need, device: Device, book: PriceBook) -> str:
    if any(_price(need, device, count, condition, book) for condition in need.conditions for count in (1, 2, 4, 8)):
        return ""
    if left_behind(device) and set(need.conditions) & set(SOLD):
        return f"current CUDA leaves {device.arch} out; a price of your own counts it: --price {device.name}:used=USD"
    return f"no price is known for it as {' or '.join(need.conditions)}; say one: --price {device.name}=USD"


def _price(need: Need, device: Device, count: int, condition: str, book: PriceBook) -> Price | None:
    if condition in HIRED:
        return book.hour(device, min(count, 8), spot=condition == "spot")
    return book.card(device, condition) if host_for(device, 1) else None


def ways(need: Need, device: Device, count: int, book: PriceBook) -> Iterator[Candidate]:
    """Every way to get `count` of a device within the conditions of the need."""
    for condition in need.conditions:
        price = _price(need, device, count, condition, book)
        if price is None:
            continue
        if condition in HIRED:
            useful = _useful(need) if condition == "spot" else 1.0
            hourly = price.usd * count
            yield Candidate(
                device=device, count=count, condition=condition, card=price, host=None, hourly=hourly, useful=useful
            )
            continue
        made = _bought(need, device, count, condition, price, book)
        if made:
            yield made


def _useful(need: Need) -> float:
    return useful_share(need.interruptions, float(assumed("spot")["lost_minutes"]))


def _bought(need: Need, device: Device, count: int, condition: str, price: Price, book: PriceBook) -> Candidate | None:
    owned = sum(n for mine, n in need.owned if mine.name == device.name)
    here = min(count, 8)
    host = host_for(device, here)
    if host is None:
        return None
    machines = -(-count // here)
    around = machine_usd(need, host, here) + (machines - 1) * host.price + _network(device, machines)
    return Candidate(
        device=device,
        count=count,
        condition=condition,
        card=price,
        host=host,
        cards=max(count - owned, 0) * price.usd,
        around=around,
        sold=_sold(need, device, book),
        owned=min(owned, count),
        age=book.age(device),
    )


def machine_usd(need: Need, host: Machine, cards: int) -> float:
    """Dollars of a machine for so many cards: nothing where the one that is there takes them, else less what that one
    fetches, if it takes the same form of cards.
    """
    old = machine_there(need)
    if old is None or old.form != host.form:
        return host.price
    return 0.0 if old.most >= cards else host.price - float(assumed("resale")["selling"]) * old.price


def machine_there(need: Need) -> Machine | None:
    """The machine around what is owned: the one that is named, else the least that takes the cards."""
    if need.host:
        return host_named(need.host)
    return host_for(need.owned[0][0], min(sum(n for _, n in need.owned), 8)) if need.owned else None


def _sold(need: Need, device: Device, book: PriceBook) -> float:
    """Dollars that cards fetch which are there and not used any more."""
    share, usd = float(assumed("resale")["selling"]), 0.0
    for mine, count in need.owned:
        price = book.second_hand(mine) if mine.name != device.name else None
        usd += share * count * price.usd if price else 0.0
    return usd


def _network(device: Device, machines: int) -> float:
    """Dollars for switches, cards and cables between machines."""
    if machines < 2:
        return 0.0
    rates = assumed("network")
    cards = default_node(device)[0].nics
    return machines * cards * float(rates["switch_port"] + rates["nic"] + rates["cables"] / max(cards, 1))

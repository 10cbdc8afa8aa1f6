"""What joins machines to a cluster: cards, switches, cables; the path of every pair; whether it is worth it.

    two machines      a cable from card to card, no switch
    one tier          every card on one switch of p ports, for up to p cards
    two tiers         leaves with half their ports down and half up: ceil(e / (p/2)) leaves, ceil(leaves (p/2) / p)
    spines

A message from GPU to GPU of another machine takes three hops where the card reads GPU memory (GPU, network, GPU) and
five where it does not (GPU, RAM, network, RAM, GPU). Hops work on pieces at once (the slowest counts) or one after
the other (their sum). Source: T. Dettmers, "How To Build and Use a Multi GPU System for Deep Learning" (article 6); fat
trees after C. Leiserson 1985. Left out: oversubscription, adaptive routing, a third tier, uplinks to storage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, inf
from typing import Any

from rigwise.cost.loader import through
from rigwise.errors import InfeasibleError
from rigwise.hardware.catalog import links
from rigwise.hardware.device import Link
from rigwise.rig import power
from rigwise.rig.build import Build, Use
from rigwise.rig.catalogue import rows
from rigwise.rig.heat import wall_watts
from rigwise.rig.lanes import seat
from rigwise.rig.parts import Nic
from rigwise.rig.wiring import direct_link, wiring_of
from rigwise.rig.words import plural
from rigwise.units import GIGA, MEGA, show_rate, show_seconds, show_usd

_FAULTY = 5.0  # times slower than expected: from here something is broken rather than busy
_MESSAGE = 4e6  # bytes: article 6's layer of 1000 x 1000 float32
_RDMA_CLASS = (
    "a",
    "h",
    "b",
    "v",
    "p",
    "l",
    "t4",
    "rtx-a",
    "rtx-6000",
    "rtx-5000-ada",
    "rtx-4000-ada",
    "rtx-pro",
    "quadro",
    "mi",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One station of a path. rate: bytes/s."""

    name: str
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """The network of equal machines. tiers: of switches, 0 for a direct cable. ends: cards' ports in use, all machines.
    path: hops from a GPU to one of another machine. alone_s: the step of one machine with the same batch; step_s of
    all. rent: dollars an hour for the same GPUs, None where nobody says; breaks_even: hours after which owning is
    cheaper.
    """

    technology: str
    rate: float
    nodes: int
    ends: int
    tiers: int
    switch: str
    switches: int
    cable: str
    cables: int
    price: float
    watts: float
    rdma: bool
    path: tuple[Hop, ...]
    alone_s: float | None = None
    step_s: float | None = None
    rent: float | None = None
    breaks_even: float | None = None

    @property
    def bandwidth(self) -> float:
        """Bytes/s from GPU to GPU of another machine, pieces on the way at once."""
        return min(hop.rate for hop in self.path)

    def seconds(self, size: float, *, pipelined: bool = True) -> float:
        """Seconds of a message of `size` bytes over the path."""
        return float(through([size / hop.rate for hop in self.path], pipelined=pipelined))

    def says(self) -> list[str]:
        """The network and its verdicts in words."""
        hops = " - ".join(hop.name for hop in self.path)
        what = (
            f"{plural(self.cables, 'cable')}, no switch"
            if not self.tiers
            else (f"{self.switches} x {self.switch} in {plural(self.tiers, 'tier')}, {plural(self.cables, 'cable')}")
        )
        lines = [
            f"{self.technology} {self.rate / GIGA:g} Gbit/s: {what}, {show_usd(self.price)}",
            f"every pair across machines: {hops}: {show_rate(self.bandwidth)}; 4 MB in "
            f"{show_seconds(self.seconds(_MESSAGE))}, or {show_seconds(self.seconds(_MESSAGE, pipelined=False))} hop "
            f"by hop",
        ]
        return [*lines, *self._verdicts()]

    def _verdicts(self) -> list[str]:
        out = []
        if self.alone_s and self.step_s:
            gain = self.alone_s / self.step_s
            worth = "worth it" if gain > 0.5 * self.nodes else "hardly worth it" if gain > 1.05 else "not worth it"
            out.append(
                f"{plural(self.nodes, 'machine')} are {gain:.2f} times as fast as one with the same batch "
                f"({gain / self.nodes:.0%} of {self.nodes}): {worth}"
                + ("" if gain > 1.05 else "; use them for separate runs")
            )
        if self.rent:
            hours = self.breaks_even
            when = (
                "never"
                if hours is None
                else f"after {hours:,.0f} hours at work ({hours / 8760:.1f} years without a pause)"
            )
            out.append(f"renting the same GPUs costs {show_usd(self.rent)} an hour: owning is cheaper {when}")
        return out

    def to_dict(self) -> dict[str, Any]:
        """The network for JSON."""
        return {
            "technology": self.technology,
            "bit_per_s": self.rate,
            "nodes": self.nodes,
            "ports": self.ends,
            "tiers": self.tiers,
            "switch": self.switch,
            "switches": self.switches,
            "cable": self.cable,
            "cables": self.cables,
            "price_usd": self.price,
            "watts": self.watts,
            "rdma": self.rdma,
            "path": [{"hop": hop.name, "bytes_per_s": hop.rate} for hop in self.path],
            "bytes_per_s": self.bandwidth,
            "one_machine_step_s": self.alone_s,
            "step_s": self.step_s,
            "rent_usd_per_hour": self.rent,
            "break_even_h": self.breaks_even,
            "says": self.says(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """Switches and cables. tiers: 0, 1 or 2."""

    tiers: int
    switches: int
    cables: int


def tree(ends: int, ports: int) -> Tree:
    """Switches and cables that join `ends` cards at full rate, with switches of `ports` ports.

    >>> tree(2, 36), tree(8, 36), tree(512, 64)
    (Tree(tiers=0, switches=0, cables=1), Tree(tiers=1, switches=1, cables=8), Tree(tiers=2, switches=24, cables=1024))
    """
    if ends <= 2:
        return Tree(tiers=0, switches=0, cables=1)
    if ends <= ports:
        return Tree(tiers=1, switches=1, cables=ends)
    down = ports // 2
    leaves = ceil(ends / down)
    spines = ceil(leaves * down / ports)
    return Tree(tiers=2, switches=leaves + spines, cables=ends + leaves * down)


def fabric_of(build: Build, use: Use) -> Fabric | None:
    """The cheapest network of the catalogue for the machines' cards; None for one machine or without cards."""
    card = build.one(Nic)
    if use.nodes < 2 or card is None:
        return None
    per_node = len(build.nics)
    ends = per_node * use.nodes
    shape, switch, cable = _cheapest(card, ends, use.nodes, per_node)
    price = shape.switches * float(switch["price"] if switch else 0) + shape.cables * float(cable["price"])
    watts = shape.switches * float(switch["watts"] if switch else 0) + shape.cables * float(cable["watts"])
    rdma = card.rdma and _reads_gpus(build)
    fabric = Fabric(
        technology=card.technology,
        rate=card.rate,
        nodes=use.nodes,
        ends=ends,
        tiers=shape.tiers,
        switch=switch["name"] if switch else "",
        switches=shape.switches,
        cable=cable["name"],
        cables=shape.cables,
        price=price,
        watts=watts,
        rdma=rdma,
        path=path(build, card, rdma),
    )
    return _judged(fabric, build, use)


def _cheapest(card: Nic, ends: int, nodes: int, per_node: int) -> tuple[Tree, dict[str, str] | None, dict[str, str]]:
    prices = {row["part"]: row["price_usd"] for row in rows("prices")}
    every = [
        {**row, "price": prices[row["id"]]}
        for row in rows("fabric")
        if row["technology"] == card.technology and float(row["gbit_s"]) * GIGA >= card.rate * 0.99
    ]
    cable = min((row for row in every if row["kind"] == "cable"), key=lambda row: float(row["price"]))
    if nodes == 2:
        return Tree(tiers=0, switches=0, cables=per_node), None, cable
    switches = [row for row in every if row["kind"] == "switch"]
    found = [(tree(ends, int(row["ports"])), row) for row in switches]
    found = [(shape, row) for shape, row in found if shape.tiers < 2 or _leaves(shape, int(row["ports"]))]
    if not found:
        most = max((int(row["ports"]) ** 2 // 2 for row in switches), default=2)
        raise InfeasibleError(
            f"no network of {card.technology} {card.rate / GIGA:g} Gbit/s for {nodes:,} machines: two tiers of the "
            f"largest switch reach {most // per_node:,}",
            rule="fabric binds",
            nearest=f"{most // per_node:,} machines, or several clusters",
        )
    shape, switch = min(found, key=lambda pair: pair[0].switches * float(pair[1]["price"]) + pair[0].cables)
    return shape, switch, cable


def _leaves(shape: Tree, ports: int) -> bool:
    """Whether two tiers reach: a spine has a port for every leaf."""
    return shape.switches - ceil(shape.switches / 3) <= ports


def _reads_gpus(build: Build) -> bool:
    """Whether the GPUs let a network card read their memory with the stock driver: not GeForce, Radeon or Arc."""
    names = [card.device.name for card in build.gpus]
    return bool(names) and all(name.startswith(_RDMA_CLASS) and not name.startswith("arc") for name in names)


def _gen(build: Build) -> int:
    """PCIe generation of GPUs on a baseboard: theirs, or the processor's where that is older."""
    own = build.cpu.gen if build.cpu and build.cpu.gen else 9
    return min((own, *(card.device.pcie_gen or 3 for card in build.gpus)))


def path(build: Build, card: Nic, rdma: bool) -> tuple[Hop, ...]:
    """Hops from a GPU of one machine to a GPU of another.

    Every GPU of a machine shares its cards: the network's rate is one card's, for one pair at a time.
    """
    seated = seat(build)
    lanes, gen = (seated.lanes or 16, seated.gen or _gen(build)) if seated else (16, _gen(build))
    slot = direct_link(gen, min(lanes, 16)).rated
    place = seated.nics[0] if seated and seated.nics else None
    own = direct_link(place.gen, place.lanes).bandwidth if place else inf
    wire: Link = links()[card.link]
    network = Hop(name=f"{card.technology} {card.rate / GIGA:g} Gbit/s", rate=min(wire.bandwidth, own))
    out = Hop(name=f"PCIe {gen} x{lanes}", rate=slot)
    if rdma:
        return out, network, out
    into = Hop(name="PCIe from RAM to card", rate=own if own < inf else slot)
    return replace(out, name=f"{out.name} to RAM"), into, network, into, replace(out, name=f"{out.name} from RAM")


def _judged(fabric: Fabric, build: Build, use: Use) -> Fabric:
    rent = rent_of(build)
    hours = None
    if rent is not None and build.price is not None:
        total = build.price * use.nodes + fabric.price
        drawn = wall_watts(build) * use.nodes + fabric.watts
        saved = rent * use.nodes - power.running_cost(drawn, 1.0, use.per_kwh)[1]
        hours = total / saved if saved > 0 else None
    fabric = replace(fabric, rent=None if rent is None else rent * use.nodes, breaks_even=hours)
    if use.work is None:
        return fabric
    wiring = wiring_of(build)
    return replace(fabric, step_s=use.work.seconds(wiring), alone_s=use.work.alone(wiring))


def rent_of(build: Build) -> float | None:
    """Dollars an hour for which the GPUs of one machine are rented, None where no price is known."""
    prices = {row["device"]: float(row["usd_per_hour"]) for row in rows("rents")}
    each = [prices.get(card.device.name) for card in build.gpus]
    known = [price for price in each if price is not None]
    return sum(known) if known and len(known) == len(each) else None


def slower(measured: float, expected: float) -> str:
    """Whether a measured bandwidth means that something is broken, in words; empty where it does not.

    Article 6: some chipsets carry 150 MB/s by GPUDirect where 3 GB/s are expected.

    >>> slower(150e6, 3e9)
    '150 MB/s measured where 3.00 GB/s are expected, 20 times less: faulty RDMA, another chipset or slot'
    >>> slower(2.5e9, 3e9)
    ''
    """
    times = expected / measured if measured > 0 else inf
    if times < _FAULTY:
        return ""
    shown = f"{measured / MEGA:.0f} MB/s" if measured < GIGA else show_rate(measured)
    return (
        f"{shown} measured where {show_rate(expected)} are expected, {times:.0f} times less: faulty RDMA, another "
        f"chipset "
        "or slot"
    )

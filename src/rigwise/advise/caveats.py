"""Caveats: what can go wrong with a choice that fits: power supply, circuit, heat, slots, links, types, loader, prices.

The rules are those of Dettmers' articles (A Full Hardware Guide, 2018; Which GPU(s) to Get, 2020 and 2023), each with
its numbers in data/assumptions.toml.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from rigwise.advise.assumptions import assumed, circuit_watts
from rigwise.advise.candidates import Candidate
from rigwise.advise.judge import Verdict
from rigwise.advise.needs import Need
from rigwise.advise.prices import left_behind
from rigwise.advise.rank import undated
from rigwise.cost.datakinds import Loading, supply
from rigwise.cost.loader import STAGES, feed
from rigwise.units import GIGA

_CROWD = 3  # adjacent open cards that heat each other
_FAST = 50e9 / 8  # bytes/s between machines, from which parallel training is worth it
_FULL = 0.9  # of a device's memory
_WAIT = 0.05  # of a step that it may wait for its data before that is said


def supply_watts(cards: int, watts: float, host: float | None = None) -> float:
    """Watts of the power supply: processor and cards, and a tenth.

    >>> round(supply_watts(4, 350.0))
    1705
    """
    room = assumed("headroom")
    return (cards * watts + (room["host_cpu"] if host is None else host)) * float(room["psu"])


def caveats(candidate: Candidate, verdict: Verdict, need: Need, today: date) -> Iterator[str]:
    """What to warn of, the weightiest first."""
    if candidate.bought and candidate.device.form == "pcie":
        yield from _power(candidate, need)
        yield from _room(candidate, need)
    if candidate.condition == "spot" and need.deadline is not None:
        yield "deadline: nobody promises when a machine that was taken away comes back"
    yield from _links(candidate, verdict)
    yield from _types(candidate, verdict)
    yield from _loader(verdict, need)
    if verdict.fits and verdict.memory > _FULL * candidate.device.memory:
        yield "memory nearly full: more than nine tenths; allocators retry near the limit"
    if doubt := candidate.card.doubt(today):
        after = "; it stands after all whose price has a date" if undated(candidate.card, need) else ""
        yield f"price: {doubt}{after}"
    if candidate.device.weak:
        yield f"catalogue: unsure of {candidate.device.weak}"


def _power(c: Candidate, need: Need) -> Iterator[str]:
    watts = c.device.tdp
    if watts is None or c.host is None:
        yield "power: not known"
        return
    here = min(c.count, 8)
    room, wanted = assumed("headroom"), supply_watts(here, watts)
    if wanted > room["psu_largest"] and c.host.name != "server":
        yield (
            f"power supply: {here} x {watts:.0f} W and {room['host_cpu']:.0f} W, and a tenth, is {wanted:.0f} W, above "
            f"the largest usual one of {room['psu_largest']:.0f} W: cap the cards' power, or two supplies"
        )
    drawn, usual = here * watts + c.host.watts, str(room["usual_circuit"])
    if need.circuit is None and drawn > circuit_watts(usual):
        yield f"wall circuit: {drawn:.0f} W is above the {circuit_watts(usual):.0f} W that {usual} carry for hours"


def _room(c: Candidate, need: Need) -> Iterator[str]:
    if c.host is None:
        return
    width, here = c.device.slots or 2.0, min(c.count, 8)
    board = assumed("slots")["board"]
    if here <= 4 < here * width / (board / 4) and width > 2:
        yield f"slots: {here} cards of {width:g} slots need {here * width:g}, a board has {board}: extenders or water"
    if c.device.name in assumed("passive")["devices"] and not c.host.loud:
        yield f"heat: it has no fan, and wants the airflow of a server, which a {c.host.name} has not"
    elif _CROWD <= here <= 4:
        yield "heat: adjacent cards need blowers or water, open fans lose 10 to 25 % of their speed"
    if need.quiet and here >= _CROWD:
        yield "noise: blowers are loud; water is quiet"


def _links(c: Candidate, verdict: Verdict) -> Iterator[str]:
    node = verdict.cluster.node
    if c.count > 1 and node.link.kind == "pcie-host" and c.device.peer_access is False:
        yield "no peer access: cards exchange through the host's memory, at about half of PCIe's rate"
    if verdict.cluster.nodes > 1 and node.network < _FAST:
        yield f"network: {node.network * 8 / GIGA:.0f} Gbit/s between machines; more than two want 50 or more"


def _types(c: Candidate, verdict: Verdict) -> Iterator[str]:
    device, kind = c.device, verdict.layout.precision
    if kind == "float32":
        yield "no 16 bit: without tensor cores for it, it computes in float32, with twice the memory"
    elif kind == "float16" and "bfloat16" not in device.peak:
        yield "no bfloat16: float16 needs loss scaling"
    if left_behind(device):
        yield f"software: current CUDA leaves {device.arch} out; it wants a release of before"
    if device.kind != "gpu":
        yield f"software: {device.vendor}'s accelerators need a stack of their own"
    elif device.vendor != "NVIDIA":
        yield f"software: less is written for {device.vendor}, and its efficiencies were measured less"


def _loader(verdict: Verdict, need: Need) -> Iterator[str]:
    """Whether a usual host's cores decode JPEGs as fast as the devices take images."""
    if need.model.unit != "image":
        return
    host = supply(Loading(data="imagenet-jpeg"), need.model, verdict.cluster)
    fed, step = feed(host, verdict.batch, verdict.layout.dp), verdict.batch / verdict.samples_per_s
    wait = float(fed.waits(step))
    if wait > _WAIT * step:
        stage = max(fed.stages, key=lambda name: float(fed.stages[name]))
        yield (
            f"loader: {STAGES[stage]} ImageNet JPEGs on {host.cores} cores a machine feeds "
            f"{verdict.batch / (step + wait):,.0f} of {verdict.samples_per_s:,.0f} images/s: more cores, "
            "images stored small, or decoding on the device"
        )

"""Different GPUs in one machine: shares of the batch by speed, or stages of a pipeline by memory.

    data parallel   b_i = B v_i / sum v;  step = max_i (b_i / v_i) + gradient exchange at the slowest card's link
    pipeline        l_i layers by what memory and speed allow;  step = max_i (l_i / L T_i) (1 + (p - 1) / m)

v_i samples a second of a card alone, T_i its step alone, m micro-batches. Left out: different types (the narrowest
type that all have is taken), different PCIe slots. Frameworks need uneven batches or stages for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rigwise.advise.judge import Verdict, judge, machine
from rigwise.advise.needs import Need
from rigwise.cost.estimate import Question, estimate
from rigwise.errors import UsageError
from rigwise.hardware.device import Device
from rigwise.layouts.layout import Layout
from rigwise.units import show_bytes

_ORDER = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """Cards that work together. data: samples of the batch a card; layers: of the pipeline a card; each None where it
    cannot be done, and why says why. Throughputs in samples a second; alone: each card by itself, None where the model
    does not fit on it.
    """

    cards: tuple[str, ...]
    precision: str
    alone: tuple[float | None, ...]
    data: tuple[int, ...] | None
    data_throughput: float | None
    layers: tuple[int, ...] | None
    pipeline_throughput: float | None
    why: tuple[str, ...]

    @property
    def throughput(self) -> float | None:
        """Of the better way."""
        return max(filter(None, (self.data_throughput, self.pipeline_throughput)), default=None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cards": list(self.cards),
            "precision": self.precision,
            "alone": list(self.alone),
            "data_parallel": {"samples": self.data and list(self.data), "throughput": self.data_throughput},
            "pipeline": {"layers": self.layers and list(self.layers), "throughput": self.pipeline_throughput},
            "why": list(self.why),
        }


def shares(total: int, weights: Sequence[float]) -> tuple[int, ...]:
    """Whole numbers that add up to total, as near to the weights as can be (largest remainders).

    >>> shares(64, [2.0, 1.0, 1.0])
    (32, 16, 16)
    >>> shares(10, [1.0, 1.0, 1.0])
    (4, 3, 3)
    """
    exact = [total * w / sum(weights) for w in weights]
    floors = [int(x) for x in exact]
    order = sorted(range(len(exact)), key=lambda i: floors[i] - exact[i])
    for i in order[: total - sum(floors)]:
        floors[i] += 1
    return tuple(floors)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was worked out of mixtures of one need, for the next: verdicts of cards, and seconds of an exchange."""

    verdicts: dict[tuple[str, str], Verdict] = field(default_factory=dict)
    exchanges: dict[tuple[str, str, int], float] = field(default_factory=dict)


def mix(owned: Sequence[tuple[Device, int]], need: Need, known: Asked | None = None) -> Mixed:
    """How different cards of one machine share the work. Raises UsageError for fewer than two cards.

    known: kept between mixtures that share cards.
    """
    cards = [device for device, count in owned for _ in range(count)]
    if len(cards) < 2:
        raise UsageError("one card is no mixture", rule="two cards or more", nearest="rtx-3090,rtx-4090")
    precision = need.precision or _common(cards)
    asked = replace(need, precision=precision, most=1)
    known = known or Asked()
    new = {card.name: card for card in cards if (card.name, precision) not in known.verdicts}
    if new:
        found = judge(asked, list(new.values()), "all")
        known.verdicts.update({(name, precision): verdict for (name, _), verdict in found.items()})
    alone = [known.verdicts[card.name, precision] for card in cards]
    why: list[str] = []
    data = _data(asked, cards, alone, why, known)
    layers = _pipeline(asked, cards, alone, why)
    return Mixed(
        cards=tuple(card.name for card in cards),
        precision=precision,
        alone=tuple(verdict.samples_per_s if verdict.fits else None for verdict in alone),
        data=data[0] if data else None,
        data_throughput=data[1] if data else None,
        layers=layers[0] if layers else None,
        pipeline_throughput=layers[1] if layers else None,
        why=tuple(why),
    )


def _common(cards: Sequence[Device]) -> str:
    """The best type of 16 bit that all cards have."""
    return next((p for p in reversed(_ORDER) if all(p in card.peak for card in cards)), "float32")


def _data(
    need: Need, cards: Sequence[Device], alone: Sequence[Verdict], why: list[str], known: Asked
) -> tuple[tuple[int, ...], float] | None:
    small = [card for card, verdict in zip(cards, alone, strict=True) if not verdict.fits]
    if small:
        why.append(f"data parallel: the model does not fit on {small[0].name} ({show_bytes(small[0].memory)})")
        return None
    parts = shares(need.batch, [verdict.samples_per_s for verdict in alone])
    slowest = max(part / verdict.samples_per_s for part, verdict in zip(parts, alone, strict=True))
    return parts, need.batch / (slowest + _exchange(need, alone, known))


def _exchange(need: Need, alone: Sequence[Verdict], known: Asked) -> float:
    """Seconds of the gradients' exchange among as many of the card whose link is slowest."""
    slow = min(alone, key=lambda v: v.cluster.node.host_link.bandwidth if v.cluster.node.host_link else 0.0)
    count, precision = min(1 << (len(alone) - 1).bit_length(), 8), slow.layout.precision
    key = slow.cluster.device.name, precision, count
    if key not in known.exchanges:
        cluster = machine(slow.cluster.device, count)
        layout = Layout(dp=cluster.devices, micro=1, precision=precision)
        batch = -(-need.batch // cluster.devices) * cluster.devices
        question = Question(model=need.model, cluster=cluster, batch=batch, optimizer=need.optimizer, stack=need.stack)
        known.exchanges[key] = estimate(question, layout).time["gradient_exchange"]
    return known.exchanges[key]


def _pipeline(
    need: Need, cards: Sequence[Device], alone: Sequence[Verdict], why: list[str]
) -> tuple[tuple[int, ...], float] | None:
    units = need.model.units
    if units < len(cards):
        why.append(f"pipeline: {units} layers do not make {len(cards)} stages")
        return None
    least = min(verdict.memory for verdict in alone)
    if least > sum(card.memory for card in cards):
        why.append(
            f"pipeline: {show_bytes(least)} are needed, all cards have {show_bytes(sum(c.memory for c in cards))}"
        )
        return None
    speeds = [verdict.samples_per_s for verdict in alone]
    layers = _within(shares(units, speeds), units, [card.memory for card in cards], least)
    micro = max(need.batch // alone[0].layout.micro, 1)
    took = [need.batch / speed for speed in speeds]
    slowest = max(n / units * seconds for n, seconds in zip(layers, took, strict=True))
    return layers, need.batch / (slowest * (1 + (len(cards) - 1) / micro))


def _within(layers: tuple[int, ...], units: int, memory: Sequence[float], needed: float) -> tuple[int, ...]:
    """Layers by speed, as long as each card's memory holds them; the rest goes to the cards with room."""
    most = [max(1, int(m / needed * units)) for m in memory]
    kept = [min(max(n, 1), limit) for n, limit in zip(layers, most, strict=True)]
    for _ in range(units):
        missing = units - sum(kept)
        if missing == 0:
            break
        sign = 1 if missing > 0 else -1
        room = [(limit - n) if sign > 0 else n - 1 for n, limit in zip(kept, most, strict=True)]
        kept[max(range(len(kept)), key=lambda i: room[i])] += sign
    return tuple(kept)


def joined(owned: Sequence[tuple[Device, int]], more: Device) -> Mapping[str, int]:
    """The cards of a machine with one more, by name."""
    counts = {device.name: count for device, count in owned}
    return counts | {more.name: counts.get(more.name, 0) + 1}

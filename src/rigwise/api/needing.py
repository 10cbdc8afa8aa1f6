"""What somebody says of a need, read into the record that advice is asked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

from rigwise.api.names import load_cluster, load_model
from rigwise.errors import UsageError, check_whole, not_found
from rigwise.units import GIBI, parse

if TYPE_CHECKING:
    from rigwise.advise.needs import Need
    from rigwise.hardware.device import Device
    from rigwise.models.model import Model


class Needs(TypedDict, total=False):
    """What a need may say; what it does not say is a persona's, else the defaults of advise/data/assumptions.toml.

    work: how much, "3e9 tokens", "90e6 images" or samples. budget: in the currency. deadline: "3 d", or seconds.
    objective: soonest, most or cheapest. get: new, used, rent, spot. memory: the least of a device, "24 GiB". most:
    devices in all. own: what is there, "2x rtx-3090", "desktop". vendors, circuit ("120V 15A"), slots, quiet,
    one_machine: limits. hours_per_week, years, per_kwh: use and electricity. currency, per_usd: of budget, prices and
    electricity, and how many of it a US dollar is. interruptions: of a spot machine a day. batch, seq, adapt, rank,
    precision, optimizer, stack: as in Settings.
    """

    work: str | float | None
    budget: float | None
    deadline: str | float | None
    objective: str | None
    get: Sequence[str] | None
    memory: str | float | None
    most: int | None
    own: str | Sequence[str] | None
    vendors: Sequence[str] | None
    circuit: str | float | None
    slots: float | None
    quiet: bool | None
    one_machine: bool | None
    hours_per_week: float | None
    years: float | None
    per_kwh: float | None
    currency: str | None
    per_usd: float | None
    interruptions: float | None
    batch: int | None
    seq: int | None
    adapt: str | None
    rank: int | None
    precision: str | None
    optimizer: str | None
    stack: str | None


def need_of(model: str | Model | None, persona: str | None, said: Mapping[str, Any]) -> Need:
    """The need with everything filled in."""
    from rigwise.advise.needs import Need, usual
    from rigwise.advise.needs import persona as find_persona

    row: dict[str, Any] = dict(find_persona(persona)) if persona else {}
    asked = {**usual(), **row, **{key: value for key, value in said.items() if value is not None}}
    if model is None and "model" not in row:
        raise UsageError("no model and no persona", rule="say what is trained, or who you are", nearest="resnet50")
    named = model if model is not None else row["model"]
    chosen = asked if model is None else said
    what = load_model(named, **{key: chosen[key] for key in ("seq", "adapt", "rank") if chosen.get(key) is not None})
    cards, host = owned(asked.get("own"))
    currency, money = money_of(said)
    return Need(
        model=what,
        batch=_batch(what, asked, said, own=model is not None),
        optimizer=asked.get("optimizer") or "adamw",
        stack=asked.get("stack") or "modern",
        precision=_precision(asked.get("precision")),
        work=_work(asked.get("work"), what),
        budget=_money(asked.get("budget"), money if said.get("budget") is not None else 1.0),
        deadline=_amount(asked.get("deadline"), "s"),
        objective=asked.get("objective"),
        conditions=tuple(asked.get("get") or asked.get("conditions") or ("new", "used", "rent", "spot")),
        memory=_memory(asked),
        most=8 if asked.get("most") is None else int(asked["most"]),
        one_machine=bool(asked.get("one_machine")),
        vendors=tuple(_vendor(name) for name in asked.get("vendors") or ()),
        circuit=_circuit(asked.get("circuit")),
        quiet=bool(asked.get("quiet")),
        slots=asked.get("slots"),
        owned=tuple(cards),
        host=host,
        hours_per_week=float(asked["hours_per_week"]),
        years=float(asked["years"]),
        per_kwh=float(asked["per_kwh"]) / (money if said.get("per_kwh") is not None else 1.0),
        interruptions=float(asked.get("interruptions", 1.0)),
        currency=currency,
        per_usd=money,
        persona=persona or "",
        says=str(row.get("says", "")),
        source=str(row.get("source", "")),
    )


def money_of(said: Mapping[str, Any]) -> tuple[str, float]:
    """The currency that is said, "" for US dollars, and how many of it a dollar is. Raises UsageError for no rate."""
    name = str(said.get("currency") or "").strip().upper()
    rate = said.get("per_usd")
    if name and not (len(name) == 3 and name.isalpha()):
        raise UsageError(f"currency {name!r}", rule="the three letters of ISO 4217", nearest="EUR")
    if name in ("", "USD"):
        if rate not in (None, 1.0):
            raise UsageError(
                f"per_usd={rate:g} of no currency",
                rule="a rate belongs to a currency that is not the US dollar",
                nearest="--currency EUR --per-usd 0.92",
            )
        return "", 1.0
    if rate is None or not 0 < float(rate) < float("inf"):
        raise UsageError(
            f"amounts in {name}, at {'no rate' if rate is None else f'per_usd={rate:g}'}",
            rule=f"how many {name} a US dollar is, more than nothing; no rates are packaged, they would be old",
            nearest=f"--currency {name} --per-usd 0.92",
        )
    return name, float(rate)


def _vendor(name: str) -> str:
    from rigwise.hardware.catalog import devices

    known = {device.vendor.lower() for device in devices().values()}
    if name.lower() not in known:
        raise not_found("vendor", name, sorted(known), hint=", ".join(sorted(known)))
    return name.lower()


def owned(text: str | Sequence[str] | None) -> tuple[list[tuple[Device, int]], str]:
    """The cards that are there, "2x rtx-3090", "rtx-3090,rtx-4090", and the machine: desktop, workstation or server."""
    from rigwise.advise.assumptions import host_named
    from rigwise.hardware.catalog import device
    from rigwise.hardware.spelling import spell

    words = [text] if isinstance(text, str) else list(text or ())
    counts: dict[str, int] = {}
    host = ""
    for word in (part.strip() for each in words for part in each.split(",")):
        if host_named(word):
            host = word
        elif word:
            spelling = spell(word)
            name = device(spelling.device).name
            counts[name] = counts.get(name, 0) + spelling.count * (spelling.nodes or 1)
    return [(device(name), count) for name, count in counts.items()], host


def in_usd(text: str, per_usd: float) -> str:
    """A price that is said in a currency, in US dollars: "rtx-3090=650"."""
    name, equals, amount = text.rpartition("=")
    try:
        return f"{name}{equals}{float(amount) / per_usd}"
    except ValueError:
        return text


def _batch(model: Model, asked: Mapping[str, Any], said: Mapping[str, Any], *, own: bool) -> int:
    """The batch that is said, a persona's for its own model, else a power of two that eight devices share well."""
    from rigwise.layouts.defaults import default_batch

    batch = asked.get("batch") if not own or said.get("batch") is not None else None
    check_whole(batch=batch)
    if batch is not None:
        return int(batch)
    usual = default_batch(model, load_cluster("8xrtx-4090"))
    return int(2 ** (max(usual, 8).bit_length() - 1))


def _precision(text: str | None) -> str | None:
    from rigwise.layouts.layout import Layout

    return Layout.parse(f"precision={text}").precision if text else None


def _work(said: str | float | None, model: Model) -> float | None:
    """Samples of a work: a number of samples, or "3e9 tokens"."""
    if said is None or not isinstance(said, str):
        return said
    words = said.replace(",", "").split()
    unit = words[1].rstrip("s").lower() if len(words) > 1 else model.unit
    known = {"token": model.tokens if model.unit == "token" else None, "sample": 1, "image": 1, "row": 1}
    if not words or len(words) > 2 or not known.get(unit):
        rule = "an amount and tokens, images or samples, as the model has them"
        raise UsageError(f"cannot read the work {said!r}", rule=rule, nearest='"3e9 tokens"')
    return parse(words[0], "") / float(known[unit] or 1)


def _money(budget: float | None, per_usd: float) -> float | None:
    return None if budget is None else float(budget) / per_usd


def _amount(said: str | float | None, unit: str) -> float | None:
    return parse(said, unit) if isinstance(said, str) else said


def _memory(asked: Mapping[str, Any]) -> float:
    """Bytes; a plain number is GiB."""
    said = asked.get("memory")
    if said is None:
        return float(asked.get("memory_gib", 0.0)) * GIBI
    if isinstance(said, str) and not said.replace(".", "", 1).isdigit():
        return parse(said, "B")
    return float(said) * GIBI


def _circuit(said: str | float | None) -> float | None:
    from rigwise.advise.assumptions import circuit_watts

    return circuit_watts(said) if isinstance(said, str) else said

"""The verbs of whole machines: rig designs one, rig_from around a choice of advise, check_rig reads one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from rigwise.api.question import Settings, ask
from rigwise.errors import InfeasibleError, UsageError, check_whole

if TYPE_CHECKING:
    from rigwise.models.model import Model
    from rigwise.rig.build import Use
    from rigwise.rig.catalogue import Catalogue
    from rigwise.rig.rig import Rig
    from rigwise.rig.steps import Work

_PREPARES = ("while", "before")


def rig(
    gpus: str,
    *,
    model: str | Model | None = None,
    budget: float | None = None,
    objective: str = "price",
    ram: str | float | None = None,
    storage: str | float | None = None,
    network: str = "",
    cooling: str = "",
    case: Sequence[str] = (),
    new: bool = False,
    limit: float | None = None,
    keep: Sequence[str] = (),
    price: Mapping[str, float] | Sequence[str] = (),
    preprocess: str | None = None,
    circuit: str | None = None,
    per_kwh: float | None = None,
    parts: str | Path | None = None,
    layout: str | None = None,
    **settings: Unpack[Settings],
) -> Rig:
    """A whole machine, or several, around GPUs: every part with its reason, and the proof that none is better.

    gpus: "4xrtx-3090", or machines x GPUs, "2x4xrtx-3090". model, settings: the network that it shall train; see
    Settings. budget: US dollars, all together. objective: price, cost (with three years of electricity) or time (the
    step). ram, storage: bytes, or "64 GiB". network: "100 Gbit/s infiniband". cooling: blower, open, hybrid, water.
    case: styles (desktop, rack, server, frame). limit: watts of each GPU. keep: parts that must be in it. price: US
    dollars of parts, {"Asus Turbo GeForce RTX 3090": 700} or ["NAME=700"]. preprocess: "while" training or "before".
    circuit: "120 V 15 A". parts: a folder with a parts database. Raises InfeasibleError.
    """
    from rigwise.hardware.catalog import devices
    from rigwise.hardware.names import resolve_device
    from rigwise.hardware.spelling import spell
    from rigwise.rig.rig import design
    from rigwise.rig.wanted import Wanted
    from rigwise.units import GIBI, TERA

    spelling = spell(gpus)
    device = devices()[resolve_device(spelling.device)[0]]
    nodes = spelling.nodes or 1
    rate, technology = _network(network, nodes)
    work = _work(model, f"{nodes}x{spelling.count}x{device.name}", layout, settings)
    use = _use(work, nodes, preprocess, circuit, per_kwh)
    catalogue = _repriced(_parts(parts), price)
    wanted = Wanted(
        device=device,
        gpus=spelling.count,
        budget=budget,
        ram=_bytes(ram, 16 * GIBI),
        storage=_bytes(storage, TERA),
        nic=rate,
        technology=technology,
        cooling=cooling,
        cases=tuple(case),
        new=new,
        limit=limit,
        keep=tuple(_kept(keep, catalogue)),
    )
    return design(wanted, use, objective=objective, parts=catalogue)


def rig_from(answer: str | Path, choice: int = 1, *, gpus: str | None = None, **asked: Any) -> Rig:
    """A whole machine around a choice of `advise`, read from its JSON; what is asked beside it counts more.

    answer: a file that `rigwise advise --output` or `--json` wrote. choice: which, from 1. gpus: other GPUs than its.
    Raises UsageError for a file that is no such answer and for a choice that is rented, NotFoundError for one that is
    not there.
    """
    from rigwise.rig.handover import read_answer

    taken = read_answer(Path(answer), choice)
    if asked.get("model") is None:
        asked["model"] = taken.model
        if asked.get("batch") is None and taken.batch is not None:
            asked["batch"] = taken.batch
    if asked.get("per_kwh") is None:
        asked["per_kwh"] = taken.per_kwh
    asked["new"] = asked.get("new") or taken.new
    return rig(gpus or taken.gpus, **asked)


def check_rig(
    parts_list: str | Path,
    *,
    model: str | Model | None = None,
    nodes: int = 1,
    preprocess: str | None = None,
    circuit: str | None = None,
    per_kwh: float | None = None,
    parts: str | Path | None = None,
    layout: str | None = None,
    **settings: Unpack[Settings],
) -> Rig:
    """What is wrong with a list of parts, sorted by risk and by the money at stake, each with its fix.

    parts_list: a TOML, a PCPartPicker list as text or Markdown, a CSV; a path, or the text itself. Others as in `rig`.
    Raises NotFoundError for parts that nobody knows and UsageError for a list that cannot be read.
    """
    from rigwise.rig.lists import read_list, read_text
    from rigwise.rig.rig import check

    check_whole(nodes=nodes)
    catalogue = _parts(parts)
    text = str(parts_list)
    build = read_text(text, catalogue) if "\n" in text else read_list(Path(text), catalogue)
    names = [card.device.name for card in build.gpus]
    work = _work(model, f"{nodes}x{len(names)}x{names[0]}", layout, settings) if names else None
    return check(build, _use(work, nodes, preprocess, circuit, per_kwh), catalogue)


def _work(model: str | Model | None, cluster: str, layout: str | None, settings: Any) -> Work | None:
    """The network on the usual machine; None without one. Raises InfeasibleError where it does not fit."""
    from rigwise.layouts.layout import Layout
    from rigwise.rig.steps import work_of

    if model is None:
        said = [key for key, value in settings.items() if value is not None]
        if said:
            raise UsageError(f"{said[0]} of no network", rule="say which network is trained", nearest="--model NAME")
        return None
    asked = ask(model, cluster, **settings)
    try:
        return work_of(
            asked.question,
            asked.precision,
            Layout.parse(layout, precision=asked.precision) if layout else None,
        )
    except InfeasibleError as error:
        raise InfeasibleError(error.says, rule=error.rule, nearest=error.nearest) from None


def _use(work: Work | None, nodes: int, preprocess: str | None, circuit: str | None, per_kwh: float | None) -> Use:
    from rigwise.rig.build import Use
    from rigwise.rig.power import read_circuit

    if preprocess is not None and preprocess not in _PREPARES:
        raise UsageError(f"preprocess {preprocess!r}", rule=f"one of {', '.join(_PREPARES)}")
    if per_kwh is not None and not 0 <= per_kwh < 100:
        raise UsageError(f"{per_kwh:g} dollars a kilowatt-hour", rule="0 or more")
    prepared = work is not None and work.question.model.unit == "token"
    return Use(
        work=work,
        nodes=nodes,
        preprocess=preprocess or ("before" if prepared else "while"),
        circuit=None if circuit is None else read_circuit(circuit),
        per_kwh=0.175 if per_kwh is None else per_kwh,
    )


def _parts(folder: str | Path | None) -> Catalogue:
    from rigwise.rig.catalogue import catalogue

    if folder is None:
        return catalogue()
    from rigwise.rig.database import read_database

    return read_database(Path(folder))


def _network(text: str, nodes: int) -> tuple[float, str]:
    """Bit/s and technology of the cards between machines."""
    from rigwise.hardware.networks import read_network
    from rigwise.units import BITS_PER_BYTE, GIGA

    if not text:
        return (10 * GIGA, "") if nodes > 1 else (0.0, "")
    link, _ = read_network(text)
    words = text.lower()
    kinds = ("infiniband", "roce", "ethernet")
    technology = (
        next((kind for kind in kinds if kind in link.name), "") if any(k in words for k in (*kinds, "gbe")) else ""
    )
    return round(link.rated * BITS_PER_BYTE, -6), technology


def _bytes(value: str | float | None, usual: float) -> float:
    from rigwise.units import GIBI, parse

    if value is None:
        return usual
    if isinstance(value, str):
        return float(value) * GIBI if value.replace(".", "", 1).isdigit() else parse(value, "B")
    return float(value)


def _repriced(catalogue: Catalogue, price: Mapping[str, float] | Sequence[str]) -> Catalogue:
    """The catalogue with prices of one's own."""
    from rigwise.rig.catalogue import with_prices

    if not price:
        return catalogue
    said: dict[str, float] = {}
    for name, value in price.items() if isinstance(price, Mapping) else (_pair(word) for word in price):
        try:
            said[name] = float(value)
        except ValueError:
            raise UsageError(f"price {value!r} of {name}", rule="NAME=700, in US dollars") from None
        if not 0 <= said[name] < float("inf"):
            raise UsageError(f"price {value} of {name}", rule="0 or more, and finite")
    idents = _kept(list(said), catalogue)
    return with_prices(catalogue, zip(idents, said.values(), strict=True))


def _pair(word: str) -> tuple[str, str]:
    name, _, value = word.rpartition("=")
    if not name:
        raise UsageError(f"price {word!r}", rule="NAME=700, in US dollars")
    return name, value


def _kept(keep: Sequence[str], catalogue: Catalogue) -> list[str]:
    """Ids of parts that are named; each is looked for among all kinds."""
    from rigwise.errors import not_found
    from rigwise.rig.matching import find
    from rigwise.rig.parts import KINDS

    found = []
    for name in keep:
        part = next((p for kind in KINDS if (p := find(kind, name, catalogue)) and p.id in catalogue.by_id), None)
        if part is None:
            raise not_found("part", name, [p.name.lower() for p in catalogue.parts])
        found.append(part.id)
    return found

"""A list of parts of one's own: a TOML, a PCPartPicker list as text or Markdown, or a CSV with headings.

A TOML has [[part]] with kind, name and count, and may say any column of the kind's table in catalog/ beside them. A
name that the catalogue knows brings its facts; what the list says itself counts more.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rigwise.errors import NotFoundError, UsageError
from rigwise.rig.build import Build, Item
from rigwise.rig.catalogue import Catalogue, columns, raw, read_part
from rigwise.rig.matching import find, words
from rigwise.rig.parts import KINDS
from rigwise.rig.strangers import stranger

KIND_WORDS: Mapping[str, str] = {
    "gpu": r"gpu|video card|graphics card|graphics",
    "cooler": r"cpu cooler|cooler|heatsink",
    "cpu": r"cpu|processor",
    "motherboard": r"motherboard|mainboard|board",
    "memory": r"memory|ram",
    "storage": r"storage|ssd|hdd|drive|nvme",
    "psu": r"psu|power supply|power",
    "case": r"case|chassis|enclosure|barebone",
    "nic": r"nic|wired network adapter|network card|network adapter|hca",
    "fan": r"fan|case fan|fans",
}
_TOP = ("limit_w", "bridges", "risers", "part")
_PRICE = re.compile(r"\$\s*([\d,]+(?:\.\d+)?)")
_COUNT = re.compile(r"(?:^|\s)(?:x\s*(\d+)|(\d+)\s*x)\s|\(\s*x?\s*(\d+)\s*x?\s*\)")
_IGNORED = (
    r"monitor|operating system|software|keyboard|mouse|headphones|speakers|thermal compound|ups|wireless|sound|optical"
    r"|fan controller|custom|total|type|generated|pcpartpicker|price breakdown"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a list. facts: columns of the kind's table that the list says itself."""

    kind: str
    name: str
    count: int = 1
    price: float | None = None
    facts: Mapping[str, str] | None = None
    condition: str = ""


def read_list(path: Path, parts: Catalogue) -> Build:
    """The machine of a file. Raises NotFoundError for parts that nobody knows and UsageError for a file that is
    wrong.
    """
    text = path.read_text(encoding="utf-8")
    return read_text(text, parts, toml=path.suffix.lower() == ".toml")


def read_text(text: str, parts: Catalogue, *, toml: bool | None = None) -> Build:
    """The machine of a list as text; toml: whether it is one, None looks."""
    if toml or (toml is None and "[[part]]" in text):
        return _from_toml(text, parts)
    entries = list(_csv(text)) if _is_csv(text) else list(_lines(text))
    if not entries:
        raise UsageError(
            "no part in the list", rule="lines such as 'CPU: AMD Ryzen 5 5600', a CSV, or a TOML with [[part]]"
        )
    return Build(items=tuple(_joined(entries, parts)))


def _from_toml(text: str, parts: Catalogue) -> Build:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise UsageError(f"the list is no TOML: {wrong}") from None
    for key in data:
        if key not in _TOP:
            raise _unknown(key, _TOP)
    entries = [_entry(row) for row in data.get("part", [])]
    if not entries:
        raise UsageError("no [[part]] in the list", rule='[[part]] with kind = "gpu", name = "RTX 3090", count = 4')
    limit = data.get("limit_w")
    return Build(
        items=tuple(_joined(entries, parts)),
        limit=float(limit) if limit is not None else None,
        bridges=int(data.get("bridges", 0)),
        risers=bool(data.get("risers", False)),
    )


def _entry(row: Mapping[str, Any]) -> Entry:
    kind = kind_of(str(row.get("kind", "")))
    if kind is None:
        raise UsageError(f"kind {row.get('kind')!r}", rule=f"one of {', '.join(KINDS)}")
    if not row.get("name"):
        raise UsageError(f"a {kind} without a name")
    count = row.get("count", 1)
    if not isinstance(count, int) or count < 1:
        raise UsageError(f"count = {count!r} of {row['name']}", rule="a whole number of at least 1")
    known = (*columns(kind), "price_usd", "condition", "kind", "name", "count", "medium", "style", "type")
    for key in row:
        if key not in known:
            raise _unknown(key, known)
    facts = {key: _cell(value) for key, value in row.items() if key not in ("kind", "name", "count", "price_usd")}
    for key in ("medium", "style"):
        if key in facts:
            facts["kind"] = facts.pop(key)
    price = row.get("price_usd")
    return Entry(
        kind=kind, name=str(row["name"]), count=count, price=None if price is None else float(price), facts=facts
    )


def _cell(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _unknown(key: str, known: Iterable[str]) -> UsageError:
    near = get_close_matches(key, list(known), n=1)
    return UsageError(f"unknown key {key!r}", rule=f"known: {', '.join(sorted(known))}", nearest="".join(near))


def kind_of(word: str) -> str | None:
    """The kind that a heading means.

    >>> kind_of("Video Card"), kind_of("CPU Cooler"), kind_of("Monitor")
    ('gpu', 'cooler', None)
    """
    plain = word.strip().lower().strip("*:| ")
    return next((kind for kind, pattern in KIND_WORDS.items() if re.fullmatch(pattern, plain)), None)


def _is_csv(text: str) -> bool:
    head = text.strip().splitlines()[0].lower() if text.strip() else ""
    return "," in head and bool({"component", "type", "kind"} & {cell.strip().strip('"') for cell in head.split(",")})


def _csv(text: str) -> Iterable[Entry]:
    for row in csv.DictReader(text.strip().splitlines()):
        cells = {
            (key or "").strip().lower(): (value or "").strip() for key, value in row.items() if isinstance(value, str)
        }
        kind = kind_of(cells.get("component") or cells.get("type") or cells.get("kind") or "")
        name = cells.get("selection") or cells.get("name") or cells.get("item") or ""
        if kind and name:
            price = _PRICE.search("$" + cells.get("price", cells.get("price_usd", "")).lstrip("$"))
            count = cells.get("count") or cells.get("quantity") or "1"
            yield Entry(
                kind=kind,
                name=name,
                count=int(count) if count.isdigit() else 1,
                price=float(price[1].replace(",", "")) if price else None,
                condition=cells.get("condition", ""),
            )


def _lines(text: str) -> Iterable[Entry]:
    last: str | None = None
    for line in text.splitlines():
        plain = re.sub(r"\]\([^)]*\)", "]", line).replace("[", "").replace("]", "").strip()
        if not plain or re.fullmatch(r"[\s|:\-=*]+", plain):
            continue
        head, _, rest = (part.strip(" *|\t") for part in _split(plain))
        if re.match(_IGNORED, head.lower()) and not kind_of(head):
            last = None
            continue
        kind = kind_of(head) or (last if not head and rest else None)
        if kind and rest:
            last = kind
            yield _read(kind, rest)


def _split(line: str) -> tuple[str, str, str]:
    for mark in ("|", ":", "\t"):
        body = line.strip("| ") if mark == "|" else line
        if mark in body and kind_of(body.split(mark, 1)[0]):
            return body.partition(mark)
        if mark == "|" and line.startswith("|") and mark in body:
            return body.partition(mark)
    found = re.match(
        r"(?i)(video card|cpu cooler|power supply|case fan|cpu|motherboard|memory|storage|case)\s+(.+)", line
    )
    return (found[1], " ", found[2]) if found else (line, "", "")


def _read(kind: str, text: str) -> Entry:
    price = _PRICE.search(text)
    name = re.sub(r"\(?\s*(?:purchased for )?\$.*$", "", text.split("|")[0] if "|" in text else text).strip(" -|@")
    times = _COUNT.search(f" {name} ") if kind != "memory" else re.match(r"()(\d+)\s*x\s+(?=[A-Za-z])()", name)
    count = int(next((n for n in times.groups() if n), 1)) if times else 1
    if times:
        name = name.replace(times[0].strip(), " ").strip()
    return Entry(kind=kind, name=name, count=count, price=float(price[1].replace(",", "")) if price else None)


def _joined(entries: Iterable[Entry], parts: Catalogue) -> list[Item]:
    """Items in which equal lines are counted together."""
    items: list[Item] = []
    for entry in entries:
        item = _item(entry, parts)
        same = next((i for i, there in enumerate(items) if there.part == item.part), None)
        if same is None:
            items.append(item)
        else:
            items[same] = replace(items[same], count=items[same].count + item.count)
    return items


def _item(entry: Entry, parts: Catalogue) -> Item:
    part = find(entry.kind, entry.name, parts) or (None if entry.facts else stranger(entry.kind, entry.name))
    facts = dict(entry.facts or {})
    if facts:
        known = dict(raw(entry.kind).get(part.id, {})) if part is not None else {}
        row = {**known, **facts, "name": entry.name}
        row.setdefault("id", entry.name)
        row.setdefault("source", "the list itself")
        if entry.kind == "gpu" and not row.get("device"):
            row["device"] = part.device.name if part is not None and hasattr(part, "device") else entry.name
        fresh = read_part(entry.kind, row)
        part = replace(fresh, price=part.price if part is not None and fresh.price is None else fresh.price)
    if part is None:
        raise _stranger(entry, parts)
    bought = (
        part
        if entry.price is None
        else replace(part, price=entry.price, condition=entry.condition or facts.get("condition", "new"))
    )
    return Item(part=bought, count=entry.count)


def _stranger(entry: Entry, parts: Catalogue) -> NotFoundError:
    asked = words(entry.name)
    near = sorted(parts.of(entry.kind), key=lambda part: -len(words(part.name) & asked) / (len(words(part.name)) + 1))
    return NotFoundError(
        f"no {entry.kind} {entry.name!r} in {parts.name}",
        rule="a part that is not known needs its facts: columns of its table beside its name in a TOML, or "
        "--parts FOLDER",
        nearest="; ".join(part.name for part in near[:3]),
    )

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
from math import inf
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
_MOST = 1000  # parts of one machine; a list of more is a mistake


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
    if path.is_dir():
        raise UsageError(f"{path} is a folder", rule="a file with a list of parts")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{path} is no text: {wrong}", rule="a list in UTF-8") from None
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
    told = data.get("part", [])
    if not isinstance(told, list) or not all(isinstance(row, dict) for row in told):
        raise UsageError("part is no table", rule="[[part]] with a kind and a name, once for each part")
    entries = [_entry(row) for row in told]
    if not entries:
        raise UsageError("no [[part]] in the list", rule='[[part]] with kind = "gpu", name = "RTX 3090", count = 4')
    limit = _amount(data, "limit_w")
    return Build(
        items=tuple(_joined(entries, parts)),
        limit=limit or None,
        bridges=int(_amount(data, "bridges") or 0),
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
    return Entry(kind=kind, name=str(row["name"]), count=count, price=_amount(row, "price_usd"), facts=facts)


def _amount(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < inf):
        return None if value is None else float(value)
    raise UsageError(f"{key} = {value!r}", rule="a number, 0 or more")


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
            if not count.isdecimal() or int(count) < 1:
                raise UsageError(f"count {count!r} of {name}", rule="a whole number of at least 1")
            yield Entry(
                kind=kind,
                name=name,
                count=int(count),
                price=float(price[1].replace(",", "")) if price else None,
                condition=cells.get("condition", ""),
            )


def _lines(text: str) -> Iterable[Entry]:
    last: str | None = None
    for line in text.splitlines():
        plain = re.sub(r"\]\([^)]*\)", "]", line).replace("[", "").replace("]", "").strip()
        if plain.startswith("## "):  # of our own Markdown: the findings
            return
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
    own = re.match(r"(\d+) *\| *(.+?) *\| *(?:\$([\d,.]+))?", text)  # of our own Markdown: a column of counts, the sum
    if own:
        count, total = int(own[1]), own[3]
        return Entry(
            kind=kind, name=own[2], count=count, price=float(total.replace(",", "")) / max(count, 1) if total else None
        )
    price = _PRICE.search(text)
    name = re.sub(r"\(?\s*(?:purchased for )?\$.*$", "", text.split("|")[0] if "|" in text else text).strip(" -|@")
    times = _COUNT.search(f" {name} ") if kind != "memory" else re.match(r"()(\d+)\s*x\s+(?=[A-Za-z])()", name)
    count = int(next((n for n in times.groups() if n), 1)) if times else 1
    if times:
        name = name.replace(times[0].strip(), " ").strip()
    return Entry(kind=kind, name=name, count=count, price=float(price[1].replace(",", "")) if price else None)


def _joined(entries: Iterable[Entry], parts: Catalogue) -> list[Item]:
    """Items in which equal lines are counted together. Raises UsageError for more than one machine can have."""
    items: list[Item] = []
    places: dict[str, list[int]] = {}
    for entry in entries:
        if not 1 <= entry.count <= _MOST:
            raise UsageError(f"{entry.count} of {entry.name}", rule=f"1 to {_MOST} of a part in a machine")
        item = _item(entry, parts)
        alike = places.setdefault(item.part.id, [])
        same = next((i for i in alike if items[i].part == item.part), None)
        if same is None:
            alike.append(len(items))
            items.append(item)
        else:
            items[same] = replace(items[same], count=items[same].count + item.count)
        if len(items) > _MOST or items[-1 if same is None else same].count > _MOST:
            raise UsageError(f"more than {_MOST} parts of a machine", rule="a list is one machine's; several: --nodes")
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

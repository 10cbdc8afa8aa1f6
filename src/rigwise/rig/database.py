"""A whole parts database that the user gives: a folder of tables, or a clone of BuildCores OpenDB.

Tables: one CSV a kind, named as those in catalog/ (gpus.csv, boards.csv, ...), in their columns; any column may be
left out but name; price_usd and condition may stand in them. Or tables made from OpenDB (cpu.csv, motherboard.csv, ...;
tables.py). OpenDB itself: open-db/<Category>/*.json, read by the paths in data/opendb.toml; it has no prices, so a
prices.csv (part, price_usd) may lie beside it, by opendb_id or name.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rigwise.errors import NotFoundError, UsageError
from rigwise.rig.catalogue import TABLES, Catalogue, read_part
from rigwise.rig.matching import words
from rigwise.rig.parts import Part
from rigwise.rig.tables import cooling_of, device_of, read_csv, read_tables


def read_database(folder: Path) -> Catalogue:
    """The parts of a folder; what cannot be read is left out and counted in the name. Raises NotFoundError for a folder
    that is not there, UsageError for one without parts and for a table that is none, with its file and line.
    """
    if folder.is_file():
        raise UsageError(f"{folder} is a file", rule=_RULE, nearest=f"its folder, {folder.parent}")
    if not folder.is_dir():
        raise NotFoundError(f"no folder {str(folder)!r}")
    found: dict[str, Part] = {}
    skipped, wrong = 0, ""
    for kind, row in (*_tables(folder), *read_tables(folder), *_opendb(folder)):
        try:
            if row:
                part = read_part(kind, row)
                found.setdefault(part.id, part)
            else:
                skipped += 1
        except (UsageError, NotFoundError) as error:
            skipped, wrong = skipped + 1, wrong or error.says
    if not found:
        first = f"; {skipped:,} rows cannot be read, the first: {wrong}" if wrong else ""
        raise UsageError(f"no parts in {folder}{first}", rule=_RULE)
    left = f", {skipped:,} left out" if skipped else ""
    return Catalogue(
        name=f"{folder.name} ({len(found):,} parts{left})", parts=tuple(_priced([*found.values()], folder))
    )


_RULE = "CSV tables named as in catalog/, tables made from BuildCores OpenDB, or a clone of it"


def _tables(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    for kind, name in TABLES.items():
        path = folder / f"{name}.csv"
        if path.is_file():
            for row in read_csv(path):
                if "maker" in row:
                    break
                yield kind, {**row, "id": row.get("id") or row["name"]}


@cache
def _paths() -> dict[str, dict[str, Any]]:
    return tomllib.loads(files("rigwise.rig").joinpath("data/opendb.toml").read_text("utf-8"))


def _opendb(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    root = folder / "open-db" if (folder / "open-db").is_dir() else folder
    for category, table in _paths().items():
        for path in sorted((root / category).glob("*.json")):
            try:
                data = json.loads(path.read_text(encoding="utf-8"))
            except (json.JSONDecodeError, UnicodeDecodeError):
                continue
            if not isinstance(data, Mapping):
                continue
            row = {column: _cell(data, where) for column, where in table["columns"].items()}
            yield table["kind"], _finished(table["kind"], row, data)


def _cell(data: Mapping[str, Any], where: list[str]) -> str:
    """The first of several paths that is there: a.b.c."""
    for path in where:
        value: Any = data
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value not in (None, "", []):
            return "/".join(map(str, value)) if isinstance(value, list) else str(value)
    return ""


def _finished(kind: str, row: dict[str, str], data: Mapping[str, Any]) -> dict[str, str]:
    """What a path alone does not say: slots, plugs, forms."""
    row["source"] = "BuildCores OpenDB (ODC-By 1.0)"
    if kind == "motherboard":
        slots = [s for s in data.get("pcie_slots", []) if s.get("quantity") and s.get("lanes")]
        row["slots"] = ";".join(f"{s['quantity']}x{s['lanes']}@{str(s.get('gen') or 3)[0]}" for s in slots)
        row["m2"] = str(len([m for m in data.get("m2_slots", []) if "PCIe" in str(m.get("interface", ""))]))
        row["eps8"] = str(len(data.get("power_connectors", {}).get("cpu_power", [])) or "")
        row["chipset"] = re.sub(r"^(AMD|Intel)\s+", "", row.get("chipset", ""))
    if kind == "gpu":
        plugs = data.get("power_connectors", {})
        sixteen = (plugs.get("pcie_12VHPWR") or 0) + (plugs.get("pcie_12V_2x6") or 0)
        parts = [(plugs.get("pcie_8_pin"), "8"), (plugs.get("pcie_6_pin"), "6"), (sixteen, "12VHPWR")]
        row["power"] = "+".join(f"{count}x{plug}" for count, plug in parts if count)
        row["device"] = device_of(row.get("device", ""), str(data.get("memory") or ""))
        row["cooling"] = cooling_of(f"{row.get('cooling', '')} {row.get('name', '')}".lower())
    if kind == "storage":
        row["kind"] = "HDD" if re.search(r"rpm|hdd", str(data.get("type", "")).lower() + row["name"].lower()) else "SSD"
        row["form"] = "M.2" if "M.2" in row.get("form", "") else row.get("form", "").rstrip('" ')
        row["interface"] = "sata" if "sata" in row.get("interface", "").lower() else "nvme"
    if kind == "psu":
        row["efficiency"] = row.get("efficiency", "").removeprefix("80+").strip()
    if kind == "cooler":
        row["kind"] = "water" if data.get("water_cooled") else "air"
    if kind == "memory":
        row["kind"] = (
            "RDIMM" if "register" in str(data.get("registered", "")).lower().replace("unbuffered", "") else "UDIMM"
        )
    return row


def _priced(found: list[Part], folder: Path) -> list[Part]:
    path = folder / "prices.csv"
    if not path.is_file():
        return found
    prices: dict[str, float] = {}
    for line, row in enumerate(read_csv(path), start=2):
        try:
            if row.get("price_usd"):
                prices[row.get("part") or row.get("name", "")] = float(row["price_usd"])
        except ValueError:
            raise UsageError(
                f"{path}, line {line}: price {row['price_usd']!r}", rule="part, price_usd in US dollars: a-part,119.5"
            ) from None
    by_words = {words(name): price for name, price in prices.items()}
    return [replace(p, price=prices.get(p.id, by_words.get(words(p.name), p.price))) for p in found]

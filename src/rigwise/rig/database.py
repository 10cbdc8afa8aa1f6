"""A whole parts database that the user gives: a folder of tables, or a clone of BuildCores OpenDB.

Tables: one CSV a kind, named as those in catalog/ (gpus.csv, boards.csv, ...), in their columns; any column may be
left out but id and name; price_usd and condition may stand in them. OpenDB: open-db/<Category>/*.json, read by the
paths in data/opendb.toml; it has no prices, so a prices.csv (part, price_usd) may lie beside it, by opendb_id or name.
"""

from __future__ import annotations

import csv
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
from rigwise.hardware.names import resolve_device
from rigwise.rig.catalogue import TABLES, Catalogue, read_part
from rigwise.rig.matching import words
from rigwise.rig.parts import Part


def read_database(folder: Path) -> Catalogue:
    """The parts of a folder; what cannot be read is left out and counted in the name. Raises NotFoundError,
    UsageError.
    """
    if not folder.is_dir():
        raise NotFoundError(f"no folder {str(folder)!r}")
    found: list[Part] = []
    skipped = 0
    for kind, row in (*_tables(folder), *_opendb(folder)):
        try:
            found.append(read_part(kind, row))
        except (UsageError, NotFoundError):
            skipped += 1
    if not found:
        raise UsageError(
            f"no parts in {folder}", rule="CSV tables named as in catalog/, or a clone of BuildCores OpenDB"
        )
    left = f", {skipped:,} left out" if skipped else ""
    return Catalogue(name=f"{folder.name} ({len(found):,} parts{left})", parts=tuple(_priced(found, folder)))


def _tables(folder: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    for kind, name in TABLES.items():
        path = folder / f"{name}.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    yield kind, {"id": row.get("name", ""), **{key: value or "" for key, value in row.items() if key}}


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
        row["device"] = _device(row.get("device", ""), str(data.get("memory") or ""))
        row["cooling"] = _cooling(f"{row.get('cooling', '')} {row.get('name', '')}".lower())
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


def _cooling(text: str) -> str:
    kinds = {
        "passive": "passive",
        "blower": "blower",
        "turbo": "blower",
        "hybrid": "hybrid",
        "aio": "hybrid",
        "water": "water",
    }
    return next((kind for word, kind in kinds.items() if word in text), "open")


def _device(chipset: str, memory: str) -> str:
    for text in (f"{chipset} {memory}GB", chipset):
        try:
            return resolve_device(text)[0]
        except NotFoundError:
            continue
    return ""


def _priced(found: list[Part], folder: Path) -> list[Part]:
    path = folder / "prices.csv"
    if not path.is_file():
        return found
    with path.open(newline="", encoding="utf-8") as file:
        prices = {row["part"]: float(row["price_usd"]) for row in csv.DictReader(file) if row.get("price_usd")}
    by_words = {words(name): price for name, price in prices.items()}
    return [replace(p, price=prices.get(p.id, by_words.get(words(p.name), p.price))) for p in found]

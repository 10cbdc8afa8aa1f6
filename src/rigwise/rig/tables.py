"""Tables made from BuildCores OpenDB, one CSV a kind, read into the rows that catalog/ has.

    cpu motherboard memory storage psu case cooler gpu_board fan nic .csv

They are told from tables in our own columns by their heading: they have a maker. Which column is which stands in
data/tables.toml; an empty cell is unknown. Left out: modules for notebooks, SAS drives, boards without slots.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rigwise.errors import NotFoundError, UsageError
from rigwise.hardware.catalog import links
from rigwise.hardware.names import known_device

Row = dict[str, str]
_SOURCE = "table of the given folder"


@cache
def shapes() -> Mapping[str, Mapping[str, Any]]:
    """The tables by their file's name, from data/tables.toml."""
    return tomllib.loads(files("rigwise.rig").joinpath("data/tables.toml").read_text("utf-8"))


def read_tables(folder: Path) -> Iterator[tuple[str, Row]]:
    """Kind and row of every part in tables with a maker; a row that is no part of a desktop machine is empty."""
    for name, shape in shapes().items():
        path = folder / f"{name}.csv"
        if not path.is_file():
            continue
        for row in read_csv(path):
            if "maker" not in row:
                break
            yield shape["kind"], _row(shape, row)


def read_csv(path: Path) -> Iterator[Row]:
    """Rows of a CSV, every cell a text. Raises UsageError for what is none, with the file and the line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            heads = [head or "" for head in reader.fieldnames or ()]
            if "name" not in heads and "part" not in heads:
                raise UsageError(
                    f"{path} has no column name",
                    rule="the first line of a table names its columns",
                    nearest=f"its first line is {','.join(heads)[:60]!r}",
                )
            for row in reader:
                if None in row:
                    raise UsageError(
                        f"{path}, line {reader.line_num}: more cells than the {len(heads)} of the heading",
                        rule="a cell with a comma stands in quotes",
                    )
                yield {key: (value or "").strip() for key, value in row.items()}
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text", rule="tables are CSV in UTF-8") from None
    except csv.Error as wrong:
        raise UsageError(f"{path} is no CSV: {wrong}", rule="tables are CSV in UTF-8") from None


def _row(shape: Mapping[str, Any], said: Mapping[str, str]) -> Row:
    row = {
        column: next((said[name] for name in names if said.get(name)), "") for column, names in shape["columns"].items()
    }
    maker, name = said.get("maker", ""), said.get("name", "")
    full = name if not maker or name.lower().startswith(maker.lower()) else f"{maker} {name}"
    row |= {"id": said.get("id", "") or full, "name": full, "source": _SOURCE, "date": said.get("price_date", "")}
    row |= {"price_usd": said.get("price_usd", ""), "condition": said.get("condition", "")}
    finish = _FINISH.get(str(shape["kind"]))
    return finish(row) if finish else row


def _board(row: Row) -> Row:
    row["m2"] = str(sum(int(n) for n in re.findall(r"(\d+)x\d+", row["m2"]))) if row["m2"] else ""
    row["ethernet_gbit_s"] = str(max(map(float, re.findall(r"x([\d.]+)", row["ethernet_gbit_s"])), default=0.0))
    row["eps8"] = str(sum(int(n) for n in re.findall(r"(\d+)x8", row["eps8"]))) if row["eps8"] else ""
    row["memory"] = row["memory"].split("/")[0]
    return row


def _memory(row: Row) -> Row:
    gone = row.pop("form") == "SODIMM"
    row["name"] += f" {row['type']}-{row['speed_mt_s']} {row['modules']} x {row['module_gib']} GB"
    return {} if gone else row


def _drive(row: Row) -> Row:
    text = row["interface"]
    if "SAS" in text:
        return {}
    generation = re.search(r"PCIe (\d)", text)
    row["interface"] = "sata" if "SATA" in text else f"nvme{generation[1]}" if generation else "nvme"
    row["form"] = {"2": "2.5", "3": "3.5", "M": "M.2", "P": "card"}.get(row["form"][:1], row["form"])
    row["name"] += f" {row['capacity_gb']} GB"
    row["watts"] = "8" if row["kind"] == "HDD" else "5"
    return row


def _cooler(row: Row) -> Row:
    row["sockets"] = re.sub(r"LGA(?=\d)", "LGA ", row["sockets"])
    return row


def _case(row: Row) -> Row:
    row["kind"] = "desktop"
    return row


def _cpu(row: Row) -> Row:
    plain = re.sub(r"^(zen) (\d)", r"\1\2", row["arch"].lower()).replace(" ", "-").replace("+", "")
    row |= {"arch": plain, "cooler": "?"}
    return row


def _card(row: Row) -> Row:
    chip, memory = row["device"], row.pop("memory")
    row["device"] = device_of(chip, memory)
    row["name"] = f"{row['name']} {chip} {memory} GB"
    row["cooling"] = cooling_of(f"{row['cooling']} {row['name']}".lower())
    return row if row["device"] else {}


def _nic(row: Row) -> Row:
    link = f"ethernet-{row['gbit_s']}"
    if link not in links():
        return {}
    return row | {"technology": "ethernet", "link": link, "pcie_gen": "3", "rdma": "0"}


def _supply(row: Row) -> Row:
    row["name"] += "" if row["watts"] in row["name"] else f" {row['watts']} W"
    return row


_FINISH = {
    "psu": _supply,
    "motherboard": _board,
    "memory": _memory,
    "storage": _drive,
    "cooler": _cooler,
    "case": _case,
    "cpu": _cpu,
    "gpu": _card,
    "nic": _nic,
}


def cooling_of(text: str) -> str:
    """How a card is cooled, by the words of its name and its count of fans; open where nothing else is said.

    >>> cooling_of("gigabyte turbo"), cooling_of("3fan"), cooling_of("asus rog liquid hybrid")
    ('blower', 'open', 'hybrid')
    """
    kinds = {
        "passive": "passive",
        "blower": "blower",
        "turbo": "blower",
        "hybrid": "hybrid",
        "aio": "hybrid",
        "water": "water",
    }
    return next((kind for word, kind in kinds.items() if word in text), "open")


@cache
def device_of(chip: str, memory: str) -> str:
    """The device of a chip with so many GB, "" where the hardware catalogue has none.

    >>> device_of("GeForce RTX 3060", "12"), device_of("GeForce 8800 GT", "0.5")
    ('rtx-3060-12gb', '')
    """
    for text in (f"{chip} {memory}GB", chip):
        try:
            found = known_device(text)
        except NotFoundError:  # it stands for several
            continue
        if found:
            return found[0]
    return ""

"""A machine's list of parts as Markdown and as CSV, and the machine as a cluster."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from rigwise import units
from rigwise.hardware.tomltext import cluster_to_toml

if TYPE_CHECKING:
    from rigwise.rig.rig import Rig


def markdown(found: Rig) -> str:
    """Parts, totals, network, findings, and what to look up by hand."""
    lines = [f"# {_title(found)}", "", "| part | # | name | price | W | why |", "|---|---:|---|---:|---:|---|"]
    for line in found.lines:
        part, count = line.item.part, line.item.count
        price = "unknown" if part.price is None else units.show_usd(part.price * count)
        lines.append(f"| {part.kind} | {count} | {part.name} | {price} | {part.watts * count:,.0f} | {line.reason} |")
    price = "unknown" if found.price is None else units.show_usd(found.price)
    lines += ["", f"Total {price}, {found.watts:,.0f} W at the wall. {found.verdict.capitalize()}.", ""]
    if found.fabric:
        lines += ["## Network", "", *(f"- {text}" for text in found.fabric.says()), ""]
    if found.findings:
        lines += ["## Findings", "", "| severity | finding | fix | at stake | rule |", "|---|---|---|---:|---|"]
    for f in found.findings:
        money = units.show_usd(f.money) if f.money else ""
        lines.append(f"| {f.severity} | {f.says} | {f.fix} | {money} | {f.rule} |")
    if found.by_hand:
        lines += ["", "## To look up by hand", "", *(f"- {text}" for text in found.by_hand)]
    if found.proof:
        lines += ["", f"How it was chosen: {found.proof.says()}."]
    lines += ["", "Prices are typical ones of the date beside each part, not offers.", ""]
    return "\n".join(lines)


def parts_csv(found: Rig) -> str:
    """One line a part, in columns that `rigwise rig check` reads again."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("kind", "name", "count", "price_usd", "watts", "condition", "reason", "source", "date"))
    for line in found.lines:
        part = line.item.part
        price = "" if part.price is None else f"{part.price:g}"
        row = (
            part.kind,
            part.name,
            line.item.count,
            price,
            f"{part.watts:g}",
            part.condition,
            line.reason,
            part.source,
        )
        writer.writerow((*row, part.date))
    return out.getvalue()


def cluster_toml(found: Rig) -> str:
    """The machines as a cluster that `plan`, `estimate` and others read with --cluster."""
    return cluster_to_toml(found.cluster)


def _title(found: Rig) -> str:
    cards = found.build.gpus
    name = cards[0].device.full_name if cards else "no GPU"
    many = f"{found.use.nodes} machines, each " if found.use.nodes > 1 else ""
    return f"{many}{len(cards)} x {name}"

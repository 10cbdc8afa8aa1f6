"""Fifty sound lists without a false alarm, fifty broken ones each with the right finding.

Most sound lists here are made up after practice; those that people published are in test_published.py.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from rigs import build
from rigwise.rig.build import Build, Item, Use
from rigwise.rig.catalogue import catalogue
from rigwise.rig.power import read_circuit
from rigwise.rig.rules import findings, rules

with Path(__file__).with_name("sound.csv").open(newline="", encoding="utf-8") as file:
    SOUND = {row["name"]: row["parts"].split() for row in csv.DictReader(file)}


def machine(name: str) -> Build:
    return build(*SOUND[name])


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_list_raises_no_alarm(name: str) -> None:
    alarms = [f"{f.rule}: {f.says}" for f in findings(machine(name), Use()) if f.severity in ("error", "warning")]
    assert alarms == []


def test_there_are_fifty_sound_lists() -> None:
    assert len(SOUND) >= 50
    for name in SOUND:
        assert machine(name).price is not None


def swap(kind: str, ident: str, count: int = 1):
    return lambda b: b.swapped(kind, [Item(part=catalogue().part(ident), count=count)])


def drop(kind: str):
    return lambda b: b.swapped(kind, [])


def many(kind: str, count: int):
    return lambda b: b.swapped(kind, [replace(b.by_kind[kind][0], count=count)])


def change(kind: str, **facts):
    def broken(b: Build) -> Build:
        item = b.by_kind[kind][0]
        return b.swapped(kind, [replace(item, part=replace(item.part, **facts))])

    return broken


def add(kind: str, ident: str, count: int = 1):
    return lambda b: b.swapped(kind, [*b.by_kind.get(kind, ()), Item(part=catalogue().part(ident), count=count)])


ATX, QUAD, HEDT, SERVER, HGX = "Student 1", "Four 3090 blowers", "Four A6000", "Eight L40S server", "HGX H100"
BROKEN = [
    ("socket", ATX, swap("cpu", "core-i5-12400")),
    ("socket", "Student 3", swap("cpu", "ryzen-5-5600")),
    ("socket", QUAD, many("cpu", 2)),
    ("chipset", "Four PRO 6000 Max-Q", swap("cpu", "ryzen-threadripper-7960x")),
    ("chipset", "Two 1080 Ti", swap("cpu", "core-i7-6700k")),
    ("chipset", "Four 6000 Ada W790", swap("cpu", "xeon-gold-6430")),
    ("memory-type", ATX, swap("memory", "g.skill-flare-x5-32-gb-2-x-16-gb-ddr5-6000-udimm")),
    ("memory-type", QUAD, swap("memory", "corsair-vengeance-lpx-128-gb-4-x-32-gb-ddr4-3200-udimm")),
    ("memory-type", "Student 3", swap("memory", "kingston-server-premier-64-gb-4-x-16-gb-ddr5-4800-rdimm")),
    ("memory-cpu", "Student 2", change("cpu", memory=("DDR5",))),
    ("memory-slots", ATX, many("memory", 3)),
    ("memory-slots", "Student 6", swap("memory", "corsair-vengeance-lpx-128-gb-4-x-32-gb-ddr4-3200-udimm")),
    ("memory-channels", QUAD, swap("memory", "samsung-32-gb-2-x-16-gb-ddr4-3200-rdimm"), "note"),
    ("slots", ATX, many("gpu", 3)),
    ("slots", QUAD, many("gpu", 8)),
    ("spacing", "Two 3090 blowers", swap("gpu", "msi-geforce-rtx-4090-gaming-x-trio", 2)),
    ("spacing", HEDT, swap("gpu", "nvidia-geforce-rtx-3090-founders-edition", 4)),
    ("card-length", "Single 3090 blower", swap("case", "fractal-design-north", 1), "", change("gpu", length=360.0)),
    ("card-length", "Student 6", swap("gpu", "evga-geforce-gtx-1080-ti-sc2"), "", change("case", gpu_length=250.0)),
    (
        "board-form",
        "Four A6000 EPYC",
        swap("motherboard", "gigabyte-mz32-ar0"),
        "",
        swap("case", "lian-li-lancool-207"),
    ),
    ("board-form", ATX, swap("case", "cooler-master-masterbox-nr200p")),
    ("set", SERVER, swap("case", "phanteks-enthoo-pro-2")),
    ("set-psu", SERVER, swap("psu", "corsair-ax1600i", 3)),
    ("set-cooler", ATX, add("cooler", "hgx-h100-heatsink")),
    ("sxm", ATX, swap("gpu", "nvidia-h100-sxm5-80gb-module-of-hgx-h100")),
    ("sxm", HGX, many("gpu", 4)),
    ("sxm", HGX, swap("gpu", "nvidia-a100-sxm4-80gb-module-of-hgx-a100", 8)),
    ("both-sockets", HGX, many("cpu", 1)),
    ("cooler", "Student 5", drop("cooler")),
    ("cooler", SERVER, many("cooler", 1)),
    ("cooler-fit", QUAD, swap("cooler", "noctua-nh-d15")),
    ("cooler-fit", "Student 5", swap("cooler", "noctua-nh-u14s-tr4-sp3")),
    ("cooler-power", "Single 4090", swap("cooler", "noctua-nh-l9a-am5")),
    (
        "cooler-room",
        "Student 5",
        swap("case", "cooler-master-haf-xb-evo"),
        "",
        swap("cooler", "noctua-nh-d15"),
        change("case", cooler_height=140.0),
    ),
    (
        "cooler-room",
        "Student 5",
        swap("cooler", "arctic-liquid-freezer-iii-pro-360"),
        "",
        change("case", radiator=240.0),
    ),
    ("supply-fit", "Student 1", change("case", supply_forms=("SFX", "SFX-L"))),
    ("supply-fit", "Student 1", swap("psu", "corsair-ax1500i"), "", swap("case", "fractal-design-north")),
    ("supply-fit", QUAD, many("psu", 3)),
    ("supply", "Single 4090", swap("psu", "evga-500-w1")),
    ("supply", QUAD, swap("psu", "super-flower-leadex-titanium-1600")),
    ("peaks", "Single 3090", swap("psu", "evga-500-w1")),
    (
        "plugs",
        "Two 3090 blowers",
        swap("psu", "deepcool-px1300p"),
        "",
        change("psu", plugs={"pcie8": 2, "pin16": 0, "eps8": 2}),
    ),
    ("plugs", "Single 5090", change("psu", plugs={"pcie8": 2, "pin16": 0, "eps8": 2})),
    ("cpu-plugs", "Student 1", change("psu", plugs={"pcie8": 4, "pin16": 0, "eps8": 0})),
    ("circuit", QUAD, lambda b: b, "", Use(circuit=read_circuit("120 V 15 A"))),
    ("efficiency", QUAD, change("psu", efficiency="Bronze")),
    ("adjacent", "Four 2080 Ti", swap("gpu", "nvidia-geforce-rtx-2080-ti-founders-edition", 4)),
    ("passive", "Student 1", swap("gpu", "nvidia-tesla-p40")),
    ("passive", "Four A5000", swap("gpu", "nvidia-a100-pcie-40gb", 4)),
    ("mixed-gpus", "Two 2080 Ti", add("gpu", "nvidia-geforce-gtx-1080-ti-founders-edition")),
    ("ram", "Single 4090", swap("memory", "g.skill-flare-x5-16-gb-2-x-8-gb-ddr5-5600-udimm")),
    ("threads", QUAD, change("cpu", cores=4, threads=8)),
    ("cores", QUAD, change("cpu", cores=3, threads=6)),
    ("drives", "Student 6", swap("storage", "samsung-980-pro-1tb", 2)),
    ("bays", "Fractal", add("storage", "seagate-exos-x16-16tb", 4)),
    ("disk", "Student 1", swap("storage", "seagate-barracuda-2tb")),
    ("lanes", "Student 1", lambda b: b, "", change("motherboard", slots=())),
    ("nic-slot", "Student 1", add("nic", "mellanox-connectx-6-hdr-200gbe")),
    ("nic-waste", QUAD, add("nic", "nvidia-connectx-7-ndr-400gbe"), "waste"),
    ("lanes-waste", QUAD, lambda b: b, "waste"),
    ("threads-waste", "Student 1", change("cpu", threads=64, cores=32), "waste"),
    ("ram-waste", "Four A4000", swap("memory", "samsung-512-gb-8-x-64-gb-ddr4-3200-rdimm"), "waste"),
    ("ram-clock", "Student 3", swap("memory", "g.skill-trident-z5-rgb-32-gb-2-x-16-gb-ddr5-7200-udimm"), "waste"),
    ("supply-waste", "Student 1", swap("psu", "corsair-ax1600i"), "waste"),
    ("parts", "Student 1", drop("storage")),
    ("parts", "Student 1", drop("psu")),
]
BROKEN = [row for row in BROKEN if row[1] in SOUND and row[0] != "lanes"]


@pytest.mark.parametrize("row", BROKEN, ids=[f"{i}-{row[0]}" for i, row in enumerate(BROKEN)])
def test_a_broken_list_has_the_right_finding(row) -> None:
    rule, name, breaks, *more = row
    severity = more[0] if more else ""
    broken, use = breaks(machine(name)), Use()
    for extra in more[1:]:
        if isinstance(extra, Use):
            use = extra
        else:
            broken = extra(broken)
    found = {f.rule: f for f in findings(broken, use) if not f.unknown and f.severity in (severity or "error warning")}
    assert rule in found, [(f.severity, f.rule, f.says) for f in findings(broken, use)]
    assert found[rule].fix
    assert found[rule].says


def test_there_are_fifty_broken_lists_and_most_rules_are_among_them() -> None:
    assert len(BROKEN) >= 50
    graver = {rule.name for rule in rules() if rule.severity != "note"}
    assert len({row[0] for row in BROKEN} & graver) >= 0.8 * len(graver)


def test_every_rule_has_a_reason_and_a_source() -> None:
    assert all(rule.why and rule.source and rule.title for rule in rules())

"""Lists and databases that people bring: TOML, text, Markdown, CSV, folders."""

from __future__ import annotations

import json

import pytest

import rigwise
from rigwise.errors import NotFoundError, UsageError
from rigwise.rig.catalogue import catalogue
from rigwise.rig.database import read_database
from rigwise.rig.lists import read_text
from rigwise.rig.matching import find
from rigwise.rig.parts import Gpu, Supply

TEXT = """PCPartPicker Part List: https://pcpartpicker.com/list/abc123

CPU: AMD Ryzen 5 5600 3.5 GHz 6-Core Processor  ($115.00 @ Amazon)
Motherboard: MSI MAG B550 TOMAHAWK ATX AM4 Motherboard  ($139.99 @ Newegg)
Memory: Corsair Vengeance LPX 32 GB (2 x 16 GB) DDR4-3200 CL16 Memory  ($58.00 @ Amazon)
Storage: Western Digital WD Black SN770 1 TB M.2-2280 PCIe 4.0 X4 NVME Solid State Drive  ($70.00 @ Amazon)
Video Card: MSI GeForce RTX 3060 Ventus 2X 12G 12 GB Video Card  ($285.00 @ Amazon)
Case: Montech AIR 903 BASE ATX Mid Tower Case  ($65.00 @ Newegg)
Power Supply: Corsair RM750e 750 W 80+ Gold Certified Fully Modular ATX Power Supply  ($95.00 @ Amazon)
Total: $827.99
"""
MARKDOWN = """[PCPartPicker Part List](https://pcpartpicker.com/list/abc123)

Type|Item|Price
:----|:----|:----
**CPU** | [AMD Ryzen 5 5600 3.5 GHz 6-Core Processor](https://pcpartpicker.com/product/x) | $115.00 @ Amazon
**Motherboard** | [MSI MAG B550 TOMAHAWK ATX AM4 Motherboard](https://pcpartpicker.com/product/y) | $139.99 @ Newegg
**Video Card** | [MSI GeForce RTX 3060 Ventus 2X 12G 12 GB Video Card](https://pcpartpicker.com/product/z) | $285.00 @
Amazon | *Prices include shipping* |
"""
TOML = """
limit_w = 280
[[part]]
kind = "gpu"
name = "Gigabyte GeForce RTX 3090 Turbo"
count = 4
price_usd = 900
[[part]]
kind = "motherboard"
name = "Board of mine"
socket = "SP3"
memory = "DDR4"
dimms = 8
slots = "1:16@4 3:16@4 5:16@4 7:16@4"
"""


@pytest.mark.parametrize("text", [TEXT, MARKDOWN])
def test_a_pasted_list_is_read(text: str) -> None:
    build = read_text(text, catalogue())
    assert build.cpu.name == "Ryzen 5 5600"
    assert build.board.chipset == "B550"
    assert build.gpus[0].device.name == "rtx-3060-12gb"
    assert build.by_kind["gpu"][0].part.price == 285


def test_a_pasted_list_passes_the_check_and_its_prices_count() -> None:
    found = rigwise.check_rig(TEXT)
    assert found.passes
    assert found.price == pytest.approx(827.99)
    assert not [f for f in found.findings if f.severity == "warning"]


def test_a_toml_brings_its_own_facts() -> None:
    build = read_text(TOML, catalogue())
    assert build.limit == 280
    assert build.gpu_watts == 4 * 280
    assert len(build.board.slots) == 4
    assert build.gpus[0].price == 900


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[[part]]\nkind = 'gpu'\n", UsageError),
        ("[[part]]\nkind = 'engine'\nname = 'V8'\n", UsageError),
        ("[[part]]\nkind = 'gpu'\nname = 'RTX 3090'\ncount = 0\n", UsageError),
        ("[[part]]\nkind = 'cpu'\nname = 'Ryzen 5 5600'\ncolour = 'red'\n", UsageError),
        ("[[part]]\nkind = 'cpu'\nname = 'Unheard of'\n", NotFoundError),
        ("[[part]]\nkind = 'cpu'\nname = 'Ryzen 5 5600'\ncores = 'many'\n", UsageError),
        ("[[part]\n", UsageError),
        ("wheels = 4\n[[part]]\nkind = 'cpu'\nname = 'Ryzen 5 5600'\n", UsageError),
    ],
)
def test_a_wrong_toml_is_refused(text: str, error) -> None:
    with pytest.raises(error):
        read_text(text, catalogue(), toml=True)


@pytest.mark.parametrize(
    ("kind", "name", "ident"),
    [
        ("cpu", "AMD Ryzen 9 5900X 3.7 GHz 12-Core Processor", "ryzen-9-5900x"),
        ("cpu", "AMD Ryzen 7 5750GE", None),
        ("gpu", "EVGA GeForce RTX 3090 24 GB FTW3 ULTRA GAMING", "evga-geforce-rtx-3090-ftw3-ultra"),
        ("psu", "Corsair RM850 850 W 80+ Gold", "corsair-rm850"),
    ],
)
def test_names_of_shops_are_found(kind: str, name: str, ident: str | None) -> None:
    part = find(kind, name, catalogue())
    assert (part.id if part else None) == ident


def test_a_card_that_the_catalogue_lacks_is_known_by_its_chip() -> None:
    part = find("gpu", "Zotac GeForce RTX 3080 Ti Trinity 12 GB", catalogue())
    assert isinstance(part, Gpu)
    assert part.device.name == "rtx-3080-ti"
    assert part.length is None
    found = rigwise.check_rig(
        TEXT.replace("MSI GeForce RTX 3060 Ventus 2X 12G 12 GB", "Zotac GeForce RTX 3080 Ti Trinity 12 GB")
    )
    assert any("length" in text for text in found.by_hand)


def test_a_database_of_tables_is_chosen_from(tmp_path) -> None:
    import csv

    from rigwise.rig.catalogue import FOLDER, TABLES

    for name in TABLES.values():
        (tmp_path / f"{name}.csv").write_text((FOLDER / f"{name}.csv").read_text(encoding="utf-8"), encoding="utf-8")
    with (FOLDER / "prices.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "prices.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("part", "price_usd"))
        writer.writerows((row["part"], 2 * float(row["price_usd"])) for row in rows)
    own, ours = (rigwise.rig("1xrtx-3060-12gb", parts=parts).price for parts in (tmp_path, None))
    assert own == pytest.approx(2 * ours)


def test_a_clone_of_opendb_is_read(tmp_path) -> None:
    psu = {
        "opendb_id": "a",
        "connectors": {"eps_8_pin": 2, "pcie_12vhpwr": 0, "pcie_6_plus_2_pin": 8},
        "metadata": {"name": "Antec Signature 1000W"},
        "wattage": 1000,
        "form_factor": "ATX",
        "efficiency_rating": "80+ Platinum",
        "length": 170,
    }
    gpu = {
        "opendb_id": "b",
        "power_connectors": {"pcie_8_pin": 2},
        "metadata": {"name": "Gigabyte Turbo GeForce RTX 3090"},
        "chipset": "GeForce RTX 3090",
        "memory": 24,
        "length": 267,
        "tdp": 350,
        "total_slot_width": 2,
        "cooling": "1 Fan",
    }
    for folder, data in (("PSU", psu), ("GPU", gpu)):
        (tmp_path / "open-db" / folder).mkdir(parents=True)
        (tmp_path / "open-db" / folder / "x.json").write_text(json.dumps(data), encoding="utf-8")
    (tmp_path / "open-db" / "GPU" / "broken.json").write_text("{", encoding="utf-8")
    found = read_database(tmp_path)
    supply, card = found.part("a"), found.part("b")
    assert isinstance(supply, Supply)
    assert (supply.rating, supply.plugs["pcie8"], supply.efficiency) == (1000, 8, "Platinum")
    assert isinstance(card, Gpu)
    assert (card.device.name, card.plugs, card.cooling) == ("rtx-3090", {"8": 2}, "blower")


def test_a_folder_without_parts_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError):
        read_database(tmp_path)
    with pytest.raises(NotFoundError):
        read_database(tmp_path / "nowhere")

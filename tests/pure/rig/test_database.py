"""Databases that people bring: tables made from BuildCores OpenDB, tables of their own, and files that are wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import rigwise
from rigwise.errors import NotFoundError, UsageError
from rigwise.rig.database import read_database
from rigwise.rig.parts import Board, Case, Cooler, Cpu, Drive, Fan, Gpu, Memory, Nic, Supply

SAMPLE = Path(__file__).with_name("sample")  # made up, in the headings of such tables


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for table in SAMPLE.glob("*.csv"):
        shutil.copy(table, tmp_path)
    return tmp_path


def test_tables_made_from_opendb_are_read(folder: Path) -> None:
    found = read_database(folder)
    cpu, board, kit, drive = (found.part(i) for i in ("c1", "m1", "r1", "s1"))
    assert isinstance(cpu, Cpu)
    assert (cpu.name, cpu.watts, cpu.lanes, cpu.arch, cpu.price, cpu.cooler) == (
        "AMD Ryzen 5 5600",
        88,
        20,
        "zen3",
        119.5,
        None,
    )
    assert isinstance(board, Board)
    assert ([s.lanes for s in board.slots], board.m2, board.ethernet, board.eps) == ([16, 16, 1, 1], 2, 2.5e9, 1)
    assert isinstance(kit, Memory)
    assert (kit.size, kit.dimm) == (2 * 16 * 2**30, "UDIMM")
    assert isinstance(drive, Drive)
    assert (drive.form, drive.interface, drive.size, drive.rate) == ("M.2", "nvme4", 1e12, None)


def test_the_other_kinds_are_read_and_what_nobody_says_is_unknown(folder: Path) -> None:
    found = read_database(folder)
    supply, bare, case, cooler, card, fan, nic = (found.part(i) for i in ("p1", "p2", "k1", "o1", "g1", "f1", "n1"))
    assert isinstance(supply, Supply)
    assert isinstance(bare, Supply)
    assert (supply.rating, supply.plugs, supply.atx3) == (750, {"eps8": 2, "pcie8": 3, "pin16": 1}, True)
    assert bare.plugs == {"eps8": None, "pcie8": None, "pin16": None}
    assert isinstance(case, Case)
    assert (case.gpu_length, case.radiator, case.boards[0]) == (400, None, "EATX")
    assert isinstance(cooler, Cooler)
    assert ("LGA 1700" in cooler.sockets, cooler.takes) == (True, None)
    assert isinstance(card, Gpu)
    assert (card.device.name, card.plugs, card.length, card.cooling) == ("rtx-3060-12gb", {"8": 1}, 242, "open")
    assert isinstance(fan, Fan)
    assert isinstance(nic, Nic)
    assert nic.rate == 10e9


def test_what_is_no_part_of_a_desktop_is_left_out_and_counted(folder: Path) -> None:
    found = read_database(folder)
    assert not {"r2", "s2", "g2"} & set(found.by_id)
    assert "3 left out" in found.name


def test_a_machine_is_chosen_from_it_and_passes_the_check(folder: Path) -> None:
    found = rigwise.rig("1xrtx-3060-12gb", parts=folder)
    assert found.passes
    assert found.proof is not None
    assert not found.proof.stopped
    assert found.price == pytest.approx(119.5 + 140 + 58 + 70 + 30 + 65 + 285)
    assert any("cooler" in text for text in found.by_hand)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("cpu", "maker,socket\nAMD,AM4\n", "no column name"),
        ("cpu", "name,maker\nRyzen,AMD,too,many\n", "line 2: more cells"),
        ("cpu", "", "no column name"),
        ("psu", "id,maker,name,wattage\np,Corsair,RM,strong\n", "cannot read the psu"),
        ("gpu_board", "id,maker,name,chip,mem_gb\ng,A,B,Voodoo,0.01\n", "no parts"),
        ("prices", "part,price_usd\nx,cheap\n", "price 'cheap'"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(tmp_path: Path, name: str, text: str, says: str) -> None:
    if name == "prices":
        shutil.copy(SAMPLE / "fan.csv", tmp_path)
    (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=says) as refused:
        read_database(tmp_path)
    assert refused.value.rule


def test_a_table_that_is_no_text_a_file_and_a_missing_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "cpu.csv").write_bytes(b"name,maker\n\xff\xfe\x00\n")
    with pytest.raises(UsageError, match="no text"):
        read_database(tmp_path)
    with pytest.raises(UsageError, match="is a file"):
        read_database(tmp_path / "cpu.csv")
    with pytest.raises(NotFoundError):
        read_database(tmp_path / "nowhere")


def test_json_that_is_no_part_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "open-db" / "PSU").mkdir(parents=True)
    (tmp_path / "open-db" / "PSU" / "list.json").write_text("[1, 2]", encoding="utf-8")
    with pytest.raises(UsageError, match="no parts"):
        read_database(tmp_path)

"""Names as people, drivers and papers write them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigwise.errors import NotFoundError
from rigwise.hardware.names import resolve_device
from rigwise.hardware.tables import by_id, table

with Path(__file__).with_name("names.csv").open(newline="", encoding="utf-8") as _file:
    NAMES = [(row["text"], row["id"]) for row in csv.DictReader(_file)]
IDS = sorted(by_id("devices"))


@pytest.mark.parametrize(("text", "expected"), NAMES, ids=[text for text, _ in NAMES])
def test_names_from_measured_tables_and_from_drivers(text: str, expected: str) -> None:
    assert resolve_device(text)[0] == expected


@pytest.mark.parametrize("row", table("devices"), ids=lambda row: row["id"])
def test_the_vendor_s_own_name_finds_the_device(row: dict[str, str]) -> None:
    assert resolve_device(row["id"]) == (row["id"], "")
    assert resolve_device(row["name"])[0] == row["id"]


@pytest.mark.parametrize("row", table("aliases"), ids=lambda row: row["text"])
def test_an_alias_leads_to_devices_that_exist(row: dict[str, str]) -> None:
    ids = row["ids"].split()
    assert set(ids) <= set(IDS)
    if len(ids) == 1:
        assert resolve_device(row["text"])[0] == ids[0]
    else:
        with pytest.raises(NotFoundError) as raised:
            resolve_device(row["text"])
        assert all(name in raised.value.nearest for name in ids)


@pytest.mark.parametrize("row", table("defaults"), ids=lambda row: row["text"])
def test_a_default_is_taken_and_said(row: dict[str, str]) -> None:
    name, how = resolve_device(row["text"])
    assert name == row["device"]
    assert "is taken" in how
    assert name in how


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("rtx 4909", "rtx-4090"),
        ("h1000", "h100"),
        ("titan", "titan-v"),
        ("h100 64gb", "h100-nvl-94gb, h100-pcie-80gb, h100-sxm-80gb"),
        ("rtx 4090 sxm", "rtx-4090"),
        ("a10", None),
        ("", "hardware list"),
        ("()", "hardware list"),
        ("8", "k80"),
        ("quantum computer", "hardware list"),
    ],
)
def test_what_is_unknown_names_the_nearest(text: str, nearest: str | None) -> None:
    if nearest is None:
        assert resolve_device(text)[0] == text
        return
    with pytest.raises(NotFoundError) as raised:
        resolve_device(text)
    assert nearest in raised.value.nearest
    assert repr(text) in raised.value.says


@pytest.mark.parametrize(
    ("one", "other"), [("rtx 4070", "rtx 4070 ti"), ("rtx 2080 super", "rtx 2080"), ("l40", "l40s"), ("a10", "a100")]
)
def test_a_shorter_name_is_never_a_longer_card(one: str, other: str) -> None:
    assert resolve_device(one)[0] != resolve_device(other)[0]


def test_memory_as_a_driver_reports_it_is_near_enough() -> None:
    assert resolve_device("NVIDIA L4 22.5GB") == ("l4", "")
    assert resolve_device("RTX 4060 Ti 15.9GB")[0] == "rtx-4060-ti-16gb"
    assert resolve_device("NVIDIA GeForce RTX 3080 12.0GB")[0] == "rtx-3080-12gb"


@given(st.sampled_from(IDS), st.data())
def test_case_and_separators_do_not_matter(name: str, data: st.DataObject) -> None:
    spelled = "".join(data.draw(st.sampled_from("- _")) if letter == "-" else letter for letter in name)
    spelled = spelled.upper() if data.draw(st.booleans()) else spelled
    assert resolve_device(spelled)[0] == name


@given(st.text(max_size=30))
def test_any_text_is_a_device_or_a_clean_error(text: str) -> None:
    try:
        name, _ = resolve_device(text)
    except NotFoundError:
        return
    assert name in IDS

"""The catalogue as rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rigwise.errors import NotFoundError, UsageError
from rigwise.hardware.catalog import devices
from rigwise.hardware.listing import rows, show


def test_without_filters_everything_newest_first() -> None:
    found = rows()
    assert len(found) == len(devices())
    years = [row["year"] for row in found]
    assert years == sorted(years, reverse=True)
    assert json.loads(json.dumps(found)) == found


def test_filters_narrow_together() -> None:
    found = rows(vendor="nvidia", kind="gpu", since=2022, until=2023, memory=80 * 2**30, search="H100")
    assert {row["name"] for row in found} == {"h100-sxm-80gb", "h100-pcie-80gb", "h100-nvl-94gb"}
    assert rows(search="no such card") == []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"vendor": "nvidea"}, NotFoundError),
        ({"kind": "gqu"}, NotFoundError),
        ({"since": 2024, "until": 2020}, UsageError),
        ({"memory": -1.0}, UsageError),
        ({"memory": float("nan")}, UsageError),
    ],
)
def test_filters_that_cannot_be(wrong: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        rows(**wrong)


@pytest.mark.parametrize("name", sorted(devices()))
def test_every_device_can_be_shown(name: str) -> None:
    shown = json.loads(json.dumps(show(name)))
    assert shown["name"] == name
    assert shown["usual_node"]["count"] >= 1
    assert shown["source"]


def test_show_says_how_it_read_the_name() -> None:
    assert "is taken" in show("H100")["resolved"]

"""Meshes: rings through some of a machine's devices, against what NCCL finds and what is measured on them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from rigwise.hardware.catalog import links
from rigwise.hardware.meshes import ring_shares
from rigwise.hardware.tables import table


@pytest.mark.parametrize("row", table("meshes"), ids=lambda row: f"{row['link']}-{row['devices']}")
def test_a_mesh_is_of_a_known_link_and_uses_every_link_of_a_whole_machine(row: dict[str, str]) -> None:
    assert row["link"] in links()
    assert row["source"]
    assert date.fromisoformat(row["date"]) >= date(2020, 1, 1)
    shares = ring_shares(row["link"], int(row["devices"]))
    assert shares is not None
    assert shares[-1, 1] == 1.0
    assert ((shares > 0) & (shares <= 1)).all()


def test_rings_of_the_cube_mesh_that_are_measured() -> None:
    """V100, 25 GB/s a link: 22.5, 45, 85, 35 at 16 MiB, 46, 84 and 134 GB/s on 2 to 8 devices (vTrain's table)."""
    shares = ring_shares("nvlink-2-v100", 8)
    assert shares is not None
    assert (shares[2:, 1] * 6).tolist() == [1, 2, 4, 2, 2, 4, 6]


def test_four_fully_joined_devices_use_all_their_links() -> None:
    quad, cube = ring_shares("nvlink-2-v100", 4), ring_shares("nvlink-2-v100", 8)
    assert quad is not None
    assert cube is not None
    assert quad[4, 1] == 1.0 > cube[4, 1]


def test_equal_pairs_give_a_group_its_own_links() -> None:
    shares = ring_shares("xgmi-mi300x", 8)
    assert shares is not None
    assert shares[2:, 1].tolist() == pytest.approx((np.arange(1, 8) / 7).tolist())


def test_a_switch_is_no_mesh() -> None:
    assert ring_shares("nvswitch-3-a100", 8) is None

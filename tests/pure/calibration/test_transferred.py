"""What one setting says of another, and what a profile believes of a change of pace."""

from __future__ import annotations

import numpy as np
import pytest

from rigwise.calibration.curves import Timed
from rigwise.calibration.here import transferred
from rigwise.cost.measured import Curve, Rates
from rigwise.cost.profile import Profile


def timed(kind: str, size: float, seconds: float, probe: int) -> Timed:
    return Timed(kind=kind, which="", sizes={"amount": size, "probe": float(probe), "often": 1.0}, seconds=seconds)


def test_what_both_settings_have_gives_the_ratio_of_what_only_the_usual_one_has() -> None:
    usual = [timed("relu", 2.0**n, 1e-6 * 2.0**n, 0) for n in range(8)] + [timed("pass", 1.0, 1.0, 0)]
    there = [timed("relu", 2.0**n, 0.5e-6 * 2.0**n, 3) for n in range(5)]
    found = transferred(there, usual)
    added = {one.sizes["amount"]: one for one in found[len(there) :]}
    assert sorted(added) == [2.0**5, 2.0**6, 2.0**7]
    for size, one in added.items():
        assert one.seconds == pytest.approx(0.5e-6 * size)
        assert "probe" not in one.sizes


def test_few_pairs_say_nothing() -> None:
    usual = [timed("relu", 2.0**n, 1e-6, 0) for n in range(8)]
    there = [timed("relu", 2.0**n, 2e-6, 0) for n in range(3)]
    assert transferred(there, usual) == there


def test_a_lasting_change_of_pace_moves_each_part_by_its_own_and_a_small_one_none() -> None:
    empty = np.zeros((0, 1))
    relu = Curve(kind="relu", constants=np.array([1.0, 1.0]), at=empty, pull=np.zeros(0), reach=1.0, spread=0.1)
    made = Profile(
        name="this", machine="m", ranks=1, threads=1, precisions=("float32",), spread=0.1, date="2026-11-23",
        rates=Rates(curves={("relu", ""): relu}, operation_s=1.0),
        pace=dict.fromkeys(("product", "conv", "stream", "call"), (1.0, 0.1)),
    )  # fmt: skip
    later = made.at({"product": 1.0, "conv": 1.0, "stream": 1.05, "call": 8.0})
    call, byte = later.rates.curves["relu", ""].constants
    assert byte == 1.0
    assert call == pytest.approx(8.0, rel=0.02) == later.rates.operation_s
    assert later.slower == 1.0

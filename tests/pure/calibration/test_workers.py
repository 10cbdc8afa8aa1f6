"""A fit on several cores is the fit on one."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from rigwise.calibration import workers
from rigwise.calibration.cases import case_of
from rigwise.calibration.constants import constants_of
from rigwise.calibration.sensitivity import sensitivities
from rigwise.cost.efficiencies import shipped
from rigwise.measurements.published import rows

CASES = [
    case_of(row) for row in rows() if row.prefix == "net2" or row.id in ("megatron-0001", "megatron-0003", "dle-0013")
]


def _fitted(cores: int, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    monkeypatch.setattr(workers, "_cores", lambda: cores)
    monkeypatch.setattr(workers, "_WORTH", 1)
    return sensitivities(CASES, shipped(), constants_of(CASES))


def test_shares_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, together = _fitted(1, monkeypatch), _fitted(2, monkeypatch)
    assert np.isfinite(alone[0]).any()
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one, other, equal_nan=True)


def test_the_share_of_a_worker_that_died_is_done_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = _fitted(1, monkeypatch)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert np.array_equal(_fitted(2, monkeypatch)[0], alone[0], equal_nan=True)


@pytest.mark.parametrize(
    ("cores", "steps", "shares"), [(8, [10, 20], 1), (8, [400, 300, 200], 3), (2, [400, 300, 200], 2)]
)
def test_few_steps_are_done_here(cores: int, steps: list[int], shares: int, monkeypatch: pytest.MonkeyPatch) -> None:
    step = next(case for case in CASES if type(case).__name__ == "StepCase")
    job = workers.Job(cases=[], tables={}, constants=[], columns=[], candidates=1)
    made = workers._shares([replace(job, cases=[step] * n) for n in steps], cores)
    assert len(made) == shares
    assert sorted(place for share in made for place in share) == list(range(len(steps)))
